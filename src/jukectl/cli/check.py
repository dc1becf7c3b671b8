"""`jukectl models check`: whether a model works as it should."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import tables
from jukectl.cli.console import progress, show_facts
from jukectl.cli.options import Device, Precision
from jukectl.errors import CheckFailed


def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    audio: Annotated[
        Path | None, typer.Option("--audio", help="A recording of music to check it on. [default: some chords]")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Check that a model's weights are whole and were read rightly, part by part.

    The codec must render music, no logit may be other than a number, and each prior must find a recording's codes
    likelier than chance and than the same codes in disorder. A figure out of its bound ends in exit status 1.

    Example: jukectl models check 1b-lyrics --audio song.flac
    """
    from jukectl.pipeline import evaluating

    with progress(context) as report:
        facts = evaluating.check_model(name, audio=audio, device=device, precision=precision, report=report)
    table = tables.table("part", "what", "value", "at most", "", text=2)
    for one in facts["findings"]:
        cells = (tables.figure(one["value"]), f"{tables.figure(one['bound'])} {one['unit']}")
        table.add_row(one["part"], one["what"], *cells, "ok" if one["good"] else "BAD")
    show_facts(context, facts, tables.lines([table]))
    if bad := [f"{one['part']}: {one['what']}" for one in facts["findings"] if not one["good"]]:
        raise CheckFailed(
            f"{facts['model']} does not work as it should ({'; '.join(bad)}): its weights are not trained, or damaged. "
            "Fetch or convert it again"
        )
