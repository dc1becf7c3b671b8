"""Down-mixing, resampling, peaks and loudness."""

from math import sqrt

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jukectl.audio.mix import (
    FULL_SCALE,
    blend,
    limit_peak,
    match_loudness,
    normalise_loudness,
    peak,
    resample,
    resample_blocks,
    to_mono,
    to_stereo,
    turn_down_peaks,
)

RATE = 8_000
RATES = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000]


def noise(*shape, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 0.1).astype(np.float32)


def sine(frequency, rate, seconds=1.0, phase=0.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate + phase).astype(np.float32)


def test_mono_is_the_mean_of_left_and_right():
    stereo = noise(2, 100)
    np.testing.assert_allclose(to_mono(stereo), stereo.mean(axis=0), rtol=1e-6)


def test_mixing_mono_to_mono_changes_nothing():
    mono = noise(1, 100)
    np.testing.assert_array_equal(to_mono(mono), mono[0])
    np.testing.assert_array_equal(to_stereo(mono), [mono[0], mono[0]])
    np.testing.assert_array_equal(blend(mono, 0.3), mono[0])


def test_surround_is_mixed_with_centre_and_sides_3_db_down_and_without_the_low_frequency_channel():
    left, right, centre, low, back_left, back_right = samples = noise(6, 100)
    g = 1 / sqrt(2)
    expected_left = (left + g * centre + g * back_left) / (1 + 2 * g)
    expected_right = (right + g * centre + g * back_right) / (1 + 2 * g)
    np.testing.assert_allclose(to_stereo(samples), [expected_left, expected_right], atol=1e-6)
    np.testing.assert_allclose(to_mono(samples), (expected_left + expected_right) / 2, atol=1e-6)
    samples[3] += low + 1
    np.testing.assert_allclose(to_stereo(samples), [expected_left, expected_right], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 11])
def test_a_down_mix_of_any_number_of_channels_is_never_over_full_scale_and_is_mirrored_with_them(channels):
    ones = np.ones((channels, 10), dtype=np.float32)
    assert peak(to_stereo(ones)) == pytest.approx(1)
    assert peak(to_mono(ones)) == pytest.approx(1)
    left, right = to_stereo(noise(channels, 10))
    assert left.dtype == right.dtype == np.float32
    if channels > 8:  # no known layout
        np.testing.assert_array_equal(left, right)


@given(left=st.floats(0, 1))
def test_a_blend_lies_between_left_and_right(left):
    stereo = noise(2, 50)
    mixed = blend(stereo, left)
    np.testing.assert_allclose(mixed, left * stereo[0] + (1 - left) * stereo[1], atol=1e-6)
    assert (mixed <= stereo.max(axis=0) + 1e-6).all()
    assert (mixed >= stereo.min(axis=0) - 1e-6).all()


def test_a_blend_brings_surround_to_stereo_first():
    surround = noise(6, 50)
    np.testing.assert_allclose(blend(surround, 0.3), blend(to_stereo(surround), 0.3), atol=1e-6)


@pytest.mark.parametrize("from_rate", [8_000, 44_100])
@pytest.mark.parametrize("to_rate", [8_000, 22_050, 44_100, 96_000])
def test_a_resampled_sine_is_the_sine_at_the_other_rate(from_rate, to_rate):
    resampled = resample(sine(1_000, from_rate, phase=0.3), from_rate, to_rate)
    inside = slice(to_rate // 10, -to_rate // 10)  # there is no telling what goes on beyond the ends
    np.testing.assert_allclose(resampled[inside], sine(1_000, to_rate, phase=0.3)[inside], atol=1e-5)


def test_resampling_removes_frequencies_above_the_new_nyquist_limit():
    resampled = resample(sine(15_000, 44_100), 44_100, 22_050)
    assert peak(resampled[2_205:-2_205]) < 1e-5


@given(
    length=st.integers(0, 3_000),
    from_rate=st.sampled_from(RATES),
    to_rate=st.sampled_from(RATES),
    channels=st.integers(1, 3),
)
@settings(deadline=None)
def test_a_resampled_length_is_exact(length, from_rate, to_rate, channels):
    samples = noise(channels, length)
    resampled = resample(samples, from_rate, to_rate)
    assert resampled.shape == (channels, round(length * to_rate / from_rate))
    assert resampled.dtype == np.float32
    np.testing.assert_array_equal(resampled[0], resample(samples[0], from_rate, to_rate))


def test_resampling_to_the_same_rate_changes_nothing():
    samples = noise(2, 1_001)
    np.testing.assert_array_equal(resample(samples, 44_100, 44_100), samples)


def test_an_invalid_sample_rate_is_refused():
    with pytest.raises(ValueError, match="positive"):
        resample(noise(1, 10), 0, 44_100)


def test_peaks_over_the_ceiling_are_scaled_down_as_a_whole():
    samples = np.array([[0.5, -2.0, 1.0]], dtype=np.float32)
    limited = limit_peak(samples)
    assert peak(limited) == pytest.approx(0.999)
    np.testing.assert_allclose(limited, samples * 0.999 / 2, rtol=1e-6)


def test_peaks_under_the_ceiling_stay_as_they_are():
    samples = np.array([0.5, -0.999], dtype=np.float32)
    np.testing.assert_array_equal(limit_peak(samples), samples)
    np.testing.assert_array_equal(limit_peak(samples, ceiling=1.5), samples)
    assert limit_peak(np.zeros((1, 0), dtype=np.float32)).size == 0


@given(st.integers(1, 2), st.integers(1, 3 * RATE // 10), st.floats(0.2, 30.0), st.integers(0, 9))
@settings(deadline=None)
def test_no_sample_is_left_over_the_ceiling_of_the_limiter(channels, length, scale, seed):
    samples = scale * np.random.default_rng(seed).standard_normal((channels, length)).astype(np.float32)
    limited = turn_down_peaks(samples, RATE)
    assert peak(limited) <= np.float32(FULL_SCALE)
    assert (np.sign(limited) == np.sign(samples)).all()
    ratios = np.abs(limited / samples)
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:1], ratios.shape), rtol=1e-5)  # one gain of all channels


def test_only_what_is_near_a_peak_is_turned_down_and_without_a_click():
    time = np.arange(RATE) / RATE
    samples = (0.5 * np.sin(2 * np.pi * 50 * time)).astype(np.float32)
    samples[RATE // 2] = 2.0
    limited = turn_down_peaks(samples, RATE)
    reach = round(0.05 * RATE) + 1
    np.testing.assert_array_equal(limited[: RATE // 2 - reach], samples[: RATE // 2 - reach])
    np.testing.assert_array_equal(limited[RATE // 2 + reach :], samples[RATE // 2 + reach :])
    assert limited[RATE // 2] == pytest.approx(FULL_SCALE)
    sounding = np.abs(samples) > 0.1
    gain = limited[sounding] / samples[sounding]
    assert np.abs(np.diff(gain)).max() < 0.02  # falls by half within 25 ms


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_measured_as_in_bs_1770(channels):
    # ITU-R BS.1770: a 997 Hz sine at full scale in one channel is -3.01 LUFS, and a second channel adds 3.01 to it
    samples = np.tile(sine(997, 48_000, seconds=2) * 0.02, (channels, 1))
    normalised = normalise_loudness(samples, 48_000, -23)
    assert peak(normalised) == pytest.approx(10 ** ((-23 + 3.01 * (2 - channels)) / 20), rel=0.01)


def test_loudness_stops_at_the_peak_limit():
    clicks = np.zeros((1, 44_100), dtype=np.float32)
    clicks[0, ::4_410] = 0.5
    assert peak(normalise_loudness(clicks, 44_100, -5)) == pytest.approx(0.999)


def test_a_clip_shorter_than_the_loudness_block_is_as_loud_as_its_loop():
    clip = sine(441, 44_100, seconds=0.1).astype(np.float32)
    loop = np.tile(clip, 20)
    assert peak(normalise_loudness(clip * np.float32(0.03), 44_100, -20)) == pytest.approx(
        peak(normalise_loudness(loop * np.float32(0.5), 44_100, -20)), rel=0.02
    )


@pytest.mark.parametrize("quiet", [0.0, 1e-7])
def test_silence_stays_silence(quiet):
    samples = np.full((2, 44_100), quiet, dtype=np.float32) * noise(2, 44_100)
    np.testing.assert_array_equal(normalise_loudness(samples, 44_100, -14), samples)


def test_surround_and_mono_without_a_channel_axis_have_a_loudness_too():
    assert normalise_loudness(noise(6, 44_100), 44_100, -30).shape == (6, 44_100)
    assert normalise_loudness(noise(44_100), 44_100, -30).shape == (44_100,)


@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize("rates", [(44_100, 22_050), (8_000, 44_100), (48_000, 44_100), (22_050, 22_050)])
def test_resampling_block_by_block_gives_what_the_whole_gives(size, rates):
    whole = noise(2, 30_001)
    blocks = (whole[:, first : first + size] for first in range(0, whole.shape[1], size))
    np.testing.assert_array_equal(
        np.concatenate(list(resample_blocks(blocks, *rates)), axis=1), resample(whole, *rates)
    )


def test_resampling_no_samples_gives_no_samples():
    assert list(resample_blocks([], 44_100, 8_000)) == []


# Loudness at a seam


def rms_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


def two_parts(before, after, seconds=10.0):
    """A sine whose amplitude changes after 4 seconds, and the place of the change."""
    amplitude = np.where(np.arange(round((4 + seconds) * RATE)) < 4 * RATE, before, after)
    return (amplitude * sine(1_000, RATE, 4 + seconds)).astype(np.float32), 4 * RATE


@pytest.mark.parametrize(("before", "after"), [(0.4, 0.2), (0.1, 0.3), (0.2, 0.2)])
def test_music_after_a_seam_begins_as_loud_as_before_and_keeps_its_level_later(before, after):
    samples, seam = two_parts(before, after)
    matched = match_loudness(samples, seam, RATE)
    np.testing.assert_array_equal(matched[:seam], samples[:seam])
    np.testing.assert_array_equal(matched[seam + 6 * RATE :], samples[seam + 6 * RATE :])
    first = matched[seam + RATE // 20 : seam + RATE // 4]
    assert rms_db(first) == pytest.approx(rms_db(samples[seam - RATE : seam]), abs=0.4)
    middle = slice(seam + 3 * RATE - 100, seam + 3 * RATE + 100)  # half the decibels are left half way
    change = rms_db(matched[middle]) - rms_db(samples[middle])
    assert change == pytest.approx(20 * np.log10(before / after) / 2, abs=0.2)


def test_the_gain_sets_in_without_a_click():
    samples, seam = two_parts(0.4, 0.2)
    steps = np.abs(np.diff(match_loudness(samples, seam, RATE)[seam - 2 : seam + 400]))
    assert steps.max() <= 1.01 * np.abs(np.diff(samples[:seam])).max()


def test_a_large_difference_is_matched_by_12_db_at_most():
    samples, seam = two_parts(0.5, 0.01)
    matched = match_loudness(samples, seam, RATE)
    first = slice(seam + RATE // 20, seam + RATE // 10)
    assert rms_db(matched[first]) - rms_db(samples[first]) == pytest.approx(12, abs=0.3)


def test_nothing_is_brought_over_full_scale():
    samples, seam = two_parts(0.9, 0.3)
    samples[seam + RATE] = 0.8
    matched = match_loudness(samples, seam, RATE)
    assert peak(matched) == pytest.approx(0.999, abs=1e-3)


@pytest.mark.parametrize(
    ("before", "after", "seconds"), [(0.0, 0.3, 10), (0.3, 0.0, 10), (0.3, 0.1, 0.2), (0.3, 0.1, 0)]
)
def test_silence_and_parts_too_short_to_measure_stay_as_they_are(before, after, seconds):
    samples, seam = two_parts(before, after, seconds)
    np.testing.assert_array_equal(match_loudness(samples, seam, RATE), samples)
