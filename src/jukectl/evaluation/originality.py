"""Codes that new music shares with the training songs, compared with what held-out songs share with them.

Music shares short runs of codes with other music whether anything was copied or not, so the length of a run means
something only beside the runs of songs that no model was trained on. M codes of a stretch of music.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.overlap import Match, OverlapIndex, Runs, SongCodes
from jukectl.codes.song import Song
from jukectl.data.manifest import Track
from jukectl.errors import BadInput
from jukectl.evaluation.inputs import read_checked, rounded, sample_name, save_plot, split_songs
from jukectl.plots.charts import PALE, chart, codes_axis, label_panel
from jukectl.plots.style import colour
from jukectl.progress import Listener, Progress, ignore, warn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERED = (2, 4, 8, 16, 32, 64)  # codes, the lengths of run whose coverage is measured
SEED = 3  # equal codes in a row at which a song is aligned with the stretch
TRIED = 64  # alignments compared, those with the most seeds
BINS = 30  # of a histogram


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlap:
    """Codes that a stretch shares with the training songs."""

    exact: Match  # the longest run of equal codes
    near: Match  # the longest stretch along a song in which four codes of five are equal
    coverage: tuple[float | None, ...]  # share of the runs of COVERED codes found in some song; None if M is less


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """Overlaps of a song, and those of held-out stretches of its length."""

    name: str
    overlap: Overlap
    held_out: Sequence[Overlap]


@dataclass(frozen=True, eq=False, kw_only=True)
class _New:
    """The new part of one sample of a song."""

    song: Path
    sample: int
    codes: Codes

    @property
    def array(self) -> np.ndarray:
        """Its codes (M,)."""
        return self.codes.array[self.sample, self.codes.prompt :]

    @property
    def name(self) -> str:
        """Name of the sample."""
        return sample_name(self.song, self.sample, self.codes.samples)

    def seconds(self, codes: int) -> float:
        """Return the duration of that many codes."""
        return codes * self.codes.hop / self.codes.sample_rate


def evaluate_originality(
    songs: Sequence[Path],
    codes: Path,
    *,
    held_out: Path | None = None,
    level: Level = Level.TOP,
    plots: Path | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Find the longest runs of codes that the new part of songs shares with the training songs, and their origin.

    `codes` is the code folder that the model was trained on, without the songs that `held_out` (a file of globs) names.
    Stretches of those as long as a song's new part show what music shares with the training songs without copying.
    Prompts are left out. `plots` is a folder for pictures.
    """
    new = [part for path in songs for part in _new_parts(path, level)]
    encoded, kept, held = split_songs(codes, held_out)
    first = new[0]
    for part in new:
        if part.codes.vqvae != first.codes.vqvae:
            raise BadInput(f"{first.song} and {part.song} are of different codecs: evaluate them one by one")
    listener(Progress("reading training codes", 0, 1))
    vqvae, whose = first.codes.vqvae, str(first.song)
    training = read_checked(encoded, kept, level, vqvae, whose=whose)
    others = read_checked(encoded, held, level, vqvae, whose=whose)
    listener(Progress("reading training codes", 1, 1))
    if held_out is None:
        warn(listener, "without --held-out there is no music to compare with: long runs may be what all music shares")
    judged = _judge(new, TrainingCodes(training), others, listener)
    training_codes = sum(map(len, training))
    facts = {
        "level": level.label,
        "training_songs": len(kept),
        "training_codes": training_codes,
        "run_lengths": list(COVERED),
        "songs": [_sample_facts(part, one, kept) for part, one in zip(new, judged, strict=True)],
    }
    if plots is not None:
        about = (
            f"{level.label} codes, {1 / first.seconds(1):.0f} a second · against {len(kept)} training songs, "
            f"{training_codes:,} codes"
        )
        figure = draw_originality(judged, title="Codes shared by new music and the training songs", about=about)
        facts["plots"] = [save_plot(plots, "originality", figure)]
    return facts


def _new_parts(path: Path, level: Level) -> list[_New]:
    """List the samples of a song. Raises BadInput if it has no new codes at that level."""
    codes = Song.open(path).codes(level)
    if codes is None:
        raise BadInput(f"{path} has no {level.label} codes. Sample them with: jukectl resume {path}")
    if codes.done <= codes.prompt:
        raise BadInput(
            f"{path} has no new {level.label} codes, only its prompt's {codes.prompt}. "
            f"Make a song that continues it: jukectl continue AUDIO --out SONG"
        )
    return [_New(song=path, sample=sample, codes=codes) for sample in range(codes.samples)]


def _judge(
    new: Sequence[_New], training: "TrainingCodes", others: Sequence[SongCodes], listener: Listener
) -> list[Judged]:
    """Compare new parts, and stretches of `others` of the same length, with the training songs."""
    held_out: dict[int, list[Overlap]] = {}  # by length
    judged = []
    for number, part in enumerate(new):
        listener(Progress("comparing", number, len(new), part.name))
        length = len(part.array)
        if length not in held_out:
            held_out[length] = [training.overlap(stretch) for stretch in stretches(others, length)]
            if others and not held_out[length]:
                warn(
                    listener,
                    f"no held-out song is as long as the {part.seconds(length):.1f} s of {part.name}: none to compare",
                )
        judged.append(Judged(name=part.name, overlap=training.overlap(part.array), held_out=held_out[length]))
    listener(Progress("comparing", len(new), len(new)))
    return judged


class TrainingCodes:
    """The songs that a model was trained on, at one level, indexed for comparison with new codes."""

    def __init__(self, songs: Sequence[SongCodes]) -> None:
        self.songs = songs
        self.index = OverlapIndex(songs)

    def overlap(self, codes: SongCodes) -> Overlap:
        """Return the codes that `codes` (M,) share with the songs."""
        runs = self.index.runs(codes)
        exact = runs.longest()
        return Overlap(
            exact=exact,
            near=max((exact, *self._aligned(codes, runs)), key=lambda match: match.length),
            coverage=tuple(runs.coverage(length) for length in COVERED),
        )

    def _aligned(self, codes: SongCodes, runs: Runs) -> list[Match]:
        """Return the longest stretch of near agreement for each likely song and offset.

        An offset is likely that many seeds have, runs of SEED equal codes.
        """
        places = np.flatnonzero(runs.lengths >= SEED)
        offsets = np.stack([runs.songs[places], runs.starts[places] - places], axis=1)  # (seeds, 2)
        likely, seeds = np.unique(offsets, axis=0, return_counts=True)
        found = []
        for song, offset in likely[np.argsort(-seeds, kind="stable")[:TRIED]]:
            beside = self.songs[song]
            first, last = max(0, -offset), min(len(codes), len(beside) - offset)
            start, length = longest_agreement(codes[first:last] == beside[first + offset : last + offset])
            match = Match(
                length=length,
                query_start=int(first) + start,
                song=int(song),
                song_start=int(first + offset) + start,
            )
            found.append(match)
        return found


def longest_agreement(equal: NDArray[np.bool_]) -> tuple[int, int]:
    """Return start and length of the longest stretch of (M,) in which four places of five or more are equal.

    (0, 0) if there is none. An equal place counts 1, another -4: the stretch is the longest with a sum of 0 or more.
    """
    sums = np.concatenate([[0], np.cumsum(np.where(equal, 1, -4))])  # (M + 1,) before each place
    lowest = np.minimum.accumulate(sums)
    starts = np.searchsorted(-lowest, -sums)  # for each end the first start with no greater sum
    lengths = np.arange(len(sums)) - starts
    end = int(lengths.argmax())
    return int(starts[end]), int(lengths[end])


def stretches(songs: Sequence[SongCodes], length: int) -> list[SongCodes]:
    """Cut songs into stretches of `length` codes, one behind another; the rest at the end of a song is dropped."""
    return [song[start : start + length] for song in songs for start in range(0, len(song) - length + 1, length)]


def percentile(value: float, others: Sequence[float]) -> float | None:
    """Return the rank of a value among others, from 0 (below all) to 100 (above all); equal ones count half."""
    if not len(others):
        return None
    values = np.asarray(others)
    return float(100 * ((values < value).mean() + (values == value).mean() / 2))


def _sample_facts(part: _New, judged: Judged, tracks: Sequence[Track]) -> dict[str, Any]:
    """Return the figures of one sample for JSON."""
    overlap, held_out = judged.overlap, judged.held_out
    return {
        "name": part.name,
        "path": str(part.song),
        "sample": part.sample,
        "codes": len(part.array),
        "seconds": rounded(part.seconds(len(part.array)), 3),
        "exact": {
            **_match_facts(part, overlap.exact, tracks),
            "held_out": _held_out_facts(overlap.exact.length, [one.exact.length for one in held_out]),
        },
        "near": {
            **_match_facts(part, overlap.near, tracks),
            "held_out": _held_out_facts(overlap.near.length, [one.near.length for one in held_out]),
        },
        "coverage": {str(length): rounded(share) for length, share in zip(COVERED, overlap.coverage, strict=True)},
        "held_out_coverage": {
            str(length): _mean([one.coverage[place] for one in held_out]) for place, length in enumerate(COVERED)
        },
    }


def _match_facts(part: _New, match: Match, tracks: Sequence[Track]) -> dict[str, Any]:
    """Return a run's length, its position in the song, and the training song and position it comes from."""
    track = tracks[match.song] if match.length else None
    return {
        "codes": match.length,
        "seconds": rounded(part.seconds(match.length), 3),
        "at": rounded(part.seconds(part.codes.prompt + match.query_start), 3),  # seconds into the song, prompt included
        "from": track and {"path": track.path, "title": track.title, "artist": track.artist},
        "from_at": rounded(part.seconds(match.song_start), 3),
    }


def _held_out_facts(length: int, others: Sequence[int]) -> dict[str, Any] | None:
    """Return the distribution of the runs of held-out stretches, in codes, and a song's percentile in it."""
    if not others:
        return None
    median, high = np.percentile(others, [50, 95])
    return {
        "stretches": len(others),
        "median": float(median),
        "percentile_95": float(high),
        "longest": max(others),
        "percentile": rounded(percentile(length, others), 1),
    }


def _mean(shares: Sequence[float | None]) -> float | None:
    """Return the mean of the shares that are known."""
    found = [share for share in shares if share is not None]
    return rounded(float(np.mean(found))) if found else None


def draw_originality(songs: Sequence[Judged], *, title: str, about: str) -> "Figure":
    """Draw histograms of the longest runs of held-out music with a line per song, and the coverage of runs."""
    held_out = [overlap for song in songs for overlap in song.held_out]
    key = [(song.name, colour(place)) for place, song in enumerate(songs)]
    if held_out:
        key.append(("held-out music of that length", PALE))
    with chart(title, about, rows=1, columns=3, key=key) as (figure, panels):
        kinds = (("exact", "Longest run", "all codes equal"), ("near", "Longest near copy", "4 codes of 5 equal"))
        for axes, (kind, name, remark) in zip(panels, kinds, strict=False):
            label_panel(axes, name, remark, x="codes", y="held-out stretches (%)")
            own = [int(getattr(song.overlap, kind).length) for song in songs]
            _draw_lengths(axes, own, [int(getattr(one, kind).length) for one in held_out])
        label_panel(panels[2], "Coverage", "of runs", x="codes in the run", y="runs found in a training song (%)")
        _draw_coverage(panels[2], songs, held_out)
    return figure


def _draw_lengths(axes: "Axes", own: Sequence[int], others: Sequence[int]) -> None:
    """Draw a histogram of the lengths of other runs, and a line at each of a song's own."""
    highest = max([*others, *own, 1])
    if others:
        edges = np.unique(np.round(np.geomspace(1, highest + 1, BINS))) - 0.5
        axes.hist(others, edges.tolist(), weights=[100 / len(others)] * len(others), color=PALE, alpha=0.45)
    for place, length in enumerate(own):
        axes.axvline(length, color=colour(place), linewidth=1.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(max(0.8, min([*others, *own]) / 1.5), highest * 1.5)


def _draw_coverage(axes: "Axes", songs: Sequence[Judged], held_out: Sequence[Overlap]) -> None:
    """Draw coverage by the length of runs; nan if a stretch is shorter than the run."""

    def shares(overlaps: Sequence[Overlap]) -> NDArray[np.float64]:
        return 100 * np.array([one.coverage for one in overlaps], dtype=np.float64)  # (overlaps, COVERED)

    if held_out:
        axes.plot(COVERED, np.nanmean(shares(held_out), axis=0), color=PALE, marker="o", markersize=4)
    for place, song in enumerate(songs):
        axes.plot(COVERED, shares([song.overlap])[0], color=colour(place), marker="o", markersize=4)
    codes_axis(axes, COVERED)
    axes.set_ylim(bottom=0)
