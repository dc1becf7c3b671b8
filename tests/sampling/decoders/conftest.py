"""Fixtures that the tests of this package share."""

from prior_fixtures import apart, encoded, merged, one_seed, prior, published_merged, top, upsampler

__all__ = ["apart", "encoded", "merged", "one_seed", "prior", "published_merged", "top", "upsampler"]
