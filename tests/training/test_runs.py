"""Whole training runs from recipe files: they learn, and they survive being killed."""

import csv
import math
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from safetensors.torch import load_file

from jukectl.audio import io
from jukectl.errors import BadRecipe, RunBusy
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.progress import ignore
from jukectl.tables import build
from jukectl.training.runs import train_prior, train_vqvae
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE


class Stopped(BaseException):
    """What stands in for a kill: nothing of ours catches it."""


def stopping_at(step):
    def report(progress):
        if progress.stage == "training" and progress.done >= step:
            raise Stopped

    return report


def rows(path):
    with path.open(newline="") as file:
        return [
            {key: text for key, text in row.items() if key not in ("seconds", "overhead") and "per_second" not in key}
            for row in csv.DictReader(file)
        ]


def same_run(one, other):
    """That two runs left the same weights, bit for bit, and the same figures."""
    for name in ("best", "last"):
        left, right = (load_file(run / f"{name}.safetensors") for run in (one, other))
        assert left.keys() == right.keys()
        assert all(left[key].equal(right[key]) for key in left)
    for log in ("train.csv", "validation.csv"):
        assert rows(one / log) == rows(other / log)


def train_one_level(recipe, overrides, listener):
    """Train the bottom level of a codec alone: what a run does around it is the same."""
    return train_vqvae(recipe, ["levels=['bottom']", *overrides], listener)


@pytest.fixture(params=["vqvae", "prior"])
def trainer(request):
    """A kind of run: its function and its recipe."""
    return {
        "vqvae": (train_one_level, "codec_recipe"),
        "prior": (train_prior, "prior_recipe"),
    }[request.param]


def test_a_codec_learns_a_sine(codec_recipe, music, tmp_path):
    for number in (0, 1):
        sine = np.sin(2 * np.pi * 250 * np.arange(8_000) / 8_000) * 0.5
        io.save(music.parent / f"{number}.wav", sine.astype(np.float32), 8_000)
    io.save(music.parent / "silent.wav", sine.astype(np.float32), 8_000)
    settings = ["train.steps=150", "train.learning_rate=0.01", 'data.held_out=["0.wav"]', 'levels=["bottom"]']
    best = train_vqvae(codec_recipe, [*settings, "train.evaluate_every=50", "model.depths=[1,1,1]"], ignore)

    losses = [float(row["loss"]) for row in rows(tmp_path / "codec" / "train.csv")]
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    figures = [float(row["convergence_db"]) for row in rows(tmp_path / "codec" / "validation.csv")]
    assert figures[-1] < -6
    assert best.exists()


def test_a_prior_learns_codes_that_count(prior_recipe, tmp_path):
    train_prior(prior_recipe, ["train.steps=80", "train.evaluate_every=40"], ignore)
    bits = [float(row["loss"]) for row in rows(tmp_path / "prior" / "train.csv")]
    assert bits[-1] < 0.8 * math.log2(64) < bits[0]


def test_saved_weights_fit_the_model_described_by_the_run(codec_recipe, prior_recipe, tmp_path):
    train_vqvae(codec_recipe, [], ignore)
    train_prior(prior_recipe, [], ignore)

    about = tomllib.loads((tmp_path / "codec" / "model.toml").read_text(encoding="utf-8"))
    assert about["levels"] == ["bottom", "middle", "top"]
    VQVAE(build(VQVAEConfig, about["vqvae"], "")).load_state_dict(load_file(tmp_path / "codec" / "best.safetensors"))

    about = tomllib.loads((tmp_path / "prior" / "model.toml").read_text(encoding="utf-8"))
    assert about["vocabulary"] == {
        "artists": ["unlabelled", "Ada", "Björk B."],
        "genres": ["unlabelled", "Ambient", "Jazz"],
    }
    Prior(PriorConfig.from_dict(about["prior"])).load_state_dict(load_file(tmp_path / "prior" / "last.safetensors"))


def test_the_best_codec_is_never_one_without_a_codebook(codec_recipe, tmp_path):
    train_vqvae(codec_recipe, ["codebook.start_step=4"], ignore)
    first, *later = rows(tmp_path / "codec" / "validation.csv")
    assert (first["step"], first["convergence_db"]) == ("3", "inf")
    assert all(math.isfinite(float(row["convergence_db"])) for row in later)
    best = load_file(tmp_path / "codec" / "best.safetensors")
    assert all(best[f"levels.{level}.codebook.vectors"].any() for level in ("bottom", "middle", "top"))


def test_a_stopped_run_resumes_to_bit_identical_weights(trainer, request, tmp_path):
    run, recipe = trainer[0], request.getfixturevalue(trainer[1])
    run(recipe, [f"out={tmp_path / 'whole'}"], ignore)
    for step in (2, 6, 13):
        halves = tmp_path / f"halves-{step}"
        with pytest.raises(Stopped):
            run(recipe, [f"out={halves}"], stopping_at(step))
        run(recipe, [f"out={halves}"], ignore)
        same_run(tmp_path / "whole", halves)


@pytest.mark.parametrize(
    "settings",
    [
        ["train.accumulate=4", "train.checkpoint_activations=true"],
        pytest.param(  # it takes a C++ compiler, and torch warns of what it does itself
            ["train.compile=true"], marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
        ),
    ],
    ids=str,
)
def test_gradient_accumulation_and_checkpointing_do_not_change_training(trainer, request, tmp_path, settings):
    run, recipe = trainer[0], request.getfixturevalue(trainer[1])
    run(recipe, [f"out={tmp_path / 'plain'}", "train.log_every=1"], ignore)
    run(recipe, [f"out={tmp_path / 'other'}", "train.log_every=1", *settings], ignore)
    for figure in ("loss", "gradient_norm"):
        plain, other = (
            [float(row[figure]) for row in rows(tmp_path / name / "train.csv")] for name in ("plain", "other")
        )
        assert other == pytest.approx(plain, abs=1e-3)


KILLED = """
import sys, time
from pathlib import Path
from jukectl.training.runs import train_vqvae

def report(progress):
    if progress.stage == "training":
        print(progress.done, flush=True)
        time.sleep(0.03)

train_vqvae(Path(sys.argv[1]), sys.argv[2:], report)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
def test_a_killed_run_resumes_to_bit_identical_weights(codec_recipe, warm_python, tmp_path):
    steps = ["train.steps=24", "train.accumulate=2", "codebook.decay=0.5"]  # with that, many vectors are restarted
    train_vqvae(codec_recipe, [f"out={tmp_path / 'whole'}", *steps], ignore)
    assert sum(float(row["bottom_restarted"]) for row in rows(tmp_path / "whole" / "train.csv")) > 0
    arguments = [*warm_python, "-c", KILLED, str(codec_recipe), f"out={tmp_path / 'killed'}", *steps]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 10:
                with pytest.raises(RunBusy, match="another jukectl trains in"):
                    train_vqvae(codec_recipe, [f"out={tmp_path / 'killed'}", *steps], ignore)
                time.sleep(0.02)
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()  # until it has ended
    assert process.returncode == -signal.SIGKILL
    litter = tmp_path / "killed" / ".checkpoint-00000099.pt.123.part"  # as a kill in the midst of a write leaves it
    litter.write_bytes(b"half a check")

    train_vqvae(codec_recipe, [f"out={tmp_path / 'killed'}", *steps], ignore)
    same_run(tmp_path / "whole", tmp_path / "killed")
    assert not litter.exists()


def test_a_finished_run_continues_with_more_steps(prior_recipe, tmp_path):
    train_prior(prior_recipe, [], ignore)
    train_prior(prior_recipe, ["train.steps=20"], ignore)
    assert rows(tmp_path / "prior" / "train.csv")[-1]["step"] == "20"


@pytest.mark.parametrize(
    ("trainer", "overrides"),
    [
        # with another dilation the shapes are the same, but not the network
        ("vqvae", ["model.dilation_growth=2", 'levels=["top"]', "model.widths=[4,4,4]"]),
        ("prior", ["model.pattern=['row']", "model.width=32"]),
    ],
    indirect=["trainer"],
    ids=["vqvae", "prior"],
)
def test_checkpoints_of_another_model_are_refused_and_left_unchanged(trainer, request, tmp_path, overrides):
    run, recipe = trainer[0], request.getfixturevalue(trainer[1])
    run(recipe, [f"out={tmp_path / 'run'}", "train.steps=4"], ignore)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    for override in overrides:
        with pytest.raises(BadRecipe, match=rf"{recipe.name}: .*holds checkpoints of another model"):
            run(recipe, [f"out={tmp_path / 'run'}", "train.steps=4", override], ignore)
        assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_run_without_a_checkpoint_may_change_its_recipe(codec_recipe, tmp_path):
    with pytest.raises(Stopped):
        train_vqvae(codec_recipe, [], stopping_at(2))
    train_vqvae(codec_recipe, ["model.widths=[4,4,4]"], ignore)
    assert tomllib.loads((tmp_path / "codec" / "model.toml").read_text())["vqvae"]["widths"] == [4, 4, 4]


def test_a_damaged_checkpoint_is_reported_with_the_recipe(codec_recipe, tmp_path):
    train_vqvae(codec_recipe, [], ignore)
    kept = sorted((tmp_path / "codec").glob("checkpoint-*.pt"))
    for path in kept:
        path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(BadRecipe, match=rf"codec\.toml: .*{kept[-1].name} .*is damaged"):
        train_vqvae(codec_recipe, [], ignore)


@pytest.mark.parametrize("override", ["level=top", "model={context = 8}"])
def test_only_upsamplers_have_a_conditioner(prior_recipe, override):
    with pytest.raises(BadRecipe, match=r"prior\.toml: model\.conditioner belongs to"):
        train_prior(prior_recipe, [override], ignore)


def test_errors_that_depend_on_the_data_are_reported_with_the_recipe(codec_recipe, prior_recipe):
    with pytest.raises(BadRecipe, match=r"codec\.toml: data\.clip_samples"):
        train_vqvae(codec_recipe, ["data.clip_samples=1000"], ignore)
    with pytest.raises(BadRecipe, match=r"prior\.toml: model\.hop"):
        train_prior(prior_recipe, ["model.hop=3"], ignore)
    with pytest.raises(BadRecipe, match=r"codec\.toml: model\.depth is not known"):
        train_vqvae(codec_recipe, ["model.depth=3"], ignore)
