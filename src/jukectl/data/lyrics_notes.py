"""Lyrics, notes and beats of encoded songs, as conditioning for training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jukectl.data.encoded import EncodedSongs
from jukectl.data.manifest import Track
from jukectl.errors import BadInput, BadManifest, JukectlError
from jukectl.lyrics.tokens import NO_LYRICS, LyricTokens, TokenWord, tokens_of
from jukectl.lyrics.value import Lyrics
from jukectl.midi.beats import BeatGrid
from jukectl.midi.notes import read_midi
from jukectl.midi.phases import NO_BEATS, Beats
from jukectl.midi.roll import NO_NOTES, CoveredNotes
from jukectl.prior.config import LyricsConfig
from jukectl.prior.labels import LabelBatch, Place, WindowShape
from jukectl.prior.vocabulary import Vocabulary

NOTHING = -1
"""Sung token of a code without one: outside the window, or of lyrics without times."""


def words_within(place: Place, shape: WindowShape) -> tuple[TokenWord, ...]:
    """Return the words that are sung within a window of codes and lie completely in its window of the lyrics.

    Token indices are relative to that window, times to the start of the codes.
    """
    window = place.lyric_window(shape)
    first = int(window.places[-1]) - shape.characters + 1  # the window's last place is never padding
    stop = place.offset + shape.context * shape.hop
    return tuple(
        TokenWord(word.first - first, word.last - first, word.start - place.offset, word.end - place.offset)
        for word in place.song.lyrics.words
        if first <= word.first
        and word.last < first + shape.characters
        and place.offset <= word.start
        and word.end <= stop
    )


def sung_tokens(place: Place, shape: WindowShape) -> npt.NDArray[np.int64]:
    """Return the index in the lyrics window of the token sung at each code (T,): the last one that has begun.

    Between two words it is the token between them, before the first word the first token. NOTHING if the token is
    outside the window, or if the lyrics have no times.
    """
    found = np.full(shape.context, NOTHING, dtype=np.int64)
    lyrics = place.song.lyrics
    if lyrics.onsets is None or not lyrics.words:
        return found
    window = place.lyric_window(shape)
    times = place.offset + shape.hop * np.arange(shape.context) + shape.hop // 2
    token = np.maximum(np.searchsorted(np.asarray(lyrics.onsets), times, side="right") - 1, 0)
    index = token - int(window.places[-1]) + len(window.places) - 1  # the window's last place is never padding
    inside = (index >= 0) & (index < len(window.places))
    found[inside] = index[inside]
    return found


def read_lyrics(
    encoded: EncodedSongs, track: Track, vocabulary: Vocabulary, lyrics: LyricsConfig, sample_rate: int
) -> LyricTokens:
    """Return the lyrics of a song as tokens of the vocabulary; raise BadManifest if they cannot be read."""
    path = encoded.lyrics(track)
    if path is None:
        return NO_LYRICS
    alphabet = vocabulary.alphabet(lyrics.alphabet)
    try:
        return tokens_of(Lyrics.read(path), alphabet, sample_rate)
    except JukectlError as error:
        raise BadManifest(f"cannot read the lyrics {path} of {track.path}: {error}") from error


def read_notes(path: Path | None) -> CoveredNotes:
    """Return the notes in a MIDI file, which cover the whole song; raise BadManifest if they cannot be read."""
    if path is None:
        return NO_NOTES
    try:
        return CoveredNotes(read_midi(path))
    except BadInput as error:
        raise BadManifest(f"{error}. Remove it, and make the manifest and the code folder again") from error


def read_beats(path: Path | None) -> Beats:
    """Return the beats in a beats file; raise BadManifest if they cannot be read."""
    if path is None:
        return NO_BEATS
    try:
        return Beats(BeatGrid.load(path))
    except BadInput as error:
        raise BadManifest(f"{error}. Remove it, and make the manifest and the code folder again") from error


def with_other_notes(batches: Sequence[LabelBatch]) -> list[LabelBatch] | None:
    """Return the same batches, each with the notes of the next that has any; None if no two have notes."""
    own = [batch.notes for batch in batches]
    filled = [number for number, notes in enumerate(own) if notes is not None and bool(notes[:, 0, 0].any())]
    if len(filled) < 2:
        return None
    moved = dict(zip(filled, filled[len(filled) // 2 :] + filled[: len(filled) // 2], strict=True))
    return [replace(batch, notes=own[moved.get(number, number)]) for number, batch in enumerate(batches)]
