"""Training on beats: from sidecars of songs to the phases of segments, and adding beats to a trained prior."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_fixtures import TINY_TOP, task_of

from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest
from jukectl.data.segments import Dropout, SegmentSet, vocabulary_of
from jukectl.errors import BadManifest, BadRecipe
from jukectl.midi.beats import BeatGrid
from jukectl.midi.phases import beat_phases
from jukectl.prior.config import BeatConfig
from jukectl.progress import ignore
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.runs import train_prior
from jukectl.training.starting import find_prior

RATE = 8_000 / 256  # top codes a second
GRIDS = {"a/long.flac": BeatGrid.from_tempo(150, "3/4", 9), "a/short.flac": BeatGrid.from_tempo(90, "4/4", 9)}
TITLES = {0: "b/plain.wav", 1: "a/short.flac", 2: "a/long.flac"}  # by artist: unlabelled, Ada, Björk B.


@pytest.fixture
def tapped(codes, tmp_path):
    """The codes of three songs and the beats of two, as `jukectl data encode` leaves them."""
    folder, tracks = CodeFolder(codes), []
    for found in folder.manifest().tracks:
        track = found
        if track.path in GRIDS:
            GRIDS[track.path].save(tmp_path / "song.beats.json")
            track = replace(track, beats="song.beats.json")
            folder.keep_beats(track, tmp_path / "song.beats.json")
        tracks.append(track)
    Manifest(codes, tuple(tracks)).save(codes / "manifest.jsonl")
    return codes


def segments_of(folder):
    songs = EncodedSongs(folder)
    tracks = songs.manifest.tracks
    return SegmentSet.load(songs, tracks, Level.TOP, vocabulary_of(tracks), context=8, ratio=1, slots=2, beats=True)


def test_a_segment_has_the_beat_phases_of_its_place_in_the_song(tapped):
    batch = segments_of(tapped).draw(32, Dropout(), np.random.default_rng(0))
    given = 0
    for row in range(32):
        grid = GRIDS.get(TITLES[int(batch.labels.artist[row])])
        start = int(batch.labels.offset[row]) // 256
        if grid is None:
            assert not batch.labels.beats[row].any()
        else:
            assert np.allclose(batch.labels.beats[row], beat_phases(grid, start, 8, rate=RATE), atol=1e-3)
            given += 1
    assert 0 < given < 32


def test_beat_and_bar_dropout_leave_all_other_labels_unchanged(tapped):
    segments = segments_of(tapped)
    draws = [Dropout(), Dropout(beats=0.5), Dropout(beats=1.0), Dropout(bars=1.0)]
    whole, some, none, beats = (segments.draw(64, dropout, np.random.default_rng(1)) for dropout in draws)
    counts = [int(batch.labels.beats[:, 0, 0].sum()) for batch in (whole, some, none, beats)]
    assert counts[2] == 0 < counts[1] < counts[0] == counts[3]
    assert not beats.labels.beats[:, :, 1].any()
    assert torch.equal(whole.codes, none.codes)
    again = segments.draw(64, draws[1], np.random.default_rng(1), slice(20, 24))
    assert torch.equal(again.labels.beats, some.labels.beats[20:24])


def test_songs_without_beats_are_segments_without_them(codes):
    segments = segments_of(codes)
    assert segments.kinds == frozenset()
    assert not segments.draw(4, Dropout(), np.random.default_rng(0)).labels.beats.any()


def test_damaged_beats_are_refused_with_their_file(tapped):
    songs = EncodedSongs(tapped)
    path = next(path for track in songs.manifest.tracks if (path := songs.beats(track)))
    path.write_text("{}")
    with pytest.raises(BadManifest, match=r"beats\.json holds no beats.*make the manifest"):
        segments_of(tapped)


@pytest.fixture
def base(tapped, write_recipe):
    """The recipe of a top prior without beats, trained."""
    model = {**TINY_TOP, "depth": 2, "blocks": 1, "positions": "rotary", "pattern": ["dense"]}
    path = write_recipe("base", tapped, model)
    train_prior(path, (), ignore)
    return path


@pytest.fixture
def grown(base, tapped, write_recipe):
    """The recipe of that prior with beats added."""
    start = (base.parent / "base").as_posix()
    return write_recipe("grown", tapped, {"beats": {"width": 8}}, start=start, add_beats=True, copying={"samples": 0})


@torch.no_grad()
def test_adding_beats_does_not_change_the_bits_of_a_prior(grown):
    figures = task_of(grown).evaluate()
    plain = task_of(grown, "add_beats=false", "model={}").evaluate()
    assert figures["bits"] == figures["bits_no_beats"] == plain["bits"]


def test_a_run_learns_beats_and_other_runs_can_start_from_it(grown, tmp_path):
    best = train_prior(grown, ("train.steps=6",), ignore)
    rows = list(csv.DictReader((tmp_path / "grown" / "validation.csv").read_text().splitlines()))
    assert rows[-1]["bits"] != rows[-1]["bits_no_beats"]
    config = find_prior(str(best.parent), Level.TOP).config
    assert (config.beats, config.positions) == (BeatConfig(width=8), "rotary")


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("level=middle",), "add_beats is for level top"),
        (("adapter.rank=2",), "an adapter cannot hold"),
        (("beat_dropout=2",), "beat_dropout must be in"),
        (("bar_dropout=-1",), "bar_dropout must be in"),
        (("model.beats.size=3",), "BeatConfig has no field size"),
    ],
)
def test_wrong_recipes_for_beats_are_refused(grown, overrides, named):
    with pytest.raises(BadRecipe, match=named):
        train_prior(grown, overrides, ignore)


def test_add_beats_needs_a_start(base):
    with pytest.raises(BadRecipe, match="add_beats needs a model"):
        load_recipe(base, PriorRecipe, ("add_beats=true",))
