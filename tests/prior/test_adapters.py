"""Low-rank adapters: nothing at first, then what they learned, beside the layers or merged into them."""

import copy
from typing import Any

import pytest
import torch
from prior_fixtures import with_biases
from torch import nn

from jukectl.prior.adapters import attach, merge
from jukectl.prior.config import AdapterConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.layers import pad_rows
from jukectl.prior.surgery import grow_vocabulary

CODES = torch.arange(2 * 24).view(2, 24) * 7 % 40
UPPER = torch.arange(2 * 6).view(2, 6) % 30
CONFIG = AdapterConfig(rank=3, alpha=6.0)


def labels(artist=1):
    return LabelBatch.repeat(2, artist=artist, genres=(2,), slots=3, total_length=900, sample_length=192)


def logits(prior, artist=1):
    with torch.no_grad():
        return prior(CODES, labels(artist), UPPER)


def learned(prior, seed, config=CONFIG):
    """What an adapter of a prior holds after it has learned something: all of it random."""
    adapter = attach(copy.deepcopy(prior), config)
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(tensor.shape, generator=generator) for name, tensor in adapter.state_dict().items()}


def test_a_new_adapter_does_not_change_the_logits_by_a_bit(prior):
    before = logits(prior)
    attach(prior, CONFIG)
    assert torch.equal(logits(prior), before)


def test_merged_is_the_same_as_beside(prior):
    base = copy.deepcopy(prior)
    adapter = attach(prior, CONFIG)
    adapter.load_state_dict(learned(base, 1))
    before, beside = logits(base), logits(prior)
    merge(base, adapter.state_dict(), CONFIG.scale)
    torch.testing.assert_close(logits(base), beside, rtol=1e-4, atol=1e-4)
    assert (before - beside).abs().max() > 0.1


def test_a_layer_is_the_formula(top):
    prior = with_biases(top)
    layer: Any = prior.transformer.blocks[1].mlp_in
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    tensors = learned(prior, 2)
    attach(prior, CONFIG).load_state_dict(tensors)
    name, x = "transformer.blocks.1.mlp_in", torch.randn(5, 64)
    expected = x @ (weight + 6.0 / 3 * tensors[f"{name}.down"] @ tensors[f"{name}.up"]) + bias
    torch.testing.assert_close(prior.get_submodule(name)(x), expected)


def test_decoding_step_by_step_agrees_with_the_whole_pass(unlike_prior):
    tensors = learned(unlike_prior, 3)
    attach(unlike_prior, CONFIG).load_state_dict(tensors)
    conditioning, cache = unlike_prior.conditioning(labels(), UPPER), unlike_prior.new_cache(2)
    stepped = [unlike_prior.prefill(CODES[:, :3], conditioning, cache)]
    stepped += [unlike_prior.step(CODES[:, place - 1], place, conditioning, cache) for place in range(4, 24)]
    torch.testing.assert_close(torch.stack(stepped, 1), logits(unlike_prior)[:, 3:], rtol=1e-4, atol=1e-4)


def test_a_step_scales_as_the_layer_does(top):
    prior = with_biases(top)
    attach(prior, CONFIG).load_state_dict(learned(prior, 4))
    layer: Any = prior.transformer.blocks[0].mlp_in
    x = pad_rows(torch.randn(2, 64))
    torch.testing.assert_close(layer.step(x, alpha=3.0, beta=3.0), 3 * layer(x))


def test_two_stacked_adapters_add_up_in_any_order(top):
    prior = with_biases(top)
    first, second = learned(prior, 5), learned(prior, 6, AdapterConfig(rank=2, alpha=2.0))
    sums = []
    for order in ((first, second), (second, first)):
        merged = copy.deepcopy(prior)
        for tensors in order:
            merge(merged, tensors, 2.0 if tensors is first else 0.5)
        sums.append(merged.transformer.blocks[2].attention.qkv.weight)
    name = "transformer.blocks.2.attention.qkv"
    terms = [factor * one[f"{name}.down"] @ one[f"{name}.up"] for factor, one in ((2.0, first), (0.5, second))]
    base = prior.transformer.blocks[2].attention.qkv.weight
    torch.testing.assert_close(sums[0], base + terms[0] + terms[1])
    torch.testing.assert_close(sums[0], sums[1])


def test_only_the_adapter_learns(unlike_prior):
    grow_vocabulary(unlike_prior, artists=6, genres=7)
    adapter = attach(unlike_prior, CONFIG, new_artists=1)
    for name, parameter in adapter.named_parameters():
        if name.endswith(".up"):  # while it is zero, no gradient passes it
            nn.init.normal_(parameter)
    unlike_prior.loss(CODES, labels(artist=5), UPPER).backward()
    ours = {id(parameter) for parameter in adapter.parameters()}
    with_gradient = {id(parameter) for parameter in unlike_prior.parameters() if parameter.grad is not None}
    assert with_gradient == ours
    assert all(parameter.grad.any() for parameter in adapter.parameters())


def test_new_names_start_as_unlabelled_and_known_ones_are_kept(unlike_prior):
    unlabelled, known = logits(unlike_prior, 0), logits(unlike_prior, 4)
    grow_vocabulary(unlike_prior, artists=7, genres=8)
    adapter = attach(unlike_prior, CONFIG, new_artists=2, new_genres=1)
    assert torch.equal(logits(unlike_prior, 6), unlabelled)
    with torch.no_grad():
        adapter.get_parameter("artist_genre.artist.rows").add_(1)
    assert torch.equal(logits(unlike_prior, 4), known)
    assert not torch.equal(logits(unlike_prior, 5), unlabelled)


def test_an_adapter_is_small_and_named_as_the_layers_are(top):
    prior = with_biases(top)
    grow_vocabulary(prior, artists=6, genres=7)
    adapter = attach(prior, AdapterConfig(rank=1, targets=("mlp_out",)), new_artists=1)
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
    assert shapes == {"artist_genre.artist.rows": (1, 64)} | {
        f"transformer.blocks.{block}.mlp_out.{part}": shape
        for block in range(6)
        for part, shape in (("down", (64, 1)), ("up", (1, 64)))
    }


def test_an_adapter_of_another_shape_is_refused(top):
    prior = with_biases(top)
    tensors = learned(prior, 7)
    name = "transformer.blocks.0.mlp_in"
    with pytest.raises(ValueError, match=name):
        merge(prior, {**tensors, f"{name}.up": torch.zeros(3, 65)}, 1.0)
    with pytest.raises(ValueError, match=r"transformer\.blocks\.9\.mlp_in"):
        merge(prior, {"transformer.blocks.9.mlp_in.down": torch.zeros(64, 3)}, 1.0)


@pytest.mark.parametrize("values", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}, {"targets": ()}])
def test_an_invalid_config_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        AdapterConfig(**values)
