"""The fingerprint of a model part: the same tensors have the same one in every format that kept them losslessly."""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np


def fingerprint(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """SHA-256 over tensors sorted by name: name, shape and float32 bytes, little-endian. Hex."""
    arrays = dict(tensors)
    return fingerprint_one_by_one(arrays, arrays.__getitem__)


def fingerprint_one_by_one(names: Iterable[str], read: Callable[[str], np.ndarray]) -> str:
    """The fingerprint of tensors that `read` gives by name; only one of them is held at a time."""
    digest = hashlib.sha256()
    for name in sorted(names):
        tensor = read(name)
        digest.update(name.encode())
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
    return digest.hexdigest()
