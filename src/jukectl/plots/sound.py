"""Pictures of sound: the levels of a song under one another, and a recording with its waveform."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.audio.mix import Samples, peak
from jukectl.codes.archive import entropy_bits
from jukectl.plots.spectrogram import LOWEST, Bands, band_of, band_powers, decibels
from jukectl.plots.style import LIGHT, Theme, caption, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

Counts = NDArray[np.int64]

COLUMNS, BANDS = 520, 96  # of a spectrogram; a cell is about 2 pixels wide and 2 high
OUTLINE = 1_040  # columns of a waveform

# inches
STRIP = 0.18  # the strip that shows prompt and new music
WAVE, SPECTROGRAM, USAGE = 1.3, 1.92, 1.1
CAPTION = 0.34  # above each of them
TIME_AXIS = 0.5  # under the lowest

SPAN = 70.0  # decibels from the loudest cell to the background
SHADES = 64  # of colour: more would make larger files and no clearer pictures
FREQUENCIES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)  # Hz, of the ticks
AMPLITUDES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # limits of a waveform's axis
MINUTES = (15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400)  # seconds between ticks of a long recording


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """One spectrogram of several."""

    name: str
    about: str  # the rest of its caption
    samples: Samples  # (N,)
    sample_rate: int  # Hz
    uses: Counts | None = None  # (codebook size,) how often each code is used, for a level of a song

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.samples) / self.sample_rate


def draw_levels(
    panels: Sequence[Panel], *, title: str, about: str = "", prompt_seconds: float = 0.0, theme: Theme = LIGHT
) -> "Figure":
    """Draw spectrograms under one another over one time axis and one colour scale, with a line at the prompt's end.

    Above them is the waveform of the last one, below them the use of codes of each level. A panel that is shorter than
    the longest is empty to its right.
    """
    seconds = max(panel.seconds for panel in panels)
    marked = 0 < prompt_seconds < seconds and not isclose(prompt_seconds, seconds)
    used = [panel for panel in panels if panel.uses is not None]
    heights = [*([STRIP] if marked else []), WAVE, *[SPECTROGRAM] * len(panels), *([USAGE] if used else [])]
    height = sum(heights) + CAPTION * (len(panels) + bool(used) + 1) + TIME_AXIS * (1 + bool(used))
    with drawing(title, about, height=height, theme=theme) as (figure, body):
        grid = body.add_gridspec(len(heights), max(len(used), 1), height_ratios=heights)
        first = 1 if marked else 0
        wave, *axes = (body.add_subplot(grid[first + row, :]) for row in range(len(panels) + 1))
        level = f"of the {panels[-1].name.lower()} level; peaks, and the root mean square; 1 is full scale"
        caption(wave, "Waveform", level, theme)
        _draw_waveform(wave, panels[-1], theme)
        _draw_spectrograms(axes, panels, seconds, theme)
        _share_time_axis([wave, *axes], seconds)
        if marked:
            _draw_strip(body.add_subplot(grid[0, :]), prompt_seconds, seconds, theme)
            for one in (wave, *axes):
                mark_prompt(one, prompt_seconds, theme)
        for column, panel in enumerate(used):
            _draw_usage(body.add_subplot(grid[-1, column]), panel, theme)
        body.align_ylabels([wave, *axes])
    return figure


def draw_recording(panel: Panel, *, theme: Theme = LIGHT) -> "Figure":
    """Draw a recording's waveform above its spectrogram, with one time axis."""
    height = WAVE + SPECTROGRAM + 2 * CAPTION + TIME_AXIS
    with drawing(panel.name, panel.about, height=height, theme=theme) as (figure, body):
        wave, axes = body.subplots(2, 1, height_ratios=[WAVE, SPECTROGRAM])
        caption(wave, "Waveform", "peaks, and the root mean square as a solid core; 1 is full scale", theme)
        _draw_waveform(wave, panel, theme)
        shown = Panel(name="Spectrogram", about="", samples=panel.samples, sample_rate=panel.sample_rate)
        _draw_spectrograms([axes], [shown], panel.seconds, theme)
        _share_time_axis([wave, axes], panel.seconds)
        body.align_ylabels()
    return figure


def mark_prompt(axes: "Axes", prompt_seconds: float, theme: Theme) -> None:
    """Draw a dashed line where the prompt ends."""
    axes.axvline(prompt_seconds, color=theme.mark, linewidth=1.6, dashes=(5, 2.5))


def label_time(axes: "Axes", seconds: float) -> None:
    """Set limits and label of a time axis: seconds, or minutes and seconds from two minutes on."""
    axes.set_xlim(0, seconds)
    axes.set_xlabel("seconds" if seconds < 120 else "minutes:seconds")
    if seconds >= 120:
        axes.xaxis.set_major_formatter(lambda value, _: f"{int(value // 60)}:{value % 60:02.0f}")
        axes.xaxis.set_major_locator(_minutes(seconds))


def _minutes(seconds: float) -> "Locator":
    """Return a locator with 12 ticks or fewer."""
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(next((step for step in MINUTES if seconds / step <= 12), MINUTES[-1]))


def _share_time_axis(axes: Sequence["Axes"], seconds: float) -> None:
    """Give axes under one another the same time axis, labelled at the lowest."""
    for one in axes[:-1]:
        one.sharex(axes[-1])
        one.tick_params(labelbottom=False)
    label_time(axes[-1], seconds)


def _draw_strip(axes: "Axes", prompt_seconds: float, seconds: float, theme: Theme) -> None:
    """Draw a strip over the whole time: the prompt, and the new music."""
    axes.set_axis_off()
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, 1)
    new = seconds - prompt_seconds
    for start, length, text, alpha in ((0.0, prompt_seconds, "prompt", 0.38), (prompt_seconds, new, "new", 0.12)):
        axes.axvspan(start, start + length, color=theme.mark, alpha=alpha, linewidth=0)
        label = f"{text} {length:.1f} s"
        if length / seconds > len(label) / 110:  # it fits into its part of the strip
            axes.text(start + length / 2, 0.46, label, fontsize=8.5, ha="center", va="center")


def _draw_waveform(axes: "Axes", panel: Panel, theme: Theme) -> None:
    """Draw peaks, and the root mean square as a solid core."""
    low, high, rms = _envelope(panel.samples, OUTLINE)
    times = np.linspace(0, panel.seconds, len(low))
    axes.fill_between(times, low, high, color=theme.wave, alpha=0.45, linewidth=0)
    axes.fill_between(times, -rms, rms, color=theme.wave, linewidth=0)
    highest = peak(panel.samples)
    limit = next((amplitude for amplitude in AMPLITUDES if amplitude >= highest), highest)
    axes.set_ylim(-1.04 * limit, 1.04 * limit)
    axes.set_yticks([-limit, 0, limit])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.axhline(0, color=theme.pale, linewidth=0.5, zorder=0)
    axes.set_ylabel("amplitude")


def _envelope(samples: Samples, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return lowest, highest and root mean square of samples (N,) per column; at most one column per sample."""
    edges = np.unique(np.linspace(0, len(samples), columns + 1).astype(np.int64))
    starts = edges[:-1]
    power = np.add.reduceat(np.square(samples, dtype=np.float64), starts) / np.diff(edges)
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    return low, high, np.sqrt(power).astype(np.float32)


def _draw_spectrograms(axes: Sequence["Axes"], panels: Sequence[Panel], seconds: float, theme: Theme) -> None:
    """Draw a spectrogram on each of the axes, in decibels below the loudest cell of all, with one colour bar."""
    powers = [
        band_powers(panel.samples, panel.sample_rate, column_seconds=seconds / COLUMNS, bands=BANDS) for panel in panels
    ]
    loudest = max(float(power.max()) for power in powers)
    for one, panel, power in zip(axes, panels, powers, strict=True):
        caption(one, panel.name, panel.about, theme)
        image = _draw_spectrogram(one, decibels(power, loudest, span=SPAN), panel, seconds, theme)
        if panel.seconds < seconds * 0.995:
            middle = (panel.seconds + seconds) / 2
            one.text(middle, BANDS / 2, "not generated yet", color=theme.pale, ha="center", va="center", fontsize=9)
    bar = axes[0].figure.colorbar(image, ax=list(axes), pad=0.012, fraction=0.03, aspect=16 * len(axes))
    bar.outline.set_visible(False)
    bar.set_ticks([0, -20, -40, -60])
    bar.set_label("dB below the loudest")


def _draw_spectrogram(axes: "Axes", level: Bands, panel: Panel, seconds: float, theme: Theme) -> "ScalarMappable":
    """Draw decibels (bands, columns) on axes of `seconds`."""
    from matplotlib import colormaps

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
    axes.set_ylim(0, BANDS)
    shown = [frequency for frequency in FREQUENCIES if LOWEST < frequency < panel.sample_rate / 2]
    places = [band_of(frequency, panel.sample_rate, BANDS) + 0.5 for frequency in shown]
    names = [f"{frequency // 1_000} k" if frequency >= 1_000 else str(frequency) for frequency in shown]
    axes.set_yticks(places, names)
    axes.set_ylabel("Hz")
    return image


def _draw_usage(axes: "Axes", panel: Panel, theme: Theme) -> None:
    """Draw how often a level's codes are used, the most frequent first, on logarithmic axes."""
    assert panel.uses is not None
    counts = np.sort(panel.uses[panel.uses > 0])[::-1]
    about = f"{len(counts):,} of {len(panel.uses):,} used · {entropy_bits(panel.uses):.1f} bits per code"
    caption(axes, panel.name, about, theme)
    shares = 100 * counts / max(counts.sum(), 1)
    ranks, lowest = np.arange(1, len(shares) + 1), shares.min(initial=1) / 2
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.fill_between(ranks, shares, lowest, color=theme.wave, alpha=0.3)
    axes.plot(ranks, shares, color=theme.wave, linewidth=1.4)
    axes.set_xlim(1, len(panel.uses))
    axes.set_ylim(bottom=lowest)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.minorticks_off()
    axes.set_xlabel("rank of the code; share of all codes")
