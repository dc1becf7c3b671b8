"""The lyrics of an encoded song as a prior learns them: characters, and when they are sung where that is known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jukectl.errors import BadManifest, BadRecipe, JukectlError
from jukectl.prior.alignment import LyricWindow, lyric_window
from jukectl.prior.config import LyricsConfig
from jukectl.prior.lyrics import V3, spell
from jukectl.prior.sung import SungWord, spell_sung
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.config import PriorRecipe
from jukectl.training.encoded import EncodedSongs
from jukectl.training.manifest import Track

NOTHING = -1
"""Stands for the character that is sung where none is, or nobody knows which."""


@dataclass(frozen=True)
class SongLyrics:
    """All characters of a song. Times are in audio samples."""

    ids: tuple[int, ...]
    onsets: tuple[int, ...] | None = None  # of each character; None where the file has no times
    words: tuple[SungWord, ...] = ()  # with times

    def window(self, characters: int, total_length: int, offset: int, sample_length: int) -> LyricWindow:
        """The part of them that belongs to a window of codes."""
        return lyric_window(
            self.ids,
            characters,
            total_length=total_length,
            offset=offset,
            sample_length=sample_length,
            onsets=self.onsets,
        )

    def within(self, characters: int, total_length: int, offset: int, sample_length: int) -> tuple[SungWord, ...]:
        """The words that are sung within a window of codes, and stand whole in its part of the lyrics.

        Their characters are counted in that part, their times from the window's start.
        """
        window = self.window(characters, total_length, offset, sample_length)
        first = int(window.places[-1]) - characters + 1  # the window's last place is never padding
        return tuple(
            SungWord(word.first - first, word.last - first, word.start - offset, word.end - offset)
            for word in self.words
            if first <= word.first
            and word.last < first + characters
            and offset <= word.start
            and word.end <= offset + sample_length
        )

    def sung_at(self, times: npt.NDArray[np.int64], window: LyricWindow) -> npt.NDArray[np.int64]:
        """Which character of the window it is at each of the times (T,): the last that has begun.

        Between words that is what stands between them, before the first it is the first. NOTHING where it is not in the
        window, and where nobody knows.
        """
        found = np.full(len(times), NOTHING, dtype=np.int64)
        if self.onsets is None or not self.words:
            return found
        character = np.maximum(np.searchsorted(np.asarray(self.onsets), times, side="right") - 1, 0)
        place = character - int(window.places[-1]) + len(window.places) - 1  # the window's last place is never padding
        inside = (place >= 0) & (place < len(window.places))
        found[inside] = place[inside]
        return found


def read_lyrics(
    encoded: EncodedSongs, track: Track, vocabulary: Vocabulary, lyrics: LyricsConfig, sample_rate: int
) -> SongLyrics | None:
    """A song's lyrics in the vocabulary's characters, None where it has none; BadManifest where they cannot be read."""
    path = encoded.lyrics(track)
    if path is None:
        return None
    alphabet = vocabulary.alphabet(lyrics.alphabet)
    try:
        if path.suffix.lower() != ".lrc":
            return SongLyrics(spell(_text(path), alphabet).ids)
        from jukectl.lyrics.lrc import parse

        sung = spell_sung(parse(_text(path)), alphabet, sample_rate)
    except (JukectlError, ValueError) as error:
        raise BadManifest(f"cannot read the lyrics {path} of {track.path}: {error}") from error
    return SongLyrics(sung.ids, sung.onsets, sung.words)


def with_characters(recipe: PriorRecipe, vocabulary: Vocabulary) -> tuple[PriorRecipe, Vocabulary]:
    """A recipe whose model.lyrics tells the number of characters, and a vocabulary that tells which they are.

    `model.lyrics.alphabet` is a text of all of them in a recipe, or left out for those of the published 1b-lyrics.
    BadRecipe where it is neither.
    """
    table = recipe.model.get("lyrics")
    if not isinstance(table, Mapping):
        return recipe, vocabulary
    characters = table.get("alphabet", V3)
    if not isinstance(characters, str) or not characters or len(set(characters)) < len(characters):
        raise BadRecipe(
            "model.lyrics.alphabet is a text of the characters that the model is to know, each once, such as "
            f'"abcdefghijklmnopqrstuvwxyz \n", or left out; got {characters!r}'
        )
    model = {**recipe.model, "lyrics": {**table, "alphabet": len(characters) + 1}}
    return replace(recipe, model=model), replace(vocabulary, characters=characters, character_numbers=())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(error.strerror) from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
