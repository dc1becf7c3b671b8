"""The decoding step of a prior in C, for processors."""
