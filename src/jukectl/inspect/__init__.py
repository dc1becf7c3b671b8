"""Describe songs, models and the machine."""
