"""Measure models on held-out music, and songs against the music they follow."""
