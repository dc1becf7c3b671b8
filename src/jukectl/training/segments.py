"""Segments of encoded songs for priors: codes of a level, of the level above, and the labels of their place in the song."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.errors import BadManifest
from jukectl.prior.model import LabelBatch
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.manifest import Manifest, Track

MANIFEST = "manifest.jsonl"


def code_path(folder: Path, track: Track, level: Level) -> Path:
    """Where `jukectl data encode` puts a song's codes of a level."""
    return folder / track.name / f"{level.label}.npz"


@dataclass(frozen=True)
class Song:
    """An encoded song."""

    codes: np.ndarray  # (frames,) uint16
    upper: np.ndarray | None  # (frames / ratio,) uint16
    artist: int
    genres: tuple[int, ...]
    samples: int  # audio samples of the whole song


@dataclass(frozen=True)
class Segments:
    """A batch for a prior. B segments of T codes."""

    codes: Tensor  # (B, T) int64
    upper: Tensor | None  # (B, T / ratio) int64
    labels: LabelBatch


def vocabulary_of(tracks: Sequence[Track]) -> Vocabulary:
    """The artists and genres of all songs, in alphabetical order after "unlabelled"."""
    artists = sorted({track.artist for track in tracks if track.artist}, key=str.casefold)
    genres = sorted({genre for track in tracks for genre in track.genres}, key=str.casefold)
    return Vocabulary(artists=("unlabelled", *artists), genres=("unlabelled", *genres))


class SegmentSet:
    """The songs of one side of the split, at one level."""

    def __init__(self, songs: Sequence[Song], *, context: int, ratio: int, hop: int, slots: int) -> None:
        self.songs = [song for song in songs if len(song.codes) >= context]
        if not self.songs:
            raise BadManifest(
                f"no song is as long as a context of {context} codes: give a smaller model.context, or longer songs"
            )
        self.context = context
        self.ratio = ratio  # codes per upper code; 1 where there is no upper level
        self.hop = hop
        self.slots = slots
        self.lengths = np.array([len(song.codes) for song in self.songs], dtype=np.float64)

    @classmethod
    def load(
        cls,
        folder: Path,
        tracks: Sequence[Track],
        level: Level,
        vocabulary: Vocabulary,
        *,
        context: int,
        ratio: int,
        slots: int,
    ) -> "SegmentSet":
        """Read the songs' codes into memory: two bytes a code."""
        songs, hop = [], 1
        for track in tracks:
            codes = Codes.load(code_path(folder, track, level))
            upper = Codes.load(code_path(folder, track, level.above)) if ratio > 1 else None
            frames = codes.array.shape[1] if upper is None else min(codes.array.shape[1], upper.array.shape[1] * ratio)
            artist, genres = vocabulary.labels(track.artist or None, track.genres)
            hop = codes.hop
            songs.append(
                Song(
                    codes.array[0, :frames],
                    None if upper is None else upper.array[0],
                    artist,
                    genres[:slots],
                    frames * hop,
                )
            )
        return cls(songs, context=context, ratio=ratio, hop=hop, slots=slots)

    def draw(self, count: int, label_dropout: float, generator: np.random.Generator) -> Segments:
        """`count` random segments; a share of them loses artist and genre, so that the model also knows music without labels."""
        picks = generator.choice(len(self.songs), count, p=self.lengths / self.lengths.sum())
        places = []
        for pick in picks:
            last = (len(self.songs[pick].codes) - self.context) // self.ratio
            places.append((int(pick), int(generator.integers(last + 1)) * self.ratio))
        dropped = generator.random(count) < label_dropout
        return self._gather(places, dropped)

    def spread(self, count: int) -> list[Segments]:
        """`count` fixed segments, one a batch, spread evenly over the songs and over each song's length."""
        batches = []
        for index in range(count):
            pick = index * len(self.songs) // count
            last = (len(self.songs[pick].codes) - self.context) // self.ratio
            start = int(last * ((index * 0.618034) % 1)) * self.ratio  # the golden ratio spreads any number evenly
            batches.append(self._gather([(pick, start)], np.zeros(1, dtype=bool)))
        return batches

    def _gather(self, places: Sequence[tuple[int, int]], dropped: np.ndarray) -> Segments:
        songs = [self.songs[pick] for pick, _ in places]
        codes = np.stack(
            [song.codes[start : start + self.context] for song, (_, start) in zip(songs, places, strict=True)]
        )
        upper = None
        if self.ratio > 1:
            spans = [slice(start // self.ratio, (start + self.context) // self.ratio) for _, start in places]
            upper = np.stack(
                [song.upper[span] for song, span in zip(songs, spans, strict=True) if song.upper is not None]
            )
        artists = [0 if drop else song.artist for song, drop in zip(songs, dropped, strict=True)]
        genres = [
            ((0,) if drop else song.genres or (0,)) + (-1,) * self.slots
            for song, drop in zip(songs, dropped, strict=True)
        ]
        labels = LabelBatch(
            artist=torch.tensor(artists),
            genres=torch.tensor([slots[: self.slots] for slots in genres]),
            total_length=torch.tensor([song.samples for song in songs]),
            offset=torch.tensor([start * self.hop for _, start in places]),
            sample_length=torch.full((len(songs),), self.context * self.hop),
        )
        return Segments(_long(codes), None if upper is None else _long(upper), labels)


def _long(codes: np.ndarray) -> Tensor:
    return torch.from_numpy(codes.astype(np.int64))


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a code folder."""
    return Manifest.load(folder / MANIFEST)
