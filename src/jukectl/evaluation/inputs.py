"""Inputs and outputs that evaluations share: recordings, songs of a manifest, encoded songs, pictures, JSON numbers."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio import io
from jukectl.codes.level import Level
from jukectl.codes.shard import SongCodes
from jukectl.data.encoded import EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadInput, WrongCodec
from jukectl.files import make_folder, read_bytes
from jukectl.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CPU = torch.device("cpu")


def read_globs(path: Path) -> tuple[str, ...]:
    """Read globs, one a line, without empty lines and those that begin with #. Raises BadInput if none is left."""
    lines = read_bytes(path, BadInput, "globs of held-out songs").decode("utf-8", "surrogateescape").splitlines()
    globs = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not globs:
        raise BadInput(f"{path} names no held-out songs: give one glob a line, such as band/album 3/*.flac")
    return globs


def recordings(audio: Sequence[Path], held_out: Path | None) -> list[Path]:
    """List the files among `audio` and the songs of the manifests (.jsonl) among them, those held out if so asked."""
    manifests = [Manifest.load(path) for path in audio if path.suffix == ".jsonl"]
    if held_out is not None and not manifests:
        raise BadInput("--held-out chooses songs of a manifest (.jsonl), and none was given")
    songs: list[Path] = []
    for manifest in manifests:
        tracks = manifest.tracks if held_out is None else manifest.split(read_globs(held_out))[1]
        songs += [manifest.folder / track.path for track in tracks]
    return [path for path in audio if path.suffix != ".jsonl"] + songs


def middle(path: Path, seconds: float | None) -> tuple[float, float | None]:
    """Return the start and the length of the middle `seconds` of a file; of the whole file for None."""
    if seconds is None:
        return 0.0, None
    if not seconds > 0:
        raise BadInput(f"--seconds is more than 0, got {seconds}")
    return max(0.0, (io.info(path).seconds - seconds) / 2), seconds


def split_songs(codes: Path, held_out: Path | None) -> tuple[EncodedSongs, list[Track], list[Track]]:
    """Open a code folder. Returns it, its training songs and its held-out songs; none of these without `held_out`."""
    encoded = EncodedSongs(codes)
    if held_out is None:
        return encoded, list(encoded.manifest.tracks), []
    return encoded, *encoded.manifest.split(read_globs(held_out))


def find_checked(
    encoded: EncodedSongs, tracks: Sequence[Track], level: Level, vqvae: str, *, whose: str
) -> list[SongCodes]:
    """Find the codes of songs without reading them. Raises WrongCodec unless the VQ-VAE of `whose` encoded them."""
    found = [encoded.find(track, level) for track in tracks]
    for track, codes in zip(tracks, found, strict=True):
        about = codes.archive
        if about.vqvae != vqvae:
            raise WrongCodec(
                f"{about.path} holds {level.label} codes of {track.path} from the VQ-VAE {about.vqvae[:12]}, "
                f"and {whose}'s is {vqvae[:12]}. "
                "Encode the songs with it: jukectl data encode MANIFEST --out CODES --model NAME"
            )
    return found


def read_checked(
    encoded: EncodedSongs, tracks: Sequence[Track], level: Level, vqvae: str, *, whose: str
) -> list[NDArray[np.uint16]]:
    """Read the codes (frames,) of the songs that `find_checked` finds."""
    return [codes[:] for codes in find_checked(encoded, tracks, level, vqvae, whose=whose)]


def sample_name(song: Path, sample: int, samples: int) -> str:
    """Return a sample's name: that of its song folder, with its number if there are several."""
    name = song.resolve().name
    return f"{name}/{sample}" if samples > 1 else name


def save_plot(folder: Path, name: str, figure: "Figure") -> str:
    """Write a picture into a folder, which is created if missing. Returns its path. Raises CannotWrite."""
    make_folder(folder)
    path = folder / f"{name}.png"
    style.save(figure, path)
    return str(path)


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round a number for JSON; None for infinity and nan, such as the decibels of silence."""
    return round(float(value), digits) if value is not None and isfinite(value) else None
