"""The training task of codecs: loss, codebook updates, and validation."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from jukectl.audio import io
from jukectl.codes.level import Level
from jukectl.data.manifest import Manifest
from jukectl.errors import BadManifest, BadRecipe
from jukectl.progress import Remark, ignore
from jukectl.tables import build
from jukectl.training.codec_task import VQVAETask
from jukectl.training.config import VQVAERecipe, load_recipe
from jukectl.training.loop import train
from jukectl.vqvae.config import VQVAEConfig


def recipe_of(path, *overrides):
    return load_recipe(path, VQVAERecipe, overrides)


def task_of(path, *overrides):
    recipe = recipe_of(path, *overrides)
    return VQVAETask(recipe, build(VQVAEConfig, recipe.model, str(path)), ignore)


def step(task, number):
    """The loss and the figures of a step, whose batch is whole."""
    task.before_step(number)
    return task.loss(task.batch(number))


def test_the_loss_is_the_weighted_sum_of_the_terms_of_all_levels(codec_recipe):
    weights = {"spectral": 2.0, "waveform": 3.0, "worst": 0.0, "commitment": 5.0}
    task = task_of(codec_recipe, *(f"loss.{name}={weight}" for name, weight in weights.items()))
    total, figures = step(task, 5)
    expected = sum(
        weight * figures[f"{level.label}_{name}"]
        for level in Level
        for name, weight in weights.items()
        if name != "worst"
    )
    assert float(total.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_mel_terms_are_computed_if_their_weight_is_set(codec_recipe):
    plain, figures = step(task_of(codec_recipe, 'levels=["top"]'), 5)
    assert "top_mel" not in figures
    weighed, figures = step(task_of(codec_recipe, 'levels=["top"]', "loss.mel=2.0"), 5)
    assert float(figures["top_mel"]) > 0
    assert float(weighed.detach() - plain.detach()) == pytest.approx(2 * float(figures["top_mel"]), rel=1e-4)


LOG_MEL = (
    'levels=["top"]',
    'model.front_end="log_mel"',
    "model.downs=[1, 1, 1]",
    "model.strides=[16, 4, 4]",
    "data.clip_samples=1024",
    "loss.mel=1.0",
)


def test_a_log_mel_level_is_trained_on_its_bands_only(codec_recipe):
    task = task_of(codec_recipe, *LOG_MEL, "loss.attack=2.0", "loss.peaks=0.5", "loss.commitment=3.0")
    total, figures = step(task, 5)
    assert set(figures) == {"top_mel", "top_attack", "top_peaks", "top_commitment"}
    weighted = figures["top_mel"] + 2 * figures["top_attack"] + 0.5 * figures["top_peaks"]
    assert float(total.detach()) == pytest.approx(float(weighted + 3 * figures["top_commitment"]), rel=1e-5)
    task.after_step()
    with torch.no_grad():
        judged = task.evaluate()
    assert task.objective == "log_mel"
    assert judged["log_mel"] == judged["top_log_mel"] > 0


@pytest.mark.parametrize("label", ["bottom", "middle"])
def test_lower_levels_may_be_log_mel_and_are_judged_on_whole_latents(codec_recipe, label):
    options = (*LOG_MEL[1:], f'levels=["{label}"]', 'model.mel_levels=["bottom","middle","top"]')
    task = task_of(codec_recipe, *options, "data.validation_seconds=0.3", "model.codebook_size=64")
    step(task, 5)
    task.after_step()
    with torch.no_grad():
        judged = task.evaluate()
    assert all(song.shape[-1] % 256 == 0 for song in task.validation)
    assert judged["log_mel"] == judged[f"{label}_log_mel"] > 0
    with pytest.raises(BadRecipe, match=f"multiple of 256, the {label} latent"):
        task_of(codec_recipe, *options, "data.clip_samples=1088")


def test_decoders_alone_may_learn_while_codes_stay(codec_recipe, tmp_path):
    task = task_of(codec_recipe, *LOG_MEL, 'start="any"', "decoder_only=true")
    frozen = {name for name, one in task.model.named_parameters() if not one.requires_grad}
    assert frozen == {name for name, _ in task.model.named_parameters() if ".encoder." in name}
    autoencoder = task.vqvae.autoencoder(Level.TOP)
    autoencoder.codebook.vectors.normal_()
    task.learners["top"].take_up(autoencoder.codebook)
    before = autoencoder.codebook.vectors.clone()
    total, _ = step(task, 5)
    total.backward()
    assert task.after_step() == {}
    assert torch.equal(autoencoder.codebook.vectors, before)
    assert all(one.grad is None for one in autoencoder.encoder.parameters())
    assert any(one.grad.any() for one in autoencoder.decoder.parameters())


def test_decoders_alone_need_a_start(codec_recipe):
    with pytest.raises(BadRecipe, match="decoder_only needs a start"):
        task_of(codec_recipe, *LOG_MEL, "decoder_only=true")


def test_a_log_mel_level_without_a_loss_is_refused(codec_recipe):
    with pytest.raises(BadRecipe, match=r"give loss\.mel"):
        task_of(codec_recipe, *LOG_MEL[:-1])


def test_a_relative_threshold_is_a_share_of_the_mean_uses(codec_recipe):
    task = task_of(codec_recipe, "codebook.relative_threshold=0.25", "codebook.threshold=1000")
    batch = task.batch(0).numel()
    for level in Level:
        mean = batch / task.config.hop(level) / task.config.codebook_size
        assert task.learners[level.label].threshold == pytest.approx(mean / 4)


def test_a_batch_depends_on_the_seed_and_the_step_only(codec_recipe):
    first, second = task_of(codec_recipe), task_of(codec_recipe)
    step(first, 1)
    torch.rand(5)
    assert torch.equal(step(first, 4)[0], step(second, 4)[0])
    assert not torch.equal(step(task_of(codec_recipe, "train.seed=1"), 4)[0], step(second, 4)[0])


def test_codebooks_start_at_their_step_with_latents_of_music(codec_recipe):
    task = task_of(codec_recipe)
    _, figures = step(task, 2)
    assert figures["top_commitment"] == 0
    assert not task.vqvae.autoencoder(Level.TOP).codebook.vectors.any()
    assert task.after_step()["top_used"] == 0

    _, figures = step(task, 3)
    assert figures["top_commitment"] > 0
    assert task.after_step()["top_used"] > 0
    for level in Level:
        assert len(task.vqvae.autoencoder(level).codebook.vectors.unique(dim=0)) > 1


def test_an_evaluation_before_the_codebooks_start_is_never_the_best(codec_recipe):
    task = task_of(codec_recipe)
    with torch.no_grad():
        figures = task.evaluate()
        assert figures["convergence_db"] == math.inf
        assert math.isfinite(figures["top_convergence_db"])  # still worth a look
        step(task, 3)
        task.after_step()
        assert math.isfinite(task.evaluate()["convergence_db"])


def test_validation_figures_are_of_held_out_songs(codec_recipe):
    task = task_of(codec_recipe, 'levels=["middle"]', "codebook.start_step=0")
    step(task, 0)
    task.after_step()
    (song,) = task.validation
    assert len(song) == 2_000
    time = torch.arange(3_000, 5_000) / 8_000
    torch.testing.assert_close(song, 0.9 * 0.5 * torch.sin(2 * torch.pi * 330 * time), atol=1e-4, rtol=0)

    with torch.no_grad():
        codes = task.vqvae.encode(song[None], Level.MIDDLE)
        decoded = task.vqvae.decode(codes, Level.MIDDLE)[0]
        options: dict[str, Any] = {
            "hop_length": 256,
            "win_length": 1536,
            "pad_mode": "constant",
            "return_complex": True,
        }
        target, error = (
            torch.stft(one, 2048, window=torch.hann_window(1536), **options).abs() for one in (song, decoded)
        )
        decibels = 20 * math.log10((target - error).norm() / target.norm())
        counts = Counter(codes[0].tolist())
        bits = -sum(count / len(codes[0]) * math.log2(count / len(codes[0])) for count in counts.values())
        assert task.evaluate() == {
            "middle_convergence_db": pytest.approx(decibels, abs=1e-3),
            "convergence_db": pytest.approx(decibels, abs=1e-3),
            "middle_held_out_entropy": pytest.approx(bits, abs=1e-5),
            "middle_held_out_codes": len(counts),
        }


def test_silent_and_very_short_songs_are_left_out_of_validation(codec_recipe):
    task = task_of(codec_recipe, 'data.held_out=["2.wav", "silent.wav", "short.wav"]')
    assert len(task.validation) == 1


def test_music_that_is_all_silence_is_refused(codec_recipe, music):
    for number in range(3):
        io.save(music.parent / f"{number}.wav", np.zeros(8_000, np.float32), 8_000)
    (music.parent / "short.wav").unlink()
    with pytest.raises(BadManifest, match="silent or too short"):
        task_of(codec_recipe)
    with pytest.raises(BadManifest, match="silent or too short"):
        task_of(codec_recipe, 'data.held_out=["silent.wav"]')


def test_validation_songs_are_spread_over_the_held_out_ones(codec_recipe):
    held_out = 'data.held_out=["0.wav", "1.wav", "2.wav"]'
    assert len(task_of(codec_recipe, held_out).validation) == 3
    assert len(task_of(codec_recipe, held_out, "data.validation_songs=2").validation) == 2


def test_without_held_out_songs_the_first_song_is_validated(codec_recipe):
    task = task_of(codec_recipe, "data.held_out=[]")
    assert len(task.training.songs) == len(Manifest.load(recipe_of(codec_recipe).data.manifest).tracks)
    assert len(task.validation) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.clip_samples=1000", "data.clip_samples must be a multiple of 16, the middle hop"),
        ("codebook.threshold=5", "codebook.threshold 5.0 is over 4, the mean uses of a top vector"),
    ],
)
def test_impossible_codec_sizes_are_refused(codec_recipe, override, message):
    with pytest.raises(BadRecipe, match=message):
        task_of(codec_recipe, override)


def test_levels_trained_together_equal_levels_trained_alone(codec_recipe, tmp_path):
    together = task_of(codec_recipe)
    begun = {name: tensor.clone() for name, tensor in together.model.state_dict().items()}
    train(together, together.recipe.train, tmp_path / "together", ignore)

    for level in Level:
        alone = task_of(codec_recipe, f'levels=["{level.label}"]')
        alone.model.load_state_dict({name: one for name, one in begun.items() if f".{level.label}." in name})
        train(alone, alone.recipe.train, tmp_path / level.label, ignore)
        for name, tensor in alone.model.state_dict().items():
            torch.testing.assert_close(tensor, together.model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_without_codebooks_autoencoders_are_trained_and_evaluated_directly(codec_recipe, tmp_path):
    task = task_of(codec_recipe, "model.codebook_size=0", "codebook.start_step=0", "train.evaluate_every=100")
    with torch.no_grad():
        before = task.evaluate()
    assert set(before) == {"bottom_convergence_db", "middle_convergence_db", "top_convergence_db", "convergence_db"}
    train(task, task.recipe.train, tmp_path / "out", ignore)
    with torch.no_grad():
        assert task.evaluate()["convergence_db"] < before["convergence_db"]


def test_a_short_run_starts_its_codebook_half_way_and_says_so(codec_recipe):
    told = []
    recipe = recipe_of(codec_recipe, "train.steps=4", "codebook.start_step=200")
    assert recipe.codebook_start == 2
    VQVAETask(recipe, build(VQVAEConfig, recipe.model, "test"), told.append)
    assert any("the codebook starts at step 2" in getattr(event, "text", "") for event in told)


def test_small_batches_restart_vectors_by_their_mean_uses(codec_recipe):
    text = codec_recipe.read_text().replace("threshold = 0.5\n", "")
    codec_recipe.write_text(text)
    task = task_of(codec_recipe, "train.batch=1", "model.codebook_size=256")
    uses = 512 / 32 / 256  # top codes of a clip for each vector
    assert task.learners["top"].threshold == pytest.approx(uses / 4)
    assert task_of(codec_recipe, "train.batch=8").learners["bottom"].threshold == 1.0


def test_a_run_says_where_the_songs_went_and_which_figure_should_fall(codec_recipe):
    told = []
    recipe = recipe_of(codec_recipe)
    task = VQVAETask(recipe, build(VQVAEConfig, recipe.model, "test"), told.append)
    task.evaluate()
    said = [f"{event.stage}: {event.text}" for event in told if isinstance(event, Remark)]
    assert any(line.startswith("songs: 4 to train on") and "1 held out" in line for line in said)
    assert any(line.startswith("progress: convergence_db") and "should fall" in line for line in said)
    evaluated = [(event.done, event.total) for event in told if getattr(event, "stage", "") == "evaluating"]
    assert evaluated == [(done, 3) for done in range(4)]  # one song at three levels
