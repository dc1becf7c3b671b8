"""Decide what will be done, before the first code is sampled."""
