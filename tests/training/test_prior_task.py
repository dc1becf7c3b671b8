"""The training task of priors: configuration from codes and recipe, loss, and validation."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jukectl.codes.level import Level
from jukectl.errors import BadManifest, BadRecipe
from jukectl.training.code_noise import CodeNoise
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.prior_task import PriorTask


def task_of(path, *overrides):
    return PriorTask(load_recipe(path, PriorRecipe, overrides))


def step(task, number):
    """The loss and the figures of a step, whose batch is whole."""
    task.before_step(number)
    return task.loss(task.batch(number))


TOP = ("level=top", "model={context = 8, width = 16, depth = 3, heads = 2, blocks = 4, genre_slots = 2}")


def test_the_configuration_follows_from_the_recipe_and_the_codes(prior_recipe):
    config = task_of(prior_recipe).config
    assert (config.level, config.context, config.width) == (Level.MIDDLE, 16, 16)
    assert (config.sample_rate, config.hop, config.codebook_size) == (8_000, 64, 64)
    assert (config.artists, config.genres, config.genre_slots) == (3, 3, 2)
    assert (config.conditioner.ratio, config.conditioner.codebook_size) == (4, 64)


def test_a_model_may_have_spare_ids_for_more_names(prior_recipe):
    assert task_of(prior_recipe, "model.artists=50").config.artists == 50


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.hop=32"], "model.hop is 32, but 64 in the codes"),
        (["model.sample_rate=44100"], "model.sample_rate is 44100, but 8000"),
        (["model.codebook_size=2048"], "model.codebook_size is 2048, but 64"),
        (["model.artists=2"], "model.artists and model.genres must be at least 3 and 3"),
        (["model.contexts=16"], "model: PriorConfig has no field contexts"),
        (["model.context=15"], "model: context must be a multiple of blocks"),
        (["model.pattern=row"], "model: 'r' is not a valid AttentionKind"),
        (["model.conditioner=5"], "model: "),
        (["model.conditioner.downs=1"], "model.conditioner upsamples 2 codes for one, but the hops are 64 and 256"),
    ],
)
def test_a_model_that_does_not_fit_the_codes_is_refused(prior_recipe, overrides, message):
    with pytest.raises(BadRecipe, match=message):
        task_of(prior_recipe, *overrides)


def test_a_folder_without_codes_is_refused(prior_recipe, tmp_path):
    with pytest.raises(BadManifest, match="cannot read the manifest"):
        task_of(prior_recipe, f"data.codes={tmp_path / 'none'}")


def test_an_untrained_prior_has_about_the_bits_of_uniform_guessing(prior_recipe):
    for overrides in ((), TOP):
        task = task_of(prior_recipe, *overrides)
        loss, figures = step(task, 0)
        assert float(loss.detach()) == pytest.approx(np.log2(64), abs=0.3)
        assert figures == {}
        assert task.after_step() == {}


def test_a_batch_depends_on_the_seed_and_the_step_only(prior_recipe):
    first, second = task_of(prior_recipe), task_of(prior_recipe)
    step(first, 7)
    assert torch.equal(step(first, 4)[0], step(second, 4)[0])
    assert not torch.equal(step(task_of(prior_recipe, "train.seed=1"), 4)[0], step(second, 4)[0])


def test_noise_replaces_codes_that_are_predicted_from_and_not_those_that_are_predicted(prior_recipe):
    clean, noisy = task_of(prior_recipe).batch(3), task_of(prior_recipe, "code_noise.most=0.5").batch(3)
    assert clean.inputs is None
    assert torch.equal(noisy.codes, clean.codes)
    changed = (noisy.inputs != noisy.codes).double().mean(dim=1)
    assert 0 < changed.max() <= 0.8  # half of 16 codes, and what chance adds
    assert len(set(changed.tolist())) > 1  # a share of its own for each segment


def test_noise_depends_on_the_step_alone_so_that_ranks_and_resumed_runs_see_the_same(prior_recipe):
    task = task_of(prior_recipe, "code_noise.most=0.5")
    whole, again = task.batch(3).inputs, task_of(prior_recipe, "code_noise.most=0.5").batch(3).inputs
    assert torch.equal(whole, again)
    assert torch.equal(task.batch(3, slice(1, 3)).inputs, whole[1:3])
    assert not torch.equal(task.batch(4).inputs, whole)


def test_codes_are_predicted_from_the_inputs(prior_recipe):
    task = task_of(prior_recipe, "code_noise.most=1")
    batch = task.batch(0)
    with torch.no_grad():
        torch.nn.init.normal_(task.prior.codes.weight)
        expected = task.prior(batch.inputs, batch.labels, batch.upper).double().log_softmax(-1)
        loss, _ = task.loss(batch)
    bits = -expected.gather(-1, batch.codes[..., None]) / np.log(2)
    assert float(loss) == pytest.approx(float(bits.mean()), rel=1e-4)


def test_of_a_latent_with_several_stages_all_codes_are_replaced_or_none(prior_recipe):
    """Four stages of a codebook of 64: ids 0 to 15 are of the first. A loop over codes says what to learn from."""
    noise = CodeNoise(least=0.3, most=0.7, stages=4)
    generator = torch.Generator().manual_seed(0)
    stages = torch.arange(22).expand(5, -1) + torch.arange(5)[:, None]  # segments begin within a latent
    codes = stages % 4 * 16 + torch.randint(16, (5, 22), generator=generator)
    others = torch.randint(64, (5, 22), generator=generator)
    inputs = noise.replace(codes, others, noise.chosen(5, 22, 3), 64)
    learned = noise.learned(codes, inputs, 64)
    assert torch.equal(inputs // 16, codes // 16)
    for row in range(5):
        wrong = False
        for place in range(22):
            if codes[row, place] < 16:
                wrong = False
            assert bool(learned[row, place]) == (not wrong)
            wrong = wrong or bool(inputs[row, place] != codes[row, place])
    latents = (codes < 16).cumsum(1)
    for row in range(5):
        for latent in set(latents[row].tolist()):
            here = latents[row] == latent
            replaced = torch.equal(inputs[row][here] % 16, others[row][here] % 16)
            assert replaced or torch.equal(inputs[row][here], codes[row][here])


def test_validation_bits_are_the_mean_over_held_out_segments(prior_recipe):
    task = task_of(prior_recipe)
    assert {int(batch.labels.total_length) for batch in task.validation} == {13 * 256}  # of the one song under b/
    with torch.no_grad():
        bits = [task.prior.bits(batch.codes, batch.labels, batch.upper) for batch in task.validation]
        assert task.evaluate() == {"bits": pytest.approx(float(torch.cat(bits).mean()), rel=1e-5)}


def test_without_held_out_songs_training_songs_are_evaluated(prior_recipe):
    assert len(task_of(prior_recipe, "data.held_out=[]").validation) == 4


@pytest.fixture
def codec(tmp_path):
    """A folder with codebooks of three levels: 64 points on circles, far wider in some directions than in others."""
    angle = torch.arange(64) * 2 * np.pi / 64
    circle = torch.stack([angle.cos(), angle.sin(), 0 * angle, 0 * angle], dim=1)
    books = {f"levels.{level.label}.codebook.vectors": circle * (level + 1) + 5 for level in Level}
    save_file(books, tmp_path / "vqvae.safetensors")
    return tmp_path


def test_embeddings_can_be_initialised_from_the_codebooks(prior_recipe, codec):
    plain, started = task_of(prior_recipe), task_of(prior_recipe, f"codec={codec}")
    for before, after in (
        (plain.prior.codes, started.prior.codes),
        (plain.prior.place.codes, started.prior.place.codes),
    ):
        assert after.weight.detach().std().item() == pytest.approx(before.weight.detach().std().item())
        rows = after.weight.detach()
        near = (rows - rows.roll(1, 0)).norm(dim=1).max()  # neighbours on the circle
        far = (rows - rows.roll(32, 0)).norm(dim=1).min()  # opposite ones
        assert far > 3 * near


def test_initialising_from_codebooks_is_deterministic(prior_recipe, codec):
    first, second = (task_of(prior_recipe, f"codec={codec}").prior.codes.weight for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("damage", ["missing", "other size"])
def test_a_codec_without_the_right_codebook_is_refused(prior_recipe, codec, damage):
    if damage == "missing":
        (codec / "vqvae.safetensors").unlink()
    else:
        save_file({"levels.middle.codebook.vectors": torch.zeros(32, 4)}, codec / "vqvae.safetensors")
    with pytest.raises(BadRecipe, match="codec: "):
        task_of(prior_recipe, f"codec={codec}")
