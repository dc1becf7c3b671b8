"""Fingerprints of a model's parts, cached for the user: computing that of a large part means reading all of it."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import platformdirs

from jukectl.checkpoints.tensorfile import check_finite
from jukectl.checkpoints.weights import Weights
from jukectl.errors import CannotWrite
from jukectl.files import atomic_write

VERSION = 2  # of the definition of a fingerprint and its checks; cached ones of another version are not used
SMALLEST_KEPT = 64 * 2**20  # bytes of a part's files; smaller ones are hashed faster than a cache is worth
SETTLED = 2.0  # seconds; some file systems have times this coarse, so a younger file may change and keep its time

FileState = tuple[str, int, int]  # path, size, modification time in nanoseconds

_computed: dict[tuple[str, tuple[FileState, ...]], str] = {}


def cached_fingerprint(part: str, files: tuple[FileState, ...], weights: Callable[[], Weights]) -> str:
    """Return the fingerprint of a part whose files are in these states, from the cache or computed from `weights`."""
    if (part, files) not in _computed:
        large = sum(size for _, size, _ in files) >= SMALLEST_KEPT
        # the key holds sizes and times: a changed file has another key, so nothing has to be invalidated
        place = _folder() / f"{sha256(repr((VERSION, part, files)).encode()).hexdigest()}.txt"
        known = _read(place) if large else None
        _computed[part, files] = known or fingerprint_of(weights())
        # the newest of the files decides
        settled = time.time() - max(changed for _, _, changed in files) / 1e9 > SETTLED
        if large and known is None and settled:
            _write(place, _computed[part, files])
    return _computed[part, files]


def fingerprint_of(weights: Weights) -> str:
    """Compute the fingerprint of a part piece by piece, in little memory. Raise BadModel if a number is not finite."""
    digest = Digest()
    with weights.reading() as reading:
        for name in sorted(weights.places):
            digest.begin(name, weights.shape(name))
            for piece in reading.pieces(name):
                check_finite(piece, weights.places[name].name, weights.places[name].file.path)
                digest.add(piece.float().numpy())
    return digest.hexdigest()


def _folder() -> Path:
    return platformdirs.user_cache_path("jukectl") / "fingerprints"


def _read(place: Path) -> str | None:
    """Return a cached fingerprint; None if there is none, or the file is damaged."""
    try:
        text = place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _write(place: Path, fingerprint: str) -> None:
    """Cache a fingerprint. A cache that cannot be written costs time only, so errors are ignored."""
    with suppress(OSError, CannotWrite):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as file:
            file.write(f"{fingerprint}\n".encode())


class Digest:
    """SHA-256 over tensors sorted by name: name, shape and float32 bytes, little-endian.

    Over float32 of the numbers and our own names, so that one model has one fingerprint in every format and precision
    that holds the same numbers.
    """

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def begin(self, name: str, shape: tuple[int, ...]) -> None:
        """Start the next tensor."""
        # name and shape too: two models with permuted or reshaped tensors must differ
        self.sha.update(name.encode())
        self.sha.update(repr(tuple(shape)).encode())

    def add(self, numbers: np.ndarray) -> None:
        """Add the next numbers of the tensor, in the order of memory."""
        # as bytes without a copy; `<f4` fixes the byte order on every machine
        self.sha.update(np.ascontiguousarray(numbers, dtype="<f4").reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        """Return the fingerprint."""
        return self.sha.hexdigest()


def fingerprint(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the fingerprint of tensors in any order, as hex."""
    arrays = dict(tensors)
    return fingerprint_one_by_one(arrays, arrays.__getitem__)


def fingerprint_one_by_one(names: Iterable[str], read: Callable[[str], np.ndarray]) -> str:
    """Return the fingerprint of tensors that `read` returns by name; one of them is in memory at a time."""
    digest = Digest()
    for name in sorted(names):
        tensor = read(name)
        digest.begin(name, tensor.shape)
        digest.add(tensor)
    return digest.hexdigest()
