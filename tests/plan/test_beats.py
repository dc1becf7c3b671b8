"""Songs with a beat: requested or tracked in a prompt, kept as numbers in the recipe, and changed by a schedule."""

import shlex
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from jukectl.api import Request, branch, continue_, estimate_continue, estimate_sample, resume, sample
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.codes import recipe_toml
from jukectl.codes.beat import Beat
from jukectl.codes.level import Level
from jukectl.codes.schedule import Change
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers
from jukectl.plan.command import command_of
from jukectl.plan.conditioning import conditioning_of
from jukectl.progress import WarningEvent
from jukectl.variations.pick import cut, pick

CODE = 0.032  # seconds of a top code
RATE = 8_000  # Hz


@pytest.fixture
def ask(beating_model):
    def make(**changes):
        values = {"model": str(beating_model), "seconds": 30 * CODE, "seed": 3, "levels": (Level.TOP,)}
        return Request(**{**values, **changes})

    return make


@pytest.fixture
def clicks(tmp_path):
    """Eight seconds of clicks at 100 beats a minute, the first after 0.2 s."""
    random = np.random.default_rng(0)
    wave = random.normal(0, 1e-3, 8 * RATE).astype(np.float32)
    for number in range(13):
        place = round((0.2 + number * 0.6) * RATE)
        wave[place : place + 800] += (random.normal(0, 0.3, 800) * np.exp(-np.arange(800) / 200)).astype(np.float32)
    io.save(tmp_path / "clicks.wav", wave[None], RATE)
    return tmp_path / "clicks.wav"


def codes(path):
    return Song(path).codes(Level.TOP).array


def recipe_in(path):
    return Song(path).recipe()


def test_a_tempo_makes_another_song_and_resumes_to_the_same_codes(ask, tmp_path):
    sample(tmp_path / "free", ask())
    sample(tmp_path / "song", ask(tempo=120, meter="3/4"))
    first = codes(tmp_path / "song")
    assert not np.array_equal(first, codes(tmp_path / "free"))
    table = tomllib.loads((tmp_path / "song" / "song.toml").read_text())["beat"]
    assert table == {"tempo": 120.0, "meter": "3/4", "first": 0.0, "bars": True, "start": 0.0}
    assert "beat" not in tomllib.loads((tmp_path / "free" / "song.toml").read_text())
    Song(tmp_path / "song").codes_path(Level.TOP).unlink()
    resume(tmp_path / "song")
    assert np.array_equal(codes(tmp_path / "song"), first)
    with pytest.raises(RecipeDiffers, match=r"beat\.tempo: 120\.0 here, 90\.0 asked"):
        sample(tmp_path / "song", ask(tempo=90, meter="3/4"))


def test_guidance_compares_with_music_without_a_beat(ask, tmp_path):
    settings = {"guidance": {Level.TOP: 3.0}}
    sample(tmp_path / "guided", ask(tempo=120, settings=settings))
    sample(tmp_path / "plain", ask(tempo=120))
    assert not np.array_equal(codes(tmp_path / "guided"), codes(tmp_path / "plain"))


def test_the_beat_of_a_prompt_is_tracked_and_kept(ask, clicks, tmp_path):
    continue_(clicks, tmp_path / "song", ask())
    beat = recipe_in(tmp_path / "song").beat
    assert beat.tempo == pytest.approx(100, abs=0.5)
    assert (beat.first - 0.2 + 0.3) % 0.6 - 0.3 == pytest.approx(0, abs=0.03)
    assert not beat.bars
    assert not continue_(clicks, tmp_path / "song", ask()).new  # resumed by the same command
    continue_(clicks, tmp_path / "waltz", ask(meter="3/4"))
    assert (recipe_in(tmp_path / "waltz").beat.meter, recipe_in(tmp_path / "waltz").beat.bars) == ("3/4", True)


def test_a_prompt_without_a_clear_beat_gets_none_and_a_warning(ask, riff, tmp_path):
    events = []
    continue_(riff, tmp_path / "song", ask(), prompt_seconds=1.0, listener=events.append)
    assert recipe_in(tmp_path / "song").beat is None
    assert any("no clear beat" in event.text for event in events if isinstance(event, WarningEvent))
    # with a tempo the new music begins with a bar, and the prompt stays without
    continue_(riff, tmp_path / "other", ask(tempo=90), prompt_seconds=1.0)
    recipe = recipe_in(tmp_path / "other")
    seconds = recipe.prompt.samples / RATE
    assert recipe.beat == Beat(tempo=90, first=seconds, start=seconds)


def test_a_tempo_near_the_prompts_is_the_prompts_and_another_begins_after_it(ask, clicks, tmp_path):
    continue_(clicks, tmp_path / "near", ask(tempo=101))
    assert recipe_in(tmp_path / "near").beat.tempo == pytest.approx(100, abs=0.5)
    assert recipe_in(tmp_path / "near").schedule == ()
    continue_(clicks, tmp_path / "other", ask(tempo=140))
    recipe = recipe_in(tmp_path / "other")
    assert recipe.beat == recipe_in(tmp_path / "near").beat
    assert recipe.schedule == (Change(at=recipe.prompt.samples / RATE, tempo=140),)
    assert not continue_(clicks, tmp_path / "other", ask(tempo=140)).new


def test_no_beat_is_kept_too(ask, clicks, tmp_path):
    continue_(clicks, tmp_path / "song", ask(no_beat=True))
    recipe = recipe_in(tmp_path / "song")
    assert (recipe.beat, recipe.beat_off) == (None, True)
    assert tomllib.loads((tmp_path / "song" / "song.toml").read_text())["beat"] == {"off": True}
    with pytest.raises(RecipeDiffers, match="beat"):
        continue_(clicks, tmp_path / "song", ask())


def test_songs_made_from_a_song_keep_its_beat(ask, tmp_path):
    song = tmp_path / "song"
    sample(song, ask(tempo=120, samples=2, schedule=(Change(at=10 * CODE, tempo=150),)))
    pick(song, 1, tmp_path / "picked")
    cut(song, 20 * CODE, tmp_path / "cut")
    branch(song, 20 * CODE, tmp_path / "branch", Request(samples=1, seed=9))
    for name in ("picked", "cut", "branch"):
        assert recipe_in(tmp_path / name).beat == recipe_in(song).beat
    assert recipe_in(tmp_path / "branch").schedule == recipe_in(song).schedule
    branch(song, 20 * CODE, tmp_path / "faster", Request(samples=1, seed=9, tempo=180))
    changes = recipe_in(tmp_path / "faster").schedule
    assert [(one.at, one.tempo) for one in changes] == [(10 * CODE, 150), (20 * CODE, 180)]
    branch(song, 20 * CODE, tmp_path / "free", Request(samples=1, seed=9, no_beat=True))
    assert recipe_in(tmp_path / "free").beat_off


def test_the_prior_is_conditioned_on_the_grid_of_the_recipe_with_its_changes(ask, tmp_path, beating_model):
    sample(tmp_path / "song", ask(tempo=60, schedule=(Change(at=10 * CODE, tempo=240, meter="3/4"),)))
    card = catalogue.find(str(beating_model)).card
    made = conditioning_of(recipe_in(tmp_path / "song"), card, Level.TOP, 30, lambda text: None)
    passed = made.beats.grid.phase(np.array([10 * CODE + 1, 10 * CODE + 2]))
    assert passed[1] - passed[0] == pytest.approx(4)
    assert made.beats.phases(0, 30, rate=1 / CODE).shape[0] == 30
    late = replace(recipe_in(tmp_path / "song"), beat=Beat(tempo=100, first=0.5, start=0.5), schedule=())
    phases = conditioning_of(late, card, Level.TOP, 30, lambda text: None).beats.phases(0, 30, rate=1 / CODE)
    assert not phases[:15].any() and phases[16:, 0].all()


def test_a_model_without_beats_refuses_a_tempo_and_begins_nothing(ask, clicks, tiny_model, tmp_path):
    for changes in ({"tempo": 100}, {"meter": "3/4"}, {"schedule": (Change(at=0.5, tempo=100),)}):
        for make in (sample, estimate_sample):
            with pytest.raises(BadInput, match="tiny was not trained with beats: leave --tempo and --meter out"):
                make(tmp_path / "song", ask(model=str(tiny_model), **changes))
    assert not (tmp_path / "song").exists()
    continue_(clicks, tmp_path / "song", ask(model=str(tiny_model)))  # whose prompt nobody tracks
    assert "beat" not in tomllib.loads((tmp_path / "song" / "song.toml").read_text())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tempo": 5}, "--tempo must be 20 to 400 beats a minute, got 5"),
        ({"tempo": 100, "meter": "three"}, "--meter: 'three' is no time signature"),
        ({"tempo": 100, "no_beat": True}, "--no-beat leaves the beat free"),
    ],
)
def test_requests_that_cannot_be_are_refused(ask, changes, named):
    with pytest.raises(BadInput, match=named):
        ask(**changes)


def test_a_meter_needs_a_tempo_where_nothing_has_one(ask, tmp_path):
    with pytest.raises(BadInput, match="need a tempo"):
        sample(tmp_path / "song", ask(meter="3/4"))
    with pytest.raises(BadInput, match="need a tempo"):
        sample(tmp_path / "song", ask(schedule=(Change(at=0.1, tempo=90),)))


def test_an_estimate_tracks_the_prompt_and_writes_nothing(ask, clicks, tmp_path):
    estimate_continue(clicks, tmp_path / "song", ask(tempo=140))
    assert not (tmp_path / "song").exists()


def test_a_recipe_with_a_beat_comes_back_from_its_text(ask, clicks, tmp_path):
    continue_(clicks, tmp_path / "song", ask(tempo=140))
    for recipe in (recipe_in(tmp_path / "song"), replace(recipe_in(tmp_path / "song"), beat=None, beat_off=True)):
        assert recipe_toml.loads(recipe_toml.dumps(recipe), "x") == recipe


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, []),
        ({"meter": "3/4"}, ["--meter", "3/4"]),
        ({"no_beat": True}, ["--no-beat"]),
    ],
)
def test_the_command_of_a_song_has_its_beat(ask, clicks, tmp_path, changes, options):
    continue_(clicks, tmp_path / "song", ask(**changes))
    words = shlex.split(command_of(recipe_in(tmp_path / "song"), "song"))
    found = [word for word in words if word in ("--tempo", "--meter", "3/4", "--no-beat")]
    assert found == options
