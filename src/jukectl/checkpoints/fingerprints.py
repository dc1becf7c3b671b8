"""Fingerprints of parts, kept in the user's cache: to compute that of a large one is to read all of it."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import platformdirs

from jukectl.checkpoints.weights import Weights
from jukectl.errors import CannotWrite
from jukectl.files import atomic_write

VERSION = 1  # of what a fingerprint is made of
SMALLEST_KEPT = 64 * 2**20  # bytes of its files: under that it takes no time
SETTLED = 2.0  # seconds: a file that was changed since may change again without a later time

FileState = tuple[str, int, int]  # path, size, time of the last change in nanoseconds

_computed: dict[tuple[str, tuple[FileState, ...]], str] = {}


def cached_fingerprint(part: str, files: tuple[FileState, ...], weights: Callable[[], Weights]) -> str:
    """The fingerprint of a part that is made of files in these states: known from before, or computed."""
    if (part, files) not in _computed:
        large = sum(size for _, size, _ in files) >= SMALLEST_KEPT
        place = _folder() / f"{sha256(repr((VERSION, part, files)).encode()).hexdigest()}.txt"
        known = _read(place) if large else None
        _computed[part, files] = known or fingerprint_of(weights())
        settled = time.time() - max(changed for _, _, changed in files) / 1e9 > SETTLED
        if large and known is None and settled:
            _write(place, _computed[part, files])
    return _computed[part, files]


def fingerprint_of(weights: Weights) -> str:
    """The fingerprint of a part, computed in little memory."""
    digest = Digest()
    with weights.reading() as reading:
        for name in sorted(weights.places):
            digest.begin(name, weights.shape(name))
            for piece in reading.pieces(name):
                digest.add(piece.float().numpy())
    return digest.hexdigest()


def _folder() -> Path:
    return platformdirs.user_cache_path("jukectl") / "fingerprints"


def _read(place: Path) -> str | None:
    """What was kept; None where nothing was, or something else."""
    try:
        text = place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _write(place: Path, fingerprint: str) -> None:
    """Keep one. Where that cannot be, it is computed again the next time."""
    with suppress(OSError, CannotWrite):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as file:
            file.write(f"{fingerprint}\n".encode())


class Digest:
    """SHA-256 over tensors that come sorted by name: name, shape and float32 bytes, little-endian."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def begin(self, name: str, shape: tuple[int, ...]) -> None:
        """The next tensor."""
        self.sha.update(name.encode())
        self.sha.update(repr(tuple(shape)).encode())

    def add(self, numbers: np.ndarray) -> None:
        """The next of its numbers, in the order that they lie in."""
        self.sha.update(np.ascontiguousarray(numbers, dtype="<f4").reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        """The fingerprint."""
        return self.sha.hexdigest()


def fingerprint(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """The fingerprint of tensors in any order. Hex."""
    arrays = dict(tensors)
    return fingerprint_one_by_one(arrays, arrays.__getitem__)


def fingerprint_one_by_one(names: Iterable[str], read: Callable[[str], np.ndarray]) -> str:
    """The fingerprint of tensors that `read` gives by name; only one of them is held at a time."""
    digest = Digest()
    for name in sorted(names):
        tensor = read(name)
        digest.begin(name, tensor.shape)
        digest.add(tensor)
    return digest.hexdigest()
