"""The picture of originality: longest runs of held-out music with the songs' among them, and coverage by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.evaluation.charts import Layout, codes_axis, colour
from jukectl.evaluation.originality import COVERED, Overlap

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
