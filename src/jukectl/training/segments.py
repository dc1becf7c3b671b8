"""Segments of encoded songs for priors: a level's codes, those of the level above, and the labels of their place."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.codes.shard import Frames
from jukectl.errors import BadManifest
from jukectl.prior.labels import LabelBatch, fill_slots
from jukectl.prior.vocabulary import UNLABELLED, Vocabulary
from jukectl.training.drawing import ALL_ROWS, ByLength
from jukectl.training.encoded import EncodedSongs
from jukectl.training.manifest import Track

NO_LABEL = "unlabelled"  # the name of the id UNLABELLED
GOLDEN_RATIO = 0.618034  # its multiples, less their whole part, spread any number of points evenly over 0..1


@dataclass(frozen=True)
class Song:
    """An encoded song."""

    codes: Frames  # (frames,) uint16
    upper: Frames | None  # (frames / ratio,) uint16
    artist: int
    genres: tuple[int, ...]
    samples: int  # audio samples of the whole song


@dataclass(frozen=True)
class Segments:
    """A batch for a prior. B segments of T codes."""

    codes: Tensor  # (B, T) int64
    upper: Tensor | None  # (B, T / ratio) int64
    labels: LabelBatch


def genres_of(track: Track) -> tuple[str, ...]:
    """The genres of a song. A tag may hold several, with commas or semicolons between, as on the command line."""
    parts = (part.strip() for tag in track.genres for part in re.split("[,;]", tag))
    return tuple(dict.fromkeys(part for part in parts if part))


def vocabulary_of(tracks: Sequence[Track]) -> Vocabulary:
    """The artists and genres of all songs, in alphabetical order after "unlabelled"."""
    return Vocabulary(
        artists=_names(track.artist.strip() for track in tracks),
        genres=_names(genre for track in tracks for genre in genres_of(track)),
    )


def _names(found: Iterable[str]) -> tuple[str, ...]:
    """ "unlabelled", and the names that differ by more than their case, each as it is written first."""
    names = {NO_LABEL: NO_LABEL}
    for name in found:
        names.setdefault(name.casefold(), name)
    names.pop("", None)
    return (names.pop(NO_LABEL), *(names[key] for key in sorted(names)))


class SegmentSet:
    """The songs of one side of the split, at one level."""

    def __init__(self, songs: Sequence[Song], *, context: int, ratio: int, hop: int, slots: int) -> None:
        self.songs = [song for song in songs if len(song.codes) >= context]
        if not self.songs:
            longest = max((len(song.codes) for song in songs), default=0)
            raise BadManifest(
                f"none of {len(songs)} songs is as long as a context of {context} codes, the longest has {longest}: "
                "give a smaller model.context, or longer songs"
            )
        self.context = context
        self.ratio = ratio  # codes per upper code; 1 where there is no upper level
        self.hop = hop
        self.slots = slots
        self._by_length = ByLength([len(song.codes) for song in self.songs])

    @classmethod
    def load(
        cls,
        encoded: EncodedSongs,
        tracks: Sequence[Track],
        level: Level,
        vocabulary: Vocabulary,
        *,
        context: int,
        ratio: int,
        slots: int,
    ) -> "SegmentSet":
        """Find the songs' codes, which are read when they are drawn. BadManifest where they are of different codecs."""
        songs, codecs, hop = [], [], 1
        for track in tracks:
            codes = encoded.find(track, level)
            upper = encoded.find(track, level.above) if ratio > 1 else None
            hop = codes.archive.hop
            codecs.append((codes.archive.vqvae, "" if upper is None else upper.archive.vqvae))
            if codecs[-1] != codecs[0]:  # the two levels may differ, where a level joined its codec later
                raise BadManifest(
                    f"the codes of {track.path} in {codes.archive.path} are of another VQ-VAE than those of "
                    f"{tracks[0].path}. Make them again with: jukectl data encode MANIFEST --out FOLDER"
                )
            frames = len(codes) if upper is None else min(len(codes), len(upper) * ratio)
            song = Song(
                replace(codes, frames=frames),
                upper,
                vocabulary.found_artist(track.artist).ids[0],
                tuple(one for genre in genres_of(track) for one in vocabulary.found_tag(genre).ids),
                frames * hop,
            )
            songs.append(song)
        return cls(songs, context=context, ratio=ratio, hop=hop, slots=slots)

    def draw(
        self, count: int, label_dropout: float, generator: np.random.Generator, rows: slice = ALL_ROWS
    ) -> Segments:
        """`count` random segments; a share of them loses artist and genre, to teach the model unlabelled music too.

        With `rows` only those of the `count` segments are read and returned; what is in them does not depend on it.
        """
        picks = self._by_length.draw(count, generator)
        places = [(int(pick), int(generator.integers(self._starts(pick))) * self.ratio) for pick in picks]
        dropped = generator.random(count) < label_dropout
        return self._gather(places[rows], dropped[rows])

    def spread(self, count: int) -> list[Segments]:
        """`count` fixed segments, one a batch, spread evenly over the songs and over each song's length."""
        batches = []
        for index, pick in enumerate(self.spread_songs(count)):
            start = int(self._starts(pick) * (index * GOLDEN_RATIO % 1)) * self.ratio
            batches.append(self._gather([(pick, start)], np.zeros(1, dtype=bool)))
        return batches

    def spread_songs(self, count: int) -> list[int]:
        """Which song each of the segments is of that `spread` gives."""
        return [index * len(self.songs) // count for index in range(count)]

    def _starts(self, pick: int) -> int:
        """How many places in a song a segment can start at: whole upper codes only."""
        return (len(self.songs[pick].codes) - self.context) // self.ratio + 1

    def _gather(self, places: Sequence[tuple[int, int]], dropped: np.ndarray) -> Segments:
        """The segments at these songs and starts."""
        songs = [self.songs[pick] for pick, _ in places]
        starts = [start for _, start in places]
        pairs = list(zip(songs, starts, strict=True))
        codes = np.stack([song.codes[start : start + self.context] for song, start in pairs])
        upper = None
        if self.ratio > 1:
            spans = [(song.upper, start // self.ratio, (start + self.context) // self.ratio) for song, start in pairs]
            upper = np.stack([above[first:last] for above, first, last in spans if above is not None])
        labelled = list(zip(songs, dropped, strict=True))
        genres = [(UNLABELLED,) if drop or not song.genres else song.genres for song, drop in labelled]
        labels = LabelBatch(
            artist=torch.tensor([UNLABELLED if drop else song.artist for song, drop in labelled]),
            genres=torch.tensor([fill_slots(some[: self.slots], self.slots) for some in genres]),
            total_length=torch.tensor([song.samples for song in songs]),
            offset=torch.tensor([start * self.hop for start in starts]),
            sample_length=torch.full((len(songs),), self.context * self.hop),
        )
        return Segments(_long(codes), None if upper is None else _long(upper), labels)


def _long(codes: np.ndarray) -> Tensor:
    return torch.from_numpy(codes.astype(np.int64))
