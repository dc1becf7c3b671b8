"""Conversion of models between formats, tensor by tensor, in little memory.

The file that describes the result is written last, so the folder of an interrupted conversion is no model. Until then a
note in the folder lists the finished files, and the same conversion resumes from it.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import torch

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.fingerprints import Digest
from jukectl.checkpoints.hub_cache import CONFIG, WEIGHTS
from jukectl.checkpoints.huggingface import port_names, port_prefix
from jukectl.checkpoints.huggingface_config import PortConfig, write_config
from jukectl.checkpoints.jsonfile import read_json
from jukectl.checkpoints.layout import PARTS, Layout, config_of, first_rows_of, part_weights
from jukectl.checkpoints.openai import OriginalLayout, is_original
from jukectl.checkpoints.places import CARD
from jukectl.checkpoints.store import MODEL, NOTE, ModelFolder, holds_model, layout_of
from jukectl.checkpoints.tensorfile import Described, SafetensorsWriter, check_finite, identity, narrowed
from jukectl.checkpoints.vocabularies import vocabulary_files
from jukectl.checkpoints.weights import Weights
from jukectl.errors import BadInput, BadModel, CannotWrite
from jukectl.files import atomic_write, sweep
from jukectl.folders import holds_files
from jukectl.prior.config import PriorConfig
from jukectl.progress import Listener, Progress, ignore, warn

FINISHED = ".converted"  # in the folder of a finished conversion: its key
VERSION = 1  # of the files' layout; part of the key, so that no conversion resumes from another version's files
ONE_FILE = 5 * 10**9  # bytes up to which all parts share a file in Hugging Face layout, as the library shards
MEGABYTE = 10**6

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Format(StrEnum):
    """Formats that a model can be converted to."""

    NATIVE = "native"
    HUGGINGFACE = "huggingface"


def source_of(path: Path, config: Path | None = None) -> Layout:
    """Return the layout of a folder. `config` describes original files of an unpublished model."""
    if config is not None:
        if (path / CARD).exists() or not is_original(path):
            raise BadInput(f"--config describes original files (*.pth.tar), and {path} holds none")
        return OriginalLayout(path, config)
    if not holds_model(path):
        raise BadModel(
            f"{path} holds no model: neither {CARD}, nor {CONFIG} with weights, nor original files (*.pth.tar)"
        )
    return layout_of(path)


@dataclass(frozen=True)
class _File:
    """A file to write, and its parts."""

    name: str
    parts: Mapping[str, Weights]


def convert(
    source: Layout,
    out: Path,
    *,
    precision: str | None = None,
    to: Format = Format.NATIVE,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> bool:
    """Write the model into the folder `out`. Tensors keep their types, or all are converted to `precision`.

    Return False if that was done before, and neither model has changed since.

    An interrupted conversion is resumed. Of an incomplete model the parts that are there are converted, with a warning.
    Raise BadInput if `out` holds anything else, BadModel if the model does not fit the format or the precision,
    CannotWrite if the disk is too full.
    """
    if out.resolve() == source.path.resolve():
        raise BadInput(f"{out} is the model to convert: write the new one to another folder")
    if precision is not None and precision not in PRECISIONS:
        raise BadInput(f"--precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    dtype = PRECISIONS[precision] if precision else None
    # the name in the card is how users call the model, and `models list` shows folders by it
    card = replace(source.card.of(source.parts), name=out.resolve().name)
    if not source.parts:
        raise BadModel(source.shortage)
    if source.shortage:
        warn(listener, source.shortage)
    # first, so that a model that the format cannot express is refused before gigabytes are read
    config = _port_config(card) if to is Format.HUGGINGFACE else None
    weights = {part: part_weights(source, part) for part in source.parts}
    for one in weights.values():
        one.check_twins()  # only one of two tied tensors is written, so they must be equal
    files = _files(weights, to, dtype)
    # the key of the conversion: the same sources in the same state, to the same format
    states = [(str(path), *identity(path)) for part in weights for path in source.files(part)]
    key = sha256(repr((VERSION, states, card.to_toml(), precision, to)).encode()).hexdigest()
    if not overwrite and _is_finished(out, key, weights):
        return False
    note = Note.begin(out, key, overwrite=overwrite)
    # a file is in the note once it is complete, so an interruption costs one file at most
    left = [file for file in files if file.name not in note.done]
    _check_space(out, sum(one.bytes(dtype) for file in left for one in file.parts.values()))
    for file in left:
        note.add(file.name, _write(file, out, card, dtype, to, listener))
    # descriptions after the weights, since they make the folder a model
    for name, text in _texts(card, files, note.fingerprints, config, dtype).items():
        with atomic_write(out / name) as written:
            written.write(text.encode())
    note.finish()
    return True


def _is_finished(out: Path, key: str, parts: Iterable[str]) -> bool:
    """Return True if a folder is the result of this conversion, and has all its parts."""
    try:
        finished = (out / FINISHED).read_text(encoding="utf-8") == key and not (out / NOTE).exists()
    except (OSError, ValueError):
        return False
    return finished and holds_model(out) and all(map(ModelFolder(out).has, parts))


def _files(weights: Mapping[str, Weights], to: Format, dtype: torch.dtype | None) -> list[_File]:
    if to is Format.NATIVE:
        return [_File(f"{part}.safetensors", {part: one}) for part, one in weights.items()]
    if sum(one.bytes(dtype) for one in weights.values()) <= ONE_FILE:
        return [_File("model.safetensors", weights)]
    # one shard for each part: each can then be loaded alone, without reading the others
    shards = enumerate(weights.items(), 1)
    return [_File(f"model-{number:05}-of-{len(weights):05}.safetensors", {part: one}) for number, (part, one) in shards]


def _names(card: ModelCard, part: str, to: Format) -> Callable[[str], Sequence[str]]:
    """Return the names of our tensors in the new file; the port expects both names of tied tensors."""
    if to is Format.NATIVE:
        return lambda ours: (ours,)
    # one of our tensors may have two names there, and each name gets a copy
    names, prefix = port_names(config_of(card, part)), port_prefix(part)
    return lambda ours: [prefix + name for name in names(ours)]


def _write(
    file: _File, out: Path, card: ModelCard, dtype: torch.dtype | None, to: Format, listener: Listener
) -> dict[str, str]:
    """Write one file and return the fingerprints of its parts whose tensors are in our order."""
    total, written = sum(one.bytes() for one in file.parts.values()), 0
    # the header needs shapes and types of all tensors, which are known without reading a number
    tensors = {
        name: Described(one.shape(ours), dtype or one.dtype(ours))
        for part, one in file.parts.items()
        for ours in one.places
        for name in _names(card, part, to)(ours)
    }
    fingerprints = {}
    with atomic_write(out / file.name) as opened:
        writer = SafetensorsWriter(opened, tensors, {"format": "pt"})
        for part, one in file.parts.items():
            names, digest, last_rows = _names(card, part, to), Digest(), _last_rows(card, part, to)
            with one.reading(dtype) as reading:
                # by name: this is the order of fingerprints, so they are computed while the numbers pass by
                for ours in sorted(one.places):
                    digest.begin(ours, one.shape(ours))
                    for piece in reading.pieces(ours, skipped=last_rows.get(ours, 0)):
                        check_finite(piece, one.places[ours].name, one.places[ours].file.path)
                        numbers = narrowed(piece, dtype or piece.dtype, ours)
                        # of the converted numbers: a fingerprint is that of what the new file holds
                        digest.add(numbers.float().numpy())
                        # twice for tied tensors of the port, from one read
                        for name in names(ours):
                            writer.add(name, numbers)
                        written += piece.nbytes
                        done = Progress(f"writing {file.name} (MB)", -(-written // MEGABYTE), -(-total // MEGABYTE))
                        listener(done)
            if not last_rows:  # with rotated rows the digest saw another order; it is computed when first asked for
                fingerprints[part] = digest.hexdigest()
        writer.finish()  # before the file gets its name
    return fingerprints


def _last_rows(card: ModelCard, part: str, to: Format) -> dict[str, int]:
    """Return, for tensors whose rows are in another order there, how many of our first rows come last: the codes."""
    config = config_of(card, part)
    if to is Format.NATIVE or not isinstance(config, PriorConfig):
        return {}
    return dict.fromkeys(first_rows_of(config), config.codebook_size)


def _texts(
    card: ModelCard,
    files: Sequence[_File],
    fingerprints: Mapping[str, str],
    config: dict[str, Any] | None,
    dtype: torch.dtype | None,
) -> dict[str, str]:
    """Return the descriptions by file name; the last one makes the folder a model."""
    if config is None:
        return {CARD: replace(card, fingerprints=fingerprints).to_toml()}
    texts = {name: json.dumps(one, ensure_ascii=False) for name, one in vocabulary_files(card).items()}
    if len(files) > 1:  # an index exists only where there are shards; readers take its presence for a sign of them
        listed = {
            name: file.name
            for file in files
            for part, one in file.parts.items()
            for ours in one.places
            for name in _names(card, part, Format.HUGGINGFACE)(ours)
        }
        # the size of the tensors without headers, as the library counts it
        total = sum(one.bytes(dtype) for file in files for one in file.parts.values())
        index = {"metadata": {"total_size": total}, "weight_map": listed}
        texts["model.safetensors.index.json"] = json.dumps(index, indent=2)
    return {**texts, CONFIG: json.dumps(config, indent=2)}


def _port_config(card: ModelCard) -> dict[str, Any]:
    # the port supports one sampling setting, the advance; levels without one get its default
    advance = {level: card.sampling.get(level.label, {}).get("advance") for level in card.priors}
    known = {level: value for level, value in advance.items() if value is not None}
    return write_config(PortConfig(card.vqvae, card.priors, known))


def _check_space(out: Path, needed: int) -> None:
    # before the first byte: a conversion writes for minutes
    free = shutil.disk_usage(out).free
    if needed > free:
        raise CannotWrite(f"{out} has room for {free / 1e9:.1f} GB, and the model takes {needed / 1e9:.1f} GB")


@dataclass(frozen=True)
class Note:
    """List of the finished files of a conversion, kept in its folder until all are finished."""

    path: Path
    key: str  # hash of the source's state and of the options
    done: dict[str, dict[str, str]]  # finished files, and the fingerprints of their parts

    @classmethod
    def begin(cls, out: Path, key: str, *, overwrite: bool) -> Self:
        """Start or resume a conversion. Raise BadInput if the folder holds anything else, unless `overwrite`."""
        MODEL.claim(out)
        note = cls(out / NOTE, key, {})
        sweep(out, old_names=True)
        there = {path.name for path in out.iterdir()}
        if NOTE in there:
            try:
                kept = read_json(note.path)
                if kept["key"] == key:
                    note.done.update({name: dict(one) for name, one in kept["done"].items() if name in there})
                    return note
            except (BadModel, KeyError, TypeError, ValueError, AttributeError):
                pass  # a damaged note: no file counts as finished
            if not overwrite:
                raise BadInput(f"{out} holds another, interrupted conversion. To replace it: --overwrite")
        if holds_files(out) and not overwrite:
            raise BadInput(f"{out} is not empty. Name another folder, or replace the model in it with --overwrite")
        # descriptions first, so that a kill in between leaves no model with missing weights
        for name in (FINISHED, CARD, CONFIG, *WEIGHTS, *(f"{part}.safetensors" for part in PARTS)):
            (out / name).unlink(missing_ok=True)
        for shard in out.glob("model-*-of-*.safetensors"):
            shard.unlink()
        note._save()
        return note

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of all finished parts."""
        return {part: one for parts in self.done.values() for part, one in parts.items()}

    def add(self, name: str, fingerprints: dict[str, str]) -> None:
        """Add a finished file."""
        self.done[name] = fingerprints
        self._save()

    def finish(self) -> None:
        """Replace the note by one that the conversion is finished."""
        with atomic_write(self.path.with_name(FINISHED)) as file:
            file.write(self.key.encode())
        self.path.unlink()

    def _save(self) -> None:
        # atomic: a kill while the note is written leaves the note before it
        with atomic_write(self.path) as file:
            file.write(json.dumps({"key": self.key, "done": self.done}).encode())


def convert_model(
    source: str,
    out: Path,
    *,
    precision: str | None = None,
    to: str = Format.NATIVE,
    config: Path | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Convert a model, by name or folder, into the folder `out`; return facts about the result.

    `precision` is fp32, fp16 or bf16, None keeps the types; `to` is native or huggingface; `config` is a config.json
    for original files of an unpublished model. An interrupted conversion is resumed.
    """
    if to not in list(Format):
        raise BadInput(f"--to is one of {', '.join(Format)}, got {to!r}")
    folder = Path(source)
    layout = source_of(folder, config) if folder.is_dir() else catalogue.find(source).layout
    new = convert(layout, out, precision=precision, to=Format(to), overwrite=overwrite, listener=listener)
    written = ModelFolder(out)
    return {
        "model": str(out),
        "new": new,
        "format": str(Format(to)),
        "precision": precision,
        "parts": list(written.parts),
        "missing": list(layout.missing),
        "parameters": written.parameters(),
        "fingerprints": dict(written.card.fingerprints),
    }
