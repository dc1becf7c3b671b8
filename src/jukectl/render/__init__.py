"""Make a song: encode, sample level by level, decode."""
