"""`jukectl eval`: a model judged on held-out music."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.cli.console import progress, show_facts, warn
from jukectl.cli.options import Model

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Judge a model on music it has not heard.", no_args_is_help=True)

HeldOut = Annotated[
    Path | None,
    typer.Option("--held-out", metavar="FILE", help="Which songs: a file of globs over the manifest, one a line."),
]


@app.command()
def reconstruction(
    context: typer.Context,
    audio: Annotated[
        list[Path], typer.Argument(help="Audio files, or a manifest.jsonl as jukectl data scan makes it.")
    ],
    model: Model = None,
    held_out: HeldOut = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="At most this much of each file, from its middle. [default: all]")
    ] = None,
) -> None:
    """Encode recordings, decode them again, and measure what is left of them at each level.

    Spectral convergence: lower is better. SI-SDR: higher is better. Entropy: of the codes of all recordings together.

    Example: jukectl eval reconstruction riff.wav --seconds 10
    """
    from jukectl.pipeline import evaluating

    with progress(context) as report:
        facts = evaluating.evaluate_reconstruction(
            audio, model=model or "mini", held_out=held_out, seconds=seconds, report=report, warn=warn
        )
    tables = [_levels_table(facts), _files_table(facts)] if len(facts["files"]) > 1 else [_levels_table(facts)]
    show_facts(context, facts, _lines(tables))


@app.command()
def prior(
    context: typer.Context,
    codes: Annotated[Path, typer.Argument(help="A folder of codes, as jukectl data encode makes it.")],
    model: Model = None,
    held_out: HeldOut = None,
    segments: Annotated[
        int, typer.Option("--segments", min=1, help="Segments to score a level on, spread over the songs.")
    ] = 48,
) -> None:
    """Measure what a code costs each prior in bits, and what it costs baselines and the prior with wrong labels.

    Less is better. Unigram and bigram are counted in the songs that are not held out.

    Example: jukectl eval prior codes --held-out examples/mini/held_out.txt
    """
    from jukectl.pipeline import evaluating

    with progress(context) as report:
        facts = evaluating.evaluate_prior(
            codes, model=model or "mini", held_out=held_out, segments=segments, report=report, warn=warn
        )
    show_facts(context, facts, _lines([_priors_table(facts)]))


def _levels_table(facts: dict[str, Any]) -> "Table":
    table = _table(
        "level", "hop", "kbit/s", "spectral convergence (dB)", "SI-SDR (dB)", "entropy (bits)", "used codes", text=1
    )
    for name, level in facts["levels"].items():
        table.add_row(
            name,
            str(level["hop"]),
            f"{level['kbit_per_second']:.2f}",
            _figure(level["spectral_convergence_db"]),
            _figure(level["si_sdr_db"]),
            _figure(level["entropy_bits"]),
            f"{level['used_codes']} of {level['codebook_size']}",
        )
    return table


def _files_table(facts: dict[str, Any]) -> "Table":
    from rich.text import Text

    names = list(facts["levels"])
    table = _table("file", "seconds", *(f"{name}: SC / SI-SDR (dB)" for name in names), text=1)
    for file in facts["files"]:
        levels = [file["levels"][name] for name in names]
        figures = [f"{_figure(one['spectral_convergence_db'])} / {_figure(one['si_sdr_db'])}" for one in levels]
        name = Path(file["path"]).name.replace("|", "\\|")
        table.add_row(Text(name), f"{file['seconds']:.1f}", *figures)  # no [markup] is read in a name
    return table


def _priors_table(facts: dict[str, Any]) -> "Table":
    table = _table("level", "prior", "unigram", "bigram", "wrong labels", "codes", "segments", text=1)
    for name, level in facts["levels"].items():
        bits = [_figure(level[key]) for key in ("bits", "unigram_bits", "bigram_bits", "shuffled_bits")]
        table.add_row(name, *bits, str(level["codes"]), str(level["segments"]))
    return table


def _table(*headings: str, text: int) -> "Table":
    """A table that is Markdown as well; numbers, all but the first `text` columns, are set to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < text else "right", no_wrap=True)
    return table


def _lines(tables: Sequence["Table"]) -> list[str]:
    """Tables as plain lines, as wide as they need to be, an empty one between two."""
    from io import StringIO

    from rich.console import Console

    texts = []
    for table in tables:
        terminal = Console(file=StringIO(), width=1_000, color_system=None)
        with terminal.capture() as captured:
            terminal.print(table)
        texts.append(captured.get().strip())  # the box has blank edges
    return [line.rstrip() for line in "\n\n".join(texts).split("\n")]


def _figure(value: float | None) -> str:
    """Two decimals; a dash for what has none, such as the decibels of silence."""
    return "-" if value is None else f"{value:.2f}"
