"""The picture of how lyrics and music go together: what a prior's attention looked at, music time by characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jukectl.plots.sound import CAPTION, FOOTER, HEADER, LIGHT, RIGHT, SHADES, WIDTH, Page, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths are in pixels of the PNG.
LABELS = 138  # left of the picture, for words
ACROSS = WIDTH - LABELS - RIGHT
COLUMN = 2  # the least width of a column
CHARACTER = 4  # height of one, where that is neither too little nor too much for a picture
WORD = 13  # height of a word's label
LOWEST, HIGHEST = 240, 1_600
LONGEST = 20  # characters of a label

BRIGHTEST = 99.5
"""Percentile of the weights that gets the strongest colour."""


@dataclass(frozen=True)
class DrawnWord:
    """A word, its characters, and when it is sung, in seconds."""

    text: str
    first: int
    last: int
    start: float
    end: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Alignment:
    """What is drawn: weights (rows, characters), and the words found by them, in their order."""

    weights: npt.NDArray[np.float32]
    seconds_a_row: float
    seconds: float  # of music
    words: Sequence[DrawnWord]


def draw_alignment(
    alignment: Alignment, *, title: str, about: str = "", prompt_seconds: float = 0.0, theme: Theme = LIGHT
) -> "Figure":
    """Weights as colours, the first word at the top; a line through each word from where it begins to where it ends.

    Only the characters that the model was told are there.
    """
    first, stop = _told(alignment)
    words = [word for word in alignment.words if first <= word.first and word.last < stop]
    height = min(max(CHARACTER * (stop - first), WORD * len(words), LOWEST), HIGHEST)
    page = Page(HEADER + CAPTION + height + FOOTER, theme)
    page.title(title, about)
    top = HEADER + CAPTION
    prompted = 0 < prompt_seconds < alignment.seconds
    caption = "what the model attends to as it makes the music, and when words are sung by that"
    page.caption(top, "Lyrics", caption + " · dashes: the prompt ends" * prompted)
    axes = page.box(LABELS, top, ACROSS, height)
    _draw_weights(axes, alignment, first, stop, theme)
    for word in words:
        axes.plot([word.start, word.end], [word.first, word.last + 1], color=theme.mark, linewidth=1.4)
    labelled = _apart(words, height / (stop - first))
    axes.set_yticks(
        [(word.first + word.last + 1) / 2 for word in labelled], [_short(word.text) for word in labelled], fontsize=8
    )
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    if prompted:
        axes.axvline(prompt_seconds, color=theme.mark, linewidth=1.6, dashes=(5, 2.5))
    axes.set_xlim(0, alignment.seconds)
    axes.set_ylim(stop, first)
    page.label_time(axes, alignment.seconds)
    return page.figure


def _draw_weights(axes: "Axes", alignment: Alignment, first: int, stop: int, theme: Theme) -> None:
    from matplotlib import colormaps

    weights = alignment.weights[:, first:stop]
    together = -(-len(weights) // (ACROSS // COLUMN))
    weights = np.maximum.reduceat(weights, np.arange(0, len(weights), together), axis=0)
    brightest = float(np.percentile(weights, BRIGHTEST)) or 1.0
    axes.imshow(
        np.sqrt(np.clip(weights.T / brightest, 0, 1)),  # what is weak shows too
        aspect="auto",
        extent=(0, len(weights) * together * alignment.seconds_a_row, stop, first),
        interpolation="none",
        cmap=colormaps[theme.scale].resampled(SHADES),
        vmin=0,
        vmax=1,
    )


def _told(alignment: Alignment) -> tuple[int, int]:
    """The first of the characters that any row looked at, and the one after the last."""
    told = np.flatnonzero(alignment.weights.any(axis=0))
    return (int(told[0]), int(told[-1]) + 1) if len(told) else (0, max(alignment.weights.shape[1], 1))


def _apart(words: Sequence[DrawnWord], scale: float) -> list[DrawnWord]:
    """Words whose labels are not on top of each other, `scale` pixels a character."""
    labelled: list[DrawnWord] = []
    for word in words:
        if not labelled or (word.first + word.last - labelled[-1].first - labelled[-1].last) / 2 * scale >= WORD:
            labelled.append(word)
    return labelled


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
