"""Decoders: ways to run a prior one code at a time."""
