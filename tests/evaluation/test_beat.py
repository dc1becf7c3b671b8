"""How clearly music keeps a beat."""

import numpy as np
import pytest

from jukectl.evaluation.beat import beat, beat_strength, onset_strength

RATE = 22_050


def clicks(period, seconds=12.0, rate=RATE, jitter=0.0):
    """Short bursts of noise every `period` seconds, moved at random by up to `jitter` of it."""
    random = np.random.default_rng(0)
    audio = 1e-3 * random.standard_normal(int(seconds * rate))
    burst = random.standard_normal(int(0.03 * rate)) * np.exp(-np.arange(int(0.03 * rate)) / (0.008 * rate))
    for time in np.arange(0.2, seconds - 1, period):
        first = int((time + jitter * period * random.uniform(-1, 1)) * rate)
        audio[first : first + len(burst)] += burst
    return audio


@pytest.mark.parametrize("period", [0.3, 0.5, 0.8])
def test_regular_clicks_keep_a_beat_and_their_period_is_found(period):
    strength, found = beat(onset_strength(clicks(period), RATE))
    assert strength > 0.7
    assert min(abs(found / period - times) for times in (1, 2, 3)) < 0.06


def test_clicks_at_random_do_not():
    assert beat_strength(clicks(0.5, jitter=0.5), RATE) < 0.5 * beat_strength(clicks(0.5), RATE)


def test_noise_has_next_to_none_and_silence_none():
    random = np.random.default_rng(1)
    assert beat_strength(random.standard_normal(20 * RATE), RATE) < 0.12
    assert beat_strength(np.zeros(10 * RATE), RATE) == 0


def test_neither_loudness_nor_the_sample_rate_matter_much():
    audio = clicks(0.5)
    assert beat_strength(audio / 10, RATE) == pytest.approx(beat_strength(audio, RATE), abs=0.05)
    assert beat_strength(clicks(0.5, rate=44_100), 44_100) == pytest.approx(beat_strength(audio, RATE), abs=0.15)


def test_too_short_audio_is_refused():
    with pytest.raises(ValueError, match="s or more"):
        beat_strength(np.zeros(RATE), RATE)
