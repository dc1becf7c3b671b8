"""A trained prior learns to hear lyrics: it begins as it was, and all of it learns."""

from dataclasses import replace

import pytest
import torch

from jukectl.prior.config import AttentionKind, EncoderConfig, LyricsConfig, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_lyrics

SORTS = {
    "encoded": LyricsConfig(characters=9, alphabet=11, encoder=EncoderConfig(width=32, depth=3, heads=2, blocks=3)),
    "apart": LyricsConfig(characters=10, alphabet=11, apart=True),
}


@pytest.fixture(params=["top", "upsampler", "scaled"])
def trained(request: pytest.FixtureRequest, top: PriorConfig) -> Prior:
    """A prior without lyrics, no parameter of which is as it was initialised."""
    scaled = request.param == "scaled"
    config = replace(top, scale_residuals=True) if scaled else request.getfixturevalue(request.param)
    prior = Prior(config).eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return prior


def segment(prior: Prior, characters: int = 0) -> tuple[torch.Tensor, LabelBatch, torch.Tensor | None]:
    """Codes of a full window, labels, and the codes above; the same in every call."""
    config, generator = prior.config, torch.Generator().manual_seed(7)

    def ids(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(high, shape, generator=generator)

    codes = ids(config.codebook_size, 2, config.context)
    upper = ids(config.conditioner.codebook_size, 2, config.upper_context) if config.conditioner else None
    labels = LabelBatch.repeat(2, artist=1, genres=(1,), slots=3, total_length=900, sample_length=192)
    return codes, replace(labels, lyrics=ids(11, 2, characters)) if characters else labels, upper


@pytest.mark.parametrize(("sort", "blocks"), [("encoded", 1), ("encoded", 6), ("apart", 3)])
def test_logits_are_bitwise_what_they_were(trained: Prior, sort: str, blocks: int) -> None:
    with torch.no_grad():
        before = trained(*segment(trained))
        add_lyrics(trained, SORTS[sort], blocks=blocks)
        assert torch.equal(trained(*segment(trained, SORTS[sort].characters)), before)


@pytest.mark.parametrize("sort", SORTS)
def test_from_the_second_step_on_every_parameter_learns(trained: Prior, sort: str) -> None:
    add_lyrics(trained, SORTS[sort])
    optimizer = torch.optim.SGD(trained.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        trained.loss(*segment(trained, SORTS[sort].characters)).backward()
        silent = [name for name, parameter in trained.named_parameters() if not parameter.grad.any()]
        optimizer.step()
    assert silent == []


@pytest.mark.parametrize("sort", SORTS)
def test_at_the_first_step_the_new_outputs_learn(trained: Prior, sort: str) -> None:
    """What comes before them in their blocks, which does not count yet, is all that does not."""
    add_lyrics(trained, SORTS[sort])
    trained.loss(*segment(trained, SORTS[sort].characters)).backward()
    silent = {name for name, parameter in trained.named_parameters() if not parameter.grad.any()}
    new = [f"transformer.blocks.{layer}." for layer, kind in enumerate(trained.config.kinds) if kind == "encoder"]
    parts = ("attention_norm", "attention.q", "attention.kv", "mlp_norm", "mlp_in")
    assert silent == {f"{block}{part}.{end}" for block in new for part in parts for end in ("weight", "bias")}


@pytest.mark.parametrize("sort", SORTS)
def test_after_a_training_step_lyrics_affect_the_logits(trained: Prior, sort: str) -> None:
    add_lyrics(trained, SORTS[sort])
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        trained.loss(*segment(trained, SORTS[sort].characters)).backward()
        optimizer.step()
    codes, labels, upper = segment(trained, SORTS[sort].characters)
    with torch.no_grad():
        others = replace(labels, lyrics=labels.lyrics.flip(1))
        assert not torch.allclose(trained(codes, labels, upper), trained(codes, others, upper))


def test_new_blocks_are_spread_over_the_stack(top: PriorConfig) -> None:
    prior = Prior(top)
    add_lyrics(prior, SORTS["apart"], blocks=3)
    assert [layer for layer, kind in enumerate(prior.config.kinds) if kind is AttentionKind.ENCODER] == [2, 5, 8]
    assert [kind for kind in prior.config.kinds if kind is not AttentionKind.ENCODER] == list(top.kinds)


@pytest.mark.parametrize("sort", SORTS)
def test_its_config_makes_the_same_prior(trained: Prior, sort: str) -> None:
    add_lyrics(trained, SORTS[sort])
    again = Prior(PriorConfig.from_dict(trained.config.to_dict())).eval()
    again.load_state_dict(trained.state_dict())
    inputs = segment(trained, SORTS[sort].characters)
    with torch.no_grad():
        assert torch.equal(again(*inputs), trained(*inputs))


def test_adding_lyrics_twice_or_in_one_sequence_or_in_too_many_blocks_is_refused(top: PriorConfig) -> None:
    prior = Prior(top)
    with pytest.raises(ValueError, match="one sequence"):
        add_lyrics(prior, LyricsConfig(characters=8, alphabet=11))
    with pytest.raises(ValueError, match="between 1 and 6"):
        add_lyrics(prior, SORTS["apart"], blocks=7)
    add_lyrics(prior, SORTS["apart"])
    with pytest.raises(ValueError, match="already"):
        add_lyrics(prior, SORTS["encoded"])


def test_a_half_precision_prior_stays_one(top: PriorConfig) -> None:
    prior = Prior(top).bfloat16()
    add_lyrics(prior, SORTS["encoded"])
    assert {parameter.dtype for parameter in prior.parameters()} == {torch.bfloat16}
