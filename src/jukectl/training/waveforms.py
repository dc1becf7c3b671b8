"""Clips of music for the codec: songs decoded once to memory-mapped int16, crops drawn by step."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jukectl.audio import io, mix
from jukectl.errors import BadAudio, BadManifest, CannotWrite, MissingTool
from jukectl.files import atomic_write
from jukectl.progress import Progress, Report
from jukectl.training.drawing import ALL_ROWS, ByLength
from jukectl.training.manifest import Track

FULL_SCALE = 32_767
LONGEST_STEM = 150  # bytes of a song's name that its cache file keeps: file systems allow 255 in all


class Waveforms:
    """Songs as (channels, samples) int16 memory maps at one sample rate; at most two channels are kept."""

    def __init__(self, songs: Sequence[np.ndarray], sample_rate: int) -> None:
        self.songs = list(songs)
        self.sample_rate = sample_rate
        self._by_length = ByLength([song.shape[-1] for song in songs])

    @classmethod
    def load(cls, folder: Path, tracks: Sequence[Track], sample_rate: int, cache: Path, report: Report) -> "Waveforms":
        """Decode what is not in the cache yet; a song that cannot be read is reported and left out."""
        songs = []
        for number, track in enumerate(tracks):
            report(Progress("decoding songs", number, len(tracks), track.path))
            try:
                songs.append(_decoded(folder / track.path, sample_rate, cache))
            except (BadAudio, MissingTool) as error:
                report(Progress("decoding songs", number, len(tracks), f"left out: {error}"))
        report(Progress("decoding songs", len(tracks), len(tracks)))
        if not songs:
            raise BadManifest(f"none of the {len(tracks)} songs in {folder} can be read")
        return cls(songs, sample_rate)

    def clips(self, count: int, samples: int, generator: np.random.Generator, rows: slice = ALL_ROWS) -> Tensor:
        """`count` random mono clips (count, samples), float32; the longer a song, the more often it comes up.

        Left and right are mixed at random. A song that is shorter than a clip is followed by silence. With `rows` only
        those of the `count` clips are read and returned; what is in them does not depend on it.
        """
        places = []
        for pick in self._by_length.draw(count, generator):
            starts = max(0, self.songs[pick].shape[-1] - samples) + 1
            places.append((self.songs[pick], int(generator.integers(starts)), generator.random()))
        return torch.from_numpy(np.stack([_clip(song, start, samples, left) for song, start, left in places[rows]]))

    def middle(self, index: int, samples: int) -> Tensor:
        """The middle of a song, down-mixed as for encoding (n,), at most `samples` long."""
        song = self.songs[index]
        start = max(0, (song.shape[-1] - samples) // 2)
        return torch.from_numpy(mix.to_mono(_as_float(song[:, start : start + samples])))


def _clip(song: np.ndarray, start: int, samples: int, left: float) -> np.ndarray:
    """Samples (n,) of a song (C, N) from `start` on, left with the weight `left`."""
    clip = _as_float(song[:, start : start + samples])
    if clip.shape[-1] < samples:
        clip = np.pad(clip, ((0, 0), (0, samples - clip.shape[-1])))
    return mix.blend(clip, left)


def _as_float(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / FULL_SCALE


def _decoded(path: Path, sample_rate: int, cache: Path) -> np.ndarray:
    """The cached int16 decode (channels, samples) of a file, made anew where the file has changed."""
    try:
        about = path.stat()
    except OSError as error:
        raise BadAudio(f"cannot read {path}: {error.strerror}") from error
    key = hashlib.sha256(os.fsencode(f"{path.resolve()} {about.st_size} {about.st_mtime_ns} {sample_rate}")).hexdigest()
    stem = os.fsencode(path.stem)[:LONGEST_STEM].decode(errors="ignore")
    kept = cache / f"{stem}-{key[:16]}.npy"
    if not kept.exists():
        audio = io.load(path, sample_rate=sample_rate)
        samples = audio.samples if audio.channels <= 2 else mix.to_mono(audio.samples)[None]
        whole = np.round(mix.limit_peak(samples) * FULL_SCALE).astype(np.int16)
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"cannot make {cache}, where decoded songs are kept: {error.strerror}") from error
        with atomic_write(kept) as file:
            np.save(file, whole)
    song: np.ndarray = np.load(kept, mmap_mode="r", allow_pickle=False)
    return song
