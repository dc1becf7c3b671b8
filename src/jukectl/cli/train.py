"""`jukectl train`: learn one model of the stack from a recipe."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli.console import emit, progress
from jukectl.cli.options import Device
from jukectl.progress import Listener, ignore

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


From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Begin with the weights of a model, by name or folder, or of a training run. Its sizes need not be given.",
    ),
]
AdapterRank = Annotated[
    int | None,
    typer.Option("--adapter-rank", help="With --from: learn a low-rank adapter of this rank, not all of the weights."),
]
AddLyrics = Annotated[
    bool,
    typer.Option(
        "--add-lyrics", help="With --from: a prior without lyrics learns to hear them, see docs/TRAINING.md, Lyrics."
    ),
]
AddMidi = Annotated[
    bool,
    typer.Option(
        "--add-midi",
        help="With --from: a prior learns to follow notes, song.mid beside song.flac, see docs/CONTROL.md.",
    ),
]
AddBeats = Annotated[
    bool,
    typer.Option(
        "--add-beats",
        help="With --from: add conditioning on beat grids, song.beats.json beside song.flac, see docs/TRAINING.md.",
    ),
]
OtherCodec = Annotated[
    bool, typer.Option("--force", help="With --from: begin although the codes are of another VQ-VAE than the model's.")
]


@app.command()
def vqvae(
    context: typer.Context,
    recipe: RecipePath,
    overrides: Overrides = None,
    start: From = None,
    device: Device = "auto",
) -> None:
    """Learn a codec (audio to codes and back), one or more levels of it, from the waveforms of a manifest.

    Example: jukectl train vqvae examples/mini/vqvae-top.toml --set train.steps=2000
    """
    from jukectl.training.runs import train_vqvae

    _train(context, train_vqvae, recipe, [*(overrides or ()), *_starting(start)], device)


@app.command()
def prior(
    context: typer.Context,
    recipe: RecipePath,
    overrides: Overrides = None,
    start: From = None,
    adapter_rank: AdapterRank = None,
    add_lyrics: AddLyrics = False,
    add_midi: AddMidi = False,
    add_beats: AddBeats = False,
    force: OtherCodec = False,
    device: Device = "auto",
) -> None:
    """Learn the top prior from encoded songs. With --from, teach a trained one new names, lyrics, or to follow notes.

    Example: jukectl train prior my.toml --from mini
    """
    added = ["add_lyrics=true"] * add_lyrics + ["add_midi=true"] * add_midi + ["add_beats=true"] * add_beats
    _prior(context, recipe, [*(overrides or ()), *_starting(start, adapter_rank, force), *added], device)


@app.command()
def upsampler(
    context: typer.Context,
    recipe: RecipePath,
    overrides: Overrides = None,
    start: From = None,
    adapter_rank: AdapterRank = None,
    force: OtherCodec = False,
    device: Device = "auto",
) -> None:
    """Learn the prior of a lower level, given the level above, from encoded songs.

    Example: jukectl train upsampler examples/mini/middle.toml
    """
    _prior(context, recipe, [*(overrides or ()), *_starting(start, adapter_rank, force)], device)


def _prior(context: typer.Context, recipe: Path, overrides: Sequence[str], device: str) -> None:
    from jukectl.training.runs import train_prior

    _train(context, train_prior, recipe, overrides, device)


def _starting(start: str | None, adapter_rank: int | None = None, force: bool = False) -> list[str]:
    """What these options lay over a recipe."""
    laid = [] if start is None else [f"start={json.dumps(start, ensure_ascii=False)}"]
    laid += [] if adapter_rank is None else [f"adapter.rank={adapter_rank}"]
    return [*laid, "other_codec=true"] if force else laid


Trainer = Callable[[Path, Sequence[str], Listener, "Ranks"], Path]


def _train(context: typer.Context, trainer: Trainer, recipe: Path, overrides: Sequence[str], device: str) -> None:
    """Train with the other processes that torchrun started, if it did; the first of them speaks for all."""
    from jukectl.plan import device as machine
    from jukectl.training.distributed import join

    with join(machine.choose(device).device) as ranks:
        with progress(context) if ranks.first else nullcontext(ignore) as listener:
            weights = trainer(recipe, overrides, listener, ranks)
        if ranks.first:
            emit(context, [weights], {"weights": str(weights)})
