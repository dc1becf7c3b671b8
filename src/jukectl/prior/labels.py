"""Conditioning as values: `Conditioning` of a whole song, and `LabelBatch` of the windows that a prior models.

Sampling makes a `Conditioning` from a recipe (plan/conditioning.py), training from an encoded song (data/segments.py).
`LabelBatch.of` turns places in such songs into the tensors that the layers in prior/conditioning.py read.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.lyrics.tokens import NO_LYRICS, LyricTokens
from jukectl.lyrics.window import LyricWindow, lyric_window
from jukectl.midi.phases import NO_BEATS, Beats
from jukectl.midi.roll import NO_NOTES, CoveredNotes
from jukectl.prior.config import PriorConfig
from jukectl.prior.mixture import Mixture
from jukectl.prior.vocabulary import UNLABELLED

EMPTY_SLOT = -1
"""Stands in a genre slot that holds no genre."""

UNCONDITIONED = Mixture.of(UNLABELLED)
"""No artist, or no genre."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Labels and sampling settings that hold from one code of a level up to the next segment's first."""

    start: int = 0  # code, from the start of the sample
    artist: Mixture = UNCONDITIONED
    genres: Mixture = UNCONDITIONED
    sampling: LevelSampling = field(default_factory=LevelSampling)
    lyrics_shift: int = 0  # audio samples by which the lyrics are taken from a later place in the song


UNLABELLED_SEGMENT = Segment()


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Conditioning of one level's prior throughout a song. Times are in audio samples of the whole song."""

    song_samples: int  # length of the whole song
    start_samples: int = 0  # length of the part before the level's first code
    segments: tuple[Segment, ...] = (UNLABELLED_SEGMENT,)  # the first begins at code 0
    lyrics: LyricTokens = NO_LYRICS  # of the whole song
    notes: CoveredNotes | None = None  # in seconds since the level's first code
    beats: Beats | None = None  # likewise

    @property
    def cuts(self) -> tuple[int, ...]:
        """First codes of all segments after the first one."""
        return tuple(segment.start for segment in self.segments[1:])

    @property
    def rows_per_sample(self) -> int:
        """Rows of the decoder's batch per sample at most: two under classifier-free guidance."""
        return max(segment.sampling.rows for segment in self.segments)

    def segment_at(self, code: int) -> Segment:
        """Return the segment that a code is in."""
        return self.segments[bisect_right([segment.start for segment in self.segments], code) - 1]


@dataclass(frozen=True, kw_only=True)
class WindowShape:
    """Sizes of a prior's windows, as `LabelBatch.of` needs them."""

    context: int  # codes
    hop: int  # audio samples per code
    sample_rate: int = 44_100  # Hz
    genre_slots: int = 1
    characters: int = 0  # of the lyrics' window; 0 for a prior without lyrics
    notes: bool = False  # True for a prior that follows notes
    beats: bool = False  # True for a prior that follows beats

    @classmethod
    def of(cls, config: PriorConfig) -> Self:
        """Return the shape of a prior's windows."""
        return cls(
            context=config.context,
            hop=config.hop,
            sample_rate=config.sample_rate,
            genre_slots=config.genre_slots,
            characters=0 if config.lyrics is None else config.lyrics.characters,
            notes=config.midi is not None,
            beats=config.beats is not None,
        )


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Place:
    """A window of a song."""

    song: Conditioning
    segment: Segment  # of the codes that the window adds
    start: int  # first code of the window
    offset: int  # audio samples of the song before it, within the range that the prior was trained on

    def lyric_window(self, shape: WindowShape) -> LyricWindow:
        """Return the part of the lyrics that the window is conditioned on."""
        song, shift = self.song, self.segment.lyrics_shift
        if song.lyrics.onsets is None:
            # without times the place in the text follows from the relative place in the song, by the same offset that
            # the timing conditioner sees; a shift is clamped to the song, outside of which there is no such place
            offset = min(max(self.offset + shift, 0), song.song_samples - 1) if shift else self.offset
        else:  # with times, the true offset: the limits of the timing conditioner do not matter
            offset = song.start_samples + self.start * shape.hop + shift
        return lyric_window(
            song.lyrics.ids,
            shape.characters,
            total_length=song.song_samples,
            offset=offset,
            sample_length=shape.context * shape.hop,
            onsets=song.lyrics.onsets,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelBatch:
    """Labels of B windows, int64 if not said otherwise. Times are in audio samples at the model's rate."""

    artist: Tensor  # (B,); or (B, n) with weights
    genres: Tensor  # (B, slots), EMPTY_SLOT where there is none
    total_length: Tensor  # (B,) the whole song
    offset: Tensor  # (B,) where the window starts in it
    sample_length: Tensor  # (B,) a full window, even if fewer codes of it are sampled
    lyrics: Tensor | None = None  # (B, characters) the window of the lyrics; None: an instrumental
    notes: Tensor | None = None  # (B, T, channels) uint8 piano rolls at the codes' rate; None: without notes
    beats: Tensor | None = None  # (B, T, channels) float32 phases at the codes' rate; None: without beats
    artist_weights: Tensor | None = None  # (B, n) float32, how much of each artist counts; None: the one in full
    genre_weights: Tensor | None = None  # (B, slots) float32; None: each in full

    @classmethod
    def of(cls, places: Sequence[Place], shape: WindowShape, device: torch.device | str = "cpu") -> Self:
        """Return the labels of windows, which may be of one song or of several."""
        # the length of a whole window also where it has fewer codes, as published
        batch = cls.repeat(len(places), slots=shape.genre_slots, sample_length=shape.context * shape.hop)
        batch = batch.styled([one.segment.artist for one in places], [one.segment.genres for one in places])
        batch = replace(
            batch,
            total_length=torch.tensor([one.song.song_samples for one in places], dtype=torch.int64),
            offset=torch.tensor([one.offset for one in places], dtype=torch.int64),
        )
        if shape.characters:
            batch = replace(batch, lyrics=_lyric_windows(places, shape))
        if shape.notes and any(one.song.notes is not None for one in places):
            batch = replace(batch, notes=_piano_rolls(places, shape))
        if shape.beats and any(one.song.beats is not None for one in places):
            batch = replace(batch, beats=_beat_phases(places, shape))
        return batch.to(device)

    @classmethod
    def repeat(
        cls,
        batch: int,
        *,
        artist: int = 0,
        genres: Sequence[int] = (0,),
        slots: int = 1,
        total_length: int = 1,
        offset: int = 0,
        sample_length: int = 1,
        device: torch.device | str = "cpu",
    ) -> Self:
        """Return the same labels for every row of a batch."""

        def column(value: int) -> Tensor:
            return torch.full((batch,), value, dtype=torch.int64, device=device)

        return cls(
            artist=column(artist),
            genres=torch.tensor([fill_slots(genres, slots)] * batch, dtype=torch.int64, device=device),
            total_length=column(total_length),
            offset=column(offset),
            sample_length=column(sample_length),
        )

    def __len__(self) -> int:
        return len(self.artist)

    def styled(self, artists: Sequence[Mixture], genres: Sequence[Mixture]) -> Self:
        """Return the same places in songs, with an artist and genres for each row; mixtures may be of any length."""
        device, slots = self.artist.device, self.genres.shape[1]
        if all(mixture.pure and len(mixture.ids) <= slots for mixture in genres):
            genre, genre_weights = torch.tensor([fill_slots(mixture.ids, slots) for mixture in genres]), None
        else:
            genre, genre_weights = _columns(genres, EMPTY_SLOT)
        if all(mixture.pure and len(mixture.ids) == 1 for mixture in artists):
            artist, artist_weights = torch.tensor([mixture.ids[0] for mixture in artists]), None
        else:
            artist, artist_weights = _columns(artists, UNLABELLED)
        styled = replace(self, artist=artist, artist_weights=artist_weights, genres=genre, genre_weights=genre_weights)
        return styled.to(device)

    def unlabelled(self) -> Self:
        """Return the same places in songs, without artist and genre."""
        return self.styled([UNCONDITIONED] * len(self), [UNCONDITIONED] * len(self))

    def unconditioned(self) -> Self:
        """Return the unconditional labels of classifier-free guidance: the same places and lyrics, nothing else."""
        return replace(self.unlabelled(), notes=None, beats=None)

    def row(self, index: int) -> Self:
        """Return one row as a batch."""
        return self._each(lambda values: values[index : index + 1])

    def to(self, device: torch.device | str) -> Self:
        """Return the same labels on another device."""
        return self._each(lambda values: values.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: change(value) for name, value in values.items() if value is not None})


def fill_slots(genres: Sequence[int], slots: int) -> list[int]:
    """Return genre ids and EMPTY_SLOT after them, `slots` in all."""
    if len(genres) > slots:
        raise ValueError(f"{len(genres)} genres do not fit in {slots} slots")
    return [*genres, *[EMPTY_SLOT] * (slots - len(genres))]


def _columns(mixtures: Sequence[Mixture], empty: int) -> tuple[Tensor, Tensor]:
    """Return ids (B, n) and weights (B, n) float32, n of the longest; shorter ones are padded with `empty` at 0."""
    longest = max(1, *(len(mixture.ids) for mixture in mixtures))
    missing = [longest - len(mixture.ids) for mixture in mixtures]
    ids = [[*mixture.ids, *[empty] * more] for mixture, more in zip(mixtures, missing, strict=True)]
    weights = [[*mixture.weights, *[0.0] * more] for mixture, more in zip(mixtures, missing, strict=True)]
    return torch.tensor(ids), torch.tensor(weights)


def _lyric_windows(places: Sequence[Place], shape: WindowShape) -> Tensor:
    """Return the lyric window of each place, (B, characters)."""
    found: dict[tuple[int, int, int], np.ndarray] = {}  # the samples of a song share their windows
    keys = [(id(one.song), one.start, one.segment.lyrics_shift) for one in places]
    for key, place in zip(keys, places, strict=True):
        if key not in found:
            found[key] = place.lyric_window(shape).ids
    return torch.from_numpy(np.stack([found[key] for key in keys]))


def _piano_rolls(places: Sequence[Place], shape: WindowShape) -> Tensor:
    """Return the piano roll of each place, (B, context, channels); zeros for songs without notes."""
    rate = shape.sample_rate / shape.hop
    return _each_once(places, lambda one: (one.song.notes or NO_NOTES).roll(one.start, shape.context, rate=rate))


def _beat_phases(places: Sequence[Place], shape: WindowShape) -> Tensor:
    """Return the phases of beats at each place, (B, context, channels); zeros for songs without beats."""
    rate = shape.sample_rate / shape.hop
    return _each_once(
        places, lambda place: (place.song.beats or NO_BEATS).phases(place.start, shape.context, rate=rate)
    )


def _each_once(places: Sequence[Place], compute: Callable[[Place], np.ndarray]) -> Tensor:
    """Return arrays of places as one tensor, computed once for places that several samples of a song share."""
    found: dict[tuple[int, int], np.ndarray] = {}
    keys = [(id(one.song), one.start) for one in places]
    for key, place in zip(keys, places, strict=True):
        if key not in found:
            found[key] = compute(place)
    return torch.from_numpy(np.stack([found[key] for key in keys]))
