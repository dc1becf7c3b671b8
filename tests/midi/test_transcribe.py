"""Notes from activations, and from a recording where the model is installed."""

from importlib.util import find_spec

import numpy as np
import pytest

from jukectl.errors import MissingTool
from jukectl.midi import transcribe as heard
from jukectl.midi.transcribe import HOP, LOWEST, SAMPLE_RATE, Listening, notes_of, transcribe

INSTALLED = find_spec("basic_pitch") is not None and find_spec("onnxruntime") is not None
SECOND = SAMPLE_RATE / HOP  # frames


def quiet(frames=120):
    return np.zeros((2, frames, 88), dtype=np.float32)


def frames_of(notes):
    starts, stops = (np.rint(one * SECOND).astype(int).tolist() for one in (notes.starts, notes.stops))
    return list(zip(starts, stops, (notes.pitches - LOWEST).tolist(), strict=True))


def test_silence_is_transcribed_to_no_notes():
    for frames in (120, 0):
        sounding, beginning = quiet(frames)
        assert len(notes_of(sounding, beginning, Listening())) == 0


def test_a_note_lasts_from_its_onset_while_its_activation_is_high():
    sounding, beginning = quiet()
    sounding[20:60, 40] = 0.8
    beginning[20, 40] = 0.9
    notes = notes_of(sounding, beginning, Listening())
    assert frames_of(notes) == [(20, 60, 40)]
    assert notes.velocities.tolist() == [102]  # 0.8 of 127
    assert not notes.drums.any()


def test_an_onset_within_a_note_ends_it_and_starts_another():
    sounding, beginning = quiet()
    sounding[20:60, 40] = 0.8
    beginning[[20, 40], 40] = 0.9
    assert frames_of(notes_of(sounding, beginning, Listening())) == [(20, 40, 40), (40, 60, 40)]


def test_a_short_gap_in_an_activation_is_bridged_and_a_long_one_is_not():
    sounding, beginning = quiet()
    sounding[20:80, 40] = 0.4
    sounding[20, 40] = 0.9
    sounding[40:48, 40] = 0.25  # and rises so little after it that nothing has begun
    beginning[20, 40] = 0.9
    assert frames_of(notes_of(sounding, beginning, Listening()))[0] == (20, 80, 40)
    sounding[40:60, 40] = 0.25
    assert frames_of(notes_of(sounding, beginning, Listening()))[0] == (20, 40, 40)


def test_short_and_soft_activations_are_no_notes():
    sounding, beginning = quiet()
    sounding[20:30, 40] = 0.8
    sounding[20:60, 60] = 0.2
    beginning[20, [40, 60]] = 0.9
    assert len(notes_of(sounding, beginning, Listening())) == 0


def test_an_activation_without_an_onset_becomes_a_note_around_its_peak():
    sounding, beginning = quiet()
    swell = np.hanning(60).astype(np.float32)
    sounding[30:90, 40] = swell
    loud = 30 + np.flatnonzero(swell >= 0.3)
    assert frames_of(notes_of(sounding, beginning, Listening())) == [(loud[0], loud[-1] + 1, 40)]


def test_a_missing_transcription_model_is_reported_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(heard, "find_spec", lambda name: None)
    with pytest.raises(MissingTool, match=r"pip install 'jukectl\[transcribe\]' && pip install --no-deps basic-pitch"):
        transcribe(np.zeros(SAMPLE_RATE, dtype=np.float32))


@pytest.mark.skipif(not INSTALLED, reason="basic-pitch or onnxruntime is not installed")
def test_tones_are_transcribed_with_their_pitch_and_time():
    """Over more than two windows of the model, so that a seam lies within."""
    time = np.arange(round(4.5 * SAMPLE_RATE)) / SAMPLE_RATE
    samples = np.zeros_like(time)
    played = [(0.5, 57), (1.5, 64), (2.5, 60), (3.5, 69)]
    for start, pitch in played:
        sound = (time >= start) & (time < start + 0.8)
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        for overtone in range(1, 6):
            wave = np.sin(2 * np.pi * overtone * frequency * (time - start)) * np.exp(-2 * (time - start))
            samples += sound * wave * 0.3 / overtone**2
    notes = transcribe(samples.astype(np.float32))
    found = [(start, pitch) for start, pitch in zip(notes.starts, notes.pitches.tolist(), strict=True)]
    assert [pitch for _, pitch in found] == [pitch for _, pitch in played]
    assert np.abs(np.subtract([start for start, _ in found], [start for start, _ in played])).max() < 0.05
