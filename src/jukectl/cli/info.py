"""`jukectl info`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jukectl.cli.console import show_facts


def info(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A song folder, one of its .npz files, or a model folder.")],
) -> None:
    """Tell what a song folder, a code file or a model holds, and what is left to do.

    Example: jukectl info my-song
    """
    from jukectl import pipeline

    facts = pipeline.describe_path(path)
    show_facts(
        context, facts, _song_lines(facts) if "levels" in facts else [f"{key}: {value}" for key, value in facts.items()]
    )


def _song_lines(facts: dict[str, Any]) -> list[str]:
    style = ", ".join([facts["artist"] or "no artist", *facts["genres"]])
    lines = [
        f"{facts['song']}: {facts['kind'] or 'codes without a recipe'}, model {facts['model'] or 'unknown'}, {style}, "
        f"{facts['samples']} sample{'s' if facts['samples'] != 1 else ''}, seed {facts['seed']}"
    ]
    for name, level in facts["levels"].items():
        lines.append(f"  {name}: {level['done']} of {level['frames']} codes, {level['seconds']:.1f} s")
    lines.append(f"  {_left_to_do(facts)}")
    return lines


def _left_to_do(facts: dict[str, Any]) -> str:
    if facts["kind"] is None:
        return f"no recipe says what is left to do; fill in lower levels with: jukectl upsample {facts['song']}"
    left = ", ".join(facts["unfinished"])
    return f"left to do: {left} (jukectl resume {facts['song']})" if left else "nothing is left to do"
