"""What new codes have in common with the songs a model learned from, and what held-out songs have in common with them.

Music shares short runs of codes with other music whether anything was copied or not, so a run says something only
beside those of songs that nobody learned from. M codes of a stretch of music.
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
from jukectl.plots.charts import Layout, codes_axis, colour
from jukectl.progress import Listener, Progress, ignore, warn

COVERED = (2, 4, 8, 16, 32, 64)  # lengths of run, in codes, whose share is told
SEED = 3  # codes in a row that must be equal for a song to be laid beside the stretch there
TRIED = 64  # places at which songs are laid beside it, those with the most seeds


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlap:
    """What a stretch of codes shares with the training songs."""

    exact: Match  # the longest run of equal codes
    near: Match  # the longest stretch along a song in which four codes of five are equal
    coverage: tuple[float | None, ...]  # share of runs of COVERED codes that some song holds; None where M is less


class TrainingCodes:
    """The songs a model learned from, at one level, for laying new codes beside them."""

    def __init__(self, songs: Sequence[SongCodes]) -> None:
        self.songs = songs
        self.index = OverlapIndex(songs)

    def overlap(self, codes: SongCodes) -> Overlap:
        """What codes (M,) share with the songs."""
        runs = self.index.runs(codes)
        exact = runs.longest()
        return Overlap(
            exact=exact,
            near=max((exact, *self._beside(codes, runs)), key=lambda match: match.length),
            coverage=tuple(runs.coverage(length) for length in COVERED),
        )

    def _beside(self, codes: SongCodes, runs: Runs) -> list[Match]:
        """The longest stretch in which codes mostly agree with a song, for each song and offset that look likely."""
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
    """Start and length of the longest stretch of (M,) in which four places of five or more are equal; (0, 0) of none.

    An equal place counts 1, another -4: the stretch is the longest with a sum of 0 or more.
    """
    sums = np.concatenate([[0], np.cumsum(np.where(equal, 1, -4))])  # (M + 1,) before each place
    lowest = np.minimum.accumulate(sums)
    starts = np.searchsorted(-lowest, -sums)  # for each end the first start with no greater sum
    lengths = np.arange(len(sums)) - starts
    end = int(lengths.argmax())
    return int(starts[end]), int(lengths[end])


def stretches(songs: Sequence[SongCodes], length: int) -> list[SongCodes]:
    """Songs cut into stretches of `length` codes, one behind another; what is left over at an end is not used."""
    return [song[start : start + length] for song in songs for start in range(0, len(song) - length + 1, length)]


def percentile(value: float, others: Sequence[float]) -> float | None:
    """Where a value lies among others, from 0 (below all) to 100 (above all), half of the equal ones below."""
    if not len(others):
        return None
    values = np.asarray(others)
    return float(100 * ((values < value).mean() + (values == value).mean() / 2))


if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 30


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """A song beside held-out music of its length."""

    name: str
    overlap: Overlap
    held_out: Sequence[Overlap]


def draw_originality(songs: Sequence[Judged], *, title: str, about: str) -> "Figure":
    """Longest equal and nearly equal runs as histograms of held-out music, and which share of runs came in training."""
    layout = Layout(1, 3)
    held_out = [overlap for song in songs for overlap in song.held_out]
    grey = layout.theme.pale
    names = [(song.name, colour(place)) for place, song in enumerate(songs)]
    page = layout.page(title, about, [*names, ("held-out music of that length", grey)] if held_out else names)
    for number, (name, note, kind) in enumerate(
        (("Longest run", "all codes equal", "exact"), ("Longest near copy", "4 codes of 5 equal", "near"))
    ):
        axes = layout.panel(page, number, name, note)
        others = [int(getattr(one, kind).length) for one in held_out]
        own = [int(getattr(song.overlap, kind).length) for song in songs]
        highest = max([*others, *own, 1])
        if others:
            edges = np.unique(np.round(np.geomspace(1, highest + 1, BINS))) - 0.5
            axes.hist(others, edges.tolist(), weights=[100 / len(others)] * len(others), color=grey, alpha=0.45)
        for place, length in enumerate(own):
            axes.axvline(length, color=colour(place), linewidth=1.8)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(max(0.8, min([*others, *own]) / 1.5), highest * 1.5)
        layout.name_axes(axes, "codes", "held-out stretches (%)")
    axes = layout.panel(page, 2, "Known runs", "found in a training song")
    if held_out:
        axes.plot(COVERED, 100 * np.nanmean(_shares(held_out), axis=0), color=grey, marker="o", markersize=4)
    for place, song in enumerate(songs):
        axes.plot(COVERED, 100 * _shares([song.overlap])[0], color=colour(place), marker="o", markersize=4)
    codes_axis(axes, COVERED)
    axes.set_ylim(bottom=0)
    layout.name_axes(axes, "codes in the run", "runs that came in training (%)")
    return page.figure


def _shares(overlaps: Sequence[Overlap]) -> NDArray[np.float64]:
    """Coverage (overlaps, COVERED), nan where a stretch is shorter than the run."""
    return np.array([one.coverage for one in overlaps], dtype=np.float64)


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
        """What it is called."""
        return sample_name(self.song, self.sample, self.codes.samples)

    def seconds(self, codes: int) -> float:
        """How long that many codes are."""
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
    """The longest runs of codes that the new part of songs shares with the training songs, and where they come from.

    `codes` is the code folder the model learned from, without the songs that `held_out` (a file of globs) names. Of
    those, stretches as long as a song's new part show what music that nobody copied shares with the training songs.
    Prompts take no part. `plots` is a folder for pictures.
    """
    new = [part for path in songs for part in _new_parts(path, level)]
    encoded, kept, held = split_songs(codes, held_out)
    first = new[0]
    for part in new:
        if part.codes.vqvae != first.codes.vqvae:
            raise BadInput(f"{first.song} and {part.song} are of different codecs: judge them one by one")
    listener(Progress("reading training codes", 0, 1))
    vqvae, whose = first.codes.vqvae, str(first.song)
    learned = read_checked(encoded, kept, level, vqvae, whose=whose)
    others = read_checked(encoded, held, level, vqvae, whose=whose)
    training = TrainingCodes(learned)
    listener(Progress("reading training codes", 1, 1))
    if held_out is None:
        warn(listener, "without --held-out there is no music to compare with: long runs may be what all music shares")
    usual: dict[int, list[Overlap]] = {}  # of held-out stretches, by their length
    judged = []
    for number, part in enumerate(new):
        listener(Progress("comparing", number, len(new), part.name))
        length = len(part.array)
        if length not in usual:
            usual[length] = [training.overlap(stretch) for stretch in stretches(others, length)]
            if held and not usual[length]:
                warn(
                    listener,
                    f"no held-out song is as long as the {part.seconds(length):.1f} s of {part.name}: none to compare",
                )
        judged.append(Judged(name=part.name, overlap=training.overlap(part.array), held_out=usual[length]))
    listener(Progress("comparing", len(new), len(new)))
    training_codes = sum(map(len, learned))
    facts = {
        "level": level.label,
        "training_songs": len(kept),
        "training_codes": training_codes,
        "run_lengths": list(COVERED),
        "songs": [_facts(part, one, kept) for part, one in zip(new, judged, strict=True)],
    }
    if plots is not None:
        about = (
            f"{level.label} codes, {1 / first.seconds(1):.0f} a second · against {len(kept)} training songs, "
            f"{training_codes:,} codes"
        )
        figure = draw_originality(judged, title="What new music shares with the training songs", about=about)
        facts["plots"] = [save_plot(plots, "originality", figure)]
    return facts


def _new_parts(path: Path, level: Level) -> list[_New]:
    """Each sample of a song; BadInput where it has no new codes at that level."""
    codes = Song.open(path).codes(level)
    if codes is None:
        raise BadInput(f"{path} has no {level.label} codes. Make them with: jukectl resume {path}")
    if codes.done <= codes.prompt:
        raise BadInput(
            f"{path} has no new {level.label} codes, only its prompt's {codes.prompt}. "
            f"Make a song that goes on from it: jukectl continue AUDIO --out SONG"
        )
    return [_New(song=path, sample=sample, codes=codes) for sample in range(codes.samples)]


def _facts(part: _New, judged: Judged, tracks: Sequence[Track]) -> dict[str, Any]:
    """What is told of one sample."""
    overlap, held_out = judged.overlap, judged.held_out
    return {
        "name": part.name,
        "path": str(part.song),
        "sample": part.sample,
        "codes": len(part.array),
        "seconds": rounded(part.seconds(len(part.array)), 3),
        "exact": {
            **_found(part, overlap.exact, tracks),
            "held_out": _usual(overlap.exact.length, [one.exact.length for one in held_out]),
        },
        "near": {
            **_found(part, overlap.near, tracks),
            "held_out": _usual(overlap.near.length, [one.near.length for one in held_out]),
        },
        "coverage": {str(length): rounded(share) for length, share in zip(COVERED, overlap.coverage, strict=True)},
        "held_out_coverage": {
            str(length): _mean([one.coverage[place] for one in held_out]) for place, length in enumerate(COVERED)
        },
    }


def _found(part: _New, match: Match, tracks: Sequence[Track]) -> dict[str, Any]:
    """A run: how long it is, where it begins in the new part, and in which training song."""
    track = tracks[match.song] if match.length else None
    return {
        "codes": match.length,
        "seconds": rounded(part.seconds(match.length), 3),
        "at": rounded(part.seconds(part.codes.prompt + match.query_start), 3),  # seconds into the song, prompt included
        "from": track and {"path": track.path, "title": track.title, "artist": track.artist},
        "from_at": rounded(part.seconds(match.song_start), 3),
    }


def _usual(length: int, others: Sequence[int]) -> dict[str, Any] | None:
    """The runs of held-out stretches, in codes, and where a song's lies among them; None where there are none."""
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
    found = [share for share in shares if share is not None]
    return rounded(float(np.mean(found))) if found else None
