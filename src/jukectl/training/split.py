"""Which songs are kept for validation: a function of the song alone, so that new ones never move the others."""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from jukectl.training.manifest import VALIDATION, Track

TRAIN = "train"

VERSIONS = re.compile(r"[(\[{][^)\]}]*[)\]}]")  # "(live)", "[2009 remaster]"
GUESTS = re.compile(r"\b(?:feat|ft|featuring)\b.*")


def song_key(track: Track, song: str | None = None) -> str:
    """What the recordings of one song have in common: its artist and title, whatever their case, accents and versions.

    Without an artist it is the folder and the title. `song`, from a sidecar, says it outright.
    """
    if song:
        return f"song {_plain(song)}"
    title = _plain(track.title)
    if track.artist.strip():
        return f"artist {_plain(track.artist)} title {title}"
    return f"folder {PurePosixPath(track.path).parent} title {title}"


def side_of(key: str, held_out_share: float) -> str:
    """The side of a song; a larger share takes songs from training and gives none back."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return VALIDATION if int.from_bytes(digest[:8], "big") < held_out_share * 2**64 else TRAIN


def _plain(text: str) -> str:
    """Letters and digits of a name, without case, accents and what is in brackets, if any are left without that."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    for rough in (GUESTS.sub("", VERSIONS.sub(" ", folded)), folded):
        words = re.findall(r"\w+", "".join(one for one in rough if not unicodedata.combining(one)))
        if words:
            return " ".join(words)
    return text
