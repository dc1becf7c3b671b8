"""Checkpoints and weight files of a run: written atomically, and read strictly.

A checkpoint is a flat table of named tensors. A single process writes it to one file. Several processes write a folder
with torch.distributed.checkpoint, each its own shards. Any number of processes can resume from either.
"""

import hashlib
import json
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor

from jukectl.errors import BadInput, CannotWrite
from jukectl.files import atomic_write, check_regular, opened, read_bytes, sync_folder
from jukectl.tables import read_json
from jukectl.training.distributed import ALONE, Ranks, whole
from jukectl.truncation import cut_short

KEPT_CHECKPOINTS = 2
LONGEST_REASON = 100  # characters
HASHES = "sha256.json"  # of the files of a checkpoint folder, by name


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints in a run's folder, oldest first."""
    return sorted(path for path in out.glob("checkpoint-*") if path.is_dir() or path.suffix == ".pt")


def save_checkpoint(out: Path, step: int, state: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Write a checkpoint of this step and remove all older ones but the latest; none is removed on CannotWrite."""
    path = out / f"checkpoint-{step:08d}"
    if ranks.world == 1:
        with atomic_write(path.with_suffix(".pt")) as file:
            _save_alone(state, file)
    else:
        _save_together(path, state, ranks)
    if ranks.first:
        for old in checkpoints(out)[:-KEPT_CHECKPOINTS]:
            remove(old)


def remove(path: Path) -> None:
    """Remove a file or a folder; a folder is renamed first, so that a partly removed one is never read."""
    if path.is_dir():
        doomed = path.with_name(f".{path.name.lstrip('.')}.part")
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def damage(path: Path) -> str | None:
    """Return what is wrong with the bytes of a checkpoint; None if they are as they were written.

    A file is verified by the CRC-32 of its records, a folder by the SHA-256 of its files. Folders of earlier versions
    have no hashes and count as whole.
    """
    try:
        if path.is_dir():
            hashes = read_json(path / HASHES, BadInput) if (path / HASHES).exists() else {}
            wrong = [name for name, digest in hashes.items() if _sha256(path / name) != digest]
            return f"{wrong[0]} has changed since it was written" if wrong else None
        with opened(path, BadInput, "checkpoint") as file, zipfile.ZipFile(file) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                return "it is compressed, which checkpoints are not"
            if wrong_record := archive.testzip():
                return f"the checksum of {wrong_record} does not fit"
        torch.load(path, weights_only=True, map_location="cpu", mmap=True)  # its own reader is stricter in places
        return None
    except Exception as error:  # damage makes zipfile and torch raise half a dozen kinds
        return cut_short(path) or (str(error).splitlines() or [type(error).__name__])[0][:LONGEST_REASON]


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint so that it is no longer taken for one; return its new path."""
    aside = path.with_name(f"damaged-{path.name}")
    remove(aside)
    path.rename(aside)
    return aside


def load_checkpoint(path: Path, state: Mapping[str, Tensor]) -> None:
    """Fill these tensors from a checkpoint; raise ValueError if it has others, any error if it is damaged."""
    try:
        if path.is_dir():
            _load_together(path, state)
        else:
            check_regular(path, BadInput, "checkpoint")
            _fill(state, torch.load(path, weights_only=True, map_location="cpu"))
    except CheckpointException as error:  # a BaseException, which callers do not catch
        raise _first_cause(error) from error


def save_weights(model: nn.Module, path: Path, ranks: Ranks = ALONE) -> None:
    """Write the unsharded tensors of a model as safetensors, atomically. All ranks must call it; the first writes."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        complete = whole(tensor)
        if ranks.first:
            tensors[name] = complete.cpu().contiguous()
    if ranks.first:
        with atomic_write(path) as file:
            file.write(to_safetensors(tensors))


def _save_alone(state: Mapping[str, Tensor], file: BinaryIO) -> None:
    try:
        torch.save(dict(state), file)
    except RuntimeError as error:  # torch hides the OSError, which has the useful message
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def _save_together(path: Path, state: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Write the shards of all ranks to one folder, which is renamed to `path` when all are on disk."""
    part = path.with_name(f".{path.name}.part")
    try:
        if ranks.first and part.exists():
            shutil.rmtree(part)
        ranks.barrier()
        save(dict(state), storage_writer=FileSystemWriter(part))
        if ranks.first:
            hashes = {file.name: _sha256(file) for file in sorted(part.iterdir())}
            with atomic_write(part / HASHES) as written:
                written.write(json.dumps(hashes).encode())
            part.rename(path)
            sync_folder(path.parent)
    except (OSError, CheckpointException) as error:
        cause = _first_cause(error) if isinstance(error, CheckpointException) else error
        if ranks.first:
            shutil.rmtree(part, ignore_errors=True)
        raise CannotWrite(
            f"cannot write {path}: {getattr(cause, 'strerror', None) or cause}. What was there before is unchanged."
        ) from error
    ranks.barrier()


def _sha256(path: Path) -> str:
    with opened(path, BadInput, "checkpoint") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_together(path: Path, state: Mapping[str, Tensor]) -> None:
    reader = _Reader(path)
    _check_names(state, reader.read_metadata().state_dict_metadata)
    with warnings.catch_warnings():  # torch warns that no process group is used, which is intended
        warnings.simplefilter("ignore")
        load(dict(state), storage_reader=reader)


@torch.no_grad()
def _fill(state: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    _check_names(state, values)
    for name, target in state.items():
        value = values[name]
        if value.shape != target.shape:
            raise ValueError(f"size mismatch for {name}: {tuple(value.shape)}, not {tuple(target.shape)}")
        if isinstance(target, DTensor):
            value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
        target.copy_(value)


def _check_names(state: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
    """Raise ValueError unless a checkpoint has exactly the expected tensors."""
    if differing := state.keys() ^ found.keys():
        if all(name.startswith("average.") for name in differing):
            raise ValueError("train.average was switched on or off")
        raise ValueError(f"{min(differing)} is only in the checkpoint or only in the model")


class _Reader(FileSystemReader):
    """Reader that runs no code of a checkpoint: the pickled metadata may name only the types in METADATA_NAMES."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Read the metadata of the folder with a restricted unpickler."""
        content = read_bytes(Path(self.path) / ".metadata", BadInput, "checkpoint")
        metadata = _MetadataUnpickler(BytesIO(content)).load()
        if not isinstance(metadata, Metadata):
            raise ValueError("its .metadata has another type")
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


METADATA_NAMES = {
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", "bool", "int64", "float16", "bfloat16", "float32", "float64"},
    "pathlib": {"PosixPath", "WindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath"},  # since Python 3.13
}
"""Names that the metadata of a checkpoint may use, by module."""


class _MetadataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in METADATA_NAMES.get(module, ()):
            raise ValueError(f"its .metadata names {module}.{name}")
        return super().find_class(module, name)


def _first_cause(error: CheckpointException) -> Exception:
    """Return the first error of any rank."""
    cause = next(iter(error.failures.values()))[0]
    return cause if isinstance(cause, Exception) else RuntimeError(str(cause))
