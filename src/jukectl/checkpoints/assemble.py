"""A model folder from training runs: their best weights, rounded to fp16, with one model.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from jukectl.checkpoints.store import CARD, FORMAT, VQVAE_PART, ModelCard, ModelFolder
from jukectl.codes.fingerprint import fingerprint
from jukectl.errors import BadModel
from jukectl.files import atomic_write


@dataclass(frozen=True)
class Run:
    """A finished training run: what it made, and its weights."""

    path: Path
    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @classmethod
    def load(cls, path: Path, weights: str = "best") -> "Run":
        """Read a run's folder; BadModel where it has no weights yet."""
        try:
            about = tomllib.loads((path / CARD).read_text())
            return cls(path, about, load_file(path / f"{weights}.safetensors"))
        except (OSError, SafetensorError, tomllib.TOMLDecodeError) as error:
            raise BadModel(f"{path} holds no training run with {weights} weights: {error}") from error


def assemble(
    out: Path, runs: Iterable[Run], card: Mapping[str, Any], dtype: torch.dtype = torch.float16
) -> ModelFolder:
    """Write the parts that `runs` hold into the model folder `out`; parts it has from before stay.

    `card` is the hand-written part of model.toml (name, version, licence, summary, sampling, sources).
    """
    out.mkdir(parents=True, exist_ok=True)
    old = out / CARD
    table: dict[str, Any] = tomllib.loads(old.read_text()) if old.exists() else {}
    table |= {"format": FORMAT, **card}
    codec: dict[str, Tensor] = {}
    for run in runs:
        if "vqvae" in run.about:
            _same(table, "vqvae", run)
            codec |= run.tensors
        else:
            config = run.about["prior"]
            _same(table, "vocabulary", run)
            table.setdefault("priors", {})[config["level"]] = config
            _write(out, config["level"], run.tensors, dtype, table)
    if codec:
        _write(out, VQVAE_PART, codec, dtype, table)
    text = ModelCard.parse(_dump(table), out / CARD).to_toml()
    with atomic_write(out / CARD) as file:
        file.write(text.encode())
    return ModelFolder(out)


def _same(table: dict[str, Any], key: str, run: Run) -> None:
    """Take `key` from a run, which must agree with what is there."""
    if table.setdefault(key, run.about[key]) != run.about[key]:
        raise BadModel(f"{run.path} was trained with another {key} than the parts beside it")


def _write(out: Path, part: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, table: dict[str, Any]) -> None:
    rounded = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
    bad = [name for name, tensor in rounded.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise BadModel(f"{bad[0]} of the {part} part does not fit {dtype}: its numbers are too large")
    with atomic_write(out / f"{part}.safetensors") as file:
        file.write(save(rounded))
    table.setdefault("fingerprints", {})[part] = fingerprint(
        (name, tensor.float().numpy()) for name, tensor in rounded.items()
    )


def _dump(table: Mapping[str, Any]) -> str:
    import tomlkit

    return tomlkit.dumps(table)


def read_card(path: Path) -> dict[str, Any]:
    """The hand-written part of a model.toml; BadModel where it cannot be read."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadModel(f"cannot read the card {path}: {error}") from error
