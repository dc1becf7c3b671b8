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

from jukectl.checkpoints.store import CARD, FORMAT, VQVAE_PART, ModelCard, ModelFolder, vqvae_config
from jukectl.codes.fingerprint import fingerprint_one_by_one
from jukectl.codes.level import Level
from jukectl.errors import BadModel, CannotWrite
from jukectl.files import atomic_write

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Run:
    """A finished training run: what it made, and its weights."""

    path: Path
    about: Mapping[str, Any]
    tensors: Tensors

    @classmethod
    def load(cls, path: Path, weights: str = "best") -> "Run":
        """Read a run's folder; BadModel where it has no weights yet."""
        try:
            about = tomllib.loads((path / CARD).read_text(encoding="utf-8"))
            run = cls(path, about, load_file(path / f"{weights}.safetensors"))
        except (OSError, UnicodeDecodeError, SafetensorError, tomllib.TOMLDecodeError) as error:
            raise BadModel(f"{path} holds no training run with {weights} weights: {error}") from error
        if not ("vqvae" in about or {"prior", "vocabulary"} <= about.keys()):
            raise BadModel(f"{path / CARD} does not tell what was trained: it is no run of jukectl train")
        return run


def assemble(
    out: Path, runs: Iterable[Run], card: Mapping[str, Any], dtype: torch.dtype = torch.float16
) -> ModelFolder:
    """Write the parts that `runs` hold into the model folder `out`; parts it has from before stay.

    `card` is the hand-written part of model.toml (name, version, licence, summary, sampling, sources). Raises BadModel,
    and leaves the folder as it was, where the parts do not belong together.
    """
    runs = list(runs)
    table = {**(read_card(out / CARD) if (out / CARD).exists() else {}), "format": FORMAT, **card}
    parts: dict[str, Tensors] = {}
    priors = dict(table.get("priors", {}))
    for run in runs:
        if "vqvae" in run.about:
            _agree(table, "vqvae", run)
            parts[VQVAE_PART] = {**parts.get(VQVAE_PART, {}), **_rounded(run, dtype)}
        else:
            _agree(table, "vocabulary", run)
            level = run.about["prior"]["level"]
            priors[level] = run.about["prior"]
            parts[level] = _rounded(run, dtype)
    codec = out / f"{VQVAE_PART}.safetensors"
    if VQVAE_PART in parts and codec.exists():
        try:
            before = load_file(codec)
        except SafetensorError as error:
            raise BadModel(f"{codec} is damaged, remove it to make it anew: {error}") from error
        _check_old_priors(before, parts[VQVAE_PART], [level for level in priors if level not in parts], out)
        parts[VQVAE_PART] = {**before, **parts[VQVAE_PART]}
    fingerprints = {**table.get("fingerprints", {}), **{part: _fingerprint(one) for part, one in parts.items()}}

    text = ModelCard.from_dict({**table, "priors": priors, "fingerprints": fingerprints}, out / CARD).to_toml()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot make the model folder {out}: {error.strerror or error}") from error
    for part, tensors in parts.items():
        with atomic_write(out / f"{part}.safetensors") as file:
            file.write(save(dict(tensors)))
    with atomic_write(out / CARD) as file:
        file.write(text.encode())
    return ModelFolder(out)


def _agree(table: dict[str, Any], key: str, run: Run) -> None:
    """Take `key` from a run, which must agree with what is there."""
    mine, theirs = run.about[key], table.setdefault(key, run.about[key])
    try:  # what one leaves out and the other says may be the same: a default
        same = vqvae_config(mine) == vqvae_config(theirs) if key == "vqvae" else mine == theirs
    except (TypeError, ValueError, AttributeError) as error:
        raise BadModel(f"{run.path / CARD} or {CARD} beside it describes no {key}: {error}") from error
    if not same:
        raise BadModel(f"{run.path} was trained with another {key} than the parts beside it")


def _check_old_priors(before: Tensors, after: Tensors, levels: Iterable[str], out: Path) -> None:
    """Refuse a codec that has changed at a level whose codes a prior that stays has learned, or is conditioned on."""
    for name, tensor in after.items():
        changed = Level.parse(name.split(".")[1])
        stale = [level for level in levels if Level.parse(level) in (changed, changed - 1)]
        if stale and name in before and not torch.equal(before[name].float(), tensor.float()):
            raise BadModel(
                f"{out} holds a {stale[0]} prior that knows the {changed.label} codes as they were: "
                f"give a new {stale[0]} run too, or another folder"
            )


def _rounded(run: Run, dtype: torch.dtype) -> Tensors:
    """A run's tensors in the precision that a model is kept in."""
    rounded = {name: tensor.to(dtype).contiguous() for name, tensor in run.tensors.items()}
    for name, tensor in rounded.items():
        if not torch.isfinite(tensor).all():
            raise BadModel(f"{name} of {run.path} does not fit {dtype}: its numbers are too large, or not finite")
    return rounded


def _fingerprint(tensors: Tensors) -> str:
    return fingerprint_one_by_one(tensors, lambda name: tensors[name].float().numpy())


def read_card(path: Path) -> dict[str, Any]:
    """The hand-written part of a model.toml; BadModel where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadModel(f"cannot read the card {path}: {error}") from error
