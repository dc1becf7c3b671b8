"""Notes at rest: MIDI files, and the piano roll that a prior is told them as."""
