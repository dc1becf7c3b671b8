"""Conversion of the port's tensors to the names and files of the original release. Needs torch only.

The table is the inverse of the one in the port's own converter (Apache-2.0).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def original_name(port: str) -> str:
    """Return the original name of a tensor of the port, without the prefix `vqvae.` or `priors.N.`."""
    name = port
    # lists of alternating convolutions and stacks are lists of pairs there
    name = re.sub(
        r"downsample_block\.(\d+)(\.resnet_block\.(\d+)\.conv1d_([12]))?",
        lambda found: _pair(int(found[1]), 0, found[3], found[4], "model"),
        name,
    )
    name = re.sub(
        r"(decoders\..*)upsample_block\.(\d+)(\.resnet_block\.(\d+)\.conv1d_([12]))?",
        lambda found: found[1] + _pair(int(found[2]), 1, found[4], found[5], "model"),
        name,
    )
    name = re.sub(
        r"upsampler\.upsample_block\.(\d+)(\.resnet_block\.(\d+)\.conv1d_([12]))?",
        lambda found: "cond." + _pair(int(found[1]), 1, found[3], found[4], "blocks"),
        name,
    )
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


RENAMED = (
    (r"^(decoders\..*)proj_in", r"\1model.0"),
    (r"\.codebook$", ".k"),
    (r"upsampler\.proj_in", "cond.model.0"),
    (r"^conditioner_blocks\.", "conditioner_blocks.0."),
    (r"^(conditioner_blocks\.0)\.layer_norm", r"\1.ln"),
    (r"^metadata_embedding\.(artist|bow_genre)_emb\.", r"y_emb.\1_emb.emb."),
    (r"^metadata_embedding\.", "y_emb."),
    (r"^encoder\.proj_in\.", "prime_state_proj."),
    (r"^encoder\.final_layer_norm\.", "prime_state_ln."),
    (r"^encoder\.lm_head\.", "prime_x_out."),
    (r"^encoder\.", "prime_prior."),
    (r"embed_tokens", "x_emb"),
    (r"fc_proj_out", "x_out"),
    (r"layer_norm_", "ln_"),
    (r"(c_attn|c_enc_kv|c_proj|c_fc|prime_state_proj)\.(w|b)(eight|ias)$", r"\1.\2"),
)


def _pair(index: int, first: int, block: str | None, convolution: str | None, blocks: str) -> str:
    """Return the name of an entry of the flat list in pairs numbered from `first`, or of a convolution in it."""
    place = f"model.{index // 2 + first}.{index % 2}"
    if block is None or convolution is None:
        return place
    return f"{place}.{blocks}.{block}.model.{2 * int(convolution) - 1}"


def save_original(
    state: Mapping[str, Tensor], downs: tuple[int, ...], folder: Path, *, prefix: str = "", half: bool = False
) -> None:
    """Write a model's tensors to four files: vqvae.pth.tar and prior_level_0 (bottom) to 2 (top).

    `downs` are the numbers of strided convolutions of the codec's levels, bottom first. `prefix` is put before every
    name, as "module." in some releases; with `half` the transformers' matrices are float16, as in some.
    """
    folder.mkdir(parents=True)
    parts = {"vqvae": "vqvae.", **{f"prior_level_{2 - index}": f"priors.{index}." for index in range(3)}}
    for part, start in parts.items():
        tensors = {}
        for name, tensor in state.items():
            if name.startswith(start):
                original = original_name(name.removeprefix(start))
                if found := re.fullmatch(r"(encoders\.\d+\.level_blocks\.(\d+))\.proj_out(.*)", original):
                    original = f"{found[1]}.model.{downs[int(found[2])]}{found[3]}"  # after the last pair
                tensors[prefix + original] = tensor.half() if half and original.endswith(".w") else tensor
        content: dict[str, Any] = {"model": tensors, "opt": None, "step": 0, "hps": {"name": part, "sr": 44_100}}
        torch.save(content, folder / f"{part}.pth.tar")
