"""Power in the bass and tones at the code rate, of sines whose power is known."""

import numpy as np
import pytest

from jukectl.evaluation.tones import code_tones_db, low_share

RATE = 22_050
CODE_RATE = RATE / 16
TIME = np.arange(10 * RATE, dtype=np.float32) / RATE
NOISE = 0.1 * np.random.default_rng(0).standard_normal(len(TIME)).astype(np.float32)


def sine(frequency, amplitude=1.0):
    return np.float32(amplitude) * np.sin(np.float32(2 * np.pi * frequency) * TIME)


@pytest.mark.parametrize(("bass", "share"), [(0.0, 0.0), (1.0, 0.5), (3.0, 0.9)])
def test_the_share_under_150_hz_is_that_of_the_power_of_sines(bass, share):
    assert low_share(sine(100, bass) + sine(1_000), RATE) == pytest.approx(share, abs=1e-3)


def test_a_constant_is_no_bass_and_silence_has_no_share():
    assert low_share(sine(1_000) + 5, RATE) == pytest.approx(0, abs=1e-3)
    assert np.isnan(low_share(np.zeros(RATE, np.float32), RATE))
    assert low_share(NOISE, RATE) == pytest.approx(150 / (RATE / 2), abs=2e-3)


@pytest.mark.parametrize("multiple", [1, 3, 7])
def test_a_tone_at_a_multiple_of_the_code_rate_rises_over_noise(multiple):
    rise = code_tones_db(NOISE + sine(multiple * CODE_RATE, 0.05), RATE, CODE_RATE)
    # a sine of amplitude a in white noise of deviation s: a² N / (4 s² 1.5) in N samples with a Hann window; the power
    # of noise has an exponential distribution, whose lower quartile is -ln 0.75 of its mean
    assert rise == pytest.approx(10 * np.log10(0.05**2 * 4_096 / (4 * 0.1**2 * 1.5) / -np.log(0.75)), abs=2)
    assert code_tones_db(NOISE, RATE, CODE_RATE) < 3


def test_tones_elsewhere_and_tones_that_pass_do_not_count():
    plain = code_tones_db(NOISE, RATE, CODE_RATE)
    assert code_tones_db(NOISE + sine(1_500), RATE, CODE_RATE) == pytest.approx(plain, abs=1)
    passing = sine(CODE_RATE) * (TIME < 3)
    assert code_tones_db(NOISE + passing, RATE, CODE_RATE) < plain + 4


def test_silence_has_no_tones_and_less_than_a_frame_none_that_can_be_measured():
    assert code_tones_db(np.zeros(RATE, np.float32), RATE, CODE_RATE) == 0
    assert np.isnan(code_tones_db(NOISE[:1_000], RATE, CODE_RATE))
    assert np.isnan(code_tones_db(NOISE, RATE, RATE))
