"""Measure the loss of quality by reduced precision of weights: bits per code in float32, bfloat16 and int8.

python benchmarks/precision.py RECORDING... [--model mini] [--seconds 24]
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from jukectl.checkpoints import catalogue
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling
from jukectl.native.packing import Precision
from jukectl.plan.prompt import Recording, load_samples
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.native import NativeDecoder
from jukectl.vqvae import chunks

CPU = torch.device("cpu")


@torch.inference_mode()
def bits(prior: Prior, codes: Tensor, upper: Tensor | None, precision: Precision) -> float:
    """Return the mean bits per code of codes (T,), which replace those that the decoder samples (teacher forcing)."""
    config = prior.config
    decoder = NativeDecoder(prior, 1, LevelSampling(temperature=0), precision)
    labels = LabelBatch.repeat(
        1, slots=config.genre_slots, total_length=4 * config.window_samples, sample_length=config.window_samples
    )
    decoder.begin(codes[None, :0], prior.conditioning(labels, upper))
    number, total = torch.zeros(1, 1, dtype=torch.float64), 0.0
    for code in codes.tolist():
        decoder.decode(number)
        total -= float(decoder._logits[0, : config.codebook_size].double().log_softmax(0)[code])
        decoder._last[0] = code
    return total / len(codes) / math.log(2)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--start", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=24.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = catalogue.find(options.model)
    vqvae = folder.vqvae(CPU)
    recordings = [
        torch.from_numpy(load_samples(Recording(path, options.start, options.seconds), folder)[0])
        for path in options.recordings
    ]
    print("| level | codes | fp32 | bf16 | int8 | bf16 against fp32 | int8 against fp32 |\n| --- |" + " --- |" * 6)
    for level in TOP_DOWN:
        prior, means, count = folder.prior(level, CPU), dict.fromkeys(Precision, 0.0), 0
        for audio in recordings:
            codes = chunks.encode(vqvae, audio[None], level)[0][: prior.config.context]
            upper = None
            if prior.config.conditioner:
                above = chunks.encode(vqvae, audio[None], Level(level + 1))
                upper = above[:, : len(codes) // prior.config.conditioner.ratio]
            for precision in Precision:
                means[precision] += bits(prior, codes, upper, precision) * len(codes)
            count += len(codes)
        full, half, byte = (means[precision] / count for precision in Precision)
        print(
            f"| {level.label} | {count:,} | {full:.4f} | {half:.4f} | {byte:.4f} "
            f"| {half / full - 1:+.3%} | {byte / full - 1:+.3%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
