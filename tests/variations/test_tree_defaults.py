"""Defaults of a tree follow its source, and the time left that a run reports is that of everything it makes."""

from dataclasses import replace
from pathlib import Path

import pytest

from jukectl.api import Beginning, Growth, Request, estimate_sample, estimate_tree, sample, tree
from jukectl.codes.level import Level
from jukectl.codes.tree import Tree
from jukectl.plan.eta import Speed
from jukectl.progress import LevelProgress

SPEED = Speed(load=0.0, setup=1.0, window=0.5, prefix=0.01, new=0.1)


@pytest.fixture(scope="module")
def draft(tiny_model, tmp_path_factory) -> Path:
    """Half a second of music, at the top alone. Not to be changed."""
    path = tmp_path_factory.mktemp("songs") / "draft"
    sample(path, Request(model=str(tiny_model), artist="Ada", seconds=0.5, seed=3, levels=(Level.TOP,)))
    return path


@pytest.fixture
def steady(monkeypatch):
    """A machine of known speed, in place of calibrations that differ from one to the next."""
    monkeypatch.setattr("jukectl.plan.forecast.level_speed", lambda *given, **more: SPEED)
    for module in ("plan.forecast", "plan.dry_run", "variations.tree"):
        monkeypatch.setattr(f"jukectl.{module}.saving_seconds", lambda path: 0.01)
    for module in ("plan.forecast", "variations.tree"):
        monkeypatch.setattr(f"jukectl.{module}.decoding_time", lambda *given, seconds, **more: 3 * seconds)


def first_left(make, request, *given):
    """The time left that the first event of a run reports, in seconds."""
    events = []
    make(*given, request, listener=events.append)
    return next(event.seconds_left for event in events if isinstance(event, LevelProgress))


def test_a_step_of_a_song_is_as_long_as_its_new_music(draft, tmp_path):
    growth = Growth(branches=2, depth=1)
    estimate = estimate_tree(draft, tmp_path / "tree", growth, Beginning(), Request())
    (step,) = estimate.steps
    assert step.levels[Level.TOP].codes == 2 * int(0.5 * 8_000 / 256)
    tree(draft, tmp_path / "tree", growth, Beginning(), Request())
    assert Tree(tmp_path / "tree").recipe().step.seconds == 0.5


def test_a_tree_that_was_begun_keeps_the_length_of_its_steps(draft, tmp_path):
    out, growth = tmp_path / "tree", Growth(every=0.3, branches=2, depth=1)
    tree(draft, out, growth, Beginning(), Request())
    assert not tree(draft, out, replace(growth, every=None), Beginning(), Request()).new


def test_a_step_from_a_recording_lasts_as_long_as_a_song_by_default(riff):
    assert Growth().following(riff, None).every == 20


def test_a_step_from_a_longer_song_lasts_a_minute(draft, monkeypatch):
    monkeypatch.setattr("jukectl.variations.tree.LONGEST_STEP", 0.4)
    assert Growth().following(draft, None).every == 0.4


@pytest.mark.parametrize("levels", [(Level.TOP,), tuple(reversed(Level))], ids=["draft", "all"])
def test_the_time_left_of_a_tree_is_that_of_all_its_nodes(draft, tiny_model, tmp_path, steady, levels):
    if len(levels) > 1:
        draft = tmp_path / "whole"
        sample(draft, Request(model=str(tiny_model), seconds=0.5, seed=3))
    given = (draft, tmp_path / "tree", Growth(every=0.4, branches=2, depth=2), Beginning())
    foretold = estimate_tree(*given, Request(levels=levels)).seconds
    assert first_left(tree, Request(levels=levels), *given) == pytest.approx(foretold, rel=0.05)


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_time_left_of_samples_and_spans_is_that_of_all(tiny_model, tmp_path, steady, samples, parallel):
    settings = {"parallel": dict.fromkeys(Level, float(parallel))}
    request = Request(model=str(tiny_model), seconds=2.5, seed=3, samples=samples, settings=settings)
    foretold = estimate_sample(tmp_path / "song", request).seconds
    assert first_left(sample, request, tmp_path / "song") == pytest.approx(foretold, rel=0.05)
