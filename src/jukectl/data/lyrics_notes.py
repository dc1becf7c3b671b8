"""The lyrics of an encoded song as a prior learns them: characters, and when they are sung where that is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jukectl.data.encoded import EncodedSongs
from jukectl.data.manifest import Track
from jukectl.errors import BadInput, BadManifest, JukectlError
from jukectl.lyrics.tokens import TokenWord, tokens_of
from jukectl.lyrics.value import Lyrics
from jukectl.lyrics.window import LyricWindow, lyric_window
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.roll import CHANNELS, piano_roll
from jukectl.prior.config import LyricsConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.vocabulary import Vocabulary

NOTHING = -1
"""Stands for the character that is sung where none is, or nobody knows which."""


@dataclass(frozen=True)
class SongLyrics:
    """All characters of a song. Times are in audio samples."""

    ids: tuple[int, ...]
    onsets: tuple[int, ...] | None = None  # of each character; None where the file has no times
    words: tuple[TokenWord, ...] = ()  # with times

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

    def within(self, characters: int, total_length: int, offset: int, sample_length: int) -> tuple[TokenWord, ...]:
        """The words that are sung within a window of codes, and stand whole in its part of the lyrics.

        Their characters are counted in that part, their times from the window's start.
        """
        window = self.window(characters, total_length, offset, sample_length)
        first = int(window.places[-1]) - characters + 1  # the window's last place is never padding
        return tuple(
            TokenWord(word.first - first, word.last - first, word.start - offset, word.end - offset)
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
        tokens = tokens_of(Lyrics.read(path), alphabet, sample_rate)
    except JukectlError as error:
        raise BadManifest(f"cannot read the lyrics {path} of {track.path}: {error}") from error
    return SongLyrics(tokens.ids, tokens.onsets, tokens.words)


@dataclass(frozen=True, eq=False)
class SongNotes:
    """The notes of a song, and the rate of the codes that they are told to."""

    notes: Notes
    rate: float  # codes a second

    def roll(self, start: int, frames: int) -> np.ndarray:
        """The piano roll (frames, CHANNELS) uint8 from the code `start` on."""
        return piano_roll(self.notes, start, frames, rate=self.rate)


def read_notes(path: Path | None, rate: float) -> SongNotes | None:
    """The notes in a MIDI file, None for a song without; BadManifest where they cannot be read."""
    if path is None:
        return None
    try:
        return SongNotes(read_midi(path), rate)
    except BadInput as error:
        raise BadManifest(f"{error}. Remove it, and make the manifest and the codes' folder again") from error


def rolls(songs: Sequence[tuple[SongNotes | None, int]], frames: int) -> Tensor:
    """The rolls (B, frames, CHANNELS) uint8 of songs from a code each on, zeros of songs without notes."""
    empty = np.zeros((frames, CHANNELS), dtype=np.uint8)
    return torch.from_numpy(np.stack([empty if one is None else one.roll(start, frames) for one, start in songs]))


def with_other_notes(batches: Sequence[LabelBatch]) -> list[LabelBatch] | None:
    """The same batches, each told the notes of the next that has any; None where that is no other's."""
    told = [batch.notes for batch in batches]
    filled = [number for number, notes in enumerate(told) if notes is not None and bool(notes[:, 0, 0].any())]
    if len(filled) < 2:
        return None
    moved = dict(zip(filled, filled[len(filled) // 2 :] + filled[: len(filled) // 2], strict=True))
    return [replace(batch, notes=told[moved.get(number, number)]) for number, batch in enumerate(batches)]
