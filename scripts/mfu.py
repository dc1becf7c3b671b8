"""Measure the model FLOPs utilisation (MFU) of training a prior: the share of a GPU's peak that the model needs.

    python scripts/mfu.py    # a prior of 0.8 B parameters in bf16 on the GPU, with and without compile
    python scripts/mfu.py --width 64 --depth 3 --context 256 --blocks 16 --batch 1 --device cpu    # a quick check

A step is forward, backward, clipping and AdamW, as in `jukectl train`. Its floating point operations are counted from
the shapes; recomputed activations count once:

    a code, forward:  2 x parameters in matrix products + 4 x inner width x keys seen, over all layers
    a step:           3 x that x codes, as the backward pass costs two forward ones

A position of a context of n rows of b codes sees on average (b + 1) / 2 keys of its own row, (n + 1) / 2 of its column,
b of the row before (none in the first row), (n b + 1) / 2 where attention is dense. The head of K logits is a product;
embeddings are not.
"""

import argparse
import time
from collections.abc import Mapping

import torch
from torch import nn

from jukectl.codes.level import Level
from jukectl.prior.config import AttentionKind, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.training.config import TrainConfig
from jukectl.training.distributed import prepare_blocks
from jukectl.training.optimizer import adam

PEAK_TFLOPS: Mapping[str, float] = {  # dense bf16, by the makers' data sheets
    "H100 PCIe": 756,
    "H100": 989,
    "H200": 989,
    "B200": 2250,
    "A100": 312,
    "L40S": 362,
    "RTX 4090": 165,
    "RTX 3090": 71,
}


def step_flops(config: PriorConfig, batch: int) -> float:
    """Return the floating point operations of a training step on `batch` contexts."""
    width, inner, block, rows = config.width, config.attention_width, config.block, config.blocks
    keys = {
        AttentionKind.DENSE: (config.context + 1) / 2,
        AttentionKind.ROW: (block + 1) / 2,
        AttentionKind.COLUMN: (rows + 1) / 2,
        AttentionKind.PREVIOUS_ROW: block * (rows - 1) / rows,
    }
    products = config.depth * (4 * width * inner + 2 * width * config.mlp_width) + width * config.codebook_size
    attention = sum(4 * inner * keys[kind] for kind in config.kinds)
    return 3 * (2 * products + attention) * config.context * batch


def seconds_a_step(config: PriorConfig, train: TrainConfig, device: torch.device) -> float:
    """Return the median time of a step, after some warm-up steps."""
    torch.manual_seed(0)
    prior = Prior(config).to(device)
    prepare_blocks(prior.transformer.blocks, train)
    optimizer = adam(prior, train)
    codes = torch.randint(config.codebook_size, (train.batch, config.context), device=device)
    labels = LabelBatch.repeat(train.batch, total_length=10**7, sample_length=config.window_samples, device=device)
    times = []
    for _ in range(train.warmup + train.steps):
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            loss = prior.loss(codes, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(prior.parameters(), train.clip_norm)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return sorted(times[train.warmup :])[train.steps // 2]


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=72)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--context", type=int, default=8192, help="codes")
    parser.add_argument("--blocks", type=int, default=128, help="rows of the attention grid")
    parser.add_argument("--heads", type=int, default=2, help="attention heads, 240 wide at the default width")
    parser.add_argument("--batch", type=int, default=4, help="contexts per step")
    parser.add_argument("--steps", type=int, default=10, help="measured steps, after 3 warm-up steps")
    parser.add_argument("--checkpoint-activations", action="store_true", help="less memory, a third more computing")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--peak", type=float, help="bf16 TFLOP/s of the device, for an unknown GPU")
    return parser.parse_args()


def main() -> None:
    """Measure with and without compiled blocks, and print a line for each."""
    given = options()
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    peak = given.peak or next((peak for gpu, peak in PEAK_TFLOPS.items() if gpu in name), None)
    config = PriorConfig(
        level=Level.TOP,
        context=given.context,
        width=given.width,
        depth=given.depth,
        heads=given.heads,
        blocks=given.blocks,
        hop=128,
        timing=TimingConfig(),
    )
    flops = step_flops(config, given.batch)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in Prior(config).parameters())
    print(f"{size / 1e6:.1f} M parameters, {flops / 1e12:.3g} TFLOP a step, on {name}, torch {torch.__version__}")
    for compiled in (False, True):
        train = TrainConfig(
            steps=given.steps,
            batch=given.batch,
            warmup=3,
            compile=compiled,
            checkpoint_activations=given.checkpoint_activations,
        )
        seconds = seconds_a_step(config, train, device)
        speed = flops / seconds / 1e12
        share = f", {speed / peak:.1%} of {peak:g}" if peak else ""
        codes = given.batch * given.context / seconds
        print(
            f"{'compiled' if compiled else 'plain':8}  {seconds:.3f} s  {codes:.0f} codes/s  {speed:.3g} TFLOP/s{share}"
        )


if __name__ == "__main__":
    main()
