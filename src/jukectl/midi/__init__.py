"""Notes and beats: MIDI files, transcription, and the piano rolls and phases that priors are conditioned on."""
