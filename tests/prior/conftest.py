"""Fixtures that the tests of this package share."""

from prior_fixtures import (
    apart,
    encoded,
    merged,
    one_seed,
    prior,
    published_merged,
    rotary,
    rotary_apart,
    rotary_merged,
    top,
    upsampler,
)

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
    "upsampler",
]
