"""Decoding step of a prior in C, for CPUs."""
