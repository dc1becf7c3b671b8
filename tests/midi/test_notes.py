"""Notes of MIDI files, read by their own tempo map, and files of notes."""

from pathlib import Path

import numpy as np
import pytest

from jukectl.errors import BadInput
from jukectl.midi.notes import Notes, parse_midi, read_midi, write_midi
from jukectl.midi.roll import piano_roll

NOTES = Notes.of([(0.5, 1.0, 60, 90, False), (0.0, 2.25, 72, 1, False), (0.25, 0.3, 38, 127, True)])


def rows(notes):
    columns = (notes.starts.round(3), notes.stops.round(3), notes.pitches, notes.velocities, notes.drums)
    return list(zip(*(one.tolist() for one in columns), strict=True))


def chunk(kind, data):
    return kind + len(data).to_bytes(4, "big") + data


def midi_file(*events, ticks=100):
    """A file of one track, byte by byte: pairs of ticks to wait, under 128, and a message."""
    track = b"".join(bytes([wait]) + bytes(message) for wait, message in events) + b"\0\xff\x2f\0"
    return chunk(b"MThd", bytes([0, 0, 0, 1]) + ticks.to_bytes(2, "big")) + chunk(b"MTrk", track)


def tempo(microseconds):
    return [0xFF, 0x51, 3, *microseconds.to_bytes(3, "big")]


def test_notes_are_sorted_by_onset():
    assert NOTES.starts.tolist() == [0.0, 0.25, 0.5]
    assert NOTES.seconds == 2.25


def test_notes_are_read_from_a_midi_file(tmp_path):
    write_midi(tmp_path / "a.mid", NOTES)
    assert rows(read_midi(tmp_path / "a.mid")) == rows(NOTES)


def test_onsets_in_seconds_follow_the_tempo_map():
    """A beat of 1 s up to tick 100, then of 0.25 s: the standard's definition, reckoned by hand."""
    data = midi_file(
        (0, tempo(1_000_000)),
        (50, [0x90, 60, 80]),  # 0.5 s
        (50, tempo(250_000)),  # 1 s
        (100, [0x80, 60, 0]),  # 1.25 s
        (40, [0x99, 36, 100]),  # 1.35 s
        (20, [0x99, 36, 0]),  # 1.4 s; a note on of velocity 0 ends it
    )
    assert rows(parse_midi(data, Path("x.mid"))) == [(0.5, 1.25, 60, 80, False), (1.35, 1.4, 36, 100, True)]


def test_a_note_without_length_ends_after_its_beginning_within_one_frame():
    data = midi_file((0, [0x90, 60, 80]), (50, [0x90, 62, 80]), (0, [0x80, 62, 0]), (50, [0x80, 60, 0]))
    notes = parse_midi(data, Path("song.mid"))
    assert notes.pitches.tolist() == [60, 62]
    assert (notes.stops > notes.starts).all()
    for rate in (86, 5_512.5):
        sounding = piano_roll(notes, 0, round(rate), rate=rate)[:, 1 + 62]
        assert sounding.sum() == 1


def test_moving_notes_shifts_onsets_and_drops_those_before_zero():
    assert rows(NOTES.moved(1.0))[0] == (1.0, 3.25, 72, 1, False)
    assert NOTES.moved(-0.25).starts.tolist() == [0.0, 0.25]


@pytest.mark.parametrize(
    ("data", "what"),
    {
        b"": "not a MIDI",
        b"RIFF of another kind": "not a standard MIDI",
        midi_file((0, tempo(500_000))): "no notes",
    }.items(),
)
def test_files_without_midi_notes_are_refused(tmp_path, data, what):
    path = tmp_path / "x.mid"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=f"x.mid.*{what}"):
        read_midi(path)


def test_a_missing_midi_file_is_reported(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*none\.mid: No such file"):
        read_midi(tmp_path / "none.mid")


def test_every_truncation_of_a_midi_file_is_refused_or_read():
    """A damaged file raises what a user can understand, or gives notes that make sense."""
    whole = midi_file((0, tempo(400_000)), (9, [0x90, 60, 80]), (90, [0x80, 60, 0]), (9, [0x90, 64, 80]))
    for length in range(len(whole)):
        try:
            notes = parse_midi(whole[:length], Path("x.mid"))
        except BadInput:
            continue
        assert np.isfinite(notes.stops).all() and (notes.stops >= notes.starts).all()


def test_a_controller_over_127_is_limited_as_players_do():
    good = midi_file((0, [0xB0, 7, 127]), (0, [0x90, 60, 80]), (50, [0x80, 60, 0]))
    bad = midi_file((0, [0xB0, 7, 255]), (0, [0x90, 60, 80]), (50, [0x80, 60, 0]))
    assert rows(parse_midi(bad, Path("x.mid"))) == rows(parse_midi(good, Path("x.mid")))


def test_numbers_over_127_are_limited_behind_running_status_text_and_other_chunks():
    messages = (
        (0, [0xFF, 1, 3, 255, 254, 253]),
        (0, [0xF0, 2, 255, 0xF7]),
        (9, [0x90, 60, 200]),
        (9, [61, 90]),
        (9, [60, 0]),
    )
    bad = midi_file(*messages, (9, [0x81, 61, 0]), (0, [0x80, 61, 0]))
    (one, two) = rows(parse_midi(bad[:14] + chunk(b"XFIH", b"\xb0\xff") + bad[14:], Path("x.mid")))
    assert (one[2:4], two[2:4]) == ((60, 127), (61, 90))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (midi_file((0, [0x90, 60, 80]), (50, [0x80, 60, 0]), ticks=0), "states 0 ticks per beat"),
        (midi_file((0, [0x90, 60, 80]), (50, [0x80, 60, 0]), ticks=0xE728), r"SMPTE frames \(25 a second\)"),
        (b"RIFF\0\0\0\0RMIDdata\0\0\0\0", r"RIFF MIDI file \(\.rmi\)"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><score-partwise/>', "such as MusicXML"),
        (b"PK\x03\x04" + bytes(40), "compressed MusicXML"),
        (b"MThd\0\0\0\6\0\1", "not a MIDI file"),
    ],
)
def test_other_formats_and_unsupported_kinds_of_midi_are_named(data, message):
    with pytest.raises(BadInput, match=rf"^song\.mid .*{message}"):
        parse_midi(data, Path("song.mid"))


def test_a_note_that_is_absurdly_late_is_refused_with_the_name_of_the_file():
    late = [[0x80 | 0x7F, 0x80 | 0x7F, 0x80 | 0x7F, 0x7F]] * 3  # 2^28 - 1 ticks each
    track = bytes([0, 0x90, 60, 80, 50, 0x80, 60, 0])
    track += b"".join(bytes(wait) + bytes([0xB0, 7, 100]) for wait in late) + bytes([0, 0x90, 62, 80, 50, 0x80, 62, 0])
    data = chunk(b"MThd", bytes([0, 0, 0, 1, 0, 100])) + chunk(b"MTrk", track + b"\0\xff\x2f\0")
    with pytest.raises(BadInput, match=r"song\.mid has a note that ends at .* s, and no music is that long"):
        parse_midi(data, Path("song.mid"))
