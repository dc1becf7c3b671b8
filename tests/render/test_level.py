"""Songs whose lower levels are made in spans: stopped and resumed, told and planned."""

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from events import is_saved_window

from jukectl.api import Request, continue_, resume, sample, upsample
from jukectl.codes.archive import SpanCodes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.inspect.info import describe_path
from jukectl.prior.labels import Segment
from jukectl.prior.mixture import Mixture
from jukectl.progress import LevelProgress, Remark, WarningsOnly
from jukectl.render import level as module

PARALLEL = {"parallel": {Level.MIDDLE: 3, Level.BOTTOM: 3}}
BELOW = (Level.MIDDLE, Level.BOTTOM)


class Stopped(Exception):
    """Raised where a test stops a run."""


@pytest.fixture(scope="module")
def want(tiny_model):
    """A request for a song in three spans a level; any option may be given."""
    values = {"model": str(tiny_model), "artist": "Ada", "seconds": 1.6, "seed": 3, "samples": 2, "settings": PARALLEL}
    return lambda **changes: Request(**{**values, **changes})


@pytest.fixture(scope="module")
def alone(want, riff, tmp_path_factory):
    """The song of a run that was left alone, and where it stood at each report."""
    path, told = tmp_path_factory.mktemp("spans") / "alone", []
    continue_(riff, path, want(), prompt_seconds=0.4, listener=told.append)
    return Song(path), told


def test_spans_are_another_song_below_the_top_and_leave_no_file_behind(alone, want, riff, tmp_path, codes_in):
    song, _ = alone
    one = Song(tmp_path / "one")
    continue_(riff, one.path, want(settings={}), prompt_seconds=0.4)
    assert (one.path / "top.npz").read_bytes() == (song.path / "top.npz").read_bytes()
    assert sorted(codes_in(song.path)) == ["bottom.npz", "middle.npz", "top.npz"]
    for level in BELOW:
        spans, whole = song.codes(level), one.codes(level)
        assert (spans.done, spans.prompt) == (whole.done, whole.prompt)
        assert not np.array_equal(spans.array, whole.array)


def test_one_span_is_todays_song_and_its_recipe_says_nothing_of_spans(want, tmp_path, codes_in):
    for name, settings in (("none", {}), ("one", {"parallel": dict.fromkeys(Level, 1)})):
        sample(tmp_path / name, want(settings=settings, samples=1, seconds=0.6))
    assert codes_in(tmp_path / "none") == codes_in(tmp_path / "one")
    assert "parallel" not in (tmp_path / "one" / "song.toml").read_text()


def test_the_recipe_holds_the_number_of_spans_and_another_one_is_refused(alone, want, riff):
    song, _ = alone
    assert {level: song.recipe().sampling[level].parallel for level in Level} == {
        Level.TOP: 1,
        Level.MIDDLE: 3,
        Level.BOTTOM: 3,
    }
    with pytest.raises(RecipeDiffers, match=r"sampling\.middle\.parallel: 3 here, 1 asked"):
        continue_(riff, song.path, want(settings={}), prompt_seconds=0.4)
    with pytest.raises(RecipeDiffers, match=r"sampling\.bottom\.parallel: 3 here, 4 asked"):
        upsample(song.path, want(settings={"parallel": {Level.BOTTOM: 4}}))


def test_stopped_after_any_round_and_resumed_a_song_is_the_one_left_alone(alone, want, riff, tmp_path, codes_in):
    song, _ = alone
    half = Song(tmp_path / "half")

    def stop(progress):
        if is_saved_window(progress, "middle", "bottom"):
            raise Stopped

    stops, prefixes = 0, {level: [] for level in BELOW}
    while not half.codes_path(Level.BOTTOM).exists() or half.codes(Level.BOTTOM).done < song.codes(Level.BOTTOM).done:
        with pytest.raises(Stopped):
            if stops:
                resume(half.path, listener=stop)
            else:
                continue_(riff, half.path, want(), prompt_seconds=0.4, listener=stop)
        stops += 1
        for level in BELOW:
            if codes := half.codes(level):
                prefixes[level].append(codes.done)
                assert np.array_equal(codes.array, song.codes(level).array[:, : codes.done])
                assert describe_path(half.path)["levels"][level.label]["done"] == codes.done
    assert stops > 6
    assert all(done == sorted(done) for done in prefixes.values())
    resume(half.path)
    assert codes_in(half.path) == codes_in(song.path)
    assert half.audio_path(0).read_bytes() == song.audio_path(0).read_bytes()


def test_a_level_killed_after_saving_its_spans_resumes_from_them(alone, want, riff, tmp_path, codes_in):
    song, _ = alone
    half = Song(tmp_path / "half")
    kept = []

    def stop(progress):
        if is_saved_window(progress, "bottom"):
            kept.append(half.codes_path(Level.BOTTOM).read_bytes())
            if len(kept) == 3:
                raise Stopped

    with pytest.raises(Stopped):
        continue_(riff, half.path, want(), prompt_seconds=0.4, listener=stop)
    half.codes_path(Level.BOTTOM).write_bytes(kept[-2])
    resume(half.path)
    assert codes_in(half.path) == codes_in(song.path)


@pytest.mark.parametrize("damage", ["gone", "cut", "another song's"])
def test_a_level_that_lost_its_spans_resumes_from_its_codes_with_a_remark(alone, want, riff, tmp_path, damage):
    song, _ = alone
    half, count, warned = Song(tmp_path / "half"), [], []

    def stop(progress):
        count.append(is_saved_window(progress, "bottom"))
        if sum(count) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        continue_(riff, half.path, want(), prompt_seconds=0.4, listener=stop)
    path, before = half.spans_path(Level.BOTTOM), half.codes(Level.BOTTOM)
    assert before.done > before.prompt
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        kept = SpanCodes.load(path)
        SpanCodes("x", kept.begun, kept.array).save(path)
    resume(half.path, listener=WarningsOnly(warned.append))
    assert any("sampled again, to other codes" in text for text in warned)
    after = half.codes(Level.BOTTOM)
    assert after.done == song.codes(Level.BOTTOM).done
    assert np.array_equal(after.array[:, : before.done], before.array)
    assert not path.exists()


def test_progress_of_spans_counts_up_to_the_whole_level(alone):
    song, told = alone
    for level in BELOW:
        done = [one.done for one in told if isinstance(one, LevelProgress) and one.level == level.label]
        assert done == sorted(done)
        assert done[0] == song.codes(level).prompt
        assert done[-1] == song.codes(level).done


@pytest.mark.parametrize("rows", [1, 4])
def test_rows_that_do_not_fit_are_made_one_group_after_another_to_the_same_codes(
    alone, want, riff, tmp_path, codes_in, monkeypatch, rows
):
    from dataclasses import replace

    from jukectl.plan import memory as planning
    from jukectl.sampling.footprint import BatchPlan, choose_memory_plan

    def cramped(footprints, samples, memory, **options):
        plan = choose_memory_plan(footprints, samples, memory, **options)
        return replace(plan, batch=BatchPlan(min(rows, plan.batch.samples)))

    monkeypatch.setattr(planning, "choose_memory_plan", cramped)
    warned = []
    continue_(riff, tmp_path / "few", want(), prompt_seconds=0.4, listener=WarningsOnly(warned.append))
    assert codes_in(tmp_path / "few") == codes_in(alone[0].path)
    assert any(f"{rows} of 6 rows are sampled at a time" in text for text in warned)


def test_the_plan_counts_a_row_for_each_span_of_each_sample(alone):
    remarks = [one.text for one in alone[1] if isinstance(one, Remark) and one.stage == "plan"]
    assert any(text.startswith("top level, all 2 samples at a time") for text in remarks)
    assert any(text.startswith("middle level, all 6 rows (2 samples in 3 spans) at a time") for text in remarks)


def test_a_new_song_in_the_folder_has_none_of_the_old_ones_spans(want, tmp_path):
    song = Song(tmp_path / "song")

    def stop(progress):
        if is_saved_window(progress, "bottom"):
            raise Stopped

    for again in (sample, lambda path, request, **rest: upsample(path, Request(overwrite=True), **rest)):
        with pytest.raises(Stopped):
            again(song.path, want(samples=1), listener=stop)
        assert song.spans_path(Level.BOTTOM).exists()
    with song.lock():
        song.clear()
    assert not list(song.path.glob("*.npz"))


def test_no_spans_or_half_a_span_are_refused(want):
    for number in (0, 1.5):
        with pytest.raises(BadInput, match="--parallel is the number of spans"):
            want(settings={"parallel": {Level.BOTTOM: number}})


def test_the_key_of_unfinished_spans_is_that_of_earlier_versions():
    sampling = LevelSampling(parallel=3)
    segment = Segment(artist=Mixture.of(1), genres=Mixture.of(2, 3), sampling=sampling)
    song = SimpleNamespace(
        segments=(segment,), song_samples=20_000, start_samples=0, lyrics=SimpleNamespace(ids=(4, 5), onsets=None)
    )
    job: Any = SimpleNamespace(
        level=Level.MIDDLE,
        seed=7,
        total=40,
        sampling=sampling,
        upper=None,
        conditioning=song,
        streams=(),
        stream_offset=0,
    )
    recipe: Any = SimpleNamespace(adapters=(), model=SimpleNamespace(fingerprints={"middle": "c0de"}))
    settings = "LevelSampling(temperature=1.0, top_k=0, top_p=1.0, advance=0.5, parallel=3, guidance=1.0)"
    section = (
        "Section(start=0, artist=Mixture(ids=(1,), weights=(1.0,)), genres=Mixture(ids=(2, 3), weights=(1.0, 1.0)), "
        f"sampling={settings}, lyrics_shift=0)"
    )
    text = f"(7, 40, {settings}, 'd1g', '', [], (({section},), 20000, 0, ((4, 5),)), 'c0de')"
    upper: Any = SimpleNamespace(digest=lambda: "d1g")
    key = module._key(recipe, job, upper)
    assert key == hashlib.sha256(text.encode()).hexdigest()
