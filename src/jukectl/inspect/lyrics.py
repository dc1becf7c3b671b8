"""What a model is told of lyrics, for people to see before they are sung."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.errors import BadInput
from jukectl.lyrics.tokens import shown, spelling
from jukectl.lyrics.value import Lyrics
from jukectl.lyrics.window import lyric_window

HERE = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}"
"""Stands before the character that is sung."""


@dataclass(frozen=True)
class ToldLyrics:
    """What a model's top prior is told of lyrics."""

    model: str
    told: str  # in the model's characters
    marked: str  # the file's, with what is told otherwise as {é→e}
    otherwise: dict[str, str]  # characters, and what is told in their place
    left_out: tuple[str, ...]  # characters of which nothing or not all is told
    reads: int  # characters that a window reads
    window: str | None = None  # those of the window around a second, after HERE what is sung at it


def tell_lyrics(path: Path, model: str, *, at: float | None = None, song_seconds: float | None = None) -> ToldLyrics:
    """What a model is told of a text or an .lrc file; with `at` also in the window in whose middle that second is.

    BadInput for a model that takes no lyrics, and where neither times nor the song's length tell what is sung `at` it.
    """
    lyrics = Lyrics.read(path)
    card = catalogue.find(model).card
    tokens = card.spell(Level.TOP, lyrics)
    config = card.priors[Level.TOP]
    assert config.lyrics is not None
    alphabet = card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet)
    characters = {number: character for character, number in alphabet.items()}
    parts = list(spelling(lyrics.text, alphabet))
    about = ToldLyrics(
        model=card.name,
        told="".join(characters[one] for one in tokens.ids),
        marked="".join(one if one == known else f"{{{shown(one)}→{known}}}" for one, known, _ in parts),
        otherwise={shown(one): known for one, known, _ in parts if known and one != known},
        left_out=tuple(shown(one) for one in tokens.left_out),
        reads=config.lyrics.characters,
    )
    if at is None:
        return about
    second = round(at * config.sample_rate)
    if tokens.onsets is not None:
        total = second + config.window_samples
        place = bisect_right(tokens.onsets, second) - 1
    elif song_seconds is not None and 0 <= at < song_seconds:
        total = round(song_seconds * config.sample_rate)
        place = int(len(tokens.ids) * at / song_seconds)
    else:
        raise BadInput(
            "text without times is spread over the song: with --at goes --song-seconds, its length, or an .lrc"
        )
    window = lyric_window(
        tokens.ids,
        config.lyrics.characters,
        total_length=total,
        offset=min(max(second - config.window_samples // 2, 0), total - 1),
        sample_length=config.window_samples,
        onsets=tokens.onsets,
    )
    told = [characters.get(int(one), "") for one in window.ids]
    told.insert(int(np.searchsorted(window.places, place)) if place >= 0 else 0, HERE)
    return replace(about, window="".join(told))
