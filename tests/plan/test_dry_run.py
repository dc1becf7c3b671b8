"""Estimates before the start: true to the run, and without a trace."""

import time
from pathlib import Path

import pytest
from events import is_saved_window

from jukectl.api import Request, encode, estimate_continue, estimate_resume, estimate_sample, estimate_upsample, sample
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, NotASong, OutOfMemory, RecipeDiffers
from jukectl.lyrics.value import Lyrics
from jukectl.plan.calibration import QUICK, level_speed
from jukectl.plan.device import choose
from jukectl.progress import LevelProgress
from jukectl.sampling.footprint import BatchPlan

LONG = 4.0  # seconds: 125 top, 500 middle and 2000 bottom codes, in windows of 64


def listing(path):
    """Every file below a folder: its bytes and when it was changed."""
    return {file: (file.is_dir() or file.read_bytes(), file.stat().st_mtime_ns) for file in Path(path).rglob("*")}


class Stop(Exception):
    """The end of a run."""


@pytest.fixture
def half(ask, tmp_path):
    """A song that was stopped at the middle level."""

    def stop(event):
        if is_saved_window(event, "middle"):
            raise Stop

    with pytest.raises(Stop):
        sample(tmp_path / "half", ask(seconds=LONG, samples=2), listener=stop)
    return tmp_path / "half"


def test_an_estimate_makes_no_folder(ask, tmp_path, riff):
    estimate_sample(tmp_path / "none" / "song", ask())
    estimate_continue(riff, tmp_path / "song", ask())
    assert listing(tmp_path) == {}


def test_a_dry_run_counts_codes_and_windows(ask, tmp_path):
    estimate = estimate_sample(tmp_path / "song", ask(seconds=LONG, samples=2))
    counts = {level.label: (one.windows, one.codes, one.known) for level, one in estimate.levels.items()}
    assert counts == {
        "top": (3, 2 * 125, 2 * (32 + 35)),
        "middle": (15, 2 * 500, 2 * (13 * 32 + 44)),
        "bottom": (62, 2 * 2000, 2 * (60 * 32 + 48)),
    }
    assert estimate.samples == 2
    assert estimate.memory_bytes == max(one.memory_bytes for one in estimate.levels.values()) > 0
    assert estimate.seconds > sum(one.seconds for one in estimate.levels.values()) > 0


def test_a_dry_run_of_an_unfinished_song_counts_the_rest_and_changes_nothing(ask, half):
    before = listing(half)
    whole = estimate_sample(half, ask(seconds=LONG, samples=2, overwrite=True))
    rest = estimate_sample(half, ask(seconds=LONG, samples=2))
    assert rest.levels.keys() == {Level.MIDDLE, Level.BOTTOM}
    assert whole.levels.keys() == set(TOP_DOWN)
    assert rest.levels[Level.MIDDLE].codes == whole.levels[Level.MIDDLE].codes - 2 * 64
    for estimate in (estimate_resume(half), estimate_upsample(half, Request())):
        assert {level: one.codes for level, one in estimate.levels.items()} == {
            level: one.codes for level, one in rest.levels.items()
        }
    assert listing(half) == before


def test_a_finished_song_takes_no_time(song, ask):
    before = listing(song.path)
    estimate = estimate_resume(song.path)
    assert (estimate.seconds, estimate.levels, estimate.memory_bytes) == (0, {}, 0)
    again = estimate_upsample(song.path, Request(overwrite=True))
    assert again.levels.keys() == {Level.MIDDLE, Level.BOTTOM}
    assert listing(song.path) == before


def test_audio_that_is_gone_is_to_be_decoded(song):
    song.audio_path(0).unlink()
    estimate = estimate_resume(song.path)
    assert estimate.seconds == estimate.decoding_seconds > 0


def test_a_prompt_counts_as_there_and_takes_its_encoding(ask, tmp_path, riff):
    estimate = estimate_continue(riff, tmp_path / "song", ask(seconds=LONG), prompt_seconds=1.024)
    assert estimate.encoding_seconds > 0
    assert {level.label: one.codes for level, one in estimate.levels.items()} == {
        "top": 125,
        "middle": 500,
        "bottom": 2000,
    }


def test_codes_alone_take_their_encoding(tiny_model, tmp_path, riff):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    (tmp_path / "song" / "top.npz").unlink()
    estimate = estimate_resume(tmp_path / "song")
    assert estimate.seconds == estimate.encoding_seconds > 0


def test_spans_are_counted_as_they_are_made(ask, tmp_path):
    plain = estimate_sample(tmp_path / "song", ask(seconds=LONG))
    spans = estimate_sample(tmp_path / "song", ask(seconds=LONG, settings={"parallel": dict.fromkeys(Level, 4)}))
    assert spans.levels[Level.TOP].windows == plain.levels[Level.TOP].windows
    assert spans.levels[Level.BOTTOM].rows == 4
    assert spans.levels[Level.BOTTOM].windows < plain.levels[Level.BOTTOM].windows / 3
    assert spans.levels[Level.BOTTOM].codes > plain.levels[Level.BOTTOM].codes  # lead-ins too


def test_a_dry_run_has_the_errors_of_the_command(ask, song, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="a file is in its place"):
        estimate_sample(tmp_path / "file", ask())
    with pytest.raises(RecipeDiffers, match="seed"):
        estimate_sample(song.path, ask(samples=2, seed=4))
    with pytest.raises(NotASong, match="there is no song folder"):
        estimate_resume(tmp_path / "none")
    with pytest.raises(OutOfMemory, match="does not fit"):
        estimate_sample(tmp_path / "new", ask(max_memory=10**6))


@pytest.mark.alone
def test_the_time_is_that_of_the_run_within_a_factor_of_two(ask, tmp_path):
    request = ask(seconds=LONG / 2, samples=64)  # so that what is measured is more than the disk
    sample(tmp_path / "warm", ask())
    ratios = []
    for number in range(3):  # other programs may be in the way of one
        told = estimate_sample(tmp_path / str(number), request).seconds
        began = time.perf_counter()
        sample(tmp_path / str(number), request)
        ratios.append(told / (time.perf_counter() - began))
        if 0.5 < ratios[-1] < 2:
            return
    pytest.fail(f"{ratios} times what it took")


def test_a_speed_is_of_all_samples_made_at_a_time(tiny_model, ask):
    folder, machine = ModelFolder(tiny_model), choose("cpu")
    settings = ask().sampling(Level.BOTTOM, {})
    one, many = (
        level_speed(folder, Level.BOTTOM, machine, BatchPlan(samples), settings, prefix=32, effort=QUICK)
        for samples in (1, 64)
    )
    assert min(one.new, one.window, one.load, one.setup) > 0
    assert many.new > one.new
    assert many.window > one.window


def test_a_model_that_sings_is_calibrated_as_any_other(singing_model, tmp_path):
    request = Request(model=str(singing_model), lyrics=Lyrics("la la la"), seconds=1.0)
    estimate = estimate_sample(tmp_path / "song", request)
    assert estimate.levels.keys() == set(TOP_DOWN)
    assert all(one.ms_a_code > 0 for one in estimate.levels.values())


def test_a_run_that_is_watched_foresees_its_end(ask, tmp_path):
    said = []
    sample(tmp_path / "song", ask(seconds=LONG), listener=said.append)
    stood = [one for one in said if isinstance(one, LevelProgress)]
    assert all(one.seconds_left is not None for one in stood)
    assert max(one.seconds_left for one in stood[:2]) > stood[-1].seconds_left
    saved = [one for one in stood if is_saved_window(one, "top", "middle", "bottom")]
    assert [one.window for one in saved if one.level == "top"] == [1, 2, 3]
    assert saved[-1].seconds_saved == LONG


def test_large_priors_are_calibrated_when_their_turn_comes(ask, tmp_path, monkeypatch):
    monkeypatch.setattr("jukectl.plan.forecast.LARGE", 0)
    said = []
    sample(tmp_path / "song", ask(seconds=LONG), listener=said.append)
    assert not any(one.stage == "estimate" for one in said)  # nothing was known before the top was loaded
    levels = [one for one in said if isinstance(one, LevelProgress)]
    assert levels
    assert all(one.seconds_left is not None for one in levels)
