"""The look that all pictures share: themes, the matplotlib style sheet made from one, the page and its file."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukectl.errors import BadInput
from jukectl.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS = (".png", ".svg")

DPI = 100
WIDTH = 12.0  # inches, of every picture
HEADER = 0.6  # inches, of the title and the line under it
LONGEST_TITLE = 88  # characters

COLOURS = ("#810f7c", "#c2410c", "#2b6cb0", "#047857", "#a16207", "#666c78")
"""Colours of the things compared in a chart, in order of importance."""


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a picture."""

    paper: str
    ink: str
    pale: str  # axes, units and remarks
    mark: str  # the end of the prompt
    wave: str
    scale: str  # matplotlib's name of the colour map from soft to loud


LIGHT = Theme(paper="#ffffff", ink="#1b1d22", pale="#666c78", mark="#c2410c", wave="#810f7c", scale="BuPu")
DARK = Theme(paper="#16171c", ink="#ececf0", pale="#9ba1ad", mark="#5ee0c0", wave="#f1605d", scale="magma")


def style_sheet(theme: Theme) -> dict[Any, Any]:
    """Return matplotlib's settings (rcParams) for a theme."""
    return {
        "figure.dpi": DPI,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "text.color": theme.ink,
        "text.parse_math": False,  # a $ in a file name is no formula
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.labelcolor": theme.pale,
        "axes.labelsize": 9,
        "axes.axisbelow": True,
        "axes.edgecolor": theme.pale,
        "axes.linewidth": 0.6,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.spines.bottom": False,
        "grid.color": theme.pale,
        "grid.alpha": 0.22,
        "grid.linewidth": 0.6,
        "xtick.color": theme.pale,
        "xtick.labelsize": 8.5,
        "xtick.major.size": 3,
        "ytick.color": theme.pale,
        "ytick.labelsize": 8.5,
        "ytick.major.size": 3,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "legend.handlelength": 0.8,
        "legend.handleheight": 0.8,
        "svg.hashsalt": "jukectl",  # equal pictures are equal bytes
    }


@contextmanager
def drawing(
    title: str,
    about: str,
    *,
    height: float,
    theme: Theme = LIGHT,
    key: Sequence[tuple[str, str]] = (),
    padding: tuple[float, float] = (0.04, 0.04),
) -> "Iterator[tuple[Figure, SubFigure]]":
    """Yield a new figure in a theme's style, and the part of it under title and key to draw in.

    `height` is that of the part to draw in, `padding` the space to either side of each panel and above and below it,
    in inches. `key` has the name and the colour of each thing compared.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with _styled(theme):
        pixels = round((HEADER + height) * DPI)
        layout = ConstrainedLayoutEngine(w_pad=padding[0], h_pad=padding[1])
        figure = Figure(figsize=(WIDTH, pixels / DPI), layout=layout)
        header, body = figure.subfigures(2, 1, height_ratios=[HEADER, height], hspace=0, squeeze=False).ravel()
        line = 1 / 72 / HEADER  # a point, as a share of the header
        header.text(0.005, 1 - 21 * line, shortened(title), fontsize=13, fontweight="bold")
        header.text(0.005, 1 - 37 * line, shortened(about), fontsize=9.5, color=theme.pale)
        if key:
            _add_key(body, key)
        yield figure, body
        # Ticks are made when they are first drawn. Drawing once gives them this style; the layout then stays as it is.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


@contextmanager
def _styled(theme: Theme) -> Iterator[None]:
    """Draw in a theme's style, and without a warning for a title in a script that the font lacks: it shows boxes."""
    from matplotlib import rc_context

    with rc_context(style_sheet(theme)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def _add_key(body: "SubFigure", key: Sequence[tuple[str, str]]) -> None:
    """Add a legend above the panels, in as few rows as fit."""
    from matplotlib.patches import Patch

    patches = [Patch(color=shade, label=shortened(name)) for name, shade in key]
    for rows in range(1, len(key) + 1):
        columns = ceil(len(key) / rows)
        legend = body.legend(handles=patches, loc="outside upper left", ncols=columns, borderaxespad=0)
        if columns == 1 or legend.get_window_extent().width <= body.bbox.width:
            return
        legend.remove()


def caption(axes: "Axes", name: str, about: str, theme: Theme = LIGHT) -> None:
    """Write a name above axes, and behind it, paler, more about it."""
    title = axes.set_title(name)
    if about:
        remark = axes.annotate(
            about,
            (1, 0),
            xycoords=title,
            xytext=(8, 0),
            textcoords="offset points",
            va="bottom",
            fontsize=9,
            color=theme.pale,
            annotation_clip=False,
        )
        remark.set_in_layout(False)  # a long one makes no panel narrower


def shortened(text: str) -> str:
    """Return text as one line that fits the picture."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TITLE else text[: LONGEST_TITLE - 1] + "…"


def colour(number: int) -> str:
    """Return the colour of the first, second ... thing compared; they come round again."""
    return COLOURS[number % len(COLOURS)]


def save(figure: "Figure", path: Path) -> None:
    """Write a picture in the format of its suffix, in one step. Raises BadInput for another suffix, CannotWrite."""
    suffix = check_format(path)
    buffer = BytesIO()
    with _styled(LIGHT):  # the spacing of ticks depends on the sizes of fonts, which are those of all themes
        metadata = {"Software": "jukectl"} if suffix == ".png" else {"Date": None}
        paper = figure.get_facecolor()
        figure.savefig(buffer, format=suffix[1:], dpi=DPI, facecolor=paper, metadata=metadata)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def check_format(path: Path) -> str:
    """Return the suffix of a picture that `save` can write. Raises BadInput for another."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadInput(f"a picture ends in {' or '.join(FORMATS)}; got {path}")
    return suffix
