"""Compare our Prior with the Apache-2.0 port in transformers 4.57.6 on the same random weights.

Logits, cached logits and the loss must agree to rounding. Run it where that transformers is installed:
PYTHONPATH=src PYTHON scripts/parity/prior.py
"""

import re
from dataclasses import replace

import torch
from transformers.models.deprecated.jukebox.configuration_jukebox import JukeboxPriorConfig
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxPrior

from jukectl.codes.level import Level
from jukectl.prior.config import ConditionerConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior

TOLERANCE = 1e-4

TOP = PriorConfig(
    level=Level.TOP,
    context=48,
    width=64,
    depth=6,
    heads=2,
    blocks=8,
    hop=128,
    sample_rate=44_100,
    codebook_size=40,
    artists=5,
    genres=7,
    genre_slots=3,
    timing=TimingConfig(bins=16, min_seconds=7.0, max_seconds=100.0),
)
UPSAMPLER = replace(
    TOP,
    level=Level.MIDDLE,
    heads=1,
    timing=None,
    conditioner=ConditionerConfig(width=16, depth=5, downs=2, cycle=2, scale_residuals=True, codebook_size=40),
)

RENAMED = (  # theirs -> ours
    (r"conditioner_blocks\.embed_tokens", "place.codes"),
    (r"conditioner_blocks\.upsampler\.proj_in", "place.upsample.project"),
    (r"conditioner_blocks\.layer_norm", "place.norm"),
    (r"\.resnet_block\.(\d+)\.conv1d_1", r".blocks.\1.dilated"),
    (r"\.resnet_block\.(\d+)\.conv1d_2", r".blocks.\1.project"),
    (r"metadata_embedding\.bow_genre_emb", "artist_genre.genre"),
    (r"metadata_embedding\.artist_emb", "artist_genre.artist"),
    (r"metadata_embedding\.(total)_length_emb\.emb", r"place.\1"),
    (r"metadata_embedding\.(absolute|relative)_pos_emb\.emb", r"place.\1"),
    (r"prior\.embed_tokens", "codes"),
    (r"prior\.pos_emb\.pos_emb", "positions"),
    (r"prior\.transformer\._attn_mods\.", "transformer.blocks."),
    (r"layer_norm_0", "attention_norm"),
    (r"layer_norm_1", "mlp_norm"),
    (r"\.attn\.c_attn", ".attention.qkv"),
    (r"\.attn\.c_proj", ".attention.out"),
    (r"\.mlp\.c_fc", ".mlp_in"),
    (r"\.mlp\.c_proj", ".mlp_out"),
)


def our_name(theirs: str) -> str:
    """The name of one of the port's tensors in our state dict."""

    def half(match: re.Match[str]) -> str:  # stacks and transposed convolutions take turns in one list there
        index = int(match[1])
        return f"place.upsample.{'ups' if index % 2 else 'stacks'}.{index // 2}"

    name = re.sub(r"conditioner_blocks\.upsampler\.upsample_block\.(\d+)", half, theirs)
    for pattern, ours in RENAMED:
        name = re.sub(pattern, ours, name)
    return name


def build_port(config: PriorConfig) -> JukeboxPrior:
    """The port's prior of the same shape; its levels count from the top."""
    timing, conditioner = config.timing, config.conditioner
    return JukeboxPrior(
        JukeboxPriorConfig(
            level=0 if conditioner is None else 1,
            n_ctx=config.context,
            hidden_size=config.width,
            num_layers=config.depth,
            n_heads=config.heads,
            blocks=config.blocks,
            attention_pattern="raw_column_previous_row_attention",
            attn_res_scale=config.scale_residuals,
            mask=True,
            is_encoder_decoder=False,
            merged_decoder=False,
            nb_relevant_lyric_tokens=0,
            metadata_dims=[config.genres, config.artists],
            max_nb_genres=config.genre_slots,
            music_vocab_size=config.codebook_size,
            sampling_rate=config.sample_rate,
            timing_dims=timing.bins if timing else 16,
            min_duration=timing.min_seconds if timing else 0,
            max_duration=timing.max_seconds if timing else 1,
            res_conv_width=conditioner.width if conditioner else 16,
            res_conv_depth=conditioner.depth if conditioner else 1,
            res_dilation_cycle=conditioner.cycle if conditioner else None,
            res_dilation_growth_rate=conditioner.growth if conditioner else 3,
            conv_res_scale=conditioner.scale_residuals if conditioner else False,
        ),
        nb_priors=3,
    ).eval()


@torch.no_grad()
def compare(config: PriorConfig, *, batch: int = 2) -> float:
    """The largest difference of logits, full and cached, and of the loss, on random weights, codes and labels."""
    port, prior = build_port(config), Prior(config).eval()
    for parameter in port.parameters():
        parameter.normal_(std=0.2)
    theirs = {
        our_name(name): tensor for name, tensor in port.state_dict().items() if name != "prior.fc_proj_out.weight"
    }
    prior.load_state_dict(theirs, strict=True)

    codes = torch.randint(0, config.codebook_size, (batch, config.context))
    upper = torch.randint(0, config.codebook_size, (batch, config.upper_context)) if config.conditioner else None
    labels = LabelBatch(
        artist=torch.randint(0, config.artists, (batch,)),
        genres=torch.randint(-1, config.genres, (batch, config.genre_slots)),
        total_length=torch.randint(500_000, 4_400_000, (batch,)),
        offset=torch.randint(0, 490_000, (batch,)),
        sample_length=torch.full((batch,), config.window_samples),
    )
    metadata = [labels.total_length, labels.offset, labels.sample_length, labels.artist]
    positions, start, _ = port.get_cond([upper], torch.cat([torch.stack(metadata, 1), labels.genres], 1))
    their_loss, logits = port.prior(codes, positions, start, get_preds=True)

    conditioning, cache = prior.conditioning(labels, upper), prior.new_cache(batch)
    differences = [prior(codes, labels, upper) - logits, prior.loss(codes, labels, upper) - their_loss]
    known = config.context // 3
    differences.append(prior.prefill(codes[:, :known], conditioning, cache) - logits[:, known])
    for position in range(known + 1, config.context):
        step = prior.step(codes[:, position - 1], position, conditioning, cache)
        differences.append(step - logits[:, position])
    return max(difference.abs().max().item() for difference in differences)


def main() -> None:
    """Every variant must agree to rounding."""
    torch.manual_seed(0)
    variants = {
        "top": TOP,
        "top, four heads": replace(TOP, heads=4),
        "top, scaled residuals": replace(TOP, scale_residuals=True),
        "upsampler": UPSAMPLER,
    }
    for name, config in variants.items():
        difference = compare(config)
        print(f"{name}: largest difference {difference:.1e}")
        if difference > TOLERANCE:
            raise SystemExit(f"{name} does not agree with the port")


if __name__ == "__main__":
    main()
