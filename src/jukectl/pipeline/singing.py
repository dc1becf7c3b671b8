"""Lyrics as a song's labels hold them, text or LRC, and as a model hears them."""

from collections.abc import Iterator
from dataclasses import dataclass

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import Level
from jukectl.codes.recipe import Labels
from jukectl.lyrics import lrc
from jukectl.lyrics.timed import TimedLyrics
from jukectl.prior.lyrics import Spelled
from jukectl.prior.sung import spell_sung


@dataclass(frozen=True)
class HeardLyrics:
    """All characters of the lyrics as a level's prior reads them."""

    spelled: Spelled
    onsets: tuple[int, ...] | None = None  # when each is sung, in audio samples of the song; None: spread evenly


def lyrics_text(labels: Labels) -> str | None:
    """The words alone, lines apart by line feeds."""
    timed = timed_lyrics(labels)
    return labels.lyrics if timed is None else timed.text


def timed_lyrics(labels: Labels) -> TimedLyrics | None:
    """The lyrics with their times, where they are told; BadInput names a line of LRC that cannot be read."""
    return lrc.parse(labels.lyrics) if labels.lyrics is not None and labels.lyrics_format == "lrc" else None


def heard_lyrics(labels: Labels, card: ModelCard, level: Level) -> HeardLyrics:
    """The lyrics in the characters of a level's prior; BadInput where it takes none, or knows none of these."""
    spelled = card.spell(level, lyrics_text(labels) or "")
    timed = timed_lyrics(labels)
    config = card.priors[level]
    if timed is None or config.lyrics is None:
        return HeardLyrics(spelled)
    sung = spell_sung(timed, card.vocabulary_at(level).alphabet(config.lyrics.alphabet), config.sample_rate)
    return HeardLyrics(Spelled(sung.ids, spelled.left_out), sung.onsets)


def out_of_time(labels: Labels, song_seconds: float, shift: float = 0.0) -> Iterator[str]:
    """A remark where words of timed lyrics are sung after the song has ended.

    With a `shift`, in seconds, lyrics of so much later are sung at the song's end, as its schedule has it.
    """
    timed = timed_lyrics(labels)
    late = [word for word in timed.words if word.start - shift >= song_seconds and not word.guessed] if timed else []
    if timed and late:
        moved = f", which the schedule moves to {late[0].start - shift:g} s," if shift else ""
        yield (
            f"the lyrics from {late[0].text!r} at {late[0].start:g} s on{moved} come after the song's end at "
            f"{song_seconds:g} s: give more --seconds or --song-seconds to have them sung"
        )
