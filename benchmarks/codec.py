"""Measure the speed of the codec, level by level: whole or in chunks, float32 or bfloat16, on one thread or more.

    python benchmarks/codec.py                  # the shape of the published codec, random weights, 10 s of audio
    python benchmarks/codec.py --model mini --seconds 20 --threads 1 2 4

All settings of a level are interleaved, one pass of each per round. "Error" is relative to the whole in float32 on one
thread: the largest difference of decoded audio over the loudest sample; for encoding, the share of different codes.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.configurations import CODEC
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.sampling.timing import timed
from jukectl.vqvae import chunks, convnet
from jukectl.vqvae.model import VQVAE

CPU = torch.device("cpu")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Setting:
    """One way to run a level."""

    threads: int
    number: str = "float32"
    chunk: float | None = None  # seconds; None: the whole at once
    channels_last: bool = True

    def __str__(self) -> str:
        cut = "whole" if self.chunk is None else f"{self.chunk:g} s at a time"
        return f"{cut}, {self.number}{'' if self.channels_last else ', channels first'}, threads: {self.threads}"


@contextmanager
def running(setting: Setting) -> Iterator[None]:
    """Use the threads and the memory layout of a setting while the block runs."""
    threads, layout = torch.get_num_threads(), convnet.to_channels_last
    torch.set_num_threads(setting.threads)
    if not setting.channels_last:
        convnet.to_channels_last = lambda signal: signal.unsqueeze(2)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        convnet.to_channels_last = layout


def random_codec(level: Level) -> VQVAE:
    """Return a level of the published codec with random weights that preserve the scale of signals."""
    torch.manual_seed(0)
    vqvae = VQVAE(CODEC, (level,))
    with torch.no_grad():
        for name, tensor in vqvae.state_dict().items():
            inputs = tensor[0].numel() if tensor.dim() > 1 else 100
            tensor.normal_(std=1.0 if "codebook" in name else 0.7 / inputs**0.5)
    return vqvae.requires_grad_(False).eval()


def cast(vqvae: VQVAE, level: Level, number: str) -> VQVAE:
    """Return a codec with the same weights, convolutions in another type and the codebook in float32."""
    other = VQVAE(vqvae.config, (level,))
    other.load_state_dict(vqvae.state_dict())
    other.autoencoder(level).decoder.to(TYPES[number])
    other.autoencoder(level).encoder.to(TYPES[number])
    return other.requires_grad_(False).eval()


def decoding(vqvae: VQVAE, level: Level, codes: Tensor, setting: Setting) -> Callable[[], Tensor]:
    """Return a function that decodes codes (1, T) to audio (n,), float32."""
    part, size = vqvae.autoencoder(level), setting.chunk or 1e9

    def through(frames: Tensor, level: Level) -> Tensor:
        return part.decoder(vqvae.codebook(level).decode(frames).to(TYPES[setting.number])).float()

    def work() -> Tensor:
        with running(setting):
            vqvae.decode = through  # what chunks call
            return torch.cat([piece[0] for piece in chunks.decode(vqvae, codes, level, chunk_seconds=size)])

    return work


def encoding(vqvae: VQVAE, level: Level, audio: Tensor, setting: Setting) -> Callable[[], Tensor]:
    """Return a function that encodes audio (1, n) to codes (T,)."""
    part, size = vqvae.autoencoder(level), setting.chunk or 1e9

    def through(samples: Tensor, level: Level) -> Tensor:
        return vqvae.codebook(level).encode(part.encoder(samples.to(TYPES[setting.number])).float())

    def work() -> Tensor:
        with running(setting):
            vqvae.encode = through
            return chunks.encode(vqvae, audio, level, chunk_seconds=size)[0]

    return work


@torch.inference_mode()
def measure(
    vqvae: VQVAE, level: Level, settings: list[Setting], seconds: float, rounds: int
) -> list[dict[str, object]]:
    """Return a row for every setting, for decoding and for encoding."""
    config = vqvae.config
    frames = max(1, round(seconds * config.codes_per_second(level)))
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(config.codebook_size, (1, frames), generator=generator)
    audio = 0.3 * torch.randn(1, frames * config.hop(level), generator=generator)
    codecs = {number: cast(vqvae, level, number) for number in {one.number for one in settings}}
    made = []
    for what in ("decode", "encode"):
        given = (decoding, codes) if what == "decode" else (encoding, audio)
        works = {setting: given[0](codecs[setting.number], level, given[1], setting) for setting in settings}
        exact = given[0](vqvae, level, given[1], Setting(threads=1))()
        results = {setting: work() for setting, work in works.items()}  # which warms up too
        took: dict[Setting, list[float]] = {setting: [] for setting in settings}
        for _, (setting, work) in itertools.product(range(rounds), works.items()):
            took[setting].append(timed(work, CPU))
        for setting, result in results.items():
            error = float((result != exact).float().mean())
            if what == "decode":
                error = float((result - exact).abs().max() / exact.abs().max())
            length = frames / config.codes_per_second(level)
            made.append(
                {
                    "level": level.label,
                    "what": what,
                    "setting": str(setting),
                    "seconds_a_second": {"most": length / min(took[setting]), "median": length / median(took[setting])},
                    "error": error,
                }
            )
    return made


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model's name or folder instead of the published shape")
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--chunks", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0], help="seconds")
    parser.add_argument("--levels", nargs="+", default=[level.label for level in TOP_DOWN])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--quick", action="store_true", help="check that it runs: little audio, one round")
    return parser.parse_args()


def main() -> None:
    """Measure, and print a Markdown table."""
    given = options()
    if given.quick:
        given.seconds, given.chunks, given.rounds, given.threads = 0.5, [0.25], 1, [1]
    cuts = [None, *given.chunks]
    settings = [Setting(threads, number, cut) for threads in given.threads for number in TYPES for cut in cuts]
    settings += [Setting(threads, channels_last=False) for threads in given.threads]
    rows = []
    print(
        f"{given.model or 'published shape, random weights'}, {given.seconds:g} s of audio, torch {torch.__version__}\n"
    )
    print("| level | what | how | audio (s/s): median | most | error |\n| --- | --- | --- | ---: | ---: | ---: |")
    for level in map(Level.parse, given.levels):
        vqvae = catalogue.find(given.model).vqvae(CPU, (level,)) if given.model else random_codec(level)
        for row in measure(vqvae, level, settings, given.seconds, given.rounds):
            speed = row["seconds_a_second"]
            print(f"| {row['level']} | {row['what']} | {row['setting']} ", end="")
            print(f"| {speed['median']:.1f} | {speed['most']:.1f} | {row['error']:.1e} |", flush=True)
            rows.append(row)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
