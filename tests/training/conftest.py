"""Fixtures that the tests of this package share."""

from training_fixtures import codec_recipe, codes, music, prior_recipe, write_recipe

__all__ = ["codec_recipe", "codes", "music", "prior_recipe", "write_recipe"]
