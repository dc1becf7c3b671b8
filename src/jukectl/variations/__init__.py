"""Make songs from a song that exists."""
