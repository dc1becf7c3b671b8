"""Files that `torch.save` wrote, foreign ones among them: a pickle may ask to run code, so nothing is taken on trust.

Before torch reads a file, its archive and the names in its pickles are looked at; then it reads with `weights_only`,
and memory-mapped. Files from before torch 1.6, which the originals may be, are no archives, and torch cannot map them:
there it reads the names and shapes, and the numbers are mapped here.
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
from typing import Any, BinaryIO

import torch
from torch import Tensor

from jukectl.checkpoints.tensorfile import FLOATING, Described, Reader, TensorFile, identity
from jukectl.errors import BadModel

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before torch 1.6
LEGACY_PICKLES = 4  # that number, the protocol, the machine, the object; the tensors' numbers come after
COUNT = 8  # bytes of the count that stands before a storage's numbers in such a file
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
    def lasting(self) -> bool:
        """Whether it is an archive, as torch writes since 1.6: in older files numbers lie at any byte."""
        return _checked(self.path, *identity(self.path))

    def describe(self) -> Mapping[str, Described]:
        """What the pickle says. No number is read."""
        return _described(self.path, *identity(self.path))

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Memory-mapped."""
        state = (self.path, *identity(self.path))
        tensors = _archived(self.path, "cpu") if _checked(*state) else _legacy(*state)
        yield tensors.__getitem__

    def same(self, one: str, other: str) -> bool:
        """As above; two names for the same piece of the file are seen to be the same without reading."""
        skeleton = _skeleton(self.path, *identity(self.path)).tensors
        return _piece(skeleton[one]) == _piece(skeleton[other]) or super().same(one, other)


def _piece(tensor: Tensor) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Which piece of the file a tensor is."""
    return tensor.untyped_storage()._cdata, int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride())


@lru_cache(maxsize=64)
def _checked(path: Path, size: int, changed: int) -> bool:
    """Whether a file is an archive, once it is seen to be harmless; for each state of the file looked at once."""
    with _damage_told(path), path.open("rb") as file:
        archived = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        if archived:
            _check_archive(file, size, path)
        else:
            _storage_keys(file, path)
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


class _Head:
    """The beginning of a file, as `pickletools` reads it: as far as pickles may reach, and not a byte more."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        """So many bytes."""
        if self.tell() + count > LARGEST_PICKLE:
            raise ValueError("its pickle is larger than any list of tensors")
        return self.file.read(count)

    def readline(self) -> bytes:
        """As many as there are to the end of the line."""
        return self.file.readline(LARGEST_PICKLE - self.tell())


def _storage_keys(file: BinaryIO, path: Path) -> tuple[list[str], list[str], int]:
    """The same for a file from before torch 1.6: pickles after one another, the first of them a certain number.

    Returns the keys of its storages in the order in which the tensors need them, the same in the order in which they
    lie in the file, and where the first of them begins.
    """
    if file.read(1) != pickle.PROTO:
        raise ValueError("it begins neither as an archive nor as a pickle")
    file.seek(0)
    head: Any = _Head(file)
    if LEGACY_MAGIC not in [argument for _, argument, _ in pickletools.genops(head)]:
        raise ValueError("it is a pickle, but not one of torch")
    texts: list[str] = []
    for _ in range(LEGACY_PICKLES - 1):
        texts = _check_names(head, path)
    lying = _check_names(head, path)
    return list(dict.fromkeys(text for text in texts if text in set(lying))), lying, file.tell()


def _check_names(pickled: Any, path: Path) -> list[str]:
    """BadModel where the pickle at hand names anything but what weights are made of; the texts in it."""
    texts = []
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name in ("GLOBAL", "INST") and argument not in HARMLESS:
            raise _refused(path, str(argument).replace(" ", "."))
        if operation.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise _refused(path, "something that it names in a way that torch.save does not")
        if isinstance(argument, str):
            texts.append(argument)
    return texts


def _refused(path: Path, what: str) -> BadModel:
    return BadModel(
        f"{path} is refused: to read it would be to run {what}, which is no part of a model's weights. Nothing was "
        "run. Take the file from where the model was published"
    )


def _damaged(path: Path, error: Exception) -> BadModel:
    reason = str(error).strip() or type(error).__name__
    return BadModel(f"{path} is damaged, or no file of torch.save: {reason.splitlines()[0].rstrip('.')}")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Whatever goes wrong in the block is the file's fault: damage makes torch raise half a dozen kinds of error."""
    try:
        yield
    except BadModel:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


@lru_cache(maxsize=64)
def _described(path: Path, size: int, changed: int) -> Mapping[str, Described]:
    found = {}
    for name, tensor in _skeleton(path, size, changed).tensors.items():
        if tensor.dtype not in FLOATING.values():
            raise BadModel(f"{name} in {path} holds no weights: its numbers are {tensor.dtype}")
        found[name] = Described(tuple(tensor.shape), tensor.dtype)
    return found


@dataclass(frozen=True)
class _Skeleton:
    """What a file holds, without the numbers."""

    tensors: Mapping[str, Tensor]  # on the meta device
    storages: tuple[torch.UntypedStorage, ...] = ()  # of an old file: what the tensors are views of, in its order


@lru_cache(maxsize=16)
def _skeleton(path: Path, size: int, changed: int) -> _Skeleton:
    if _checked(path, size, changed):
        return _Skeleton(_archived(path, "meta"))
    storages: list[torch.UntypedStorage] = []

    def place(storage: torch.UntypedStorage, location: str) -> torch.UntypedStorage:
        storages.append(torch.UntypedStorage(storage.nbytes(), device="meta"))  # type: ignore[no-untyped-call]
        return storages[-1]

    with _damage_told(path), torch.serialization.skip_data():
        content = torch.load(path, map_location=place, weights_only=True)  # type: ignore[arg-type]
    return _Skeleton(_named(content, path), tuple(storages))


def _archived(path: Path, device: str) -> dict[str, Tensor]:
    """The tensors of an archive, memory-mapped."""
    with _damage_told(path):
        return _named(torch.load(path, map_location=device, weights_only=True, mmap=True), path)


def _legacy(path: Path, size: int, changed: int) -> dict[str, Tensor]:
    """The tensors of a file from before torch 1.6, memory-mapped, which torch itself cannot do."""
    places = _places(path, size, changed)
    found = {}
    with _damage_told(path):
        whole = torch.UntypedStorage.from_file(str(path), False, size)
        for name, tensor in _skeleton(path, size, changed).tensors.items():
            start, stop = places[tensor.untyped_storage()._cdata]
            empty = torch.empty(0, dtype=tensor.dtype)
            found[name] = empty.set_(whole[start:stop], tensor.storage_offset(), tensor.shape, tensor.stride())
    return found


@lru_cache(maxsize=16)
def _places(path: Path, size: int, changed: int) -> Mapping[int, tuple[int, int]]:
    """Where in such a file the numbers of each storage begin and end.

    After the pickles the storages lie one after another, each the count of its numbers and then these.
    """
    skeleton = _skeleton(path, size, changed)
    places = {}
    with _damage_told(path), path.open("rb") as file:
        needed, lying, start = _storage_keys(file, path)
        storages = dict(zip(needed, skeleton.storages, strict=True))
        for key in lying:
            length = storages[key].nbytes()
            file.seek(start)
            count = int.from_bytes(file.read(COUNT), "little")
            start += COUNT
            if start + length > size or count not in (length, length // 2, length // 4, length // 8):
                raise ValueError("it ends too early, or its numbers are not where they should be")
            places[storages[key]._cdata] = (start, start + length)
            start += length
    return places


def _named(content: object, path: Path) -> dict[str, Tensor]:
    """The named tensors of what torch read: strided and dense ones alone, each within the numbers that the file has."""
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise BadModel(f"{path} holds no table of tensors")
    found = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadModel(f"{path} holds something else than named tensors: {str(name)[:80]!r}")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
            raise BadModel(f"{name[:80]} in {path} is no plain tensor")
        if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise BadModel(f"{name[:80]} in {path} claims to hold {tensor.numel()} numbers, which the file has not")
        found[name] = tensor.detach()
    prefix = "module."  # of a model that was trained on several devices
    if all(name.startswith(prefix) for name in found):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found
