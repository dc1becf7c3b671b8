"""Report the runs of variants.toml: a table to stdout, for docs/RESULTS.md, and two pictures.

python examples/ablations/report.py docs/images
"""

import argparse
import csv
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

from train import RUNS

from jukectl.plots.charts import PALE, chart, label_panel
from jukectl.plots.style import LIGHT, colour, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CODEBOOK_SIZE = 2_048
LEVELS = ("bottom", "middle", "top")
OURS, PAPERS = colour(0), colour(5)


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    run: str  # in variants.toml
    level: str  # of the figures
    what: str
    paper: float | None = None  # dB, in the Jukebox paper


GROUPS = {
    "Hop, with and without restarts": (
        Row("bottom", "bottom", "bottom (8), with", -23.0),
        Row("bottom-no-restarts", "bottom", "bottom (8), without", -21.1),
        Row("middle", "middle", "middle (32), with", -12.4),
        Row("middle-no-restarts", "middle", "middle (32), without", -12.4),
        Row("top", "top", "top (128), with", -8.3),
        Row("top-no-restarts", "top", "top (128), without", -8.3),
    ),
    "Codebook of the bottom level": (
        Row("bottom-256", "bottom", "256 codes", -15.9),
        Row("bottom", "bottom", "2,048 codes", -23.0),
        Row("bottom-no-codebook", "bottom", "no codebook", -40.5),
    ),
    "Method at the top level": (
        Row("top", "top", "full method", -8.3),
        Row("top-no-spectral", "top", "no spectral loss", -6.3),
        Row("hierarchical", "top", "one hierarchical autoencoder", 2.9),
    ),
}
BESIDE = {  # not in the paper
    "The hierarchical autoencoder, level by level": (
        Row("hierarchical", "top", "top codes alone"),
        Row("hierarchical", "middle", "top and middle codes"),
        Row("hierarchical", "bottom", "all codes"),
    ),
    "Top level, codebook started after 200 steps": (
        Row("top-warm", "top", "with restarts"),
        Row("top-warm-no-restarts", "top", "without restarts"),
    ),
}


@dataclass(frozen=True)
class Log:
    """The logs of a run about one level."""

    steps: tuple[int, ...]  # of the evaluations on held-out songs
    decibels: tuple[float, ...]  # spectral convergence
    entropies: tuple[float, ...]  # bits, of their codes; empty without a codebook, as are the next two
    different: tuple[float, ...]  # codes among them
    used: tuple[float, ...]  # in training: vectors used at least a quarter as often as the mean

    @classmethod
    def read(cls, run: Path, level: str) -> "Log":
        """Read the logs in a run's folder."""
        evaluations, steps = read_csv(run / "validation.csv"), read_csv(run / "train.csv")
        return cls(
            steps=tuple(int(row["step"]) for row in evaluations),
            decibels=column(evaluations, f"{level}_convergence_db"),
            entropies=column(evaluations, f"{level}_held_out_entropy"),
            different=column(evaluations, f"{level}_held_out_codes"),
            used=column(steps, f"{level}_used"),
        )


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> tuple[float, ...]:
    """Return a column of a log; empty if the log has none of that name."""
    return tuple(float(row[name]) for row in rows if name in row)


def read_all(runs: Path) -> dict[Row, Log]:
    """Read the logs of every row."""
    rows = [row for group in (GROUPS | BESIDE).values() for row in group]
    return {row: Log.read(runs / row.run, row.level) for row in rows}


def table(logs: dict[Row, Log]) -> str:
    """Return the last figures of all runs as Markdown."""
    lines = [
        "| run | spectral convergence (dB) | paper (dB) | entropy (bits) | used codes | vectors in use |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group, rows in (GROUPS | BESIDE).items():
        lines.append(f"| **{group}** | | | | | |")
        lines += [f"| {row.what} | {' | '.join(figures(row, logs[row]))} |" for row in rows]
    return "\n".join(lines)


def figures(row: Row, log: Log) -> list[str]:
    """Return a row's cells; those that do not apply to its run are empty."""
    paper = "" if row.paper is None else f"{row.paper:.1f}"
    codes = (
        (f"{log.entropies[-1]:.2f}", f"{log.different[-1]:,.0f}", f"{log.used[-1]:,.0f}")
        if log.entropies
        else ("",) * 3
    )
    return [f"{log.decibels[-1]:.2f}", paper, *codes]


def draw_reconstruction(logs: dict[Row, Log]) -> "Figure":
    """Draw decibels of every run beside the paper's, a panel per group."""
    key = [("a tiny codec after 2,000 steps", OURS), ("Jukebox paper", PAPERS)]
    about = "held-out recordings, dB: lower is nearer to the original, 0 is no nearer than silence"
    title = "Spectral convergence by hop, codebook and method"
    with chart(title, about, rows=1, columns=len(GROUPS), height=3.0, key=key) as (figure, panels):
        for axes, (name, rows) in zip(panels, GROUPS.items(), strict=True):
            label_panel(axes, name)
            for place, row in enumerate(rows):
                draw_bar(axes, place, logs[row].decibels[-1], -1)
                if row.paper is not None:
                    draw_bar(axes, place, row.paper, 1)
            axes.margins(y=0.12)
            axes.axhline(0, color=PALE, linewidth=0.8)
            axes.set_xlim(-0.6, len(rows) - 0.4)
            axes.set_xticks(range(len(rows)), [in_lines(row.what) for row in rows], color=LIGHT.ink, fontsize=8)
    return figure


def draw_bar(axes: "Axes", place: int, decibels: float, side: int) -> None:
    """Draw a bar and its figure, ours to the left of its place (side -1), the paper's to the right (side 1)."""
    shade = OURS if side < 0 else PAPERS
    axes.bar(place + side * 0.19, decibels, 0.36, color=shade)
    axes.annotate(
        f"{decibels:.1f}",
        (place + side * 0.02, decibels),
        (0, -3 if decibels < 0 else 3),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="top" if decibels < 0 else "bottom",
        fontsize=7.5,
        color=shade,
    )


def in_lines(text: str) -> str:
    """Return a label for under a bar, in short lines."""
    return text.replace(", ", "\n").replace(" ", "\n")


def draw_codebooks(logs: dict[Row, Log]) -> "Figure":
    """Draw entropy and number of the codes of held-out songs during training, with restarts and without."""
    shades = {level: colour(number) for number, level in enumerate(LEVELS)}
    title = "Codebooks during training, with restarts and without"
    about = f"solid: with restarts, dashed: without; {CODEBOOK_SIZE:,} vectors, from the first step on"
    key = [(f"{level} level", shade) for level, shade in shades.items()]
    with chart(title, about, rows=1, columns=2, height=3.2, key=key) as (figure, (entropy, used)):
        label_panel(entropy, "Entropy", "of the codes of held-out recordings", x="training steps", y="bits")
        label_panel(used, "Used codes", "in held-out recordings", x="training steps", y="codes")
        for row in GROUPS["Hop, with and without restarts"]:
            style = "dashed" if row.run.endswith("no-restarts") else "solid"
            for axes, values in ((entropy, logs[row].entropies), (used, logs[row].different)):
                axes.plot(logs[row].steps, values, color=shades[row.level], linestyle=style, linewidth=1.6)
        for axes, most in ((entropy, log2(CODEBOOK_SIZE)), (used, CODEBOOK_SIZE)):
            axes.set_ylim(0, most * 1.03)
            axes.axhline(most, color=PALE, linewidth=0.8, linestyle="dotted")
            axes.set_xlim(0, max(log.steps[-1] for log in logs.values()))
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.yaxis.set_major_formatter("{x:,g}")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder that the pictures go to")
    images: Path = parser.parse_args().images
    logs = read_all(RUNS)
    print(table(logs))
    save(draw_reconstruction(logs), images / "ablation-reconstruction.png")
    save(draw_codebooks(logs), images / "ablation-codebooks.png")


if __name__ == "__main__":
    main()
