"""Beat grids against simple formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

from jukectl.errors import BadInput
from jukectl.midi.beats import BeatGrid, beats_of, find_beats


def midi(*, quarters=16, tempos=((0, 120),), meters=((0, 4, 4),), resolution=480) -> bytes:
    """A MIDI file with a note on every quarter note. `tempos` and `meters` begin at quarter notes."""
    score: Any = symusic.Score(resolution)  # whose attributes its stubs omit
    for quarter, bpm in tempos:
        score.tempos.append(symusic.Tempo(round(quarter * resolution), bpm))
    for quarter, numerator, denominator in meters:
        score.time_signatures.append(symusic.TimeSignature(round(quarter * resolution), numerator, denominator))
    track: Any = symusic.Track(name="notes", program=0, is_drum=False)
    for quarter in range(quarters):
        track.notes.append(symusic.Note(quarter * resolution, resolution, 60, 90))
    score.tracks.append(track)
    return score.dumps_midi()


def grid(**options) -> BeatGrid:
    pickup = options.pop("pickup", 0.0)
    return BeatGrid.from_midi(midi(**options), Path("song.mid"), pickup=pickup)


def downbeat_times(one: BeatGrid) -> list[float]:
    bars = one.bars(one.beats)
    return [round(float(time), 3) for time, bar in zip(one.beats, bars, strict=True) if abs(bar - round(bar)) < 1e-6]


def test_positions_at_constant_tempo_are_linear_also_outside_the_beats():
    one = BeatGrid.from_tempo(90, "3/4", 10.0, start=0.5)
    times = np.linspace(-3, 30, 50)
    assert np.allclose(one.phase(times), (times - 0.5) * 1.5)
    assert np.allclose(one.bars(times), (times - 0.5) * 0.5)
    assert one.tempo == pytest.approx(90)
    assert one.beats[-1] >= 10.0


@pytest.mark.parametrize(
    ("meter", "beats"), [("4/4", 4), ("3/4", 3), ("6/8", 2), ("9/8", 3), ("12/8", 4), ("7/8", 7), ("2/2", 2)]
)
def test_beats_in_a_bar_follow_the_time_signature(meter, beats):
    assert beats_of(meter) == beats


@pytest.mark.parametrize("meter", ["", "4", "4/3", "0/4", "x/4", "4/4/4", "-4/4"])
def test_a_wrong_time_signature_is_refused(meter):
    with pytest.raises(BadInput, match="time signature"):
        beats_of(meter)


@pytest.mark.parametrize("bpm", [0.0, -1.0, float("nan")])
def test_a_tempo_that_is_not_positive_is_refused(bpm):
    with pytest.raises(BadInput, match="tempo"):
        BeatGrid.from_tempo(bpm, "4/4", 10)


def test_beats_of_a_midi_file_at_constant_tempo_are_evenly_spaced():
    one = grid(tempos=((0, 100),), meters=((0, 3, 4),))
    assert np.allclose(one.beats, np.arange(16) * 0.6)
    assert (one.beats_per_bar, one.first_downbeat, one.downbeats, one.meter) == (3, 0, None, "3/4")


def test_midi_without_signature_or_tempo_is_in_four_at_120():
    one = grid(tempos=(), meters=())
    assert one.tempo == pytest.approx(120)
    assert one.beats_per_bar == 4


def test_tempo_changes_move_the_beats_after_them():
    one = grid(tempos=((0, 120), (4, 60), (8, 120)))
    intervals = np.diff(one.beats)
    assert np.allclose(intervals, [0.5] * 4 + [1.0] * 4 + [0.5] * 7)


def test_in_six_eight_a_beat_is_a_dotted_quarter_note():
    one = grid(tempos=((0, 150),), meters=((0, 6, 8),), quarters=12)
    assert np.allclose(np.diff(one.beats), 0.6)
    assert one.beats_per_bar == 2


def test_beats_of_seven_eight_are_eighth_notes():
    one = grid(tempos=((0, 60),), meters=((0, 7, 8),), quarters=14)
    assert np.allclose(np.diff(one.beats), 0.5)
    assert downbeat_times(one) == [0.0, 3.5, 7.0, 10.5]


def test_a_pickup_bar_ends_at_the_first_downbeat():
    one = grid(meters=((0, 1, 4), (1, 3, 4)), quarters=10)
    assert one.first_downbeat == 1
    assert one.beats_per_bar == 3
    assert downbeat_times(one) == [0.5, 2.0, 3.5]


def test_a_pickup_shorter_than_a_beat_moves_the_beats():
    one = grid(meters=((0, 1, 8), (0.5, 2, 4)), quarters=9)
    assert one.beats[0] == pytest.approx(0.25)
    assert one.first_downbeat == 0
    assert np.allclose(np.diff(one.beats), 0.5)


def test_a_pickup_that_the_file_does_not_state_can_be_given():
    one = grid(meters=((0, 4, 4),), pickup=1.5, quarters=12)
    assert one.beats[0] == pytest.approx(0.25)
    assert downbeat_times(one) == [0.75, 2.75, 4.75]


def test_the_two_halves_of_a_repeated_bar_are_one_bar():
    meters = ((0, 1, 4), (1, 3, 4), (7, 2, 4), (9, 1, 4), (10, 3, 4))
    one = grid(meters=meters, quarters=16)
    assert downbeat_times(one) == [0.5, 2.0, 3.5, 5.0, 6.5]


def test_a_single_bar_of_another_meter_is_a_bar():
    one = grid(meters=((0, 4, 4), (8, 2, 4), (10, 4, 4)), quarters=18)
    assert downbeat_times(one) == [0.0, 2.0, 4.0, 5.0, 7.0]
    assert one.beats_per_bar == 4
    assert one.bars(np.array([4.5])) == pytest.approx(2.5)


def test_slow_beats_are_divided_and_fast_ones_paired():
    slow = grid(tempos=((0, 40),))
    assert slow.tempo == pytest.approx(80)
    assert slow.beats_per_bar == 8
    fast = grid(tempos=((0, 240),))
    assert fast.tempo == pytest.approx(120)
    assert fast.beats_per_bar == 2


@pytest.mark.parametrize("start", [-1.0, 0.0, 0.3, 1.7, 3.2])
def test_an_excerpt_of_a_beat_grid_keeps_its_position_in_the_bar(start):
    for one in (grid(quarters=24), grid(meters=((0, 4, 4), (8, 3, 4), (14, 4, 4)), quarters=24)):
        part = one.between(start, 9.0).moved(-start)
        times = np.linspace(0.1, 5, 30)
        assert np.allclose(part.phase(times) % 1, one.phase(times + start) % 1)
        assert np.allclose(np.exp(2j * np.pi * part.bars(times)), np.exp(2j * np.pi * one.bars(times + start)))


def test_an_excerpt_without_beats_is_refused():
    with pytest.raises(ValueError, match="beats between"):
        grid().between(0.1, 0.2)


@pytest.mark.parametrize("meters", [((0, 3, 4),), ((0, 4, 4), (8, 2, 4), (10, 4, 4))])
def test_a_saved_beat_grid_is_read_back(tmp_path, meters):
    one = grid(meters=meters, quarters=20)
    one.save(tmp_path / "song.beats.json")
    again = BeatGrid.load(tmp_path / "song.beats.json")
    times = np.linspace(-2, 15, 40)
    assert np.allclose(again.bars(times), one.bars(times), atol=1e-3)
    assert again.meter == one.meter
    assert find_beats(tmp_path / "song.flac") == tmp_path / "song.beats.json"
    assert find_beats(tmp_path / "other.flac") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 1, "beats": [0, 1]}',
        '{"format": 1, "beats": [0], "beats_per_bar": 4}',
        '{"format": 1, "beats": [1, 0], "beats_per_bar": 4}',
        '{"format": 1, "beats": [0, "x"], "beats_per_bar": 4}',
        '{"format": 1, "beats": [0, NaN], "beats_per_bar": 4}',
        '{"format": 1, "beats": [0, 1], "beats_per_bar": 0}',
        '{"format": 1, "beats": [0, 1], "beats_per_bar": 2.5}',
        '{"format": 1, "beats": [0, 1], "beats_per_bar": 4, "first_downbeat": 9}',
        '{"format": 1, "beats": [0, 1], "beats_per_bar": 4, "downbeats": [0, 5]}',
        '{"format": 1, "beats": [0, 1], "beats_per_bar": 4, "meter": "five"}',
        '{"format": 99, "beats": [0, 1], "beats_per_bar": 4}',
    ],
)
def test_a_damaged_beat_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "song.beats.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"song\.beats\.json"):
        BeatGrid.load(path)


def test_a_midi_file_without_notes_has_no_beats_and_is_refused():
    silent: Any = symusic.Score(480)
    with pytest.raises(BadInput, match="no notes"):
        BeatGrid.from_midi(silent.dumps_midi(), Path("empty.mid"))
