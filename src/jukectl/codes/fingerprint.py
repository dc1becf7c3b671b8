"""The fingerprint of a model part: the same tensors have the same one in every format that kept them losslessly."""

import hashlib
from collections.abc import Iterable

import numpy as np


def fingerprint(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """SHA-256 over tensors sorted by name: name, shape and float32 bytes, little-endian. Hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(name.encode())
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
    return digest.hexdigest()
