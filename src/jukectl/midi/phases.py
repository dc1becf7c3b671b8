"""Beat grids as a prior reads them: at each code's time the phase within beats and bars, as sines and cosines."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jukectl.midi.beats import BeatGrid

BEAT_PERIODS = (0.25, 0.5, 1.0)
BAR_PERIODS = (1.0, 2.0)
"""Lengths of which phases are given, in beats and in bars: sixteenths to beats, the bar, and a phrase of two bars."""

CHANNELS = 3 + 2 * len(BEAT_PERIODS) + 2 * len(BAR_PERIODS)
"""1 wherever a grid is given; 1 where its bars are too; the tempo; then sine and cosine of each period."""

USUAL = 2.0
"""Beats a second at which the channel of the tempo is 0; it is 1 at twice as many."""


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats in the time of a song, as a prior is conditioned on them."""

    grid: BeatGrid | None  # None: a song without beats, in a batch of songs of which some have them
    bars: bool = True  # False where the beats are known and the bars are not
    begin: float = 0.0  # seconds of the song before which no beat is given

    def phases(self, start: int, frames: int, *, rate: float) -> npt.NDArray[np.float32]:
        """Return the features of `beat_phases`, zeros without a grid."""
        if self.grid is None:
            return np.zeros((frames, CHANNELS), dtype=np.float32)
        phases = beat_phases(self.grid, start, frames, rate=rate, bars=self.bars)
        phases[(start + np.arange(frames) + 0.5) / rate < self.begin] = 0
        return phases


NO_BEATS = Beats(None)


def beat_phases(grid: BeatGrid, start: int, frames: int, *, rate: float, bars: bool = True) -> npt.NDArray[np.float32]:
    """Return features (frames, CHANNELS) of frames start, start + 1 …, of which there are `rate` a second.

    Without `bars`, as of recordings whose beats alone were found, those channels are 0.
    """
    edges = (start + np.arange(frames + 1)) / rate
    times = (edges[:-1] + edges[1:]) / 2  # a code covers a span of time: its middle stands for it
    features = np.zeros((frames, CHANNELS), dtype=np.float32)
    features[:, 0] = 1
    features[:, 1] = bars
    # the beats that pass in a frame, as a tempo: without it the first frames could not tell how fast the phases move
    passing = np.maximum(np.diff(grid.phase(edges)) * rate, 1e-3)
    features[:, 2] = np.clip(np.log2(passing / USUAL), -2, 2)
    places = [grid.phase(times) / period for period in BEAT_PERIODS]
    if bars:
        places += [grid.bars(times) / period for period in BAR_PERIODS]
    for number, place in enumerate(places):
        angle = 2 * np.pi * (place % 1)  # the remainder first: float32 angles of long songs would lose their phase
        features[:, 3 + 2 * number] = np.sin(angle)
        features[:, 4 + 2 * number] = np.cos(angle)
    return features
