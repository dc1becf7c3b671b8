"""The picture of lyrics and music together: a prior's attention over music time by characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jukectl.plots.sound import CAPTION, SHADES, TIME_AXIS, label_time, mark_prompt
from jukectl.plots.style import LIGHT, Theme, caption, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHARACTER, WORD = 0.04, 0.13  # inches, the height of a character and of a word's label
LOWEST, HIGHEST = 2.4, 16.0  # inches, of the picture of the weights
COLUMNS = 500  # of the picture of the weights, at most
LONGEST = 20  # characters of a label

BRIGHTEST = 99.5
"""Percentile of the weights that gets the strongest colour."""


@dataclass(frozen=True)
class DrawnWord:
    """A word, its first and last character, and the seconds from its start to its end."""

    text: str
    first: int
    last: int
    start: float
    end: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Alignment:
    """Attention weights (rows, characters), and the words found by them, in their order."""

    weights: npt.NDArray[np.float32]
    seconds_a_row: float
    seconds: float  # of music
    words: Sequence[DrawnWord]


def draw_alignment(
    alignment: Alignment, *, title: str, about: str = "", prompt_seconds: float = 0.0, theme: Theme = LIGHT
) -> "Figure":
    """Draw weights as colours, the first word at the top, and a line through each word from its start to its end.

    Only the characters that the model was conditioned on are drawn.
    """
    first, stop = _attended(alignment)
    words = [word for word in alignment.words if first <= word.first and word.last < stop]
    height = min(max(CHARACTER * (stop - first), WORD * len(words), LOWEST), HIGHEST)
    prompted = 0 < prompt_seconds < alignment.seconds
    with drawing(title, about, height=CAPTION + height + TIME_AXIS, theme=theme) as (figure, body):
        axes = body.subplots()
        remark = "attention of the model while it samples, and the times of words found by it"
        caption(axes, "Lyrics", remark + " · dashed: end of the prompt" * prompted, theme)
        _draw_weights(axes, alignment, first, stop, theme)
        for word in words:
            axes.plot([word.start, word.end], [word.first, word.last + 1], color=theme.mark, linewidth=1.4)
        labelled = _without_overlap(words, height / (stop - first))
        middles = [(word.first + word.last + 1) / 2 for word in labelled]
        axes.set_yticks(middles, [_short(word.text) for word in labelled], fontsize=8)
        if prompted:
            mark_prompt(axes, prompt_seconds, theme)
        label_time(axes, alignment.seconds)
        axes.set_ylim(stop, first)
    return figure


def _attended(alignment: Alignment) -> tuple[int, int]:
    """Return the first character with a weight in any row, and the one after the last."""
    attended = np.flatnonzero(alignment.weights.any(axis=0))
    return (int(attended[0]), int(attended[-1]) + 1) if len(attended) else (0, max(alignment.weights.shape[1], 1))


def _draw_weights(axes: "Axes", alignment: Alignment, first: int, stop: int, theme: Theme) -> None:
    """Draw the weights of characters first..stop, the largest of neighbouring rows where there are too many."""
    from matplotlib import colormaps

    weights = alignment.weights[:, first:stop]
    rows = -(-len(weights) // COLUMNS)  # per column of the picture
    weights = np.maximum.reduceat(weights, np.arange(0, len(weights), rows), axis=0)
    brightest = float(np.percentile(weights, BRIGHTEST)) or 1.0
    axes.imshow(
        np.sqrt(np.clip(weights.T / brightest, 0, 1)),  # the root makes weak attention visible
        aspect="auto",
        extent=(0, len(weights) * rows * alignment.seconds_a_row, stop, first),
        interpolation="none",
        cmap=colormaps[theme.scale].resampled(SHADES),
        vmin=0,
        vmax=1,
    )


def _without_overlap(words: Sequence[DrawnWord], inches: float) -> list[DrawnWord]:
    """Return words whose labels do not cover each other, at that many inches per character."""
    labelled: list[DrawnWord] = []
    for word in words:
        if not labelled or (word.first + word.last - labelled[-1].first - labelled[-1].last) / 2 * inches >= WORD:
            labelled.append(word)
    return labelled


def _short(text: str) -> str:
    """Return a label that fits beside the picture."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
