"""Small pictures of sound for pages: the outline of a waveform in numbers, a spectrogram without axes."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from jukectl.audio.mix import Samples
from jukectl.errors import CannotWrite
from jukectl.plots.spectrogram import band_powers, decibels

PARTS = 1_000  # of an outline
FULL = 127  # of full scale
COLUMNS, BANDS = 1_000, 128  # of a picture, at most
SPAN = 70.0  # dB, from the loudest to black
SHADES = 128  # of a picture
FINEST = 256  # audio samples a column, of which a spectrogram's window is longer by far


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
    """Write the spectrogram of samples (n,) as a PNG without axes: a column a pixel, high tones at its head.

    Raises CannotWrite. It is not waited for until it is on the disk, since it can be drawn again.
    """
    columns = min(COLUMNS, max(1, len(samples) // FINEST))
    power = band_powers(samples, sample_rate, column_seconds=len(samples) / sample_rate / columns, bands=BANDS)
    levels = decibels(power, float(power.max()), span=SPAN)  # (bands, columns)
    picture = Image.fromarray(np.rint((levels[::-1] / SPAN + 1) * (SHADES - 1)).astype(np.uint8))
    picture.putpalette(_palette())  # a quarter of the bytes of a colour a pixel
    try:
        path.unlink(missing_ok=True)
        picture.save(path, "png")
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error


@cache
def _palette() -> bytes:
    """The colours of the shades, from black to pale, three bytes each."""
    from matplotlib import colormaps

    colours = colormaps["magma"](np.linspace(0, 1, SHADES), bytes=True)[:, :3]
    return bytes(colours.tobytes())
