"""Fixtures that the tests of this package share."""

from song_fixtures import ask, codes_in, finished, song
from training_fixtures import codec_recipe, codes, music, prior_recipe

__all__ = ["ask", "codec_recipe", "codes", "codes_in", "finished", "music", "prior_recipe", "song"]
