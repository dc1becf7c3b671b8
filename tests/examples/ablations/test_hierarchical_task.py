"""Learning one autoencoder of all levels: one loss, and figures that tell the levels apart."""

import math

import pytest
import torch

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.progress import silent
from jukectl.tables import build
from jukectl.training.config import VQVAERecipe, load_recipe
from jukectl.training.hierarchical_task import HierarchicalTask
from jukectl.training.loop import train
from jukectl.training.runs import train_vqvae
from jukectl.vqvae.config import VQVAEConfig

ARCHITECTURE = 'architecture="hierarchical"'


def task_of(path, *overrides):
    recipe = load_recipe(path, VQVAERecipe, [ARCHITECTURE, *overrides])
    return HierarchicalTask(recipe, build(VQVAEConfig, recipe.model, str(path)), silent)


def test_the_audio_counts_once_and_every_level_for_its_distance_from_its_codebook(codec_recipe):
    weights = {"spectral": 2.0, "waveform": 3.0, "worst": 0.0, "commitment": 5.0}
    task = task_of(codec_recipe, *(f"loss.{name}={weight}" for name, weight in weights.items()))
    task.before_step(5)
    total, figures = task.loss(task.batch(5))
    commitments = sum(figures[f"{level.label}_commitment"] for level in Level)
    expected = 2 * figures["spectral"] + 3 * figures["waveform"] + 5 * commitments
    assert float(total.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert commitments > 0


def test_codebooks_wait_for_their_step_and_follow_from_then_on(codec_recipe):
    task = task_of(codec_recipe)
    with torch.no_grad():
        assert task.evaluate()["convergence_db"] == math.inf
    for step, started in ((2, False), (3, True)):
        task.before_step(step)
        task.loss(task.batch(step))
        figures = task.after_step()
        assert all((figures[f"{level.label}_entropy"] > 0) == started for level in Level)


def test_a_level_is_judged_without_the_codes_below_it_and_the_run_with_all(codec_recipe):
    task = task_of(codec_recipe, "codebook.start_step=0")
    task.before_step(0)
    (song,) = task.validation
    with torch.no_grad():
        figures = task.evaluate()
        codes = {level: result.codes for level, result in task.hierarchy(song[None]).items()}
        for level in Level:
            some = {one: codes[one] for one in Level if one >= level}
            expected = spectral_convergence_db(song, task.hierarchy.decode(some)[0])
            assert figures[f"{level.label}_convergence_db"] == pytest.approx(expected, abs=1e-4)
            assert figures[f"{level.label}_held_out_codes"] == len(codes[level].unique())
    assert figures["convergence_db"] == figures["bottom_convergence_db"]


def test_it_learns(codec_recipe, tmp_path):
    task = task_of(codec_recipe, "train.steps=30", "train.evaluate_every=100", "train.checkpoint_every=100")
    train(task, task.recipe.train, tmp_path / "out", silent)
    with torch.no_grad():
        assert task.evaluate()["convergence_db"] < -1


def test_a_run_tells_what_it_is_and_takes_up_no_checkpoint_of_the_other_kind(codec_recipe):
    out = train_vqvae(codec_recipe, [ARCHITECTURE], silent).parent
    assert 'architecture = "hierarchical"' in (out / "model.toml").read_text()
    with pytest.raises(BadRecipe, match="checkpoints of another model"):
        train_vqvae(codec_recipe, [], silent)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('levels=["top"]', "architecture hierarchical has all levels, got .'top'.: leave levels out"),
        ("model.codebook_size=0", "architecture hierarchical needs codebooks"),
        ('architecture="flat"', "architecture must be one of separate, hierarchical, got 'flat'"),
    ],
)
def test_recipes_that_make_no_hierarchy_are_refused(codec_recipe, override, message):
    with pytest.raises(BadRecipe, match=message):
        train_vqvae(codec_recipe, [ARCHITECTURE, override], silent)
