"""Small pictures of sound for web pages: a waveform's outline as numbers, a spectrogram without axes."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from jukectl.audio.mix import Samples
from jukectl.errors import CannotWrite
from jukectl.plots.spectrogram import band_powers, decibels

PARTS = 1_000  # of an outline
FULL = 127  # full scale of an outline
COLUMNS, BANDS = 1_000, 128  # of a picture, at most
SPAN = 70.0  # dB, from the loudest to black
SHADES = 128  # of a picture
FINEST = 256  # audio samples per column at least; the spectrogram's window is far longer


def peaks_of(samples: Samples, parts: int = PARTS) -> tuple[tuple[int, int], ...]:
    """Return the lowest and the highest of samples (N,) in each of at most `parts` equal parts; 127 is full scale."""
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
    """Write the spectrogram of samples (N,) as a PNG without axes: one pixel per column, high frequencies at the top.

    Raises CannotWrite. The file is not synced to the disk, since it can be drawn again.
    """
    columns = min(COLUMNS, max(1, len(samples) // FINEST))
    power = band_powers(samples, sample_rate, column_seconds=len(samples) / sample_rate / columns, bands=BANDS)
    levels = decibels(power, float(power.max()), span=SPAN)  # (bands, columns)
    picture = Image.fromarray(np.rint((levels[::-1] / SPAN + 1) * (SHADES - 1)).astype(np.uint8))
    picture.putpalette(_palette())  # a quarter of the bytes of an RGB picture
    try:
        path.unlink(missing_ok=True)
        picture.save(path, "png")
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error


@cache
def _palette() -> bytes:
    """Return the colours of the shades, from dark to bright, three bytes each."""
    from matplotlib import colormaps

    colours = colormaps["magma"](np.linspace(0, 1, SHADES), bytes=True)[:, :3]
    return bytes(colours.tobytes())
