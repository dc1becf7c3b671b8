"""Small pictures of sound for pages: the outline of a waveform in numbers, a spectrogram without axes."""

from pathlib import Path

import numpy as np

from jukectl.audio.mix import Samples
from jukectl.evaluation.spectrogram import band_powers, decibels
from jukectl.files import atomic_write

PARTS = 1_000  # of an outline
FULL = 127  # of full scale
COLUMNS, BANDS = 1_000, 128  # of a picture, at most
SPAN = 70.0  # dB, from the loudest to black


def peaks_of(samples: Samples, parts: int = PARTS) -> tuple[tuple[int, int], ...]:
    """Lowest and highest sample (n,) of each of `parts` equal parts, or of every sample; -127 to 127 is full scale."""
    count = min(parts, len(samples))
    if not count:
        return ()
    starts = np.arange(count) * len(samples) // count
    lows, highs = (
        np.clip(np.rint(reduce.reduceat(samples, starts) * FULL), -FULL, FULL).astype(int)
        for reduce in (np.minimum, np.maximum)
    )
    return tuple(zip(lows.tolist(), highs.tolist(), strict=True))


def draw_thumbnail(samples: Samples, sample_rate: int, path: Path) -> None:
    """Write the spectrogram of samples (n,) as a PNG without axes: a column a pixel, high tones at its head."""
    from matplotlib.image import imsave

    columns = min(COLUMNS, max(1, len(samples) // 64))
    power = band_powers(samples, sample_rate, column_seconds=len(samples) / sample_rate / columns, bands=BANDS)
    picture = decibels(power, float(power.max()), span=SPAN)
    with atomic_write(path) as file:
        imsave(file, picture, cmap="magma", vmin=-SPAN, vmax=0.0, origin="lower", format="png")
