"""Key, tempo, timbre, repetition and silence of synthetic music."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_signals import RATE, clicks, melody, scale, tone

from jukectl.evaluation.likeness import NOTES, Key, Likeness, Portrait, tempo_difference

MAJOR_SCALE, HARMONIC_MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11)


@pytest.mark.parametrize("tonic", [0, 3, 7, 10], ids=lambda tonic: NOTES[tonic])
@pytest.mark.parametrize(("minor", "steps"), [(False, MAJOR_SCALE), (True, HARMONIC_MINOR)])
def test_the_key_of_a_scale_is_found(tonic, minor, steps):
    assert Portrait.of(scale(tonic, steps), RATE).key == Key(tonic, minor)


@pytest.mark.parametrize(
    ("first", "second", "fifths"),
    [
        (Key(0, False), Key(9, True), 0),  # C major and A minor
        (Key(0, False), Key(7, False), 1),
        (Key(0, False), Key(0, True), 3),  # E flat major has C minor's signature
        (Key(0, False), Key(6, False), 6),
        (Key(2, False), Key(5, False), 3),
    ],
    ids=str,
)
def test_keys_are_compared_on_the_circle_of_fifths(first, second, fifths):
    assert first.fifths_to(second) == second.fifths_to(first) == fifths


@pytest.mark.parametrize("bpm", [75, 100, 120, 150])
def test_the_tempo_of_a_click_track_is_found(bpm):
    assert tempo_difference(Portrait.of(clicks(bpm), RATE).bpm, bpm) < 3


@given(st.floats(30, 300), st.floats(0.5, 2), st.integers(-3, 3))
def test_doubled_and_halved_tempi_count_as_equal(bpm, ratio, octaves):
    apart = tempo_difference(bpm, bpm * ratio)
    assert tempo_difference(bpm, bpm * ratio * 2.0**octaves) == pytest.approx(apart, abs=1e-6)
    assert 0 <= apart <= 41.43
    if 0.75 < ratio < 1.4:
        assert apart == pytest.approx(100 * (max(ratio, 1 / ratio) - 1))


def test_a_loop_repeats_and_a_melody_does_not():
    loop = np.tile(melody(2, 0), 4)
    assert Portrait.of(loop, RATE).repetition > 0.9
    assert Portrait.of(melody(8, 1), RATE).repetition < 0.1
    assert Portrait.of(np.tile(tone(0, 1)[: RATE // 2], 16).astype(np.float32), RATE).repetition > 0.9


def test_silence_is_a_share_of_the_time_and_has_no_key_tempo_or_loudness():
    half = np.concatenate([melody(3, 0), np.zeros(3 * RATE, np.float32)])
    assert Portrait.of(half, RATE).silence == pytest.approx(0.5, abs=0.02)
    nothing = Portrait.of(np.zeros(3 * RATE, np.float32), RATE)
    assert nothing.key is None and np.isnan(nothing.bpm) and nothing.lufs == -np.inf
    assert (nothing.silence, nothing.repetition) == (1, 1)
    likeness = Likeness.between(Portrait.of(melody(3, 0), RATE), nothing)
    assert np.isnan([likeness.key_fifths, likeness.tempo_percent, likeness.chroma, likeness.loudness_lu]).all()


def test_softer_music_is_nearer_than_noisy_music():
    one = melody(6, 0)
    noisy = one + 0.1 * np.random.default_rng(0).standard_normal(len(one)).astype(np.float32)
    portrait = Portrait.of(one, RATE)
    same, softer = (
        Likeness.between(portrait, Portrait.of(gain * one, RATE)) for gain in (np.float32(1), np.float32(0.5))
    )
    assert (same.key_fifths, same.tempo_percent, same.timbre, same.loudness_lu) == (0, 0, 0, 0)
    assert same.chroma == pytest.approx(0, abs=1e-9)
    assert softer.loudness_lu == pytest.approx(6.02, abs=0.05)
    assert softer.timbre < Likeness.between(portrait, Portrait.of(noisy, RATE)).timbre / 4


def test_less_than_a_second_cannot_be_analysed():
    with pytest.raises(ValueError, match="needs 1"):
        Portrait.of(np.zeros(RATE - 1, np.float32), RATE)
