"""The picture of a prior: bits by place in the segment, and what labels save over the first codes and all."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jukectl.codes.level import Level
from jukectl.evaluation.charts import Layout, codes_axis, colour
from jukectl.evaluation.prior import Costs, PriorScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = (("prior, true labels", 0), ("without labels", 2), ("wrong labels", 1))
COLOURS = {"shuffled": 1, "unlabelled": 2, "artist": 3, "genre": 4, "timing": 5}
NAMES = {"shuffled": "over wrong labels", "unlabelled": "over none", "artist": "over a wrong artist"}
NAMES |= {"genre": "over a wrong genre", "timing": "over a wrong place in the song"}
FIRST = 8  # codes of the first point


def draw_prior(
    scores: Mapping[Level, tuple[PriorScore, PriorScore | None]], lengths: Sequence[int], *, title: str, about: str
) -> "Figure":
    """A row a level, of whole segments and of the beginnings of more of them; gains over the first `lengths` codes."""
    layout = Layout(len(scores), 2, height=230)
    page = layout.page(title, about)
    for row, (level, (whole, heads)) in enumerate(scores.items()):
        axes = layout.panel(page, 2 * row, f"{level.label.capitalize()}: bits by place in the segment")
        own = [
            (name, whole.true if key == 0 else whole.other.get(("", "shuffled", "unlabelled")[key]))
            for name, key in LINES
        ]
        for (name, costs), (_, key) in zip(own, LINES, strict=True):
            if costs is not None:
                places, means = by_place(costs)
                axes.plot(places, means, color=colour(key), linewidth=1.8, label=name)
        for name, costs, dashes in (("bigram", whole.bigram, (4, 2)), ("unigram", whole.unigram, (1.5, 1.5))):
            places, means = by_place(costs)
            axes.plot(places, means, color=layout.theme.pale, linewidth=1.3, dashes=dashes, label=name)
        codes_axis(axes, places.tolist())
        axes.legend(frameon=False, fontsize=8.5, loc="upper right", ncols=2)
        axes.margins(y=0.3)
        layout.name_axes(axes, "codes into the segment", "bits a code")
        axes = layout.panel(page, 2 * row + 1, "What true labels save", f"with {95} % intervals over songs")
        ticks = [*(str(length) for length in lengths), "all"]
        names = [name for name in COLOURS if name in whole.other or (heads is not None and name in heads.other)]
        for shift, name in zip(np.linspace(-0.25, 0.25, len(names)), names, strict=True):
            for place, length in enumerate([*lengths, None]):
                found = (whole if length is None or heads is None else heads).gain(name, length)
                if found is None:
                    continue
                label = NAMES[name] if place == 0 or name not in (heads.other if heads else {}) else None
                axes.plot(place + shift, found.bits, "o", markersize=5, color=colour(COLOURS[name]), label=label)
                if found.low is not None and found.high is not None:
                    axes.vlines(place + shift, found.low, found.high, color=colour(COLOURS[name]), linewidth=1.8)
        axes.axhline(0, color=layout.theme.pale, linewidth=0.8)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        if names:
            axes.legend(frameon=False, fontsize=8.5)
        layout.name_axes(axes, "first codes of the segment", "bits a code saved")
    return page.figure


def by_place(costs: Costs) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of segments (S, T) end, FIRST codes and then each as long as all before, and their mean costs."""
    length = costs.shape[1]
    ends = [min(length, FIRST)]
    while ends[-1] < length:
        ends.append(min(2 * ends[-1], length))
    means = [costs[:, start:end].mean() for start, end in zip([0, *ends], ends, strict=False)]
    return np.array(ends), np.array(means)
