"""Files of torch.save, valid, damaged and malicious."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from jukectl.checkpoints.torchfile import TorchFile
from jukectl.errors import BadModel

formats = pytest.mark.parametrize("old", [False, True], ids=["archive", "before 1.6"])


def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "first": torch.randn(3, 5, generator=generator),
        "half": torch.randn(7, generator=generator).half(),
        "last": torch.randn(2, 3, 4, generator=generator).bfloat16(),
        "transposed": torch.randn(4, 6, generator=generator).T,
    }


def saved(content, path, *, old):
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return TorchFile(path)


@formats
@pytest.mark.parametrize("around", ["nothing", "model", "module."])
def test_torch_files_are_described_and_read(old, around, tmp_path):
    expected = tensors()
    prefixed = {f"module.{name}": tensor for name, tensor in expected.items()}
    content = {
        "nothing": expected,
        "model": {"opt": {"state": [torch.ones(3)]}, "model": expected, "step": 7, "hps": {"sr": 1, "x": "0"}},
        "module.": {"step": 1, "model": prefixed},
    }[around]
    file = saved(content, tmp_path / "a.bin", old=old)
    described = file.describe()
    assert {name: (one.shape, one.dtype) for name, one in described.items()} == {
        name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.items()
    }
    with file.opened() as read:
        found = {name: read(name) for name in described}
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@formats
def test_a_parameter_in_a_torch_file_is_read_as_a_tensor(old, tmp_path):
    file = saved({"weight": torch.nn.Parameter(torch.ones(3))}, tmp_path / "a.bin", old=old)
    with file.opened() as read:
        assert torch.equal(read("weight"), torch.ones(3))
        assert not read("weight").requires_grad


@formats
def test_shared_and_equal_tensors_of_a_torch_file_compare_as_the_same(old, tmp_path):
    one = torch.randn(4, 3)
    content = {"one": one, "again": one, "copy": one.clone(), "other": one + 1, "rows": torch.cat([one, one])[:4]}
    file = saved(content, tmp_path / "a.bin", old=old)
    assert [file.same("one", name) for name in ("again", "copy", "rows", "other")] == [True, True, True, False]


@formats
def test_a_changed_torch_file_is_checked_again(old, tmp_path):
    path = tmp_path / "a.bin"
    assert saved({"a": torch.zeros(2)}, path, old=old).describe().keys() == {"a"}
    assert saved({"b": torch.zeros(3)}, path, old=old).describe().keys() == {"b"}


class Trap:
    """A pickle of this writes a file when it is loaded without checks."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.system, (f"touch {self.place}",)


class QuietTrap(Trap):
    """The same through a function that torch itself allows."""

    def __reduce__(self):
        return bytearray, (10**11,)


def refused(file):
    """Return the message about a file, the same from every method."""
    said = set()
    for look in (file.describe, lambda: file.lasting, lambda: file.opened().__enter__()):
        with pytest.raises(BadModel) as caught:
            look()
        said.add(str(caught.value))
        assert "\n" not in str(caught.value)
        assert str(file.path) in str(caught.value)
    return max(said, key=len)


@formats
@pytest.mark.parametrize("trap", [Trap, QuietTrap])
def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(old, trap, tmp_path):
    place = tmp_path / "sprung"
    content = {"model": {"a": torch.zeros(2)}, "hps": trap(place)}
    file = saved(content, tmp_path / "a.bin", old=old)
    name = {Trap: f"{os.system.__module__}.system", QuietTrap: "builtins.bytearray"}[trap]
    assert f"reading it would run {name}" in refused(file).replace("__builtin__", "builtins")
    assert not place.exists()


def test_the_malicious_pickle_of_these_tests_does_run_code_when_loaded(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_that_is_not_of_torch_is_refused(protocol, tmp_path):
    place = tmp_path / "sprung"
    path = tmp_path / "a.bin"
    path.write_bytes(pickle.dumps(Trap(place), protocol))
    refused(TorchFile(path))
    assert not place.exists()


def test_names_composed_by_newer_pickle_protocols_are_refused(tmp_path):
    path = tmp_path / "a.bin"
    torch.save({"a": Trap(tmp_path / "sprung")}, path, pickle_protocol=4)
    assert "is refused" in refused(TorchFile(path))
    assert not (tmp_path / "sprung").exists()


@formats
def test_a_truncated_torch_file_is_refused(old, tmp_path):
    path = tmp_path / "a.bin"
    saved({"model": tensors()}, path, old=old)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadModel, match=r"a\.bin (is damaged|is refused|holds)"), TorchFile(path).opened():
            pass


def test_an_old_torch_file_with_inconsistent_sizes_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    saved({"a": torch.zeros(100)}, path, old=True)
    whole = path.read_bytes()
    count = whole.rindex(struct.pack("<q", 100))
    path.write_bytes(whole[:count] + struct.pack("<q", 99) + whole[count + 8 :])
    with pytest.raises(BadModel, match="not where they should be"), TorchFile(path).opened():
        pass


def archived(path, edit=lambda name, data: data, compress=zipfile.ZIP_STORED, extra=()):
    """Write a file of torch.save with a changed archive."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1_000)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", compress) as target:
        for name in source.namelist():
            target.writestr(name, edit(name, source.read(name)))
        for name, data in extra:
            target.writestr(name, data)
    return TorchFile(path)


def test_a_compressed_archive_is_refused(tmp_path):
    assert "is compressed" in refused(archived(tmp_path / "a.bin", compress=zipfile.ZIP_DEFLATED))
    bomb = tmp_path / "bomb.bin"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data.pkl", b"\0" * 10**7)
    assert bomb.stat().st_size < 10**5
    assert "is compressed" in refused(TorchFile(bomb))


def test_an_archive_with_overlapping_entries_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("archive/data.pkl", b"\0" * 1_000)
        for number in range(9):
            target.writestr(f"archive/data/{number}", b"")
            last = target.filelist[-1]
            last.header_offset, last.file_size, last.compress_size = 0, 1_000, 1_000
    assert "declares more than" in refused(TorchFile(path))


def test_an_archive_without_exactly_one_pickle_is_refused(tmp_path):
    assert "it holds 2 pickles" in refused(archived(tmp_path / "a.bin", extra=[("other/data.pkl", b".")]))
    with zipfile.ZipFile(tmp_path / "none.bin", "w") as target:
        target.writestr("archive/version", b"3")
    assert "it holds 0 pickles" in refused(TorchFile(tmp_path / "none.bin"))


@pytest.mark.parametrize("pickled", [b"", b"\x80\x02.", b"\x80\x02}", b"\xff" * 50, b"\x80\x02X\xff\xff\xff\x7fabc."])
def test_an_archive_with_an_invalid_pickle_is_refused(pickled, tmp_path):
    def edit(name, data):
        return pickled if name.endswith("data.pkl") else data

    file = archived(tmp_path / "a.bin", edit)
    with pytest.raises(BadModel, match=r"a\.bin"):
        file.describe()


@formats
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a table of tensors"),
        ({}, "is not a table of tensors"),
        ({"model": {}, "step": 1}, "is not a table of tensors"),
        ({"a": torch.zeros(2), "b": 3}, "holds something other than named tensors: 'b'"),
        ({1: torch.zeros(2)}, "something other than named tensors: '1'"),
        ({"a": torch.zeros(2, dtype=torch.int64)}, "a in .* holds no weights: its numbers are torch.int64"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "a in .* is not a plain tensor|is refused"),
        ({"a": torch.ones(1).expand(10**8, 10**4)}, "a in .* declares 1000000000000 numbers"),
    ],
    ids=["list", "empty", "empty model", "number", "number as a name", "whole numbers", "complex", "giant"],
)
def test_a_torch_file_without_weights_is_refused(content, message, old, tmp_path):
    file = saved(content, tmp_path / "a.bin", old=old)
    with pytest.raises(BadModel, match=message):
        file.describe()


def test_a_missing_torch_file_and_a_folder_are_reported(tmp_path):
    with pytest.raises(BadModel, match=r"a\.bin is missing"):
        TorchFile(tmp_path / "a.bin").describe()
    with pytest.raises(BadModel, match="it is not a regular file"):
        TorchFile(tmp_path).describe()
