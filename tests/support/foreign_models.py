"""Small random models in every format, for tests of what reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.huggingface import port_names, port_prefix
from jukectl.checkpoints.huggingface_config import PortConfig, write_config
from jukectl.checkpoints.layout import config_of, first_rows_of, shapes_of
from jukectl.checkpoints.openai import file_name, original_names
from jukectl.codes.level import Level
from jukectl.prior.config import (
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
    in_one_sequence,
    with_encoder,
)
from jukectl.vqvae.config import VQVAEConfig

CODEC = VQVAEConfig(
    sample_rate=8_000,
    downs=(2, 1, 1),
    strides=(2, 4, 2),
    codebook_size=20,
    latent_width=6,
    widths=(8, 4, 4),
    depths=(4, 2, 2),
    dilation_growth=2,
    dilation_cycle=2,
    scale_residuals=True,
)
HOP = CODEC.hop(Level.TOP)
TOP = PriorConfig(
    level=Level.TOP,
    context=24,
    width=16,
    depth=4,
    heads=2,
    blocks=4,
    hop=HOP,
    sample_rate=8_000,
    codebook_size=20,
    artists=5,
    genres=4,
    genre_slots=3,
    timing=TimingConfig(bins=8, min_seconds=0.05, max_seconds=20.0),
)
ENCODED = replace(
    TOP,
    depth=20,
    lyrics=LyricsConfig(
        characters=12,
        alphabet=9,
        encoder=EncoderConfig(width=8, depth=3, heads=2, blocks=3, mlp_ratio=2.0),
        loss_share=0.3,
        alignment_layer=18,
        alignment_head=1,
    ),
    pattern=with_encoder(20),
    scale_residuals=True,
)
MERGED = replace(
    TOP,
    depth=17,
    lyrics=LyricsConfig(characters=8, alphabet=7, drawable=True, alignment_layer=15),
    pattern=in_one_sequence(17),
    tied_head=False,
)


def upsampler(level: Level) -> PriorConfig:
    """Below the top."""
    ratio = {Level.MIDDLE: (1, 2), Level.BOTTOM: (1, 4)}[level]
    conditioner = ConditionerConfig(
        width=6,
        depth=3,
        downs=ratio[0],
        stride=ratio[1],
        cycle=2,
        scale_residuals=level is Level.MIDDLE,
        codebook_size=20,
    )
    return replace(TOP, level=level, hop=CODEC.hop(level), depth=3, timing=None, conditioner=conditioner)


LOWER = {level: upsampler(level) for level in (Level.MIDDLE, Level.BOTTOM)}
STYLES: Mapping[str, PriorConfig] = {
    "no lyrics": TOP,
    "encoder": ENCODED,
    "encoder, own head": replace(ENCODED, tied_head=False),
    "one sequence": MERGED,
    "one sequence, tied": replace(MERGED, tied_head=True),
}

State = dict[str, dict[str, Tensor]]  # by part, by our names


@dataclass(frozen=True)
class Model:
    """A small random model."""

    priors: Mapping[Level, PriorConfig]
    state: State
    vqvae: VQVAEConfig = CODEC

    @property
    def card(self) -> ModelCard:
        """What it is."""
        return ModelCard(name="small", vqvae=self.vqvae, priors=self.priors)

    @property
    def config_json(self) -> dict[str, Any]:
        """Its config.json."""
        return write_config(PortConfig(self.vqvae, self.priors, dict.fromkeys(self.priors, 0.5)))


def random_model(top: PriorConfig = TOP, *, seed: int = 0, lower: bool = True, vqvae: VQVAEConfig = CODEC) -> Model:
    """A model with random numbers everywhere."""
    generator = torch.Generator().manual_seed(seed)
    priors = {Level.TOP: top, **(LOWER if lower else {})}
    configs = {"vqvae": vqvae, **{level.label: config for level, config in priors.items()}}
    state = {
        part: {name: torch.randn(shape, generator=generator) for name, shape in shapes_of(config).items()}
        for part, config in configs.items()
    }
    return Model(priors, state, vqvae)


def port_state(model: Model) -> dict[str, Tensor]:
    """Its tensors as the port has them: both of tied ones, characters before codes."""
    found = {}
    for part, tensors in model.state.items():
        config = config_of(model.card, part)
        rows = first_rows_of(config)
        for ours, tensor in tensors.items():
            for name in port_names(config)(ours):
                found[port_prefix(part) + name] = tensor.roll(rows.get(ours, 0), 0).clone()
    return found


def original_state(model: Model, part: str, *, blocks: bool = False) -> dict[str, Tensor]:
    """A part's tensors by their original names; with `blocks` by the other names that some of them may have."""
    config = config_of(model.card, part)
    rows, found = first_rows_of(config), dict[str, Tensor]()
    for ours, tensor in model.state[part].items():
        names = [name for name in original_names(config)(ours) if "x_emb.emb" not in name]
        others = [name for name in names if ".blocks." in name]
        rolled = tensor.roll(rows.get(ours, 0), 0).clone()
        if others:
            names = others if blocks else names[:1]
        found |= dict.fromkeys(names, rolled)
    return found


def write_huggingface(model: Model, folder: Path, kind: str = "model.safetensors", shards: int = 1) -> Path:
    """In Hugging Face layout: `kind` is model.safetensors or pytorch_model.bin, in so many files."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(model.config_json))
    tensors = port_state(model)

    def save(part: dict[str, Tensor], name: str) -> None:
        torch.save(part, folder / name) if kind.endswith(".bin") else save_file(part, folder / name, {"format": "pt"})

    if shards == 1:
        save(tensors, kind)
        return folder
    stem, end = kind.split(".")
    names = [f"{stem}-{index + 1:05}-of-{shards:05}.{end}" for index in range(shards)]
    listed = {tensor: names[index % shards] for index, tensor in enumerate(tensors)}
    for name in names:
        save({tensor: tensors[tensor] for tensor, file in listed.items() if file == name}, name)
    (folder / f"{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return folder


def write_originals(
    model: Model, folder: Path, *, prefix: str = "", half: bool = False, old: bool = False, blocks: bool = False
) -> Path:
    """As original files: with a prefix, matrices in float16, as torch wrote files before 1.6, or with other names."""
    for part in model.state:
        tensors = {
            prefix + name: tensor.half() if half and name.endswith(".w") else tensor
            for name, tensor in original_state(model, part, blocks=blocks).items()
        }
        save_original(tensors, folder / file_name(part), old=old)
    return folder


def save_original(tensors: Mapping[str, Tensor], path: Path, *, old: bool = False) -> None:
    """One original file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"hps": {"name": "small", "sr": 8_000}, "model": dict(tensors), "opt": None, "step": 3}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
