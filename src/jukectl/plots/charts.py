"""Charts: panels with a name, units and a light grid."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.plots.style import LIGHT, caption, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.4  # inches, the height of a panel
AROUND = 0.75  # inches above and below it, for caption and labels
PADDING = (0.12, 0.08)  # inches, between panels

PALE = LIGHT.pale
"""Colour of reference values: baselines, limits, other recordings."""


@contextmanager
def chart(
    title: str, about: str, *, rows: int, columns: int, key: Sequence[tuple[str, str]] = (), height: float = PANEL
) -> "Iterator[tuple[Figure, list[Axes]]]":
    """Yield a new figure and its panels, row by row. `key` has the name and the colour of each thing compared."""
    with drawing(title, about, height=rows * (height + AROUND), key=key, padding=PADDING) as (figure, body):
        panels = body.subplots(rows, columns, squeeze=False).ravel().tolist()
        for axes in panels:
            axes.grid(axis="y")
            axes.tick_params(length=0, which="both")
            axes.spines["bottom"].set_visible(True)
        yield figure, panels


def label_panel(axes: "Axes", name: str, about: str = "", *, x: str = "", y: str = "") -> None:
    """Write a panel's name, more about it, and the names of its axes with units."""
    caption(axes, name, about)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def codes_axis(axes: "Axes", lengths: Sequence[int]) -> None:
    """Make the horizontal axis a logarithmic one of numbers of codes, with a tick at each of `lengths`."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(lengths), [f"{length:,}" for length in lengths])
    axes.minorticks_off()


def spread_dots(place: float, count: int, width: float) -> NDArray[np.float64]:
    """Return horizontal places of `count` dots around `place`, so that equal values are seen apart."""
    return place + (width * np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(count))
