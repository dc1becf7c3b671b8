"""Fingerprints of model parts."""

import hashlib
import struct

import numpy as np

from jukectl.checkpoints.fingerprints import fingerprint, fingerprint_one_by_one


def test_a_fingerprint_hashes_names_shapes_and_float32_bytes_sorted_by_name():
    digest = hashlib.sha256()
    digest.update(b"a.weight" + b"(2, 3)" + struct.pack("<6f", 0, 1, 2, 3, 4, 5))
    digest.update(b"b" + b"(1,)" + struct.pack("<f", -0.5))
    digest.update("ö".encode() + b"()" + struct.pack("<f", 7))
    tensors = [
        ("ö", np.array(7.0)),
        ("b", np.array([-0.5], np.float16)),
        ("a.weight", np.arange(6, dtype=np.float64).reshape(2, 3)),
    ]
    assert fingerprint(tensors) == digest.hexdigest()


def test_a_fingerprint_is_independent_of_order_precision_and_memory_layout():
    values = np.array([[1.5, -2.0], [0.25, 3.0]])
    one = fingerprint([("x", values.astype(np.float16)), ("y", values.astype(np.float32))])
    assert fingerprint([("y", values.astype(">f8")), ("x", np.asfortranarray(values))]) == one


def test_a_fingerprint_depends_on_names_shapes_and_values():
    zeros = np.zeros((2, 3))
    prints = {
        fingerprint([("x", zeros)]),
        fingerprint([("y", zeros)]),
        fingerprint([("x", zeros.T)]),
        fingerprint([("x", zeros + 1e-7)]),
        fingerprint([]),
    }
    assert len(prints) == 5


def test_a_fingerprint_can_be_computed_one_tensor_at_a_time():
    tensors = {name: np.full(3, number, np.float32) for number, name in enumerate("cab")}
    read = []

    def reader(name):
        read.append(name)
        return tensors[name]

    assert fingerprint_one_by_one(tensors, reader) == fingerprint(tensors.items())
    assert read == ["a", "b", "c"]
