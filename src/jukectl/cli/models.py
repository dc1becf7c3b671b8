"""`jukectl models`: the models at hand."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jukectl.cli.console import emit, say, show_facts

app = typer.Typer(help="The models at hand: list, show, assemble.", no_args_is_help=True)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the models at hand.

    Example: jukectl models list
    """
    from jukectl import pipeline

    models = pipeline.list_models()
    show_facts(context, {"models": models}, [_line(model) for model in models])


def _line(model: dict[str, Any]) -> str:
    if "parameters" not in model:
        return f"{model['name']}  {model['summary']}"
    millions = model["parameters"] / 1e6
    return (
        f"{model['name']}  {millions:.1f} M numbers, {model['sample_rate']} Hz, {model['licence']}  {model['summary']}"
    )


@app.command()
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="A model's name, or its folder.")]) -> None:
    """Show a model: its artists and genres, sizes, licence, and the music it learned from.

    Example: jukectl models show mini
    """
    from jukectl import pipeline

    facts = pipeline.describe_model(name)
    lines = [f"{key}: {_plain(value)}" for key, value in facts.items() if key not in ("sources", "fingerprints")]
    if facts["sources"]:
        lines.append("learned from:")
        lines += [f"  {' · '.join(str(value) for value in source.values())}" for source in facts["sources"]]
    show_facts(context, facts, lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


@app.command()
def assemble(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The model folder to write.")],
    runs: Annotated[list[Path], typer.Argument(help="Training runs: the folders that jukectl train wrote.")],
    card: Annotated[
        Path | None, typer.Option("--card", help="A TOML file with name, licence, summary, sampling and sources.")
    ] = None,
    weights: Annotated[str, typer.Option("--weights", help="best or last.")] = "best",
) -> None:
    """Put the weights of training runs together into a model folder, in half precision.

    Example: jukectl models assemble my-model runs/vqvae runs/top runs/middle runs/bottom --card card.toml
    """
    from jukectl.checkpoints.assemble import Run, assemble, read_card

    about = read_card(card) if card else {"name": out.name}
    folder = assemble(out, [Run.load(run, weights) for run in runs], about)
    say(context, f"{folder.parameters() / 1e6:.2f} M numbers in {out}")
    emit(context, [out], {"model": str(out), "parameters": folder.parameters()})
