"""Preview the lyric tokens that a model is conditioned on."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.errors import BadInput
from jukectl.lyrics.tokens import shown, spelling
from jukectl.lyrics.value import Lyrics
from jukectl.lyrics.window import lyric_window

HERE = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}"
"""Mark before the character that is sung."""


@dataclass(frozen=True)
class LyricsPreview:
    """Lyrics in the characters of a model's top prior."""

    model: str
    text: str  # in the model's characters
    marked: str  # the file's text, with replaced characters as {é→e}
    replaced: dict[str, str]  # characters, and those in their place
    dropped: tuple[str, ...]  # characters that are missing in part or whole
    window_size: int  # characters of a window
    window: str | None = None  # characters of the window around a second, with HERE before the one sung then

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the keys of `--json`."""
        return {
            "model": self.model,
            "told": self.text,
            "marked": self.marked,
            "otherwise": self.replaced,
            "left_out": self.dropped,
            "reads": self.window_size,
            "window": self.window,
        }


def preview_lyrics(
    path: Path, model: str, *, at: float | None = None, song_seconds: float | None = None
) -> LyricsPreview:
    """Return a text or an .lrc file in a model's characters; with `at` the window around that second too.

    Raises BadInput for a model without lyrics, and for `at` with neither times nor the song's length.
    """
    lyrics = Lyrics.read(path)
    card = catalogue.find(model).card
    tokens = card.spell(Level.TOP, lyrics)
    config = card.priors[Level.TOP]
    assert config.lyrics is not None
    alphabet = card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet)
    characters = {number: character for character, number in alphabet.items()}
    parts = list(spelling(lyrics.text, alphabet))
    preview = LyricsPreview(
        model=card.name,
        text="".join(characters[one] for one in tokens.ids),
        marked="".join(one if one == known else f"{{{shown(one)}→{known}}}" for one, known, _ in parts),
        replaced={shown(one): known for one, known, _ in parts if known and one != known},
        dropped=tuple(shown(one) for one in tokens.left_out),
        window_size=config.lyrics.characters,
    )
    if at is None:
        return preview
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
    letters = [characters.get(int(one), "") for one in window.ids]
    letters.insert(int(np.searchsorted(window.places, place)) if place >= 0 else 0, HERE)
    return replace(preview, window="".join(letters))
