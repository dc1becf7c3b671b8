"""Files that `torch.save` wrote, foreign ones among them: a pickle may ask to run code, so nothing is taken on trust.

Before torch reads a file, its archive and the names in its pickles are looked at; then it reads with `weights_only`,
and memory-mapped. Files from before torch 1.6 are no archives and cannot be mapped: they are read as a whole, and each
tensor is let go when it was used.
"""

import pickle
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from jukectl.checkpoints.tensorfile import FLOATING, Described, Reader, TensorFile, identity
from jukectl.errors import BadModel

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before torch 1.6
LEGACY_PICKLES = 4  # that number, the protocol, the machine, the object; the tensors' numbers come after
LARGEST_PICKLE = 64 * 2**20  # bytes; that of the largest published model has less than one of these

STORAGES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
HARMLESS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    "torch.storage UntypedStorage",
    *(f"torch {kind}Storage" for kind in STORAGES),
}
"""All that a pickle of weights has to name. torch would let it name some more, such as what takes memory."""


@dataclass(frozen=True)
class TorchFile(TensorFile):
    """A dict of tensors as `torch.save` writes it, or one that has such a dict under `model`, as the originals do."""

    path: Path

    @property
    def mapped(self) -> bool:
        """Whether it is an archive, as torch writes since 1.6."""
        return _checked(self.path, *identity(self.path))

    def describe(self) -> Mapping[str, Described]:
        """What the pickle says. No number is read."""
        return _described(self.path, *identity(self.path))

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Memory-mapped where it can be; else all is read, and freed tensor by tensor with `done`."""
        yield _Tensors(_tensors(self.path, mapped=self.mapped))

    def same(self, one: str, other: str) -> bool:
        """As above; two names for the same piece of the file are seen to be the same without reading."""
        return _storage(self.path, one, *identity(self.path)) == _storage(
            self.path, other, *identity(self.path)
        ) or super().same(one, other)


class _Tensors:
    """Reader of a file that torch has unpickled."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def __call__(self, name: str) -> Tensor:
        return self.tensors[name]

    def done(self, name: str) -> None:
        """Forget it."""
        del self.tensors[name]


@lru_cache(maxsize=64)
def _checked(path: Path, size: int, changed: int) -> bool:
    """Whether a file is an archive, once it is seen to be harmless; for each state of the file looked at once."""
    try:
        with path.open("rb") as file:
            archived = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
            file.seek(0)
            if archived:
                _check_archive(file, size, path)
            else:
                _check_legacy(BytesIO(file.read(LARGEST_PICKLE)), path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, IndexError) as error:
        raise _damaged(path, error) from error
    return archived


def _check_archive(file: BinaryIO, size: int, path: Path) -> None:
    """BadModel for an archive that is larger unpacked than packed, or whose pickle names more than weights need."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise BadModel(f"{path} is refused: its content is compressed, which that of no file of torch.save is")
        if sum(entry.file_size for entry in entries) > size:
            raise BadModel(f"{path} is refused: it claims to hold more than the {size} bytes it has")
        pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise BadModel(f"{path} is damaged, or no file of torch.save: it holds {len(pickles)} pickles")
        if pickles[0].file_size > LARGEST_PICKLE:
            raise BadModel(f"{path} is refused: its pickle is larger than any list of tensors")
        _check_names(BytesIO(archive.read(pickles[0])), path)


def _check_legacy(head: BytesIO, path: Path) -> None:
    """The same for a file from before torch 1.6: pickles after one another, the first of them a certain number."""
    if head.getvalue()[:1] != pickle.PROTO:
        raise ValueError("it begins neither as an archive nor as a pickle")
    if LEGACY_MAGIC not in [argument for _, argument, _ in pickletools.genops(head)]:
        raise ValueError("it is a pickle, but not one of torch")
    for _ in range(LEGACY_PICKLES - 1):
        _check_names(head, path)


def _check_names(pickled: BytesIO, path: Path) -> None:
    """BadModel where the pickle at hand names anything but what weights are made of."""
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name in ("GLOBAL", "INST") and argument not in HARMLESS:
            raise _refused(path, str(argument).replace(" ", "."))
        if operation.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise _refused(path, "something that it names in a way that torch.save does not")


def _refused(path: Path, what: str) -> BadModel:
    return BadModel(
        f"{path} is refused: to read it would be to run {what}, which is no part of a model's weights. Nothing was "
        "run. Take the file from where the model was published"
    )


def _damaged(path: Path, error: Exception) -> BadModel:
    reason = str(error).strip() or type(error).__name__
    return BadModel(f"{path} is damaged, or no file of torch.save: {reason.splitlines()[0].rstrip('.')}")


@lru_cache(maxsize=64)
def _described(path: Path, size: int, changed: int) -> Mapping[str, Described]:
    found = {}
    for name, tensor in _skeleton(path, size, changed).items():
        if tensor.dtype not in FLOATING.values():
            raise BadModel(f"{name} in {path} holds no weights: its numbers are {tensor.dtype}")
        found[name] = Described(tuple(tensor.shape), tensor.dtype)
    return found


def _storage(path: Path, name: str, size: int, changed: int) -> tuple[int, int, tuple[int, ...]]:
    """Which piece of the file a tensor is."""
    tensor = _skeleton(path, size, changed)[name]
    return int(tensor.untyped_storage()._cdata), int(tensor.storage_offset()), tuple(tensor.stride())


@lru_cache(maxsize=16)
def _skeleton(path: Path, size: int, changed: int) -> Mapping[str, Tensor]:
    """The tensors without their numbers."""
    return _tensors(path, mapped=_checked(path, size, changed), device="meta")


def _tensors(path: Path, *, mapped: bool, device: str = "cpu") -> dict[str, Tensor]:
    """The named tensors of a file, strided and dense ones alone, each within the numbers that the file has."""
    try:
        content = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except Exception as error:  # damage makes torch raise half a dozen kinds; nothing was run
        raise _damaged(path, error) from error
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise BadModel(f"{path} holds no table of tensors")
    found = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadModel(f"{path} holds something else than named tensors: {str(name)[:80]!r}")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
            raise BadModel(f"{name} in {path} is no plain tensor")
        if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise BadModel(f"{name} in {path} claims to hold {tensor.numel()} numbers, which the file has not")
        found[name] = tensor.detach()
    prefix = "module."  # of a model that was trained on several devices
    if all(name.startswith(prefix) for name in found):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found
