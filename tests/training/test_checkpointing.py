"""Checkpoints: written completely or not at all, and without code."""

import hashlib
import json
import pickle
import sys
import zipfile

import pytest
import torch

from jukectl.errors import CannotWrite
from jukectl.training.checkpointing import HASHES, checkpoints, damage, load_checkpoint, save_checkpoint
from jukectl.training.distributed import ALONE

if sys.platform != "win32":
    import resource


def state(value, rows=4_000):
    return {"model.weight": torch.full((rows,), float(value)), "run.step": torch.tensor(value)}


def test_a_loaded_checkpoint_equals_the_saved_one(tmp_path):
    save_checkpoint(tmp_path, 7, state(7), ALONE)
    back = state(0)
    load_checkpoint(tmp_path / "checkpoint-00000007.pt", back)
    assert all(torch.equal(back[name], tensor) for name, tensor in state(7).items())


def test_the_last_two_checkpoints_are_kept_as_files_or_folders(tmp_path):
    (tmp_path / "checkpoint-00000001").mkdir()
    (tmp_path / "checkpoint-00000001" / "__0_0.distcp").touch()
    (tmp_path / ".checkpoint-00000002.part").mkdir()
    for step in (2, 3, 4):
        save_checkpoint(tmp_path, step, state(step), ALONE)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-00000003.pt", "checkpoint-00000004.pt"]
    assert not (tmp_path / "checkpoint-00000001").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of Unix")
def test_a_full_disk_leaves_older_checkpoints_intact(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, state(step), ALONE)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))  # bytes: half of a checkpoint
    try:
        with pytest.raises(CannotWrite, match=r"checkpoint-00000003.*What was there before is unchanged"):
            save_checkpoint(tmp_path, 3, state(3), ALONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class Code:
    def __reduce__(self):
        return print, ("code of a checkpoint runs",)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_checkpoint_with_code_in_it_is_refused_without_running_the_code(tmp_path, capsys, kind):
    path = tmp_path / "checkpoint-00000001"
    if kind == "file":
        path = path.with_suffix(".pt")
        torch.save({**state(1), "more": Code()}, path)
    else:
        path.mkdir()
        (path / ".metadata").write_bytes(pickle.dumps(Code()))
    with pytest.raises(Exception, match=r"print"):
        load_checkpoint(path, state(1))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({**state(1), "average.weight": torch.zeros(1)}, "train.average was switched on or off"),
        ({**state(1), "model.more": torch.zeros(1)}, "model.more is only in the checkpoint or only in the model"),
        (state(1, rows=5), "size mismatch for model.weight"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(tmp_path, wanted, message):
    save_checkpoint(tmp_path, 1, state(1), ALONE)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(tmp_path / "checkpoint-00000001.pt", wanted)


def test_every_flipped_bit_in_the_tensors_of_a_checkpoint_is_noticed(tmp_path):
    save_checkpoint(tmp_path, 1, state(1, rows=64), ALONE)
    (path,) = checkpoints(tmp_path)
    good = path.read_bytes()
    assert damage(path) is None
    for at in range(0, len(good), 7):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        path.write_bytes(bad)
        back = state(0, rows=64)
        if damage(path) is None:  # padding, or a field that readers do without
            load_checkpoint(path, back)
            assert all(torch.equal(back[name], tensor) for name, tensor in state(1, rows=64).items())


def test_a_compressed_checkpoint_is_refused_before_it_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(1_000_000))
    assert "compressed" in damage(tmp_path / "a.pt")


def test_the_files_of_a_checkpoint_folder_are_hashed(tmp_path):
    folder = tmp_path / "checkpoint-00000001"
    folder.mkdir()
    (folder / "__0_0.distcp").write_bytes(b"weights")
    assert damage(folder) is None  # of an earlier version
    (folder / HASHES).write_text(json.dumps({"__0_0.distcp": hashlib.sha256(b"weights").hexdigest()}))
    assert damage(folder) is None
    (folder / "__0_0.distcp").write_bytes(b"weighty")
    assert damage(folder) == "__0_0.distcp has changed since it was written"
