"""Music to train on: scan, split, encode, and read segments."""
