"""Training on notes: from files beside songs to piano rolls of segments, and adding notes to a trained prior."""

import csv
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_fixtures import TINY_TOP, task_of

from jukectl.audio import io
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest
from jukectl.data.scan import scan
from jukectl.data.segments import Dropout, SegmentSet, notes_changed, vocabulary_of
from jukectl.errors import BadManifest, BadRecipe
from jukectl.midi.notes import Notes, read_midi, write_midi
from jukectl.midi.roll import piano_roll
from jukectl.prior.config import MidiConfig
from jukectl.progress import ignore
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.runs import train_prior
from jukectl.training.starting import find_prior

RATE = 8_000 / 256  # top codes a second
PLAYED = {  # of the songs of the `codes` fixture; the third has none
    "a/long.flac": Notes.of(
        [((place + 0.5) / RATE, (place + 2.5) / RATE, 40 + place, 80, False) for place in range(0, 24, 3)]
    ),
    "a/short.flac": Notes.of([(1.5 / RATE, 4.5 / RATE, 90, 80, False), (5.5 / RATE, 6.5 / RATE, 38, 80, True)]),
}


@pytest.fixture
def played(codes, tmp_path):
    """The codes of three songs and the notes of two, as `jukectl data encode` leaves them."""
    folder, tracks = CodeFolder(codes), []
    for found in folder.manifest().tracks:
        track = found
        if track.path in PLAYED:
            source = tmp_path / "music.mid"
            write_midi(source, PLAYED[track.path])
            track = replace(track, midi=f"{track.path}.mid")
            folder.keep_midi(track, source)
            source.unlink()
        tracks.append(track)
    Manifest(codes, tuple(tracks)).save(codes / "manifest.jsonl")
    return codes


def segments_of(folder, context=8, tracks=None):
    songs = EncodedSongs(folder)
    tracks = songs.manifest.tracks if tracks is None else tracks
    vocabulary = vocabulary_of(tracks)
    return SegmentSet.load(songs, tracks, Level.TOP, vocabulary, context=context, ratio=1, slots=2, midi=True)


def test_a_scan_finds_the_notes_beside_a_song(tmp_path):
    music = tmp_path / "music"
    (music / "a").mkdir(parents=True)
    time = np.arange(8_000) / 8_000
    for number, name in enumerate(("a/one.wav", "a/two.wav")):
        io.save(music / name, (np.sin(2 * np.pi * (300 + 200 * number) * time) / 2).astype(np.float32), 8_000)
    write_midi(music / "a/one.mid", PLAYED["a/long.flac"])
    tracks = scan(music, music / "manifest.jsonl", ignore).manifest.tracks
    assert [track.midi for track in tracks] == ["a/one.mid", ""]


def test_encoding_copies_the_notes_of_songs(played):
    songs = EncodedSongs(played)
    files = {track.path: songs.midi(track) for track in songs.manifest.tracks}
    assert files["b/plain.wav"] is None
    assert np.allclose(read_midi(files["a/short.flac"]).starts, PLAYED["a/short.flac"].starts, atol=1e-3)


def test_missing_notes_are_reported(played):
    songs = EncodedSongs(played)
    track = next(one for one in songs.manifest.tracks if one.midi)
    songs.midi(track).unlink()
    with pytest.raises(BadManifest, match=r"not its notes .*jukectl data encode"):
        songs.midi(track)
    with pytest.raises(BadManifest, match="cannot read the notes"):
        CodeFolder(played).keep_midi(track, played / "gone.mid")


def test_a_segment_has_the_notes_of_its_place_in_the_song(played):
    batch = segments_of(played).draw(32, Dropout(), np.random.default_rng(0))
    titles = {0: "b/plain.wav", 1: "a/short.flac", 2: "a/long.flac"}  # by artist: unlabelled, Ada, Björk B.
    given = 0
    for row in range(32):
        notes = PLAYED.get(titles[int(batch.labels.artist[row])])
        start = int(batch.labels.offset[row]) // 256
        assert start == int(batch.codes[row, 0])  # where a code tells its place
        expected = np.zeros_like(batch.labels.notes[row]) if notes is None else piano_roll(notes, start, 8, rate=RATE)
        assert np.array_equal(batch.labels.notes[row], expected)
        given += notes is not None
    assert 0 < given < 32


def test_note_dropout_leaves_all_other_labels_unchanged(played):
    segments = segments_of(played)
    whole, some, none = (segments.draw(64, Dropout(notes=share), np.random.default_rng(1)) for share in (0, 0.5, 1))
    given = [int(batch.labels.notes[:, 0, 0].sum()) for batch in (whole, some, none)]
    assert given[2] == 0 < given[1] < given[0]
    assert torch.equal(whole.codes, none.codes)
    assert torch.equal(whole.labels.artist, none.labels.artist)


def test_rows_of_one_process_are_those_of_the_whole_batch(played):
    segments = segments_of(played)
    whole, rows = (
        segments.draw(6, Dropout(labels=0.2, notes=0.5), np.random.default_rng(2), rows)
        for rows in (slice(None), slice(2, 5))
    )
    assert torch.equal(whole.labels.notes[2:5], rows.labels.notes)


def test_other_notes_are_those_of_other_segments(played):
    batches = segments_of(played).spread(12)
    changed = notes_changed(batches)
    assert all(batch.labels.notes is None for batch in changed["bits_no_notes"])
    for own, other in zip(batches, changed["bits_other_notes"], strict=True):
        assert torch.equal(own.codes, other.codes)
        if own.labels.notes.any():
            assert other.labels.notes.any() and not torch.equal(own.labels.notes, other.labels.notes)


@pytest.fixture
def base(played, write_recipe):
    """The recipe of a top prior without notes, trained."""
    path = write_recipe("base", played, TINY_TOP)
    train_prior(path, (), ignore)
    return path


@pytest.fixture
def grown(base, played, write_recipe):
    """The recipe of that prior with notes added."""
    start, model = (base.parent / "base").as_posix(), {"midi": {"width": 8, "depth": 2}}
    return write_recipe("grown", played, model, start=start, add_midi=True, copying={"samples": 0})


def test_the_note_conditioner_can_be_distilled_without_changing_other_weights(grown, played, tmp_path, monkeypatch):
    run = train_prior(grown, ("train.steps=30",), ignore).parent
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "mini"))
    shrink = importlib.import_module("shrink_notes").main
    shrink(run, played, tmp_path / "small", width=4, depth=1, growth=2, steps=100, batch=2)
    before, after = (find_prior(str(path), Level.TOP) for path in (run, tmp_path / "small"))
    assert after.config == replace(before.config, midi=MidiConfig(width=4, depth=1, growth=2))
    kept = {name: tensor for name, tensor in before.prior.state_dict().items() if not name.startswith("midi.")}
    for name, tensor in kept.items():
        assert torch.equal(after.prior.state_dict()[name], tensor), name
    labels = task_of(grown, "midi_dropout=0.0").batch(1).labels
    with torch.no_grad():
        said, wanted = after.prior.midi(labels), before.prior.midi(labels)
    assert (said - wanted).square().mean() < 0.5 * wanted.square().mean()


@torch.no_grad()
def test_adding_notes_does_not_change_the_bits_of_a_prior(base, grown):
    figures = task_of(grown).evaluate()
    plain = task_of(grown, "add_midi=false", "model={}").evaluate()
    assert figures["bits"] == figures["bits_no_notes"] == plain["bits"]


def test_a_run_learns_notes_and_other_runs_can_start_from_it(grown, tmp_path):
    best = train_prior(grown, ("train.steps=6",), ignore)
    rows = list(csv.DictReader((tmp_path / "grown" / "validation.csv").read_text().splitlines()))
    assert {"bits", "bits_no_notes"} <= set(rows[-1])
    assert rows[-1]["bits"] != rows[-1]["bits_no_notes"]
    assert find_prior(str(best.parent), Level.TOP).config.midi == MidiConfig(width=8, depth=2)


def test_a_resumed_run_keeps_the_added_note_conditioner(grown):
    train_prior(grown, ("train.steps=2",), ignore)
    train_prior(grown, ("train.steps=4",), ignore)


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (("level=middle",), "add_midi is for level top"),
        (("adapter.rank=2",), "an adapter cannot hold"),
        (("midi_dropout=2",), "midi_dropout must be in"),
        (("model.midi.size=3",), "MidiConfig has no field size"),
    ],
)
def test_invalid_recipes_for_notes_are_refused(grown, overrides, what):
    with pytest.raises(BadRecipe, match=what):
        train_prior(grown, overrides, ignore)


def test_add_midi_needs_a_start(base):
    with pytest.raises(BadRecipe, match="add_midi needs a model"):
        load_recipe(base, PriorRecipe, ("add_midi=true",))


def test_songs_without_notes_are_segments_without_them(codes):
    segments = segments_of(codes)
    batch = segments.draw(4, Dropout(), np.random.default_rng(0))
    assert segments.kinds == frozenset()
    assert not batch.labels.notes.any()


def forget_notes(folder, *paths):
    """Take the notes of these songs, or of all, out of the manifest of a code folder."""
    tracks = CodeFolder(folder).manifest().tracks
    kept = tuple(replace(one, midi="") if not paths or one.path in paths else one for one in tracks)
    Manifest(folder, kept).save(folder / "manifest.jsonl")


def test_a_prior_that_follows_notes_is_fine_tuned_on_songs_that_have_none(grown, tmp_path):
    run = train_prior(grown, (), ignore).parent
    forget_notes(tmp_path / "codes")
    tuned = tmp_path / "tuned.toml"
    without = (
        grown.read_text().replace("add_midi = true\n", "").replace("[model]\nmidi = { width = 8, depth = 2 }\n", "")
    )
    tuned.write_text(without.replace("/grown", "/tuned").replace("/base", f"/{run.name}"))
    train_prior(tuned, (), ignore)
    rows = list(csv.DictReader((tmp_path / "tuned" / "validation.csv").read_text().splitlines()))
    assert "bits" in rows[-1] and "bits_no_notes" not in rows[-1]
    assert find_prior(str(tmp_path / "tuned"), Level.TOP).config.midi == MidiConfig(width=8, depth=2)


def test_teaching_notes_needs_a_song_that_has_some(grown, tmp_path):
    forget_notes(tmp_path / "codes")
    with pytest.raises(BadManifest, match=r"none of the songs has notes.*data transcribe"):
        task_of(grown)


@torch.no_grad()
def test_held_out_songs_need_no_notes(grown, tmp_path):
    forget_notes(tmp_path / "codes", "a/short.flac")
    assert "bits" in task_of(grown).evaluate()
