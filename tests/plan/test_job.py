"""Jobs: prepared once, with every archive loaded once, for running and for dry runs alike."""

from collections import Counter
from pathlib import Path

import pytest

from jukectl import api
from jukectl.api import Request
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.plan.dry_run import estimate
from jukectl.plan.job import prepare_new, prepare_resume, prepare_upsample
from jukectl.render.song import run

PARALLEL = {"parallel": {Level.BOTTOM: 2}}


@pytest.fixture
def opened(monkeypatch) -> Counter:
    """Number of times that each archive of codes was opened, by its path."""
    counts: Counter = Counter()
    load = Codes.__dict__["load"].__func__

    def counted(cls, path: Path) -> Codes:
        counts[path] += 1
        return load(cls, path)

    monkeypatch.setattr(Codes, "load", classmethod(counted))
    return counts


def opened_in(counts: Counter, song: Path) -> dict[str, int]:
    return {path.name: count for path, count in counts.items() if path.parent == song}


def test_a_new_song_opens_no_archive(ask, riff, tmp_path, opened):
    request = ask(samples=2, preview=TOP_DOWN, settings=PARALLEL, seconds=2.0)
    api.continue_(riff, tmp_path / "song", request, prompt_seconds=0.5)
    assert opened == {}


def test_a_resumed_song_opens_each_archive_once(song, opened):
    codes = song.codes(Level.BOTTOM)
    song.save(codes.cut(codes.done // 2))
    opened.clear()
    assert api.resume(song.path, Request(preview=TOP_DOWN)).new
    assert opened_in(opened, song.path) == {f"{level.label}.npz": 1 for level in TOP_DOWN}


def test_a_level_that_is_missing_is_sampled_without_opening_it(song, opened):
    song.codes_path(Level.BOTTOM).unlink()
    assert api.upsample(song.path, Request()).new
    assert opened_in(opened, song.path) == {"top.npz": 1, "middle.npz": 1}


@pytest.mark.parametrize("make", [api.resume, api.upsample, api.estimate_resume, api.estimate_upsample])
def test_a_finished_song_opens_each_archive_once(song, opened, make):
    make(song.path, Request())
    assert opened_in(opened, song.path) == {f"{level.label}.npz": 1 for level in TOP_DOWN}


def test_the_command_of_a_finished_song_opens_each_archive_once(ask, tmp_path, opened):
    request = ask(seed=4)
    for new in (True, False):
        assert api.sample(tmp_path / "song", request).new is new
    assert opened_in(opened, tmp_path / "song") == {f"{level.label}.npz": 1 for level in TOP_DOWN}


def test_a_branch_opens_each_archive_of_its_song_once(song, tmp_path, opened):
    api.branch(song.path, 0.4, tmp_path / "branch", Request(samples=2, seed=2))
    assert opened_in(opened, song.path) == {f"{level.label}.npz": 1 for level in TOP_DOWN}
    assert opened_in(opened, tmp_path / "branch") == {}


def test_a_resumed_branch_opens_each_archive_once(song, tmp_path, opened):
    branch = Song(tmp_path / "branch")
    api.branch(song.path, 0.4, branch.path, Request(samples=2, seed=2))
    branch.codes_path(Level.BOTTOM).unlink()
    opened.clear()
    api.resume(branch.path)
    names = {f"{level.label}{end}" for level in TOP_DOWN for end in (".npz", ".trunk.npz")}
    assert opened_in(opened, branch.path) == dict.fromkeys(names - {"bottom.npz"}, 1)


def test_an_estimate_and_a_run_share_one_preparation(song):
    song.codes_path(Level.BOTTOM).unlink()
    preparation = prepare_resume(song.path, Request())
    before = sorted(song.path.rglob("*"))
    foretold = estimate(preparation)
    assert sorted(song.path.rglob("*")) == before
    assert list(foretold.levels) == [Level.BOTTOM]
    assert run(preparation).new
    assert estimate(preparation).levels == {}


def test_a_prepared_song_has_changed_nothing(ask, song, tmp_path):
    preparation = prepare_new(tmp_path / "new", ask())
    job = preparation.prepare()
    assert not (tmp_path / "new").exists()
    assert job.start.recipe == job.recipe and job.codes == {}
    before = {path: path.read_bytes() for path in song.path.rglob("*") if path.is_file()}
    job = prepare_upsample(song.path, Request(overwrite=True)).prepare()
    assert (job.start.redo, list(job.codes)) == (TOP_DOWN[1:], [Level.TOP])
    assert {path: path.read_bytes() for path in song.path.rglob("*") if path.is_file()} == before


def test_a_job_says_how_many_codes_its_levels_have_and_will_have(song):
    whole = song.codes(Level.BOTTOM).done
    song.save(song.codes(Level.BOTTOM).cut(7))
    job = prepare_resume(song.path, Request()).prepare()
    assert (job.done(Level.BOTTOM), job.wanted[Level.BOTTOM], job.given(Level.BOTTOM)) == (7, whole, 0)
    grown = job.with_codes(job.codes[Level.TOP])
    assert grown.codes == job.codes and grown is not job
