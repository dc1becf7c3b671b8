"""`jukectl train`: learn one model of the stack from a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import emit, progress

app = typer.Typer(help="Train one model of the stack from a TOML recipe. Run it again to resume.", no_args_is_help=True)

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE.toml", help="The training recipe; see examples/mini for real ones.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Lay a value over the recipe, such as train.steps=100. May be repeated."
    ),
]


@app.command()
def vqvae(context: typer.Context, recipe: RecipePath, overrides: Overrides = None) -> None:
    """Learn a codec (audio to codes and back), one or more levels of it, from the waveforms of a manifest.

    Example: jukectl train vqvae examples/mini/vqvae-top.toml --set train.steps=2000
    """
    from jukectl.training.runs import train_vqvae

    with progress(context) as report:
        weights = train_vqvae(recipe, overrides or [], report)
    emit(context, [weights], {"weights": str(weights)})


@app.command()
def prior(context: typer.Context, recipe: RecipePath, overrides: Overrides = None) -> None:
    """Learn the top prior from encoded songs.

    Example: jukectl train prior examples/mini/top.toml
    """
    _prior(context, recipe, overrides)


@app.command()
def upsampler(context: typer.Context, recipe: RecipePath, overrides: Overrides = None) -> None:
    """Learn the prior of a lower level, given the level above, from encoded songs.

    Example: jukectl train upsampler examples/mini/middle.toml
    """
    _prior(context, recipe, overrides)


def _prior(context: typer.Context, recipe: Path, overrides: list[str] | None) -> None:
    from jukectl.training.runs import train_prior

    with progress(context) as report:
        weights = train_prior(recipe, overrides or [], report)
    emit(context, [weights], {"weights": str(weights)})
