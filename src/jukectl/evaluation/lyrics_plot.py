"""The picture of lyrics: where a head looks while a held-out song goes by, and how far it is from the singing."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.evaluation.charts import Layout, colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "attention": ("by attention", colour(0)),
    "even_song": ("spread evenly over the song", colour(1)),
    "even_sung": ("spread evenly over what is sung", colour(2)),
}
STEPS = 0.1  # seconds between two points of the right-hand curves
LONGEST = 4.0  # seconds of error that they go to
COLUMNS = 400  # of the left-hand picture, at most


def draw_lyrics(
    attention: NDArray[np.float32],
    words: Sequence[tuple[int, float]],
    errors: Mapping[str, NDArray[np.float64]],
    *,
    seconds: float,
    title: str,
    about: str,
) -> "Figure":
    """The attention (T, L) of a segment with its words, (first character, true onset), and all errors by their names.

    A code takes so many `seconds`; errors are in seconds.
    """
    layout = Layout(1, 2, height=330)
    page = layout.page(title, about, list(NAMES.values()))
    axes = layout.panel(page, 0, "One held-out segment", "attention; a dot where a word begins in truth")
    stride = max(len(attention) // COLUMNS, 1)
    whole = attention[: len(attention) // stride * stride].reshape(-1, stride, attention.shape[1]).mean(axis=1)
    first, last = min(place for place, _ in words), attention.shape[1]
    shown = whole[:, first:last].T
    extent = (0, len(attention) * seconds, last, first)
    axes.imshow(np.sqrt(shown), aspect="auto", cmap="Purples", extent=extent, interpolation="nearest")
    axes.plot([onset for _, onset in words], [place + 0.5 for place, _ in words], "o", markersize=3, color=colour(1))
    layout.name_axes(axes, "seconds", "character of the lyrics' window")
    axes = layout.panel(page, 1, "Words whose onset is within so many seconds")
    limits = np.arange(0, LONGEST + STEPS, STEPS)
    for name, (_, shade) in NAMES.items():
        shares = [100 * float((errors[name] <= limit).mean()) for limit in limits]
        axes.plot(limits, shares, color=shade, linewidth=2.5 if name == "attention" else 1.5)
    axes.set_ylim(0, 100)
    layout.name_axes(axes, "seconds", "% of words")
    return page.figure
