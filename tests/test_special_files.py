"""Pipes, devices and folders where a file of weights, a checkpoint, a log or a mark is expected: refused at once.

A reader that opened them would wait for ever, or read without an end.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jukectl.checkpoints.adapters import AdapterFile
from jukectl.checkpoints.assemble import Run
from jukectl.checkpoints.store import ModelFolder
from jukectl.checkpoints.tensorfile import load_tensors
from jukectl.checkpoints.torchfile import TorchFile
from jukectl.codes.level import Level
from jukectl.codes.shard import read_shard
from jukectl.errors import BadInput, JukectlError
from jukectl.files import read_bytes
from jukectl.folders import Kind
from jukectl.training.checkpointing import damage
from jukectl.training.monitor import cut_log

pytestmark = [pytest.mark.timeout(20), pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")]

KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
}


@pytest.fixture(params=KINDS)
def special(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Put a special file at a path."""

    def make(path: Path) -> Path:
        path.unlink(missing_ok=True)
        KINDS[request.param](path)
        return path

    return make


@pytest.mark.parametrize("read", [load_tensors, AdapterFile.load, read_shard, lambda path: TorchFile(path).describe()])
def test_files_that_libraries_open_are_regular_ones(read, special, tmp_path):
    with pytest.raises(JukectlError, match=r"not a regular file|Is a directory"):
        read(special(tmp_path / "a.safetensors"))


def test_weights_of_a_model_are_regular_files(special, tiny_model, tmp_path):
    import shutil

    model = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    special(model / "top.safetensors")
    with pytest.raises(JukectlError, match=r"not a regular file|Is a directory"):
        _ = ModelFolder(model).fingerprint(Level.TOP.label)
    special(model / "best.safetensors")
    with pytest.raises(JukectlError, match="holds no training run"):
        Run.load(model)


def test_a_checkpoint_and_a_log_are_regular_files(special, tmp_path):
    path = special(tmp_path / "checkpoint-00000001.pt")
    if path.is_dir():  # a checkpoint of several processes, without the hashes of its files
        return
    assert "cannot read the checkpoint" in (damage(path) or "")
    with pytest.raises(BadInput, match="not a regular file"):
        cut_log(special(tmp_path / "train.csv"), 3)


def test_a_mark_is_a_regular_file(special, tmp_path):
    kind = Kind("song folder", lambda folder: False)
    special(tmp_path / kind.mark)
    assert not kind.is_marked(tmp_path)


def test_reading_takes_no_more_memory_than_the_file_has(tmp_path):
    """Python allocates as much as it is asked to read."""
    import tracemalloc

    (tmp_path / "a").write_bytes(bytes(1_000))
    tracemalloc.start()
    try:
        assert len(read_bytes(tmp_path / "a", BadInput, largest=2**30)) == 1_000
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
