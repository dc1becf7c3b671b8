"""The static step: its page table, and logits equal to those of `Prior.step`."""

from dataclasses import replace

import pytest
import torch

from jukectl.prior.attention import CacheLayout
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.static_step import PageTable, StaticStep, page_size


def make_conditioning(prior: Prior, batch: int) -> ConditioningTensors:
    """Of labels, lyrics and upper codes that differ from row to row."""
    config, rows = prior.config, torch.arange(batch)
    lyrics = upper = None
    if config.lyrics:
        lyrics = torch.randint(0, config.lyrics.alphabet, (batch, config.lyrics.characters))
    if config.conditioner:
        upper = torch.randint(0, config.conditioner.codebook_size, (batch, config.upper_context))
    labels = LabelBatch(
        artist=rows % config.artists,
        genres=(rows % config.genres).unsqueeze(1).expand(batch, config.genre_slots),
        total_length=(rows + 1) * 450,
        offset=rows * 100,
        sample_length=torch.full((batch,), config.window_samples),
        lyrics=lyrics,
    )
    return prior.conditioning(labels, upper)


def make_codes(config: PriorConfig, batch: int) -> torch.Tensor:
    return torch.randint(0, config.codebook_size, (batch, config.context))


def logits_of_steps(prior: Prior, codes: torch.Tensor, known: int, conditioning: ConditioningTensors) -> torch.Tensor:
    """Logits (B, T - known, K) by `Prior.prefill` and `Prior.step`."""
    cache = prior.new_cache(len(codes))
    logits = [prior.prefill(codes[:, :known], conditioning, cache)]
    for position in range(known + 1, codes.shape[1]):
        logits.append(prior.step(codes[:, position - 1], position, conditioning, cache))
    return torch.stack(logits, dim=1)


@torch.inference_mode()
def logits_of_static_steps(
    step: StaticStep, codes: torch.Tensor, known: int, conditioning: ConditioningTensors, chunk: int | None = None
) -> torch.Tensor:
    """The same by `StaticStep`, with one tensor for the code and one for the position."""
    logits = [step.begin(codes[:, :known], conditioning, chunk)]
    code, position = torch.zeros(len(codes), dtype=torch.int64), torch.tensor([known])
    for place in range(known + 1, codes.shape[1]):
        code.copy_(codes[:, place - 1])
        position.add_(1)
        logits.append(step(code, position).clone())
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("batch", [1, 3])
def test_static_logits_equal_those_of_the_prior_after_any_prefix(batch: int, prior: Prior) -> None:
    step, conditioning, codes = (
        StaticStep(prior, batch),
        make_conditioning(prior, batch),
        make_codes(prior.config, batch),
    )
    for known in (0, 1, 3, 4, 5, 12, prior.config.context - 1):  # a block has 4 positions
        expected = logits_of_steps(prior, codes, known, conditioning)
        assert torch.allclose(logits_of_static_steps(step, codes, known, conditioning), expected, atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in AttentionKind if kind is not AttentionKind.ENCODER])
def test_a_stack_of_one_attention_kind_steps_like_the_prior(kind: AttentionKind, merged: PriorConfig) -> None:
    window = 5 if kind is AttentionKind.WINDOW else None
    prior = Prior(replace(merged, pattern=(kind,), window=window, scale_residuals=True)).eval()
    conditioning, codes = make_conditioning(prior, 2), make_codes(prior.config, 2)
    expected = logits_of_steps(prior, codes, 2, conditioning)
    assert torch.allclose(logits_of_static_steps(StaticStep(prior, 2), codes, 2, conditioning), expected, atol=1e-4)


def test_heads_of_any_width_are_supported(encoded: PriorConfig) -> None:
    prior = Prior(replace(encoded, width=40)).eval()  # five numbers a head
    conditioning, codes = make_conditioning(prior, 2), make_codes(prior.config, 2)
    expected = logits_of_steps(prior, codes, 3, conditioning)
    assert torch.allclose(logits_of_static_steps(StaticStep(prior, 2), codes, 3, conditioning), expected, atol=1e-4)


def test_a_smaller_batch_in_the_same_memory_ignores_the_previous_window(unlike_prior: Prior) -> None:
    step = StaticStep(unlike_prior, 3)
    logits_of_static_steps(step, make_codes(unlike_prior.config, 3), 4, make_conditioning(unlike_prior, 3))
    conditioning, codes = make_conditioning(unlike_prior, 2), make_codes(unlike_prior.config, 2)
    again = logits_of_static_steps(step, codes, 5, conditioning)
    assert torch.equal(again, logits_of_static_steps(StaticStep(unlike_prior, 2), codes, 5, conditioning))


def test_a_prefix_may_be_read_in_chunks(unlike_prior: Prior) -> None:
    step, conditioning, codes = (
        StaticStep(unlike_prior, 2),
        make_conditioning(unlike_prior, 2),
        make_codes(unlike_prior.config, 2),
    )
    whole = logits_of_static_steps(step, codes, 17, conditioning)
    assert torch.allclose(logits_of_static_steps(step, codes, 17, conditioning, chunk=5), whole, atol=1e-4)


def test_the_static_step_keeps_half_precision(prior: Prior) -> None:
    prior = prior.bfloat16()
    step, conditioning, codes = StaticStep(prior, 1), make_conditioning(prior, 1), make_codes(prior.config, 1)
    logits = logits_of_static_steps(step, codes, 3, conditioning)
    expected = logits_of_steps(prior, codes, 3, conditioning)
    assert logits.dtype is torch.bfloat16
    assert torch.allclose(logits, expected, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", list(AttentionKind))
def test_the_page_table_agrees_with_the_cache_layout(kind: AttentionKind) -> None:
    layout = CacheLayout(kind, context=24, block=4, lyric_keys=10, window=5)
    table = PageTable.of(layout, torch.device("cpu"))
    for position in range(24):
        page = table.at(torch.tensor([position]), torch.float32)
        start, stop = layout.visible(position)
        first = int(page.number) * page.size
        begin = int(page.slot) + 1 - int(page.count) if kind is AttentionKind.WINDOW else first
        seen = range(begin, begin + int(page.count))
        assert (int(page.slot), seen) == (layout.slot(position), range(start, stop))
        if page.mask is not None:
            assert [first + place for place, hides in enumerate(page.mask[0]) if hides == 0] == list(seen)
        else:
            assert len(seen) in {0, page.size}


def test_a_position_reads_only_slots_of_its_attention_kind() -> None:
    sizes = {
        str(kind): page_size(CacheLayout(kind, context=8_192, block=128, lyric_keys=512)) for kind in AttentionKind
    }
    assert sizes == {
        "dense": 8_192,
        "row": 128,
        "column": 64,
        "previous_row": 128,
        "lyrics": 512,
        "encoder": 512,
        "window": 8_192,
    }
