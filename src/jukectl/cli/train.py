"""`jukectl train`: learn one model of the stack from a recipe."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli.console import emit, progress
from jukectl.cli.options import Device
from jukectl.progress import Report, silent

if TYPE_CHECKING:
    from jukectl.training.distributed import Ranks

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
def vqvae(context: typer.Context, recipe: RecipePath, overrides: Overrides = None, device: Device = "auto") -> None:
    """Learn a codec (audio to codes and back), one or more levels of it, from the waveforms of a manifest.

    Example: jukectl train vqvae examples/mini/vqvae-top.toml --set train.steps=2000
    """
    from jukectl.training.runs import train_vqvae

    _train(context, train_vqvae, recipe, overrides, device)


@app.command()
def prior(context: typer.Context, recipe: RecipePath, overrides: Overrides = None, device: Device = "auto") -> None:
    """Learn the top prior from encoded songs.

    Example: jukectl train prior examples/mini/top.toml
    """
    from jukectl.training.runs import train_prior

    _train(context, train_prior, recipe, overrides, device)


@app.command()
def upsampler(context: typer.Context, recipe: RecipePath, overrides: Overrides = None, device: Device = "auto") -> None:
    """Learn the prior of a lower level, given the level above, from encoded songs.

    Example: jukectl train upsampler examples/mini/middle.toml
    """
    from jukectl.training.runs import train_prior

    _train(context, train_prior, recipe, overrides, device)


Trainer = Callable[[Path, Sequence[str], Report, "Ranks"], Path]


def _train(
    context: typer.Context, trainer: Trainer, recipe: Path, overrides: Sequence[str] | None, device: str
) -> None:
    """Train with the other processes that torchrun started, if it did; the first of them speaks for all."""
    from jukectl.pipeline import machine
    from jukectl.training.distributed import join

    with join(machine.choose(device).device) as ranks:
        with progress(context) if ranks.first else nullcontext(silent) as report:
            weights = trainer(recipe, overrides or [], report, ranks)
        if ranks.first:
            emit(context, [weights], {"weights": str(weights)})
