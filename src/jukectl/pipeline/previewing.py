"""A level to be heard while it is made: its files are written again after every window, and only their ends decoded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jukectl.audio import io
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.files import make_folder
from jukectl.pipeline.decoding import audio_paths, waveform
from jukectl.pipeline.machine import Machine
from jukectl.vqvae.model import VQVAE

FULL = 0.999
"""Where a file is so loud, it may have been brought down as a whole, and what follows does not fit on it."""


class Preview:
    """The audio files of one level of a song, as far as its codes are there. The codec is loaded with the first.

    With `files`, one a sample, they are those, and with `first` they begin at that code.
    """

    def __init__(
        self,
        song: Song,
        folder: ModelFolder,
        machine: Machine,
        level: Level,
        *,
        files: Sequence[Path] = (),
        first: int = 0,
    ) -> None:
        self._song = song
        self._folder = folder
        self._machine = machine
        self._level = level
        self._files = files
        self._first = first
        self._vqvae: VQVAE | None = None
        self._written: dict[int, int] = {}  # codes that this run has put into the file of each sample

    def write(self) -> None:
        """Bring the files up to the codes that are saved; a player sees the old file or the new one."""
        codes = self._song.codes(self._level)
        if codes is None or codes.done <= self._first:
            return
        if self._vqvae is None:
            self._vqvae = self._folder.vqvae(self._machine.device, (self._level,))
        for sample in range(codes.samples):
            path = self._path(sample)
            kept = self._kept(sample, codes.hop)
            samples = self._decoded(self._vqvae, codes.array[sample], kept, codes.hop)
            if kept.size and np.abs(samples).max(initial=0.0) > FULL:
                samples = self._decoded(self._vqvae, codes.array[sample], kept[:0], codes.hop)
            make_folder(path.parent)
            io.save(path, samples, codes.sample_rate)
            self._written[sample] = codes.done - self._first

    def _path(self, sample: int) -> Path:
        if self._files:
            return self._files[sample]
        (path,) = audio_paths(self._song, self._level, [sample]).values()
        return path

    def _kept(self, sample: int, hop: int) -> np.ndarray:
        """What stands already in a sample's file and does not change by codes that follow, (n,); empty without one."""
        path = self._path(sample)
        written, none = self._written.get(sample, 0), np.zeros(0, dtype=np.float32)
        if not written or not path.exists() or self._vqvae is None:
            return none
        samples = io.load(path).samples[0]
        if len(samples) != written * hop:
            return none  # somebody else's
        reach = self._vqvae.autoencoder(self._level).decoder.reach
        final = max(written - reach, 0)
        kept: np.ndarray = samples[: final * hop]
        return kept

    def _decoded(self, vqvae: VQVAE, codes: np.ndarray, kept: np.ndarray, hop: int) -> np.ndarray:
        """All samples of a file, of codes (frames,), the first of which are known."""
        first = self._first + len(kept) // hop
        before = min(first, vqvae.autoencoder(self._level).decoder.reach)
        rest = waveform(vqvae, codes[first - before :], self._level, self._machine)
        return np.concatenate([kept, rest[before * hop :]])
