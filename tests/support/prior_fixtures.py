"""Fixtures of tiny priors of every kind; a conftest.py imports all of them."""

from dataclasses import replace

import pytest
import torch
from tiny_priors import tiny_config

from jukectl.codes.level import Level
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
)
from jukectl.prior.model import Prior

__all__ = [
    "apart",
    "encoded",
    "merged",
    "one_seed",
    "prior",
    "published_merged",
    "rotary",
    "rotary_apart",
    "rotary_merged",
    "top",
    "unlike_prior",
    "upsampler",
]


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def top() -> PriorConfig:
    return tiny_config(
        context=24,
        width=64,
        depth=6,
        blocks=6,
        hop=8,
        codebook_size=40,
        artists=5,
        genres=7,
        genre_slots=3,
        timing=TimingConfig(bins=16, min_seconds=0.1, max_seconds=3.0),
    )


@pytest.fixture
def upsampler(top: PriorConfig) -> PriorConfig:
    conditioner = ConditionerConfig(width=16, depth=3, downs=2, cycle=2, codebook_size=30)
    return replace(top, level=Level.MIDDLE, timing=None, conditioner=conditioner)


@pytest.fixture
def encoded(top: PriorConfig) -> PriorConfig:
    """With a lyrics encoder."""
    encoder = EncoderConfig(width=32, depth=3, heads=2, blocks=3, init_scale=5.0)
    pattern = (*FACTORED, AttentionKind.ENCODER, AttentionKind.DENSE, AttentionKind.ENCODER)
    return replace(top, pattern=pattern, lyrics=LyricsConfig(characters=9, alphabet=11, encoder=encoder))


@pytest.fixture
def merged(top: PriorConfig) -> PriorConfig:
    """With lyrics and codes in one sequence, 8 + 24 long; LYRICS layers attend to 12 positions."""
    pattern = (*FACTORED, AttentionKind.LYRICS, AttentionKind.DENSE, AttentionKind.LYRICS)
    lyrics = LyricsConfig(characters=8, alphabet=11)
    return replace(top, blocks=4, pattern=pattern, lyrics=lyrics, tied_head=False)


@pytest.fixture
def apart(top: PriorConfig) -> PriorConfig:
    """With lyrics in a parallel sequence, whose length is not a multiple of the block of 4."""
    pattern = (*FACTORED, AttentionKind.ENCODER, AttentionKind.DENSE, AttentionKind.ENCODER)
    return replace(top, pattern=pattern, lyrics=LyricsConfig(characters=10, alphabet=11, apart=True))


@pytest.fixture
def published_merged(merged: PriorConfig) -> PriorConfig:
    """As the published one: a lyric token may be sampled in place of a code."""
    assert merged.lyrics
    return replace(merged, lyrics=replace(merged.lyrics, drawable=True))


@pytest.fixture
def rotary(top: PriorConfig) -> PriorConfig:
    """With rotary positions, dense layers, and window layers whose window does not divide the context."""
    return replace(top, positions="rotary", pattern=(AttentionKind.DENSE, AttentionKind.WINDOW), window=7)


@pytest.fixture
def rotary_merged(merged: PriorConfig) -> PriorConfig:
    return replace(merged, positions="rotary")


@pytest.fixture
def rotary_apart(apart: PriorConfig) -> PriorConfig:
    return replace(apart, positions="rotary")


@pytest.fixture(
    params=[
        "top",
        "upsampler",
        "encoded",
        "apart",
        "merged",
        "published_merged",
        "rotary",
        "rotary_merged",
        "rotary_apart",
    ]
)
def prior(request: pytest.FixtureRequest) -> Prior:
    """Return a prior of each kind, with random biases."""
    return with_biases(request.getfixturevalue(request.param))


@pytest.fixture(params=["top", "upsampler", "published_merged"])
def unlike_prior(request: pytest.FixtureRequest) -> Prior:
    """Return three kinds of prior, for code that does not depend on attention, positions or the reader of lyrics."""
    return with_biases(request.getfixturevalue(request.param))


def with_biases(config: PriorConfig) -> Prior:
    """Return a new prior whose biases are random."""
    prior = Prior(config).eval()
    with torch.no_grad():  # biases start at zero, which would hide one that is left out
        for name, parameter in prior.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return prior
