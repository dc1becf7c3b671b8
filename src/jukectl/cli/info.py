"""`jukectl info`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jukectl.cli.console import printable, show_facts
from jukectl.cli.options import song_argument


def info(
    context: typer.Context,
    path: Annotated[Path, song_argument("Song folder, one of its .npz files, tree, or model folder.")],
) -> None:
    """Show what a song, a code file, a tree or a model contains, and what is left to do.

    Example: jukectl info my-song
    """
    from jukectl import api

    facts = api.describe_path(path)
    if "nodes" in facts:
        lines = _tree_lines(facts)
    elif "levels" in facts:
        lines = _song_lines(facts)
    else:
        lines = [f"{key}: {value}" for key, value in facts.items()]
    show_facts(context, facts, [printable(line) for line in lines])  # one line each, whatever names hold


def _song_lines(facts: dict[str, Any]) -> list[str]:
    style = ", ".join([facts["artist"] or "no artist", *facts["genres"]])
    lines = [
        f"{facts['song']}: {facts['kind'] or 'codes without a recipe'}, model {facts['model'] or 'unknown'}, {style}, "
        f"{facts['samples']} sample{'s' if facts['samples'] != 1 else ''}, seed {facts['seed']}"
    ]
    if facts["trunk"]:
        lines.append(f"  begins with {facts['trunk']['seconds']:.1f} s of {facts['trunk']['source']}")
    for name, level in facts["levels"].items():
        lines.append(f"  {name}: {level['done']} of {level['frames']} codes, {level['seconds']:.1f} s")
    lines.append(f"  {_left_to_do(facts)}")
    return lines


def _tree_lines(facts: dict[str, Any]) -> list[str]:
    """Return a drawing of a tree, with a line for each node."""
    style = ", ".join([facts["artist"] or "no artist", *facts["genres"]])
    names = list(facts["nodes"])
    lines = [
        f"{facts['tree']}: tree, model {facts['model']}, {style}, {facts['branches']} branches every "
        f"{facts['every']:g} s, {facts['depth']} deep, seed {facts['seed']}",
        f"  root  {facts['root']['seconds']:.1f} s of {facts['root']['source']}",
    ]

    def draw(parent: str, edge: str) -> None:
        children = [name for name in names if name.rpartition(".")[0] == parent]
        for name in children:
            last = name == children[-1]
            done = facts["nodes"][name]["levels"]
            missing = [level for level in facts["levels"] if level not in done]
            state = f"{', '.join(missing)} to do" if missing else "done"
            lines.append(f"  {edge}{'└─' if last else '├─'} {name}  {state}")
            draw(name, edge + ("   " if last else "│  "))

    draw("", "")
    left = f"left to do: {len(facts['unfinished'])} of {len(names)} nodes (jukectl tree {facts['tree']})"
    return [*lines, f"  {left if facts['unfinished'] else 'nothing is left to do'}"]


def _left_to_do(facts: dict[str, Any]) -> str:
    if facts["kind"] is None:
        return f"no recipe says what is left to do; fill in lower levels with: jukectl upsample {facts['song']}"
    left = ", ".join(facts["unfinished"])
    return f"left to do: {left} (jukectl resume {facts['song']})" if left else "nothing is left to do"
