"""The picture of continuations: a panel a measure, with songs, and with recordings beside themselves and others."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jukectl.evaluation.charts import Layout, colour
from jukectl.evaluation.likeness import Likeness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (  # measure, name, more about it, unit
    ("key_fifths", "Key", "", "steps on the circle of fifths"),
    ("tempo_percent", "Tempo", "octaves aside", "% apart"),
    ("chroma", "Chroma", "", "1 - cosine"),
    ("timbre", "Timbre", "", "MFCC distance (dB)"),
    ("loudness_lu", "Loudness", "", "apart (LU)"),
    ("repetition", "Repetition", "of half seconds", "% of them, new less prompt"),
    ("silence", "Silence", "under -60 dB", "% of the time, new less prompt"),
)
SHARES = ("repetition", "silence")  # drawn in percent, at least LEAST either way
LEAST = 5.0
DASHES = ("-", "--", ":", "-.")
SPREAD = 0.3  # how far dots are strewn, so that equal ones can be told apart


def draw_continuation(
    songs: Mapping[str, Likeness],
    own: Sequence[Likeness],
    strangers: Sequence[Likeness],
    *,
    seconds: tuple[float, float],
) -> "Figure":
    """How far songs are from their prompts, a line each, before dots of recordings. `seconds` are of prompt and new."""
    layout = Layout(2, 4, height=210)
    reference = ((own, "goes on", colour(2)), (strangers, "stranger", layout.theme.pale))
    key = [(name, (colour(0), colour(1), *map(colour, range(3, 6)))[place % 5]) for place, name in enumerate(songs)]
    if own:
        key += [("recordings and how they go on", colour(2)), ("and other recordings", layout.theme.pale)]
    about = f"new music against its prompt, {seconds[0]:.1f} s and {seconds[1]:.1f} s after it · 0 is alike"
    page = layout.page("Does it go on as it began?", about, key)
    for number, (measure, name, note, unit) in enumerate(PANELS):
        axes = layout.panel(page, number, name, note)
        for place, (found, _, shade) in enumerate(reference):
            values = _finite(found, measure)
            strewn = (
                place + SPREAD * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.full(len(values), place)
            )
            axes.scatter(strewn, values, s=11, color=shade, alpha=0.55, linewidths=0)
            if values.size:
                axes.hlines(float(np.median(values)), place - 0.4, place + 0.4, color=shade, linewidth=2.2)
        for place, ((_, shade), likeness) in enumerate(zip(key, songs.values(), strict=False)):
            value = _finite([likeness], measure)
            if value.size:
                axes.axhline(float(value[0]), color=shade, linewidth=1.8, linestyle=DASHES[place % len(DASHES)])
        axes.set_xlim(-0.6, 1.6)
        axes.set_xticks([0, 1], ["goes on", "stranger"] if own else ["", ""])
        low, high = axes.get_ylim()
        axes.set_ylim(*((min(low, -LEAST), max(high, LEAST)) if measure in SHARES else (min(0, -0.03 * high), high)))
        layout.name_axes(axes, "", unit)
    return page.figure


def _finite(found: Sequence[Likeness], measure: str) -> NDArray[np.float64]:
    values = np.array([getattr(one, measure) for one in found], dtype=np.float64)
    return values[np.isfinite(values)] * (100 if measure in SHARES else 1)
