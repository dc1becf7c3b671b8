"""Training clips for the codec: songs decoded once to memory-mapped int16, and random crops of them."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from jukectl.audio import io, mix
from jukectl.data.manifest import Track
from jukectl.data.segments import ALL_ROWS, ByLength
from jukectl.errors import BadAudio, BadManifest, MissingTool
from jukectl.files import atomic_write, make_folder
from jukectl.progress import Listener, Progress

FULL_SCALE = 32_767
CEILING = 0.999  # peak; louder songs are scaled down to it
LONGEST_STEM = 150  # bytes of a song's name in its cache file's name: file systems allow 255 in all


class Waveforms:
    """Songs as (channels, samples) int16 memory maps at one sample rate, with at most two channels."""

    def __init__(self, songs: Sequence[np.ndarray], sample_rate: int) -> None:
        self.songs = list(songs)
        self.sample_rate = sample_rate
        self._by_length = ByLength([song.shape[-1] for song in songs])

    @classmethod
    def load(
        cls, folder: Path, tracks: Sequence[Track], sample_rate: int, cache: Path, listener: Listener
    ) -> "Waveforms":
        """Decode the songs that are not cached; a song that cannot be read is reported and left out."""
        songs, reasons = [], []
        for number, track in enumerate(tracks):
            listener(Progress("decoding songs", number, len(tracks), track.path))
            try:
                songs.append(_decoded(folder / track.path, sample_rate, cache))
            except (BadAudio, MissingTool) as error:
                reasons.append(str(error))
                listener(Progress("decoding songs", number, len(tracks), f"left out: {error}"))
        listener(Progress("decoding songs", len(tracks), len(tracks)))
        if not songs:
            raise BadManifest(f"none of the {len(tracks)} songs in {folder} can be read: {reasons[0]}")
        return cls(songs, sample_rate)

    def clips(self, count: int, samples: int, generator: np.random.Generator, rows: slice = ALL_ROWS) -> Tensor:
        """Return `count` random mono clips (count, samples), float32; songs are sampled in proportion to length.

        Left and right are mixed with random weights. A song shorter than a clip is padded with silence. With `rows`
        only these of the `count` clips are read and returned; their contents do not depend on `rows`.
        """
        places = []
        for pick in self._by_length.draw(count, generator):
            starts = max(0, self.songs[pick].shape[-1] - samples) + 1
            places.append((self.songs[pick], int(generator.integers(starts)), generator.random()))
        return torch.from_numpy(np.stack([_clip(song, start, samples, left) for song, start, left in places[rows]]))

    def middle(self, index: int, samples: int) -> Tensor:
        """Return the middle of a song (n,), down-mixed as for encoding, at most `samples` long."""
        song = self.songs[index]
        start = max(0, (song.shape[-1] - samples) // 2)
        return torch.from_numpy(mix.to_mono(_as_float(song[:, start : start + samples])))


def _clip(song: np.ndarray, start: int, samples: int, left: float) -> np.ndarray:
    """Return mono samples (samples,) of a song (C, N) from `start` on; `left` is the weight of the left channel."""
    clip = _as_float(song[:, start : start + samples])
    if clip.shape[-1] < samples:
        clip = np.pad(clip, ((0, 0), (0, samples - clip.shape[-1])))
    return mix.blend(clip, left)


def _as_float(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / FULL_SCALE


def _decoded(path: Path, sample_rate: int, cache: Path) -> np.ndarray:
    """Return the cached int16 samples (channels, samples) of a file, decoded again if the file has changed.

    The cache is written block by block with interleaved channels, so memory does not grow with the song's length.
    Caches of earlier versions, with one channel after the other, are read as well.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise BadAudio(f"cannot read {path}: {error.strerror}") from error
    key = hashlib.sha256(os.fsencode(f"{path.resolve()} {about.st_size} {about.st_mtime_ns} {sample_rate}")).hexdigest()
    stem = os.fsencode(path.stem)[:LONGEST_STEM].decode(errors="ignore")
    kept = cache / f"{stem}-{key[:16]}.npy"
    if not kept.exists():
        make_folder(cache)
        with atomic_write(kept) as file:
            highest = _write_samples(file, path, sample_rate, gain=1.0)
            if highest > CEILING:  # decoded a second time, because the gain depends on the peak of the whole song
                _write_samples(file, path, sample_rate, gain=CEILING / highest)
    song: np.ndarray = np.load(kept, mmap_mode="r", allow_pickle=False)
    return song


def _write_samples(file: BinaryIO, path: Path, sample_rate: int, *, gain: float) -> float:
    """Decode a song into a .npy file, (channels, samples) int16 in Fortran order, and return its peak.

    Raise BadAudio if it cannot be decoded or has no samples, and MissingTool if its decoder is missing.
    """
    stream = io.stream(path)
    channels = stream.channels if stream.channels <= 2 else 1
    kept = (block if stream.channels <= 2 else mix.to_mono(block)[None] for block in stream.blocks)
    highest, samples = 0.0, 0
    _write_header(file, channels, samples)
    for block in mix.resample_blocks(kept, stream.sample_rate, sample_rate):
        highest, samples = max(highest, mix.peak(block)), samples + block.shape[1]
        scaled = np.round(block.T * np.float32(gain * FULL_SCALE)).clip(-FULL_SCALE, FULL_SCALE)
        file.write(scaled.astype("<i2").tobytes())
    if not samples:
        raise BadAudio(f"{path} is too short: less than one sample at {sample_rate} Hz")
    _write_header(file, channels, samples)
    return highest


def _write_header(file: BinaryIO, channels: int, samples: int) -> None:
    """Write the header of the .npy file; numpy pads it, so it can be written again with the final length."""
    file.seek(0)
    shape = {"descr": "<i2", "fortran_order": True, "shape": (channels, samples)}
    np.lib.format.write_array_header_1_0(file, shape)
