"""Pictures of sound: the levels of a song under one another, and a recording with its waveform."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.audio.mix import Samples, peak
from jukectl.codes.archive import entropy_bits
from jukectl.errors import BadInput
from jukectl.files import atomic_write
from jukectl.plots.spectrogram import LOWEST, Bands, band_of, band_powers, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import Locator

FORMATS = (".png", ".svg")

Counts = NDArray[np.int64]

# Lengths are in pixels of the PNG, from the left and from the top.
WIDTH, LEFT, RIGHT = 1_200, 66, 94  # of the picture; margins of what is drawn over time
ACROSS = WIDTH - LEFT - RIGHT
HEADER, CAPTION, FOOTER = 66, 34, 52
STRIP = 18  # the strip that tells prompt from new music
WAVE = 130
USAGE, GAP = 110, 60  # the panels of code usage, and what is between two
CELL = 2  # pixels of a spectrogram's cell
COLUMNS = ACROSS // CELL
BANDS = 96
DPI = 100

SPAN = 70.0  # decibels from the loudest cell to the background
SHADES = 64  # of colour: more would make larger files and no clearer pictures
FREQUENCIES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)  # Hz, that have a tick
AMPLITUDES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # that a waveform's axis may end at
LONGEST = 88  # characters of a title


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a picture."""

    paper: str
    ink: str
    pale: str  # what matters less
    mark: str  # where the prompt ends
    wave: str
    scale: str  # what matplotlib calls the colours from soft to loud


LIGHT = Theme(paper="#ffffff", ink="#1b1d22", pale="#666c78", mark="#c2410c", wave="#810f7c", scale="BuPu")
DARK = Theme(paper="#16171c", ink="#ececf0", pale="#9ba1ad", mark="#5ee0c0", wave="#f1605d", scale="magma")


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """One spectrogram of several."""

    name: str
    about: str  # the rest of its caption
    samples: Samples  # (N,)
    sample_rate: int  # Hz
    uses: Counts | None = None  # (codebook size,) how often each code is used, where it is a level

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


def draw_levels(
    panels: Sequence[Panel], *, title: str, about: str = "", prompt_seconds: float = 0.0, theme: Theme = LIGHT
) -> "Figure":
    """Spectrograms under one another over one time axis and one scale, with a line where the prompt ends.

    Above them the waveform of the last one, below them how each level uses its codes. A panel that is shorter than the
    longest shows how far it got.
    """
    seconds = max(panel.seconds for panel in panels)
    marked = 0 < prompt_seconds < seconds and not isclose(prompt_seconds, seconds)
    wave = HEADER + (STRIP + CELL if marked else 0) + CAPTION
    head, step = wave + WAVE, CAPTION + CELL * BANDS
    used = [panel for panel in panels if panel.uses is not None]
    foot = head + len(panels) * step + FOOTER
    page = Page(foot + (CAPTION + USAGE + FOOTER if used else 0), theme)
    page.title(title, about)
    outline = page.axes(wave, WAVE, seconds)
    page.caption(
        wave, "Waveform", f"of the {panels[-1].name.lower()} level; peaks, and the root mean square; 1 is full scale"
    )
    _draw_waveform(outline, panels[-1], theme)
    if marked:
        _mark(outline, prompt_seconds, theme)
    powers = _powers(panels, seconds)
    loudest = max(float(power.max()) for power in powers)
    for number, (panel, power) in enumerate(zip(panels, powers, strict=True)):
        top = head + number * step + CAPTION
        axes = page.axes(top, CELL * BANDS, seconds)
        page.caption(top, panel.name, panel.about)
        image = _draw_spectrogram(axes, decibels(power, loudest, span=SPAN), panel, seconds, theme)
        if marked:
            _mark(axes, prompt_seconds, theme)
        if panel.seconds < seconds * 0.995:
            middle = (panel.seconds + seconds) / 2
            axes.text(middle, BANDS / 2, "not made yet", color=theme.pale, ha="center", va="center", fontsize=9)
        if number == 0:
            page.colour_bar(image, top)
    page.label_time(axes, seconds)
    if marked:
        page.strip(HEADER, prompt_seconds, seconds)
    width = (ACROSS - GAP * (len(used) - 1)) / max(len(used), 1)
    for number, panel in enumerate(used):
        left = LEFT + number * (width + GAP)
        _draw_usage(page, page.box(left, foot + CAPTION, width, USAGE), panel, left, foot + CAPTION)
    return page.figure


def draw_recording(panel: Panel, *, theme: Theme = LIGHT) -> "Figure":
    """A recording's waveform above its spectrogram, with one time axis."""
    page = Page(HEADER + WAVE + 2 * CAPTION + CELL * BANDS + FOOTER, theme)
    page.title(panel.name, panel.about)
    top = HEADER + CAPTION
    wave = page.axes(top, WAVE, panel.seconds)
    page.caption(top, "Waveform", "peaks, and the root mean square as a solid core; 1 is full scale")
    _draw_waveform(wave, panel, theme)
    top += WAVE + CAPTION
    axes = page.axes(top, CELL * BANDS, panel.seconds)
    page.caption(top, "Spectrogram", "")
    power = _powers([panel], panel.seconds)[0]
    image = _draw_spectrogram(axes, decibels(power, float(power.max()), span=SPAN), panel, panel.seconds, theme)
    page.colour_bar(image, top)
    page.label_time(axes, panel.seconds)
    return page.figure


def save(figure: "Figure", path: Path) -> None:
    """Write a picture as its suffix says, .png or .svg, in one step. BadInput for any other, CannotWrite."""
    from matplotlib import rc_context

    suffix = check_format(path)
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "jukectl"}), warnings.catch_warnings():  # equal pictures are equal bytes
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the font lacks shows boxes
        metadata = {"Software": "jukectl"} if suffix == ".png" else {"Date": None}
        figure.savefig(buffer, format=suffix[1:], dpi=DPI, facecolor=figure.get_facecolor(), metadata=metadata)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def check_format(path: Path) -> str:
    """The suffix of a picture that `save` can write, BadInput where it cannot."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BadInput(f"a picture ends in {' or '.join(FORMATS)}; got {path}")
    return suffix


class Page:
    """A figure laid out in pixels, so that every spectrogram's cell covers the same number of them."""

    def __init__(self, height: int, theme: Theme) -> None:
        from matplotlib.figure import Figure

        self.height = height
        self.theme = theme
        self.figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)

    def axes(self, top: int, height: int, seconds: float) -> "Axes":
        """Axes over time."""
        axes = self.box(LEFT, top, ACROSS, height)
        axes.set_xlim(0, seconds)
        axes.tick_params(labelbottom=False)
        return axes

    def title(self, title: str, about: str) -> None:
        """What the picture is of, and more about it in a second line."""
        self._text(LEFT, 26, _shortened(title), size=13, weight="bold")
        self._text(LEFT, 49, _shortened(about), size=9.5, color=self.theme.pale)

    def caption(self, top: int, name: str, about: str, *, left: float = LEFT) -> None:
        """A name and more about it, right above what begins at `top`."""
        end = self._text(left, top - 9, name, size=10.5, weight="bold").get_window_extent().x1
        self._text(end + 12, top - 9, about, size=9, color=self.theme.pale)

    def key(self, top: int, entries: Sequence[tuple[str, str]]) -> None:
        """What colours stand for: names, each behind a square of its colour, in a line."""
        left = float(LEFT)
        for name, colour in entries:
            for text, shade in (("■", colour), (_shortened(name), self.theme.ink)):
                left = self._text(left, top, text, size=9, color=shade).get_window_extent().x1 + 5
            left += 14

    def label_time(self, axes: "Axes", seconds: float) -> None:
        """Seconds below the lowest axes; minutes where there are many."""
        from matplotlib.ticker import FuncFormatter

        axes.tick_params(labelbottom=True)
        axes.set_xlabel("seconds" if seconds < 120 else "minutes:seconds", color=self.theme.pale, fontsize=9)
        if seconds >= 120:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value // 60)}:{value % 60:02.0f}"))
            axes.xaxis.set_major_locator(_minutes(seconds))

    def strip(self, top: int, prompt_seconds: float, seconds: float) -> None:
        """A strip over the whole time: the prompt, and what is new."""
        axes = self.box(LEFT, top, ACROSS, STRIP)
        axes.set_axis_off()
        axes.set_xlim(0, seconds)
        axes.set_ylim(0, 1)
        new = seconds - prompt_seconds
        for start, length, text, alpha in ((0.0, prompt_seconds, "prompt", 0.38), (prompt_seconds, new, "new", 0.12)):
            axes.axvspan(start, start + length, color=self.theme.mark, alpha=alpha, linewidth=0)
            label = f"{text} {length:.1f} s"
            if length / seconds * (ACROSS) > 9 * len(label):
                middle = start + length / 2
                axes.text(middle, 0.46, label, color=self.theme.ink, fontsize=8.5, ha="center", va="center")

    def colour_bar(self, image: "ScalarMappable", top: int) -> None:
        """What the colours mean, beside the spectrogram that begins at `top`."""
        axes = self.box(WIDTH - RIGHT + 16, top, 12, CELL * BANDS)
        bar = self.figure.colorbar(image, cax=axes)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar.set_ticks([0, -20, -40, -60])
        bar.set_label("dB under the loudest", color=self.theme.pale, fontsize=8.5)

    def box(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Axes at a place, without a frame."""
        bottom = self.height - top - height
        axes = self.figure.add_axes(
            (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height), facecolor=self.theme.paper
        )
        axes.tick_params(colors=self.theme.pale, labelsize=8.5, length=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def _text(
        self, left: float, top: float, text: str, *, size: float, color: str | None = None, weight: str = "normal"
    ) -> "Text":
        """Text whose base line is at `top`, taken as it is: a $ in a file's name is no formula."""
        return self.figure.text(
            left / WIDTH,
            1 - top / self.height,
            text,
            color=color or self.theme.ink,
            fontsize=size,
            fontweight=weight,
            parse_math=False,
        )


def _powers(panels: Sequence[Panel], seconds: float) -> list[Bands]:
    return [
        band_powers(panel.samples, panel.sample_rate, column_seconds=seconds / COLUMNS, bands=BANDS) for panel in panels
    ]


def _draw_spectrogram(axes: "Axes", level: Bands, panel: Panel, seconds: float, theme: Theme) -> "ScalarMappable":
    """Decibels (bands, columns) of a panel on axes of `seconds`."""
    from matplotlib import colormaps

    axes.set_ylim(0, BANDS)
    image = axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(0, level.shape[1] * seconds / COLUMNS, 0, BANDS),
        interpolation="none",
        cmap=colormaps[theme.scale].resampled(SHADES),
        vmin=-SPAN,
        vmax=0,
    )
    axes.set_xlim(0, seconds)
    shown = [frequency for frequency in FREQUENCIES if LOWEST < frequency < panel.sample_rate / 2]
    places = [band_of(frequency, panel.sample_rate, BANDS) + 0.5 for frequency in shown]
    axes.set_yticks(
        places, [f"{frequency // 1_000} k" if frequency >= 1_000 else str(frequency) for frequency in shown]
    )
    _label_left(axes, "Hz", theme)
    return image


def _mark(axes: "Axes", prompt_seconds: float, theme: Theme) -> None:
    """A line where the prompt ends."""
    axes.axvline(prompt_seconds, color=theme.mark, linewidth=1.6, dashes=(5, 2.5))


def _draw_usage(page: "Page", axes: "Axes", panel: Panel, left: float, top: int) -> None:
    """How often a level's codes are used, the most frequent first, both axes logarithmic."""
    assert panel.uses is not None
    counts = np.sort(panel.uses[panel.uses > 0])[::-1]
    about = f"{len(counts):,} of {len(panel.uses):,} used · {entropy_bits(panel.uses):.1f} bits a code"
    page.caption(top, panel.name, about, left=left)
    shares = 100 * counts / max(counts.sum(), 1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.fill_between(
        np.arange(1, len(shares) + 1), shares, shares.min(initial=1) / 2, color=page.theme.wave, alpha=0.3
    )
    axes.plot(np.arange(1, len(shares) + 1), shares, color=page.theme.wave, linewidth=1.4)
    axes.set_xlim(1, len(panel.uses))
    axes.set_ylim(bottom=shares.min(initial=1) / 2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set_xlabel("codes, the most frequent first; share of all", color=page.theme.pale, fontsize=9)


def _draw_waveform(axes: "Axes", panel: Panel, theme: Theme) -> None:
    low, high, rms = _envelope(panel.samples, CELL * COLUMNS)
    times = np.linspace(0, panel.seconds, len(low))
    axes.fill_between(times, low, high, color=theme.wave, alpha=0.45, linewidth=0)
    axes.fill_between(times, -rms, rms, color=theme.wave, linewidth=0)
    highest = peak(panel.samples)
    limit = next((amplitude for amplitude in AMPLITUDES if amplitude >= highest), highest)
    axes.set_ylim(-1.04 * limit, 1.04 * limit)
    axes.set_yticks([-limit, 0, limit])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.axhline(0, color=theme.pale, linewidth=0.5, zorder=0)
    _label_left(axes, "amplitude", theme)


def _envelope(samples: Samples, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Lowest, highest and root mean square of samples (N,) in that many columns, or in fewer of one sample each."""
    edges = np.unique(np.linspace(0, len(samples), columns + 1).astype(np.int64))
    starts = edges[:-1]
    power = np.add.reduceat(np.square(samples, dtype=np.float64), starts) / np.diff(edges)
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    return low, high, np.sqrt(power).astype(np.float32)


def _label_left(axes: "Axes", text: str, theme: Theme) -> None:
    """Name the vertical axis, at the picture's edge whatever the tick labels' width."""
    axes.set_ylabel(text, color=theme.pale, fontsize=9)
    axes.yaxis.set_label_coords((16 - LEFT) / ACROSS, 0.5)


def _minutes(seconds: float) -> "Locator":
    from matplotlib.ticker import MultipleLocator

    steps = (15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200)
    return MultipleLocator(next((step for step in steps if seconds / step <= 12), 14_400))


def _shortened(text: str) -> str:
    """One line that fits the picture."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
