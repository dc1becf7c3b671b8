"""Plot held-out bits per code against training compute for priors of several sizes: a table to stdout, a plot to --out.

    python examples/mini/scaling.py build/mini/runs/scaling-* --codes-a-step 4096 --out docs/images/scaling.png

Compute is 6 N D floating-point operations: N parameters, D training codes (Kaplan et al. 2020, section 2.1).
"""

import argparse
import csv
from dataclasses import dataclass
from math import prod
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from safetensors import safe_open

INK, PALE, PAPER = "#1b1d22", "#666c78", "#ffffff"
COLOURS = ("#9ebcda", "#8c6bb1", "#810f7c", "#4d004b")


@dataclass(frozen=True)
class Curve:
    """Validation bits and compute of one run."""

    name: str
    numbers: int  # in the weights
    flops: tuple[float, ...]  # spent at each evaluation
    bits: tuple[float, ...]  # a held-out code, then

    @classmethod
    def of(cls, run: Path, codes_a_step: int) -> "Curve":
        """Read the curve of a run folder of `jukectl train prior`."""
        with safe_open(run / "best.safetensors", framework="np") as file:
            numbers = sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        with (run / "validation.csv").open(newline="") as file:
            rows = [(int(row["step"]), float(row["bits"])) for row in csv.DictReader(file)]
        flops = tuple(6.0 * numbers * codes_a_step * step for step, _ in rows)
        return cls(run.name, numbers, flops, tuple(bits for _, bits in rows))


def draw(curves: list[Curve]) -> Figure:
    """Draw every curve over a logarithmic axis of compute, with its size at its end."""
    figure = Figure(figsize=(8, 4.6), dpi=110, facecolor=PAPER, layout="constrained")
    axes = figure.add_subplot(facecolor=PAPER)
    for curve, colour in zip(curves, COLOURS, strict=False):
        label = f"{curve.numbers / 1e6:.1f} M numbers"
        axes.plot(curve.flops, curve.bits, marker="o", markersize=4, color=colour, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda flops, _: f"{flops:.0e}".replace("e+", "e"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training compute, 6 N D (floating-point operations)", color=INK)
    axes.set_ylabel("held-out bits a code", color=INK)
    axes.grid(which="both", color="#e4e6eb", linewidth=0.6)
    axes.tick_params(which="both", colors=PALE)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, labelcolor=INK)
    axes.set_title("Top priors of several sizes on the same songs", loc="left", color=INK, fontsize=11)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--codes-a-step", type=int, default=4_096, help="batch times context [default: 4096]")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .png or .svg")
    options = parser.parse_args()
    curves = sorted((Curve.of(run, options.codes_a_step) for run in options.runs), key=lambda curve: curve.numbers)
    print("| run | numbers | compute | bits a code |\n| --- | --- | --- | --- |")
    for curve in curves:
        print(f"| {curve.name} | {curve.numbers / 1e6:.2f} M | {curve.flops[-1]:.2g} | {min(curve.bits):.3f} |")
    draw(curves).savefig(options.out)


if __name__ == "__main__":
    main()
