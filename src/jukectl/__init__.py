"""jukectl: raw-audio music generation with three levels of codes."""

__version__ = "0.1.0"
