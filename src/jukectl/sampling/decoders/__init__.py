"""Decoders: implementations of sampling from a prior, one code at a time."""
