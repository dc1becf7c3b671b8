"""Where a prior looks, against what its attention gives: the same layer with values that tell characters apart."""

from dataclasses import replace

import pytest
import torch

from jukectl.checkpoints.configurations import TOP_1B_LYRICS, TOP_5B_LYRICS
from jukectl.prior import lyric_attention
from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.lyric_attention import attention_of, attentions_of, lyric_layers, score_heads
from jukectl.prior.model import Prior


def window(config: PriorConfig, rows: int = 2) -> tuple[torch.Tensor, LabelBatch]:
    labels = LabelBatch.repeat(rows, artist=1, genres=(1,), slots=3, total_length=900, sample_length=192)
    sung = torch.randint(0, 11, (rows, config.lyrics.characters))
    return torch.randint(0, config.codebook_size, (rows, config.context)), replace(labels, lyrics=sung)


def summed_values(
    prior: Prior, layer: int, head: int, codes: torch.Tensor, labels: LabelBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a head adds up, (B, lead + T, D), and all its values: read off the model as it runs."""
    attention, seen = prior.transformer.blocks[layer].attention, {}
    width = prior.config.attention_width // prior.config.heads
    mine = slice(head * width, (head + 1) * width)
    values = attention.kv if isinstance(attention, EncoderAttention) else attention.qkv
    hooks = [
        attention.out.register_forward_pre_hook(lambda _, args: seen.update(sums=args[0][..., mine])),
        values.register_forward_hook(
            lambda _, __, out: seen.update(values=out[..., -prior.config.attention_width :][..., mine])
        ),
    ]
    with torch.no_grad():
        prior(codes, labels)
    for hook in hooks:
        hook.remove()
    return seen["sums"], seen["values"]


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged"])
def test_weights_times_values_equal_the_output_of_the_head(sort: str, request: pytest.FixtureRequest) -> None:
    config = request.getfixturevalue(sort)
    if config.lyric_tokens:  # of what it sees, characters alone: a LYRICS layer whose keys end with them
        config = replace(config, lyrics=replace(config.lyrics, characters=7), context=25)
    prior = Prior(config).eval()
    codes, labels = window(config)
    layer = lyric_layers(config)[0]
    if config.lyric_tokens:
        assert config.stack.lyric_keys == 8
    for head in range(config.heads):
        weights = attention_of(prior, codes, labels, layer, head)
        sums, values = summed_values(prior, layer, head, codes, labels)
        read = values[:, 1 : config.lyrics.characters + 1]  # the first states that have read a character each
        rest = 1 - weights.sum(dim=2, keepdim=True)  # goes to the one that has read none
        found = weights[..., : read.shape[1]] @ read + rest * values[:, :1]
        torch.testing.assert_close(found, sums[:, config.lyric_tokens :], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged"])
def test_the_weights_of_one_head_are_those_among_all_heads(
    sort: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = request.getfixturevalue(sort)
    prior = Prior(config).eval()
    codes, labels = window(config)
    every = dict(attentions_of(prior, codes, labels))
    assert list(every) == lyric_layers(config) != []
    monkeypatch.setattr(lyric_attention, "QUERIES", 5)
    for layer, weights in every.items():
        assert weights.shape == (2, 2, 24, config.lyrics.characters)
        torch.testing.assert_close(attention_of(prior, codes, labels, layer, 1), weights[:, 1])
        assert 0 < weights.sum(dim=3).min() < weights.sum(dim=3).max() < 1
        assert bool((weights[..., -1] == 0).all()) == (
            not config.lyric_tokens
        )  # whether some state has read the last one


def test_heads_are_scored_row_by_row(apart: PriorConfig) -> None:
    prior = Prior(apart).eval()
    codes, labels = window(apart)
    scores = score_heads(prior, codes, labels, lambda row, weights: (row + 1) * float(weights[5, 2]))
    assert list(scores) == [(3, 0), (3, 1), (5, 0), (5, 1)]
    for (layer, head), score in scores.items():
        weights = attention_of(prior, codes, labels, layer, head)
        assert score == pytest.approx(float(weights[0, 5, 2] + 2 * weights[1, 5, 2]) / 2, abs=1e-6)


@pytest.mark.parametrize("published", [TOP_1B_LYRICS, TOP_5B_LYRICS])
def test_the_published_alignment_layers_attend_to_lyrics(published: PriorConfig) -> None:
    assert published.lyrics.alignment_layer in lyric_layers(published)
    assert 0 <= published.lyrics.alignment_head < published.heads


def test_a_layer_that_does_not_attend_to_lyrics_is_refused(top: PriorConfig, apart: PriorConfig) -> None:
    assert lyric_layers(top) == []
    codes, labels = window(apart)
    with pytest.raises(ValueError, match="layer 0 does not attend"):
        attention_of(Prior(apart), codes, labels, 0, 0)
    with pytest.raises(ValueError, match="heads 0 to 1"):
        attention_of(Prior(apart), codes, labels, 3, 2)
