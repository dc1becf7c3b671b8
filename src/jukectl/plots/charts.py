"""What charts share: panels with a name, units and a light grid, on the page of the other pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jukectl.plots.sound import CAPTION, FOOTER, HEADER, LIGHT, WIDTH, Page, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = HEADER + 16  # pixels above the first row of panels
MARGIN, GAP = 66, 84  # pixels left of the first panel, and between two
COLOURS = ("#810f7c", "#c2410c", "#2b6cb0", "#047857", "#a16207", "#666c78")
"""Of what is compared, in the order of its weight."""


@dataclass(frozen=True)
class Layout:
    """A page of panels of one size, row by row."""

    rows: int
    columns: int
    height: int = 250  # pixels of a panel
    right: int = 40  # pixels to the picture's edge
    theme: Theme = field(default=LIGHT)

    def page(self, title: str, about: str, key: Sequence[tuple[str, str]] = ()) -> Page:
        """The page with its title, and the names and colours of what is compared."""
        page = Page(TOP + self.rows * self.step, self.theme)
        page.title(title, about)
        page.key(HEADER + 8, key)
        return page

    @property
    def step(self) -> int:
        """Pixels from one row to the next."""
        return CAPTION + self.height + FOOTER + 6

    def panel(self, page: Page, number: int, name: str, about: str = "") -> "Axes":
        """The panel with that number, counted row by row, under its name and more about it."""
        row, column = divmod(number, self.columns)
        width = (WIDTH - MARGIN - self.right - (self.columns - 1) * GAP) / self.columns
        left = MARGIN + column * (width + GAP)
        top = TOP + row * self.step + CAPTION
        axes = page.box(left, top, width, self.height)
        page.caption(top, name, about, left=left)
        axes.grid(axis="y", color=self.theme.pale, alpha=0.22, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(True)
        axes.spines["bottom"].set_color(self.theme.pale)
        axes.spines["bottom"].set_linewidth(0.6)
        return axes

    def name_axes(self, axes: "Axes", x: str, y: str) -> None:
        """What lies along the axes, with units."""
        axes.set_xlabel(x, color=self.theme.pale, fontsize=9)
        axes.set_ylabel(y, color=self.theme.pale, fontsize=9)


def colour(number: int) -> str:
    """The colour of the first, second ... of what is compared, over and over."""
    return COLOURS[number % len(COLOURS)]


def codes_axis(axes: "Axes", lengths: Sequence[int]) -> None:
    """A logarithmic axis of numbers of codes with a tick at each of these."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(lengths), [f"{length:,}" for length in lengths])
    axes.minorticks_off()
