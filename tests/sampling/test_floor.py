"""Bytes of a step, compared with the tensors of a prior and with the masks."""

import pytest

from jukectl.checkpoints.configurations import TOP_5B
from jukectl.codes.level import Level
from jukectl.prior.attention import pattern_mask
from jukectl.prior.config import FACTORED, AttentionKind, EncoderConfig, LyricsConfig, PriorConfig
from jukectl.prior.model import Prior
from jukectl.sampling.floor import keys_seen, step_bytes
from jukectl.sampling.footprint import parameters as parameters_of

ENCODER = LyricsConfig(characters=8, alphabet=5, encoder=EncoderConfig(width=16, depth=1, heads=2, blocks=4))
MERGED = LyricsConfig(characters=8, alphabet=5)
APART = LyricsConfig(characters=8, alphabet=5, apart=True)


def config(**changes):
    shape = {"context": 24, "blocks": 4, "width": 16, "depth": 4, "heads": 2, "attention_ratio": 0.5, "mlp_ratio": 2.0}
    return PriorConfig(**{"level": Level.TOP, "hop": 128, "codebook_size": 40, **shape, **changes})


def parameters(given):
    """Count the parameters of a prior that a step reads, as matrices and vectors."""
    prior = Prior(given)
    used = {name: one for name, one in prior.transformer.named_parameters() if ".kv." not in name}
    matrices = sum(one.numel() for one in used.values() if one.dim() == 2)
    vectors = sum(one.numel() for one in used.values() if one.dim() == 1)
    table = prior.codes.weight if prior.head is None else prior.head
    return matrices + table[: given.sampled_ids].numel(), vectors


@pytest.mark.parametrize(
    "given",
    [
        config(),
        config(pattern=(AttentionKind.DENSE, AttentionKind.ENCODER), lyrics=ENCODER, tied_head=False),
        config(pattern=(AttentionKind.DENSE, AttentionKind.ENCODER), lyrics=APART),
        config(pattern=(AttentionKind.LYRICS,), lyrics=MERGED),
        config(lyrics=LyricsConfig(characters=8, alphabet=5, drawable=True)),
    ],
    ids=["factored", "encoder", "apart", "one sequence", "characters drawn"],
)
def test_step_bytes_count_all_blocks_and_the_head_for_codes(given):
    matrices, vectors = parameters(given)
    assert step_bytes(given, "fp32").weights == 4 * (matrices + vectors)
    assert step_bytes(given, "bf16").weights == 2 * (matrices + vectors)


def test_step_bytes_of_int8_are_one_byte_a_weight_and_a_scale_an_output():
    given = config(depth=1)
    matrices, vectors = parameters(given)
    outputs = 3 * 8 + 16 + 32 + 16 + 40  # of queries, keys and values; of attention; of the MLP; codes
    assert step_bytes(given, "int8").weights == matrices + 4 * vectors + 4 * outputs


@pytest.mark.parametrize("kind", [*FACTORED, AttentionKind.DENSE])
def test_keys_seen_agree_with_the_attention_mask(kind):
    given = config(pattern=(kind,))
    seen = pattern_mask(kind, 24, 6).float().sum(dim=1)
    assert keys_seen(given.stack, kind, range(24)) == pytest.approx(float(seen.mean()))
    assert keys_seen(given.stack, kind, range(7, 19)) == pytest.approx(float(seen[7:19].mean()))


def test_keys_seen_count_lyrics_before_the_codes():
    merged = config(pattern=(AttentionKind.LYRICS,), lyrics=MERGED)
    seen = pattern_mask(AttentionKind.LYRICS, 32, 8, merged.stack.lyric_keys).float().sum(dim=1)
    read = step_bytes(merged, "fp32")
    assert read.cache == pytest.approx(4 * 2 * 8 * 4 * float(seen[8:].mean()))
    for lyrics in (ENCODER, APART):
        states = config(pattern=(AttentionKind.ENCODER,), lyrics=lyrics)
        assert step_bytes(states, "fp32").cache == 4 * 2 * 8 * 4 * 8


def test_step_bytes_grow_with_samples_by_their_cache_alone():
    one, four = (step_bytes(config(), "fp32", range(5, 9), samples) for samples in (1, 4))
    assert four.weights == one.weights
    assert four.cache == pytest.approx(4 * one.cache)
    assert four.total == four.weights + four.cache


def test_a_step_of_the_published_5b_top_reads_nearly_all_weights():
    everything = 2 * parameters_of(TOP_5B)
    assert 0.95 < step_bytes(TOP_5B, "bf16", range(4096, 4160)).weights / everything < 1
