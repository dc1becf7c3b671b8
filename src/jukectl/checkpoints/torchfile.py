"""Files of `torch.save` from untrusted sources: a pickle can run code, so each file is checked before torch reads it.

The archive and the names in its pickles are checked first. Then torch reads the file with `weights_only` and memory
mapping. Files from before torch 1.6, which the published ones may be, are no archives, and torch cannot map them: it
reads their names and shapes, and the numbers are mapped here.
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
from jukectl.truncation import ZIP as ZIP_MAGIC
from jukectl.truncation import cut_short

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before torch 1.6
LEGACY_PICKLES = 4  # that number, the protocol, the machine, the object; a fifth lists the storages
COUNT = 8  # bytes of the element count before the numbers of a storage in such a file
LARGEST_PICKLE = 64 * 2**20  # bytes; that of the largest published model is below 1 MiB

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
"""All that a pickle of weights needs. `weights_only` allows more, such as functions that allocate memory at will."""


@dataclass(frozen=True)
class TorchFile(TensorFile):
    """A dict of tensors as `torch.save` writes it, or one with such a dict under `model`, as in the published files."""

    path: Path

    @property
    def lasting(self) -> bool:
        """True for an archive, as torch writes since 1.6; in older files the numbers are not aligned."""
        return _checked(self.path, *identity(self.path))

    def describe(self) -> Mapping[str, Described]:
        """Return the content of the pickle. No number is read."""
        return _described(self.path, *identity(self.path))

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Map the file into memory."""
        state = (self.path, *identity(self.path))
        tensors = _archived(self.path, "cpu") if _checked(*state) else _legacy(*state)
        yield tensors.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Return True if two tensors hold the same numbers; two names of one piece of the file need no reading."""
        skeleton = _skeleton(self.path, *identity(self.path)).tensors
        return _piece(skeleton[one]) == _piece(skeleton[other]) or super().same(one, other)


def _piece(tensor: Tensor) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Return what identifies a tensor's piece of the file."""
    return tensor.untyped_storage()._cdata, int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride())


# The caches below are keyed by size and time too: a file that changes is checked again, and an unchanged one is checked
# once, although a part may be opened a hundred times while it is read within its budget.


@lru_cache(maxsize=64)
def _checked(path: Path, size: int, changed: int) -> bool:
    """Check that a file is harmless, and return True for an archive."""
    with _damage_as_bad_model(path), path.open("rb") as file:
        archived = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        if archived:
            _check_archive(file, size, path)
        else:
            _storage_keys(file, path)
    return archived


def _check_archive(file: BinaryIO, size: int, path: Path) -> None:
    """Raise BadModel for an archive that may exhaust memory, or whose pickle names more than weights need."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        # torch.save stores without compression, so its files cannot be zip bombs; anything else is not its file
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise BadModel(f"{path} is refused: its content is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > size:
            raise BadModel(f"{path} is refused: it declares more than the {size} bytes that it has")
        pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:  # with two, the one that is checked need not be the one that torch reads
            raise BadModel(f"{path} is damaged, or not a file of torch.save: it holds {len(pickles)} pickles")
        if pickles[0].file_size > LARGEST_PICKLE:
            raise BadModel(f"{path} is refused: its pickle is larger than any list of tensors")
        _check_names(BytesIO(archive.read(pickles[0])), path)


class _Head:
    """The start of a file for `pickletools`, with a limit: a forged length cannot make it read gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        """Read `count` bytes."""
        if self.tell() + count > LARGEST_PICKLE:
            raise ValueError("its pickle is larger than any list of tensors")
        return self.file.read(count)

    def readline(self) -> bytes:
        """Read to the end of the line."""
        return self.file.readline(LARGEST_PICKLE - self.tell())


def _storage_keys(file: BinaryIO, path: Path) -> tuple[list[str], list[str], int]:
    """Check a file from before torch 1.6: a sequence of pickles, the first of which is a magic number.

    Return the keys of its storages in the order in which the tensors need them, the same keys in the order of the file,
    and the position of the first storage.
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
    in_file = _check_names(head, path)  # the fifth pickle: a list of keys
    # the object's pickle has these keys among its texts, each where the first tensor of its storage is described
    return list(dict.fromkeys(text for text in texts if text in set(in_file))), in_file, file.tell()


def _check_names(pickled: Any, path: Path) -> list[str]:
    """Return the texts of the next pickle. Raise BadModel if it names anything that weights do not need."""
    texts = []
    for operation, argument, _ in pickletools.genops(pickled):  # reads the operations and runs none
        if operation.name in ("GLOBAL", "INST") and argument not in HARMLESS:
            raise _refused(path, str(argument).replace(" ", "."))
        # these take a name from the stack or a registry, where it could be composed to escape the check
        if operation.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise _refused(path, "something that it names in a way that torch.save does not")
        if isinstance(argument, str):
            texts.append(argument)
    return texts


def _refused(path: Path, what: str) -> BadModel:
    return BadModel(
        f"{path} is refused: reading it would run {what}, which is not part of a model's weights. Nothing was "
        "run. Take the file from where the model was published"
    )


def _damaged(path: Path, error: Exception) -> BadModel:
    if short := cut_short(path):
        return BadModel(f"{path} is damaged: {short}")
    reason = str(error).strip() or type(error).__name__
    return BadModel(f"{path} is damaged, or not a file of torch.save: {reason.splitlines()[0].rstrip('.')}")


@contextmanager
def _damage_as_bad_model(path: Path) -> Iterator[None]:
    """Raise any error in the block as BadModel: for damaged files torch raises half a dozen kinds."""
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
    """Content of a file without the numbers."""

    tensors: Mapping[str, Tensor]  # on the meta device
    storages: tuple[torch.UntypedStorage, ...] = ()  # of an old file, in the order of its pickle; the tensors are views


@lru_cache(maxsize=16)
def _skeleton(path: Path, size: int, changed: int) -> _Skeleton:
    if _checked(path, size, changed):
        return _Skeleton(_archived(path, "meta"))
    storages: list[torch.UntypedStorage] = []

    # torch calls this for each storage in the order of the pickle: it records the order, and allocates nothing
    def place(storage: torch.UntypedStorage, location: str) -> torch.UntypedStorage:
        storages.append(torch.UntypedStorage(storage.nbytes(), device="meta"))  # type: ignore[no-untyped-call]
        return storages[-1]

    with _damage_as_bad_model(path), torch.serialization.skip_data():
        content = torch.load(path, map_location=place, weights_only=True)  # type: ignore[arg-type]
    return _Skeleton(_named(content, path), tuple(storages))


def _archived(path: Path, device: str) -> dict[str, Tensor]:
    """Return the tensors of an archive, memory-mapped."""
    with _damage_as_bad_model(path):
        return _named(torch.load(path, map_location=device, weights_only=True, mmap=True), path)


def _legacy(path: Path, size: int, changed: int) -> dict[str, Tensor]:
    """Return the tensors of a file from before torch 1.6, memory-mapped, which torch itself cannot do."""
    places = _places(path, size, changed)
    found = {}
    with _damage_as_bad_model(path):
        # one private map of the whole file, and each tensor a view of its storage's bytes
        whole = torch.UntypedStorage.from_file(str(path), False, size)
        for name, tensor in _skeleton(path, size, changed).tensors.items():
            start, stop = places[tensor.untyped_storage()._cdata]
            empty = torch.empty(0, dtype=tensor.dtype)
            found[name] = empty.set_(whole[start:stop], tensor.storage_offset(), tensor.shape, tensor.stride())
    return found


@lru_cache(maxsize=16)
def _places(path: Path, size: int, changed: int) -> Mapping[int, tuple[int, int]]:
    """Return the positions (start, stop) of the numbers of each storage in such a file.

    After the pickles the storages follow one after another, each as the count of its numbers and then the numbers.
    """
    skeleton = _skeleton(path, size, changed)
    places = {}
    with _damage_as_bad_model(path), path.open("rb") as file:
        needed, in_file, start = _storage_keys(file, path)
        storages = dict(zip(needed, skeleton.storages, strict=True))
        for key in in_file:
            length = storages[key].nbytes()
            file.seek(start)
            count = int.from_bytes(file.read(COUNT), "little")
            start += COUNT
            # the count is of numbers and the length of bytes: 1, 2, 4 or 8 bytes each, whatever the type
            if start + length > size or count not in (length, length // 2, length // 4, length // 8):
                raise ValueError("it is cut short, or its numbers are not where they should be")
            places[storages[key]._cdata] = (start, start + length)
            start += length
    return places


def _named(content: object, path: Path) -> dict[str, Tensor]:
    """Return the named tensors of what torch read. Raise BadModel for anything but plain tensors within the file."""
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise BadModel(f"{path} is not a table of tensors")
    found = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadModel(f"{path} holds something other than named tensors: {str(name)[:80]!r}")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
            raise BadModel(f"{name[:80]} in {path} is not a plain tensor")
        # strides of 0 would let a few bytes stand for a tensor of any size, which a copy would then allocate
        if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise BadModel(f"{name[:80]} in {path} declares {tensor.numel()} numbers, which the file does not have")
        found[name] = tensor.detach()
    prefix = "module."  # as DistributedDataParallel names them
    if all(name.startswith(prefix) for name in found):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found
