"""Training of the hierarchical autoencoder: its loss, and metrics of each level."""

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.progress import ignore
from jukectl.tables import build
from jukectl.training.config import VQVAERecipe, load_recipe
from jukectl.training.loop import train
from jukectl.training.runs import train_vqvae
from jukectl.vqvae.config import VQVAEConfig

SCRIPT = Path(__file__).parents[3] / "examples/ablations/hierarchical_task.py"
ARCHITECTURE = 'architecture="hierarchical"'


@pytest.fixture
def make_task(script: Callable[[str], ModuleType]) -> Any:
    return script("hierarchical_task").HierarchicalTask


@pytest.fixture
def task_of(make_task: Any, codec_recipe: Path) -> Callable[..., Any]:
    """Make the task of the recipe with some overrides."""

    def task(*overrides: str) -> Any:
        recipe = load_recipe(codec_recipe, VQVAERecipe, [ARCHITECTURE, *overrides])
        return make_task(recipe, build(VQVAEConfig, recipe.model, str(codec_recipe)), ignore)

    return task


def test_the_hierarchical_loss_has_one_audio_term_and_a_commitment_of_each_level(task_of):
    weights = {"spectral": 2.0, "waveform": 3.0, "worst": 0.0, "commitment": 5.0}
    task = task_of(*(f"loss.{name}={weight}" for name, weight in weights.items()))
    task.before_step(5)
    total, figures = task.loss(task.batch(5))
    commitments = sum(figures[f"{level.label}_commitment"] for level in Level)
    expected = 2 * figures["spectral"] + 3 * figures["waveform"] + 5 * commitments
    assert float(total.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert commitments > 0


def test_hierarchical_codebooks_start_at_their_step_and_are_updated_from_then_on(task_of):
    task = task_of()
    with torch.no_grad():
        assert task.evaluate()["convergence_db"] == math.inf
    for step, started in ((2, False), (3, True)):
        task.before_step(step)
        task.loss(task.batch(step))
        figures = task.after_step()
        assert all((figures[f"{level.label}_entropy"] > 0) == started for level in Level)


def test_hierarchical_levels_are_evaluated_without_lower_codes_and_the_run_with_all(task_of):
    task = task_of("codebook.start_step=0")
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


def test_hierarchical_training_lowers_the_reconstruction_error(task_of, tmp_path):
    task = task_of("train.steps=30", "train.evaluate_every=100", "train.checkpoint_every=100")
    train(task, task.recipe.train, tmp_path / "out", ignore)
    with torch.no_grad():
        assert task.evaluate()["convergence_db"] < -1


def test_a_hierarchical_run_records_its_architecture_and_refuses_to_resume_as_another(codec_recipe, make_task):
    out = train_vqvae(codec_recipe, [ARCHITECTURE], ignore, tasks={"hierarchical": make_task}).parent
    assert 'architecture = "hierarchical"' in (out / "model.toml").read_text()
    with pytest.raises(BadRecipe, match="checkpoints of another model"):
        train_vqvae(codec_recipe, [], ignore)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('levels=["top"]', "architecture hierarchical needs all levels, got .'top'.: leave levels out"),
        ("model.codebook_size=0", "architecture hierarchical needs codebooks"),
        ('architecture="flat"', "architecture must be one of separate, hierarchical, got 'flat'"),
    ],
)
def test_recipes_that_cannot_be_hierarchical_are_refused(codec_recipe, make_task, override, message):
    with pytest.raises(BadRecipe, match=message):
        train_vqvae(codec_recipe, [ARCHITECTURE, override], ignore, tasks={"hierarchical": make_task})


def test_the_package_itself_refuses_to_train_a_hierarchical_codec(codec_recipe):
    with pytest.raises(BadRecipe, match="for comparison only and cannot become a model"):
        train_vqvae(codec_recipe, [ARCHITECTURE], ignore)


def test_the_script_trains_a_recipe_and_prints_its_weights(codec_recipe, warm_python):
    command = [*warm_python, str(SCRIPT), str(codec_recipe), ARCHITECTURE, "train.steps=5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert Path(done.stdout.strip()).is_file()
    assert "5/5" in done.stderr
