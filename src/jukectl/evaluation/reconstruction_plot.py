"""Pictures of a codec: what is lost at each level and how its codes are used; a recording beside its renderings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jukectl.codes.level import Level
from jukectl.evaluation.charts import Layout, colour
from jukectl.evaluation.reconstruction import ReconstructionScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = Mapping[Level, ReconstructionScore]

PANELS = (  # measure, name, unit, whether lower is better
    ("spectral_convergence_db", "Spectral convergence", "dB", True),
    ("multi_resolution_stft", "Multi-resolution STFT", "distance", True),
    ("si_sdr_db", "SI-SDR", "dB", False),
)


def draw_reconstruction(files: Sequence[Scores], together: Scores, *, title: str, about: str) -> "Figure":
    """Bars of three measures a level, with a dot a recording, and how often each code came, by rank."""
    layout = Layout(2, 3, height=230)
    levels = list(together)
    colours = {level: colour(place) for place, level in enumerate(levels)}
    page = layout.page(title, about, [(level.label, colours[level]) for level in levels])
    strewn = np.linspace(-0.22, 0.22, len(files)) if len(files) > 1 else np.zeros(len(files))
    for number, (measure, name, unit, lower) in enumerate(PANELS):
        axes = layout.panel(page, number, name, "lower is better" if lower else "higher is better")
        for place, level in enumerate(levels):
            mean = getattr(together[level], measure)
            axes.bar(place, mean, width=0.62, color=colours[level], alpha=0.35)
            values = [getattr(one[level], measure) for one in files]
            axes.scatter(place + strewn, values, s=9, color=colours[level], alpha=0.8, linewidths=0)
            if np.isfinite(mean):
                axes.annotate(
                    f"{mean:.2f}",
                    (place, 0),
                    (0, -5 if mean < 0 else 5),
                    textcoords="offset points",
                    ha="center",
                    va="top" if mean < 0 else "bottom",
                    fontsize=9,
                    color=layout.theme.ink,
                    fontweight="bold",
                )
        axes.margins(y=0.14)
        axes.axhline(0, color=layout.theme.pale, linewidth=0.6)
        axes.set_xticks(range(len(levels)), [level.label for level in levels])
        layout.name_axes(axes, "", unit)
    size = len(together[levels[0]].counts)
    axes = layout.panel(page, 3, "Use of the codebook", "dashed: all alike")
    for level in levels:
        counts = np.sort(together[level].counts)[::-1]
        shares = counts[counts > 0] / counts.sum()
        axes.plot(np.arange(1, len(shares) + 1), 100 * shares, color=colours[level], linewidth=1.6)
    axes.axhline(100 / size, color=layout.theme.pale, linewidth=1, dashes=(4, 3))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(1, size)
    layout.name_axes(axes, "rank of the code", "share of all codes (%)")
    for number, (name, unit, most, values) in enumerate(
        (
            ("Entropy", "bits", float(np.log2(size)), [together[level].entropy_bits for level in levels]),
            ("Used codes", "codes", float(size), [float(together[level].used_codes) for level in levels]),
        ),
        4,
    ):
        axes = layout.panel(page, number, name, f"of {most:g}")
        for place, (level, value) in enumerate(zip(levels, values, strict=True)):
            axes.bar(place, value, width=0.62, color=colours[level], alpha=0.35)
            axes.text(
                place,
                value,
                f"{value:.4g}",
                ha="center",
                va="bottom",
                fontsize=9,
                color=layout.theme.ink,
                fontweight="bold",
            )
        axes.axhline(most, color=layout.theme.pale, linewidth=1, dashes=(4, 3))
        axes.set_ylim(0, 1.15 * most)
        axes.set_xticks(range(len(levels)), [level.label for level in levels])
        layout.name_axes(axes, "", unit)
    return page.figure
