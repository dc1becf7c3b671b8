"""Fingerprints in the user's cache."""

import os
import time

import platformdirs
import pytest
from foreign_models import random_model, write_huggingface
from safetensors.torch import load_file, save_file

from jukectl.checkpoints import fingerprints as module
from jukectl.checkpoints.fingerprints import fingerprint
from jukectl.checkpoints.store import ModelFolder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return an empty cache that keeps fingerprints of parts of any size."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(module, "SMALLEST_KEPT", 0)
    monkeypatch.setattr(module, "_computed", {})
    return tmp_path / "cache" / "jukectl" / "fingerprints"


def old(folder, seconds=100.0):
    """Return a folder whose files are older than the cache requires."""
    for path in folder.glob("*.*"):
        os.utime(path, (time.time() - seconds,) * 2)
    return ModelFolder(folder)


@pytest.fixture
def port(tmp_path):
    return old(write_huggingface(random_model(), tmp_path / "port", "model.safetensors"))


def again(monkeypatch, *, computed=True):
    """Compute a fingerprint as another process would; unless `computed`, fail if tensors are read."""
    monkeypatch.setattr(module, "_computed", {})
    if not computed:
        monkeypatch.setattr(module, "fingerprint_of", lambda weights: pytest.fail("it was read again"))


def test_a_cached_fingerprint_is_not_computed_again(port, cache, monkeypatch):
    expected = fingerprint((name, one.numpy()) for name, one in random_model().state["top"].items())
    assert port.fingerprint("top") == expected
    assert len(list(cache.iterdir())) == 1
    again(monkeypatch, computed=False)
    assert ModelFolder(port.path).fingerprint("top") == expected


def test_parts_in_one_file_have_separate_cached_fingerprints(port):
    assert len({port.fingerprint(part) for part in port.parts}) == 4


def test_a_changed_file_has_another_fingerprint(port, monkeypatch):
    before = port.fingerprint("top")
    path = port.path / "model.safetensors"
    tensors = load_file(path)
    tensors["priors.0.prior.pos_emb.pos_emb"] += 1
    save_file(tensors, path)
    again(monkeypatch)
    assert old(port.path, 50).fingerprint("top") != before


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"0" * 63, b"../" * 30, b"0" * 65])
def test_a_damaged_cached_fingerprint_is_computed_again(port, cache, damage, monkeypatch):
    expected = port.fingerprint("top")
    (note,) = cache.iterdir()
    note.write_bytes(damage)
    again(monkeypatch)
    assert ModelFolder(port.path).fingerprint("top") == expected
    assert note.read_text().strip() == expected


def test_the_fingerprint_of_a_file_changed_seconds_ago_is_not_cached(tmp_path, cache):
    ModelFolder(write_huggingface(random_model(), tmp_path / "new")).fingerprint("top")
    assert not cache.exists()


def test_fingerprints_of_small_parts_are_not_cached(port, cache, monkeypatch):
    monkeypatch.setattr(module, "SMALLEST_KEPT", 10**9)
    port.fingerprint("top")
    assert not cache.exists()


def test_a_fingerprint_is_computed_without_a_writable_cache(port, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    assert len(port.fingerprint("top")) == 64
