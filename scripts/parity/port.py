"""Random models of the Apache-2.0 port in transformers 4.57.6: build, save, sample and run forward."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.deprecated.jukebox import modeling_jukebox
from transformers.models.deprecated.jukebox.configuration_jukebox import JukeboxConfig
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxModel, JukeboxPrior, JukeboxVQVAE
from transformers.utils.logging import disable_progress_bar
from variants import Kept, Variant

SHARD_BYTES = 200_000
RARE = 0.5  # scale of the head's rows of characters relative to those of codes
DECODED = 0.2  # standard deviation of decoded audio

NUMBERS = (  # for tensors that are not matrices: pattern of the name, mean and standard deviation
    (r"conditioner_blocks\.layer_norm\.weight", 0.5, 0.15),
    (r"layer_norm.*weight", 1.0, 0.25),
    (r"conditioner_blocks\.embed_tokens", 0.0, 1.0),
    (r"pos_emb\.pos_emb", 0.0, 1.2),  # large, so that greedy samples do not repeat themselves
    (r"fc_proj_out|lm_head|start_token", 0.0, 0.35),
    (r"emb", 0.0, 0.25),
    (r"bias", 0.0, 0.08),
)
GAINS = (("c_attn", 1.6), ("c_enc_kv", 1.6), ("conv1d_1", 1.4), ("conv1d_2", 0.7))
"""Scale of matrices relative to one that preserves the scale of its input; sharper attention amplifies rounding."""

disable_progress_bar()


def build(variant: Variant) -> JukeboxModel:
    """Return a model in which every parameter is random, including those that are initialised to zero or one."""
    model = JukeboxModel(JukeboxConfig(nb_priors=3, **variant.config)).eval()
    dice = torch.Generator().manual_seed(variant.seed)
    with torch.no_grad():
        for prior in model.priors:
            _fill(prior, dice)
            if prior.is_encoder_decoder:  # a character sampled in place of a code should be rare, not impossible
                prior.prior.fc_proj_out.weight[: prior.config.lyric_vocab_size] *= RARE
        _fill(model.vqvae, dice)
        _fill_codebooks(model.vqvae, dice)
    return model


def _fill(module: nn.Module, dice: torch.Generator) -> None:
    """Fill a module so that every layer affects the result: logits spread over several units."""
    for name, tensor in module.named_parameters():
        mean, deviation = _spread(module, name, tensor)
        tensor.copy_(mean + deviation * torch.randn(tensor.shape, generator=dice))


def _spread(module: nn.Module, name: str, tensor: Tensor) -> tuple[float, float]:
    """Return the mean and standard deviation for a tensor."""
    branch = 1.0
    if (
        "_attn_mods" in name and "c_proj" in name
    ):  # the sum over the branches of all blocks has the same scale for any depth
        blocks = module.get_submodule(name.partition("_attn_mods.")[0] + "_attn_mods")
        branch = 1.3 / (math.sqrt(len(blocks)) * blocks[0].res_scale)
    for pattern, mean, deviation in NUMBERS:
        if re.search(pattern, name):
            return mean, branch * deviation
    gain = next((gain for part, gain in GAINS if part in name), 1.0)
    if isinstance(module.get_submodule(name.rpartition(".")[0]), nn.ConvTranspose1d):
        inputs = 2 * tensor.shape[0]
    else:
        inputs = math.prod(tensor.shape[1:]) if tensor.dim() == 3 else tensor.shape[0]
    return 0.0, branch * gain / math.sqrt(inputs)


def _fill_codebooks(vqvae: JukeboxVQVAE, dice: torch.Generator) -> None:
    """Place codebook vectors near the latents of noise, and scale decoders to a moderate loudness."""
    hop = int(vqvae.hop_lengths[-1])
    noise = 0.3 * torch.randn(1, 256 * hop, 1, generator=dice)
    for encoder, decoder, book in zip(vqvae.encoders, vqvae.decoders, vqvae.bottleneck.level_blocks, strict=True):
        latents = encoder(noise.permute(0, 2, 1))[-1][0].T
        chosen = latents[torch.randperm(len(latents), generator=dice)[: len(book.codebook)]]
        chosen = chosen + 0.3 * latents.std() * torch.randn(chosen.shape, generator=dice)
        book.codebook.copy_(chosen)
        codes = torch.randint(0, len(chosen), (1, 64), generator=dice)
        audio = decoder([book.decode(codes)], all_levels=False)
        for tensor in decoder.out.parameters():
            tensor.mul_(DECODED / audio.std())


def save(model: JukeboxModel, variant: Variant, folder: Path) -> None:
    """Write the model in the Hugging Face layout of the variant."""
    model.save_pretrained(
        folder,
        state_dict=state(model, variant.kept),
        safe_serialization=variant.layout != "bin shards",
        max_shard_size=SHARD_BYTES if "shards" in variant.layout else "1GB",
    )
    (folder / "generation_config.json").unlink(missing_ok=True)
    if variant.letters is not None:
        ids = {character: number for number, character in enumerate(variant.letters, 1)}
        (folder / "lyrics.json").write_text(json.dumps(ids), encoding="utf-8")
    if variant.numbered:
        config = {"model_type": "jukebox", "nb_priors": len(model.priors), **variant.config}
        config |= {f"prior_{level}": values for level, values in enumerate(config.pop("prior_config_list"))}
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def state(model: JukeboxModel, kept: Kept = "both") -> dict[str, Tensor]:
    """Return copies of all tensors; of a tied embedding and head those that are kept."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for level, prior in enumerate(model.priors):
        names = {
            "embedding": f"priors.{level}.prior.fc_proj_out.weight",
            "head": f"priors.{level}.prior.embed_tokens.weight",
        }
        if prior.prior.share_embed_tokens_fc_proj_out and kept != "both":
            del tensors[names[kept]]
    return tensors


@contextmanager
def margins() -> Iterator[list[float]]:
    """Collect the margin of the most likely id over the next, of every row and sampling step inside."""
    filtered, gaps = modeling_jukebox.filter_logits, []

    def watched(logits: Tensor, *settings: Any, **named: Any) -> Tensor:
        first, second = logits.topk(2, dim=-1).values.unbind(-1)
        gaps.extend((first - second).flatten().tolist())
        filtered_logits: Tensor = filtered(logits, *settings, **named)
        return filtered_logits

    modeling_jukebox.filter_logits = watched
    try:
        yield gaps
    finally:
        modeling_jukebox.filter_logits = filtered


@torch.no_grad()
def greedy(prior: JukeboxPrior, known: Tensor, metadata: Tensor, upper: Tensor | None, *, length: int) -> Tensor:
    """Return a window (B, length): the prefix `known` (B, n), then the port's greedy samples."""
    result: Tensor = prior.sample(
        len(known),
        music_tokens=known if known.shape[1] else None,
        music_tokens_conds=None if upper is None else [upper],
        metadata=metadata,
        top_k=1,
        sample_tokens=length,
    )
    assert torch.equal(result[:, : known.shape[1]], known)
    return result


@dataclass(frozen=True)
class Forward:
    """Outputs of a prior for whole windows. B windows, C context, V ids: in one sequence, characters before codes."""

    logits: Tensor  # (B, C, V), of the codes
    bits: Tensor  # (B,), mean per code
    lyric_bits: Tensor  # (B,), mean per character; zero without lyrics
    loss: Tensor  # (B,), both weighted as in training


@torch.no_grad()
def forward(prior: JukeboxPrior, codes: Tensor, metadata: Tensor, upper: Tensor | None) -> Forward:
    """Run whole windows (B, C) forward, one by one: with a lyrics encoder the port supports no larger batch."""
    rows = [
        _forward_row(prior, *(None if one is None else one[row : row + 1] for one in (codes, metadata, upper)))
        for row in range(len(codes))
    ]
    return Forward(*(torch.stack(parts) for parts in zip(*rows, strict=True)))


def _forward_row(prior: JukeboxPrior, codes: Tensor, metadata: Tensor, upper: Tensor | None) -> tuple[Tensor, ...]:
    if prior.nb_relevant_lyric_tokens:
        loss, metrics = prior.forward_tokens(codes, [], metadata, get_preds=True)
        logits = metrics["preds"][0, -prior.n_ctx :]
        return logits, metrics["next_token_prediction_loss"], metrics["encoder_loss"], loss
    # forward_tokens raises without lyrics
    positions, start, _ = prior.get_cond(None if upper is None else [upper], metadata)
    bits, logits = prior.prior(codes, positions, start, get_preds=True)
    return logits[0], bits, torch.zeros_like(bits), bits
