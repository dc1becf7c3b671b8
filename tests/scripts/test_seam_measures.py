"""Changes at seams: as everywhere else in uncut sound, large where sound was cut."""

import numpy as np
import pytest
from seam_measures import LENGTH, measure_seams

SAMPLES = 20_000
PLACES = [4_000, 9_600, 15_200]


def noise(seed=0, slope=1.0):
    """Return noise with high frequencies `slope` times as loud as low ones."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=SAMPLES))
    spectrum *= np.linspace(1, slope, len(spectrum))
    return (0.1 * np.fft.irfft(spectrum)).astype(np.float32)


def test_uncut_sound_changes_at_seams_as_it_does_elsewhere():
    recordings = [noise(seed) for seed in range(8)]
    places = [list(range(1_000 + 37 * seed, 19_000, 2_000)) for seed in range(8)]
    seams = measure_seams(recordings, places)
    assert seams.count == sum(map(len, places))
    assert abs(seams.rank - 0.5) < 0.1
    assert abs(seams.rank_click - 0.5) < 0.1
    assert seams.worst < 0.15
    assert seams.change == pytest.approx(seams.change_elsewhere, rel=0.1)


def test_seams_between_two_sounds_change_more_than_other_places():
    dull, bright = noise(slope=0.01), noise(slope=5.0)
    turns = np.searchsorted(PLACES, np.arange(SAMPLES), side="right") % 2
    seams = measure_seams([np.where(turns, bright, dull)], [PLACES])
    assert seams.rank > 0.95
    assert seams.worst == 1
    assert seams.change > seams.change_elsewhere + 3


def test_a_click_at_a_seam_is_measured_and_a_hum_is_not():
    hum = (0.5 * np.sin(np.arange(SAMPLES) / 50)).astype(np.float32)
    clicked = hum.copy()
    clicked[PLACES] += 0.5
    seams = measure_seams([clicked], [PLACES])
    assert seams.rank_click > 0.95
    assert seams.click > seams.click_elsewhere + 20
    assert measure_seams([hum], [PLACES]).click < 1


def test_silence_changes_nowhere():
    seams = measure_seams([np.zeros(SAMPLES, dtype=np.float32)], [PLACES])
    assert (seams.change, seams.click, seams.rank, seams.worst) == (0, 0, 0, 0)


def test_seams_at_the_edges_are_left_out_and_no_seam_at_all_is_an_error():
    assert measure_seams([noise()], [[LENGTH - 1, 5_000, SAMPLES]]).count == 1
    with pytest.raises(ValueError, match="no seam has sound on both sides"):
        measure_seams([noise()], [[0, SAMPLES]])
