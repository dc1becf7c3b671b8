"""Fixtures that the tests of this package share."""

from music_fixtures import run
from song_fixtures import ask, codes_in, drawn, finished, other_model, song

__all__ = ["ask", "codes_in", "drawn", "finished", "other_model", "run", "song"]
