"""The picture of a prior: bits by place in the segment, and what labels save over the first codes and all."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jukectl.codes.level import Level
from jukectl.evaluation.charts import Layout, codes_axis, colour
from jukectl.evaluation.prior import CONFIDENCE, Costs, PriorScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLD = {  # other labels than the true ones: what they are called, and their colour
    "shuffled": ("wrong artist and genre", colour(1)),
    "unlabelled": ("no artist and genre", colour(2)),
    "artist": ("wrong artist", colour(3)),
    "genre": ("wrong genre", colour(4)),
    "timing": ("wrong place in the song", "#be185d"),
}
FIRST = 8  # codes of the first point


def draw_prior(
    scores: Mapping[Level, tuple[PriorScore, PriorScore | None]], lengths: Sequence[int], *, title: str, about: str
) -> "Figure":
    """A row a level, of whole segments and of the beginnings of more of them; gains over the first `lengths` codes."""
    layout = Layout(len(scores), 2, height=230)
    grey = layout.theme.pale
    told = [
        name for name in TOLD if any(name in one.other for pair in scores.values() for one in pair if one is not None)
    ]
    key = [("true labels", colour(0)), *(TOLD[name] for name in told), ("unigram (dotted) and bigram (dashed)", grey)]
    page = layout.page(title, about, key)
    for row, (level, (whole, heads)) in enumerate(scores.items()):
        axes = layout.panel(page, 2 * row, f"{level.label.capitalize()}: bits by place in the segment")
        for costs, shade, width, dashes in (
            (whole.unigram, grey, 1.3, ":"),
            (whole.bigram, grey, 1.3, "--"),
            (whole.true, colour(0), 3.0, "-"),
            *((costs, TOLD[name][1], 1.5, "--") for name, costs in whole.other.items()),
        ):
            places, means = by_place(costs)
            axes.plot(places, means, color=shade, linewidth=width, linestyle=dashes)
        codes_axis(axes, places.tolist())
        layout.name_axes(axes, "codes into the segment", "bits a code")
        axes = layout.panel(page, 2 * row + 1, "What true labels save", f"with {CONFIDENCE} % intervals over songs")
        spans = [(f"first {length}", heads, length) for length in lengths if heads is not None] + [("all", whole, None)]
        for place, (_, one, length) in enumerate(spans):
            for shift, name in zip(np.linspace(-0.25, 0.25, len(told)), told, strict=True):
                found = None if one is None else one.gain(name, length)
                if found is None:
                    continue
                axes.plot(place + shift, found.bits, "o", markersize=5, color=TOLD[name][1])
                if found.low is not None and found.high is not None:
                    axes.vlines(place + shift, found.low, found.high, color=TOLD[name][1], linewidth=1.8)
        axes.axhline(0, color=grey, linewidth=0.8)
        axes.set_xticks(range(len(spans)), [name for name, _, _ in spans])
        axes.set_xlim(-0.5, len(spans) - 0.5)
        layout.name_axes(axes, "codes of the segment", "bits a code saved")
    return page.figure


def by_place(costs: Costs) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of segments (S, T) end, FIRST codes and then each as long as all before, and their mean costs."""
    length = costs.shape[1]
    ends = [min(length, FIRST)]
    while ends[-1] < length:
        ends.append(min(2 * ends[-1], length))
    means = [costs[:, start:end].mean() for start, end in zip([0, *ends], ends, strict=False)]
    return np.array(ends), np.array(means)
