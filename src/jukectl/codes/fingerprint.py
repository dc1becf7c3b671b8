"""The fingerprint of a model part: the same tensors have the same one in every format that kept them losslessly."""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np


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
