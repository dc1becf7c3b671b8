"""Model folders from training runs, or from a model and adapters: weights in fp16 or int8, and one model.toml."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from jukectl.checkpoints.adapters import AdaptedModel
from jukectl.checkpoints.card import FORMAT, ModelCard, vqvae_config
from jukectl.checkpoints.fingerprints import fingerprint_one_by_one
from jukectl.checkpoints.places import CARD
from jukectl.checkpoints.quantized import SCALES, numbers_of, quantized
from jukectl.checkpoints.store import MODEL, VQVAE_PART, ModelFolder
from jukectl.checkpoints.tensorfile import is_finite, load_tensors
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.files import atomic_write, opened
from jukectl.tables import parse_toml, read_toml

Tensors = Mapping[str, Tensor]

PRECISIONS = {"fp16": torch.float16, "int8": torch.int8}
"""Number formats of the weights of an assembled model."""

NAMES = ("artists", "genres")
"""Keys of names in a [vocabulary] table."""

CHARACTERS = ("characters", "character_numbers")
"""Keys of lyrics in it."""

OF_PRIORS = ("priors", "vocabulary", "label_dropout", "sampling")
"""Keys of a card that describe priors."""


@dataclass(frozen=True)
class Run:
    """A finished training run: its description and its weights."""

    path: Path
    about: Mapping[str, Any]
    tensors: Tensors

    @classmethod
    def load(cls, path: Path, weights: str = "best") -> "Run":
        """Load a run from its folder. Raise BadModel if it has no weights yet, or cannot become part of a model."""
        try:
            about = read_toml(path / CARD, BadModel)
            run = cls(path, about, load_tensors(path / f"{weights}.safetensors"))
        except BadModel as error:
            raise BadModel(f"{path} holds no training run with {weights} weights: {error}") from error
        # each kind of run that has weights but cannot become a part gets its own message with the way out
        if "adapter" in about:
            raise BadModel(
                f"{path} holds an adapter, not a whole prior. Merge it into a model with: "
                f"jukectl models merge MODEL --adapter {path / 'adapter.safetensors'} --out FOLDER"
            )
        if not ("vqvae" in about or {"prior", "vocabulary"} <= about.keys()):
            raise BadModel(f"{path / CARD} does not say what was trained: it is not a run of jukectl train")
        if about.get("architecture") == "hierarchical":
            raise BadModel(f"{path} is one autoencoder of all levels, for comparison only: a model has separate ones")
        if "vqvae" in about and about["vqvae"].get("codebook_size") == 0:
            raise BadModel(f"{path} has no codebook, so it makes no codes to build a model on: train one that has")
        return run


def assemble(
    out: Path,
    runs: Iterable[Run],
    card: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
    base: ModelFolder | None = None,
    codec_only: bool = False,
) -> ModelFolder:
    """Write the parts of `runs` into the model folder `out`, which keeps its other parts.

    `card` is the hand-written part of model.toml (name, version, licence, summary, sampling, sources). With a `base`,
    parts without a run are copied from it, with its settings and sources. `codec_only` leaves out its priors, which are
    useless with a codec that was trained further. With a `dtype` of int8, small tensors and codebooks are fp16. Raise
    BadModel, and leave the folder unchanged, if the parts do not belong together.
    """
    runs = list(runs)  # walked twice
    if base is not None:
        _check_native(base)
    # the description to start from: the base's, or that of the model in `out`, whose parts are added to
    before = base.path if base is not None else out
    described = read_card(before / CARD) if (before / CARD).exists() else {}
    if base is not None:  # the result is not that version of the base, nor under its licence
        described = {key: value for key, value in described.items() if key not in ("version", "licence", "summary")}
    if codec_only:  # the base's priors model codes that the new codec does not produce
        described = {key: value for key, value in described.items() if key not in OF_PRIORS}
        described["fingerprints"] = {VQVAE_PART: described.get("fingerprints", {}).get(VQVAE_PART, "")}
    # from here on `table` is the card being assembled: old description, then the hand-written part, then the runs
    table = {**described, "format": FORMAT, **card}
    parts: dict[str, Tensors] = {}
    priors = dict(table.get("priors", {}))
    for run in runs:
        if "vqvae" in run.about:  # runs of single levels add up to one codec
            _agree(table, "vqvae", run)
            parts[VQVAE_PART] = {**parts.get(VQVAE_PART, {}), **rounded(run.tensors, dtype, str(run.path))}
        else:
            _agree(table, "vocabulary", run)
            _take_characters(table, run)
            level = run.about["prior"]["level"]
            # absent means 0: guidance then warns that the prior never saw music without labels
            dropout = {**table.get("label_dropout", {}), level: run.about.get("label_dropout", 0.0)}
            table["label_dropout"] = {one: share for one, share in dropout.items() if share}
            priors[level] = run.about["prior"]
            parts[level] = rounded(run.tensors, dtype, str(run.path))
    codec = before / f"{VQVAE_PART}.safetensors"
    # a codec keeps the levels that no run replaces, unless a prior that stays depends on a level that changes
    if VQVAE_PART in parts and codec.exists():
        try:
            old = load_tensors(codec)
        except BadModel as error:
            raise BadModel(f"{error}; or remove it to have it written again") from error
        _check_old_priors(old, parts[VQVAE_PART], [level for level in priors if level not in parts], before)
        replaced = {name + SCALES for name in parts[VQVAE_PART]}
        kept = {name: tensor for name, tensor in old.items() if name not in replaced}
        parts[VQVAE_PART] = {**kept, **parts[VQVAE_PART]}
    # of the rounded weights, since these are the ones that songs are made with
    fingerprints = {**table.get("fingerprints", {}), **{part: _fingerprint(one) for part, one in parts.items()}}
    # parsed and written again: a hand-written card is checked before any file is touched
    described_now = ModelCard.from_dict({**table, "priors": priors, "fingerprints": fingerprints}, out / CARD)
    return write_model(out, described_now, parts, base)


def merge_adapters(
    model: AdaptedModel, out: Path, card: Mapping[str, Any], dtype: torch.dtype = torch.float16
) -> ModelFolder:
    """Write a model with its adapters merged into the weights as a model folder that needs no adapters.

    `card` replaces entries of the model's own, as in `assemble`.
    """
    _check_native(model)
    parts: dict[str, Tensors] = {}
    # only priors with adapters are written; the other parts are copied byte for byte
    for level in {applied.adapter.card.level for applied in model.adapters}:
        tensors = model.prior(level, torch.device("cpu")).state_dict()
        # rounded once, after merging: rounding the model and the adapter apart would add an error
        parts[level.label] = rounded(tensors, dtype, str(model.path))
    fingerprints = {**model.card.fingerprints, **{part: _fingerprint(one) for part, one in parts.items()}}
    # through TOML: the card of a model with adapters has the new names, which a file must hold as a native card does
    table = parse_toml(replace(model.card, version="", licence="", summary="", fingerprints=fingerprints).to_toml())
    described = ModelCard.from_dict({**table, **card}, out / CARD)
    return write_model(out, described, parts, ModelFolder(model.path))


def _check_native(base: ModelFolder) -> None:
    """Raise BadModel for a model in another format, whose parts cannot be copied."""
    if not (base.path / CARD).exists():
        raise BadModel(
            f"{base.path} is in another format than ours. Convert it first: jukectl models convert {base.path} FOLDER"
        )


def write_model(out: Path, card: ModelCard, parts: Mapping[str, Tensors], base: ModelFolder | None) -> ModelFolder:
    """Write a model folder with these parts, and with copies of the other parts of `base`."""
    if base is not None and out.resolve() == base.path.resolve():
        raise BadModel(f"{out} is the base model: write the new one to another folder")
    MODEL.claim(out)
    names = (VQVAE_PART, *(level.label for level in card.priors))
    copied = [base.part(name) for name in names if name not in parts and base.part(name).exists()] if base else []
    # weights before model.toml: a folder becomes a model with its last file, so a kill leaves no half of one
    for source in copied:
        with opened(source, BadModel, "weights") as original, atomic_write(out / source.name) as file:
            shutil.copyfileobj(original, file)
    for part, tensors in parts.items():
        with atomic_write(out / f"{part}.safetensors") as file:
            file.write(save(dict(tensors)))
    with atomic_write(out / CARD) as file:
        file.write(card.to_toml().encode())
    return ModelFolder(out)


def _agree(table: dict[str, Any], key: str, run: Run) -> None:
    """Add `key` of a run to the card's table. Raise BadModel if the table has another value."""
    mine, theirs = run.about[key], table.setdefault(key, run.about[key])
    try:  # compared as configurations: one table may leave out a default that the other has
        same = vqvae_config(mine) == vqvae_config(theirs) if key == "vqvae" else _one_grew(mine, theirs)
        if key == "vocabulary":
            # the longer list of names: priors trained later may have more, never others
            table[key] = {**theirs, **{kind: max(mine[kind], theirs[kind], key=len) for kind in NAMES}}
    except (TypeError, ValueError, AttributeError) as error:
        raise BadModel(f"{run.path / CARD} or {CARD} beside it describes no {key}: {error}") from error
    if not same:
        raise BadModel(f"{run.path} was trained with another {key} than the parts beside it")


def _take_characters(table: dict[str, Any], run: Run) -> None:
    """Take the lyric characters of a run whose prior is conditioned on lyrics."""
    if "lyrics" in run.about["prior"]:  # one prior of a model has lyrics, so the last run decides
        names = {kind: table["vocabulary"][kind] for kind in NAMES}
        more = {kind: run.about["vocabulary"][kind] for kind in CHARACTERS if kind in run.about["vocabulary"]}
        table["vocabulary"] = {**names, **more}


def _one_grew(mine: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> bool:
    """Return True if one vocabulary starts with the other: names are only added, at the end."""
    pairs = [(mine[kind], theirs[kind]) for kind in NAMES]
    return all(one[: len(other)] == other[: len(one)] for one, other in pairs)


def _check_old_priors(before: Tensors, after: Tensors, levels: Iterable[str], out: Path) -> None:
    """Raise BadModel if a level of the codec changed whose codes a remaining prior models or is conditioned on."""
    before = numbers_of(before)
    for name, tensor in numbers_of(after).items():
        changed = Level.parse(name.split(".")[1])  # levels.LEVEL...
        # a prior depends on its own codes, and an upsampler on those of the level above it
        stale = [level for level in levels if Level.parse(level) in (changed, changed - 1)]
        if stale and name in before and not torch.equal(before[name].float(), tensor.float()):
            raise BadModel(
                f"{out} holds a {stale[0]} prior that was trained on other {changed.label} codes: "
                f"give a new {stale[0]} run too, or another folder"
            )


def rounded(tensors: Tensors, dtype: torch.dtype, where: str) -> Tensors:
    """Convert tensors to the type of a model's files. Raise BadModel if a number of `where` becomes infinite."""
    if dtype == torch.int8:
        fitted = quantized(tensors)
    else:
        fitted = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
    # fp16 ends at 65,504; also refuses a run that diverged
    for name, tensor in fitted.items():
        if not is_finite(tensor):
            raise BadModel(f"{name} of {where} does not fit {dtype}: its numbers are too large, or not finite")
    return fitted


def _fingerprint(tensors: Tensors) -> str:
    numbers = numbers_of(tensors)
    return fingerprint_one_by_one(numbers, lambda name: numbers[name].float().numpy())


def read_card(path: Path) -> dict[str, Any]:
    """Read the hand-written part of a model.toml. Raise BadModel if it cannot be read."""
    return read_toml(path, BadModel, "card")
