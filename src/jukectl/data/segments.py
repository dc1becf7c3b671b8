"""Segments of encoded songs for priors: codes of a level, codes of the level above, and conditioning labels."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from jukectl.codes.level import Level
from jukectl.codes.shard import Frames
from jukectl.data.encoded import EncodedSongs
from jukectl.data.lyrics_notes import read_beats, read_lyrics, read_notes, sung_tokens, with_other_notes, words_within
from jukectl.data.manifest import Track
from jukectl.errors import BadManifest
from jukectl.lyrics.tokens import NO_LYRICS, UNKNOWN, TokenWord
from jukectl.midi.phases import NO_BEATS
from jukectl.midi.roll import NO_NOTES
from jukectl.prior.config import LyricsConfig
from jukectl.prior.labels import (
    UNCONDITIONED,
    UNLABELLED_SEGMENT,
    Conditioning,
    LabelBatch,
    Place,
    Segment,
    WindowShape,
)
from jukectl.prior.mixture import Mixture
from jukectl.prior.vocabulary import Vocabulary

ALL_ROWS = slice(None)


class ByLength:
    """Samples songs in proportion to their length, so that every second of music is equally likely."""

    def __init__(self, lengths: Sequence[int]) -> None:
        total = np.cumsum(np.asarray(lengths, dtype=np.float64))
        self._shares = total / total[-1]  # cumulative, up to the end of each song

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Return `count` random indices of songs (count,)."""
        return np.searchsorted(self._shares, generator.random(count), side="right")


NO_LABEL = "unlabelled"  # the name of the id UNLABELLED
GOLDEN_RATIO = 0.618034  # the fractional parts of its multiples are evenly spread over [0, 1)


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Shares of training segments that lose a kind of conditioning, so that a prior also learns without it."""

    labels: float = 0.0  # artist and genre
    lyrics: float = 0.0
    notes: float = 0.0
    beats: float = 0.0
    bars: float = 0.0  # of the segments that keep their beats


@dataclass(frozen=True)
class Song:
    """Encoded song."""

    codes: Frames  # (frames,) uint16
    upper: Frames | None  # (frames / ratio,) uint16
    conditioning: Conditioning


@dataclass(frozen=True)
class Segments:
    """Batch for a prior: B segments of T codes."""

    codes: Tensor  # (B, T) int64
    upper: Tensor | None  # (B, T / ratio) int64
    labels: LabelBatch
    sung: Tensor | None = (
        None  # (B, T) int64, index in the lyrics window of the character sung at each code; NOTHING if unknown
    )
    inputs: Tensor | None = None  # (B, T) int64: the codes to predict from if they are others


def genres_of(track: Track) -> tuple[str, ...]:
    """Return the genres of a song. A tag may list several, separated by commas or semicolons."""
    parts = (part.strip() for tag in track.genres for part in re.split("[,;]", tag))
    return tuple(dict.fromkeys(part for part in parts if part))


def vocabulary_of(tracks: Sequence[Track]) -> Vocabulary:
    """Return the artists and genres of all songs, in alphabetical order after "unlabelled"."""
    return Vocabulary(
        artists=_names(track.artist.strip() for track in tracks),
        genres=_names(genre for track in tracks for genre in genres_of(track)),
    )


def _names(found: Iterable[str]) -> tuple[str, ...]:
    """Return "unlabelled" and the names that differ by more than case, each in its first spelling."""
    names = {NO_LABEL: NO_LABEL}
    for name in found:
        names.setdefault(name.casefold(), name)
    names.pop("", None)
    return (names.pop(NO_LABEL), *(names[key] for key in sorted(names)))


class SegmentSet:
    """Songs of one side of the split, at one level."""

    def __init__(
        self,
        songs: Sequence[Song],
        *,
        context: int,
        ratio: int,
        hop: int,
        slots: int = 1,
        sample_rate: int = 44_100,
        characters: int = 0,
        midi: bool = False,
        beats: bool = False,
    ) -> None:
        self.songs = [song for song in songs if len(song.codes) >= context]
        self.too_short = len(songs) - len(self.songs)  # songs left out
        if not self.songs:
            longest = max((len(song.codes) for song in songs), default=0)
            raise BadManifest(
                f"none of {len(songs)} songs is as long as a context of {context} codes, the longest has {longest}: "
                "set a smaller model.context, or use longer songs"
            )
        self.context = context
        self.ratio = ratio  # codes per upper code; 1 at the top level
        self.shape = WindowShape(
            context=context,
            hop=hop,
            sample_rate=sample_rate,
            genre_slots=slots,
            characters=characters,
            notes=midi,
            beats=beats,
        )
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
        lyrics: LyricsConfig | None = None,
        midi: bool = False,
        beats: bool = False,
    ) -> "SegmentSet":
        """Find the codes of the songs, which are read when sampled; raise BadManifest if their codecs differ.

        With `lyrics`, the lyrics settings of the prior, the lyrics of the songs are read as well, as tokens of the
        vocabulary; with `midi` their notes, with `beats` their beats. Songs without any are segments without them.
        """
        songs, codecs, hop, sample_rate = [], [], 1, 1
        for track in tracks:
            codes = encoded.find(track, level)
            upper = encoded.find(track, level.above) if ratio > 1 else None
            hop, sample_rate = codes.archive.hop, codes.archive.sample_rate
            codecs.append((codes.archive.vqvae, "" if upper is None else upper.archive.vqvae))
            if codecs[-1] != codecs[0]:  # the levels of one song may differ, if a level joined its codec later
                raise BadManifest(
                    f"the codes of {track.path} in {codes.archive.path} are of another VQ-VAE than those of "
                    f"{tracks[0].path}. Encode them again with: jukectl data encode MANIFEST --out FOLDER"
                )
            frames = len(codes) if upper is None else min(len(codes), len(upper) * ratio)
            genres = tuple(one for genre in genres_of(track) for one in vocabulary.found_tag(genre).ids)
            style = Segment(
                artist=Mixture.of(*vocabulary.found_artist(track.artist).ids),
                genres=Mixture.of(*genres[:slots]) if genres else UNCONDITIONED,
            )
            conditioning = Conditioning(
                song_samples=frames * hop,
                segments=(style,),
                lyrics=NO_LYRICS if lyrics is None else read_lyrics(encoded, track, vocabulary, lyrics, sample_rate),
                notes=read_notes(encoded.midi(track)) if midi else None,
                beats=read_beats(encoded.beats(track)) if beats else None,
            )
            songs.append(Song(replace(codes, frames=frames), upper, conditioning))
        characters = 0 if lyrics is None else lyrics.characters
        return cls(
            songs,
            context=context,
            ratio=ratio,
            hop=hop,
            slots=slots,
            sample_rate=sample_rate,
            characters=characters,
            midi=midi,
            beats=beats,
        )

    @property
    def summary(self) -> str:
        """The number of songs, their length, and how many were left out, for a message: "12 (41 min)"."""
        codes = sum(len(song.codes) for song in self.songs)
        minutes = codes * self.shape.hop / self.shape.sample_rate / 60
        seconds = self.context * self.shape.hop / self.shape.sample_rate
        left_out = f", {self.too_short} left out as shorter than a context of {seconds:.3g} s" if self.too_short else ""
        return f"{len(self.songs)} ({minutes:.3g} min{left_out})"

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of conditioning, as `WindowShape` allows, that at least one of the songs has: lyrics, notes, beats."""
        songs = [song.conditioning for song in self.songs]
        found = {
            "lyrics": any(song.lyrics.ids for song in songs),
            "notes": any(song.notes not in (None, NO_NOTES) for song in songs),
            "beats": any(song.beats not in (None, NO_BEATS) for song in songs),
        }
        return frozenset(kind for kind, there in found.items() if there)

    def draw(self, count: int, dropout: Dropout, generator: np.random.Generator, rows: slice = ALL_ROWS) -> Segments:
        """Return `count` random segments, without the labels, lyrics, notes, beats or bars that `dropout` removes.

        With `rows` only these of the `count` segments are read and returned; their contents do not depend on `rows`.
        """
        picks = self._by_length.draw(count, generator)
        places = [(int(pick), int(generator.integers(self._starts(pick))) * self.ratio) for pick in picks]
        # Random numbers are used only for kinds that the prior has, and new kinds come last, so that a seed and
        # step give a prior without beats the same segments as in versions before beats existed
        shape, kinds = self.shape, {"labels": dropout.labels}
        kinds |= {"lyrics": dropout.lyrics} if shape.characters else {}
        kinds |= {"notes": dropout.notes} if shape.notes else {}
        kinds |= {"beats": dropout.beats, "bars": dropout.bars} if shape.beats else {}
        dropped = {kind: generator.random(count) < share for kind, share in kinds.items()}
        lost = [frozenset(kind for kind, which in dropped.items() if which[row]) for row in range(count)]
        return self._gather(places[rows], lost[rows])

    def spread(self, count: int) -> list[Segments]:
        """Return `count` fixed segments, one per batch, spread evenly over the songs and their lengths."""
        return [self._gather([place], [frozenset()]) for place in self._spread_places(count)]

    def spread_words(self, count: int) -> list[tuple[TokenWord, ...]]:
        """Return the words that are sung in each segment of `spread`; none without timed lyrics.

        Character indices are relative to the lyrics window of the segment, times to its start.
        """
        places = [self._place(self.songs[pick].conditioning, start) for pick, start in self._spread_places(count)]
        return [words_within(place, self.shape) if place.song.lyrics.ids else () for place in places]

    def _spread_places(self, count: int) -> list[tuple[int, int]]:
        """Return song and first code of each segment."""
        places = []
        for index, pick in enumerate(self.spread_songs(count)):
            places.append((pick, int(self._starts(pick) * (index * GOLDEN_RATIO % 1)) * self.ratio))
        return places

    def spread_songs(self, count: int) -> list[int]:
        """Return the index of the song of each segment of `spread`."""
        return [index * len(self.songs) // count for index in range(count)]

    def _starts(self, pick: int) -> int:
        """Return the number of segment starts in a song, which lie at whole upper codes."""
        return (len(self.songs[pick].codes) - self.context) // self.ratio + 1

    def _gather(self, places: Sequence[tuple[int, int]], lost: Sequence[frozenset[str]]) -> Segments:
        """Return the segments at these songs and starts, each without its dropped kinds of conditioning."""
        songs = [self.songs[pick] for pick, _ in places]
        starts = [start for _, start in places]
        pairs = list(zip(songs, starts, strict=True))
        codes = np.stack([song.codes[start : start + self.context] for song, start in pairs])
        upper = None
        if self.ratio > 1:
            spans = [(song.upper, start // self.ratio, (start + self.context) // self.ratio) for song, start in pairs]
            upper = np.stack([above[first:last] for above, first, last in spans if above is not None])
        conditionings = [_without(song.conditioning, kinds) for song, kinds in zip(songs, lost, strict=True)]
        windows = [self._place(one, start) for one, start in zip(conditionings, starts, strict=True)]
        labels = LabelBatch.of(windows, self.shape)
        sung = None
        if self.shape.characters:
            sung = torch.from_numpy(np.stack([sung_tokens(window, self.shape) for window in windows]))
        return Segments(_long(codes), None if upper is None else _long(upper), labels, sung)

    def _place(self, song: Conditioning, start: int) -> Place:
        return Place(song=song, segment=song.segments[0], start=start, offset=start * self.shape.hop)


def _without(song: Conditioning, kinds: frozenset[str]) -> Conditioning:
    """Return the conditioning of a song without these kinds, named as in `Dropout`."""
    beats = song.beats
    if beats is not None and "bars" in kinds:
        beats = replace(beats, bars=False)
    return replace(
        song,
        segments=(UNLABELLED_SEGMENT,) if "labels" in kinds else song.segments,
        lyrics=NO_LYRICS if "lyrics" in kinds else song.lyrics,
        notes=NO_NOTES if "notes" in kinds and song.notes is not None else song.notes,
        beats=NO_BEATS if "beats" in kinds and beats is not None else beats,
    )


def with_other_lyrics(batches: Sequence[Segments]) -> list[Segments] | None:
    """Return the same batches, each row with the lyrics of the nearest earlier row that has different ones.

    The other lyrics, from their beginning and repeated if shorter, fill as many characters as the row had, so that the
    two differ in the words alone. A row without lyrics keeps none. Return None if all lyrics are equal.
    """
    own = [batch.labels.lyrics for batch in batches]
    rows = [row for lyrics in own if lyrics is not None for row in lyrics]
    filled = [row[row != UNKNOWN] for row in rows]
    if len({tuple(one.tolist()) for one in filled if len(one)}) < 2:
        return None
    changed = []
    for number, row in enumerate(rows):
        before = (filled[number - shift] for shift in range(1, len(rows) + 1))
        other = next(one for one in before if len(one) and not torch.equal(one, filled[number]))
        swapped = row.clone()
        swapped[row != UNKNOWN] = other.repeat(len(row) // len(other) + 1)[: len(filled[number])]
        changed.append(swapped)
    lyrics = torch.split(torch.stack(changed), [len(batch.codes) for batch in batches])
    return [
        replace(batch, labels=replace(batch.labels, lyrics=one), sung=None)
        for batch, one in zip(batches, lyrics, strict=True)
    ]


def notes_changed(batches: Sequence[Segments]) -> dict[str, list[Segments]]:
    """Return the same batches without notes and, if several have notes, with those of others, by name of the metric."""
    labels = [batch.labels for batch in batches]
    changed = {"bits_no_notes": [replace(one, notes=None) for one in labels]}
    if (others := with_other_notes(labels)) is not None:
        changed["bits_other_notes"] = others
    return {
        name: [replace(batch, labels=one) for batch, one in zip(batches, some, strict=True)]
        for name, some in changed.items()
    }


def without_beats(batches: Sequence[Segments]) -> list[Segments]:
    """Return the same batches without beats."""
    return [replace(batch, labels=replace(batch.labels, beats=None)) for batch in batches]


def _long(codes: np.ndarray) -> Tensor:
    return torch.from_numpy(codes.astype(np.int64))
