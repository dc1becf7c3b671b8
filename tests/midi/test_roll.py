"""Piano rolls: which frame says what."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jukectl.midi.notes import Notes
from jukectl.midi.roll import CHANNELS, PITCHES, CoveredNotes, piano_roll

RATE = 10.0  # frames a second
ONE = Notes.of([(0.5, 0.9, 60, 90, False)])

note = st.tuples(st.integers(0, 39), st.integers(1, 20), st.integers(0, 127), st.booleans())


def notes_of(found):
    return Notes.of([(start / RATE, (start + length) / RATE, pitch, 80, drum) for start, length, pitch, drum in found])


def channel(roll, number):
    return np.flatnonzero(roll[:, number]).tolist()


def test_a_note_is_on_from_its_onset_to_its_end_with_one_onset_frame():
    roll = piano_roll(ONE, 0, 12, rate=RATE)
    assert roll.shape == (12, CHANNELS) and roll.dtype == np.uint8
    assert channel(roll, 1 + 60) == [5, 6, 7, 8]
    assert channel(roll, 1 + PITCHES + 60) == [5]
    assert roll[:, 0].all()
    assert roll[:, 1:].sum() == 5


def test_the_shortest_note_fills_a_frame_of_the_roll():
    roll = piano_roll(Notes.of([(0.51, 0.52, 60, 1, False)]), 0, 12, rate=RATE)
    assert channel(roll, 1 + 60) == [5]


def test_a_drum_has_an_onset_and_no_duration():
    roll = piano_roll(Notes.of([(0.5, 3.0, 38, 90, True)]), 0, 12, rate=RATE)
    assert channel(roll, 1 + 2 * PITCHES + 38) == [5]
    assert roll[:, 1:].sum() == 1


def test_a_note_from_before_the_window_has_no_onset_in_it():
    roll = piano_roll(ONE, 6, 12, rate=RATE)
    assert channel(roll, 1 + 60) == [0, 1, 2]
    assert channel(roll, 1 + PITCHES + 60) == []


@settings(deadline=None, max_examples=30)
@given(st.lists(note, min_size=1, max_size=6), st.integers(0, 30), st.integers(1, 30))
def test_the_roll_of_a_window_is_a_slice_of_the_whole_roll(found, start, frames):
    notes = notes_of(found)
    assert np.array_equal(
        piano_roll(notes, start, frames, rate=RATE), piano_roll(notes, 0, 80, rate=RATE)[start : start + frames]
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(note, min_size=1, max_size=6))
def test_the_roll_has_one_onset_for_each_pitch_that_starts_in_a_frame(found):
    roll = piano_roll(notes_of(found), 0, 80, rate=RATE)
    played = {(start, pitch) for start, _, pitch, drum in found if not drum}
    struck = {(start, pitch) for start, _, pitch, drum in found if drum}
    assert roll[:, 1 + PITCHES : 1 + 2 * PITCHES].sum() == len(played)
    assert roll[:, 1 + 2 * PITCHES :].sum() == len(struck)


def test_frames_outside_the_covered_span_have_no_notes():
    roll = CoveredNotes(ONE, 0.3, 0.7).roll(2, 10, rate=RATE)
    assert channel(roll, 0) == [1, 2, 3, 4]  # frames 3 to 6 of the song
    assert channel(roll, 1 + 60) == [3, 4]
