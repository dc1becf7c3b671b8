"""`jukectl train`: train one model of the stack from a recipe."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli.app import App
from jukectl.cli.console import clock, emit, progress, say
from jukectl.cli.options import Device, flag, option
from jukectl.progress import Listener, ignore

if TYPE_CHECKING:
    from jukectl.training.distributed import Ranks

app = App(help="Train one model of the stack from a TOML recipe. Run it again to resume.", no_args_is_help=True)

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE.toml", help="Training recipe; jukectl train init writes them.")
]
Overrides = Annotated[
    list[str] | None,
    option(
        "--set",
        "KEY=VALUE",
        "Override a value of the recipe, such as train.steps=100. Repeat for several.",
        default="none",
    ),
]


From = Annotated[
    str | None,
    option(
        "--from",
        "MODEL",
        "Start from the weights and sizes of a model, by name or folder, or of a training run.",
        default="random weights",
    ),
]
AdapterRank = Annotated[
    int | None,
    option(
        "--adapter-rank",
        "N",
        "With --from: train a low-rank adapter of this rank (LoRA) in place of all weights.",
        default="all weights",
    ),
]
AddLyrics = Annotated[
    bool,
    flag("--add-lyrics", "With --from: add conditioning on lyrics; see docs/train-conditions.md."),
]
AddMidi = Annotated[
    bool,
    flag(
        "--add-midi",
        "With --from: add conditioning on notes, song.mid next to song.flac; see docs/train-conditions.md.",
    ),
]
AddBeats = Annotated[
    bool,
    flag(
        "--add-beats",
        "With --from: add conditioning on beat grids, song.beats.json next to song.flac; see docs/train-conditions.md.",
    ),
]
OtherCodec = Annotated[bool, flag("--force", "With --from: accept codes of another VQ-VAE than the model's.")]


@app.command()
def init(
    context: typer.Context,
    music: Annotated[Path, typer.Argument(help="Music folder that jukectl data scan listed, or its manifest.")],
    size: Annotated[str, option("--size", "tiny|small|base", "Size of the model; small is that of mini.")] = "small",
    out: Annotated[Path, option("--out", "FOLDER", "Folder to write the recipes to.")] = Path("training"),
    device: Device = "auto",
) -> None:
    """Write recipes for all parts of a model of a music folder, and print each step with the time it takes here.

    The times are measured by a few training steps, so this takes a minute or more.

    Example: jukectl train init ~/Music/band --size tiny --out training
    """
    from jukectl.plan import device as machine
    from jukectl.training.distributed import join
    from jukectl.training.duration import recipe_seconds
    from jukectl.training.init import write_recipes

    with progress(context) as listener, join(machine.choose(device).device) as ranks:
        plan = write_recipes(music, size, out)
        seconds = recipe_seconds(plan.codecs, plan.priors, ranks, listener=listener)
    by_recipe = {path.as_posix(): duration for path, duration in seconds.items()}
    say(context, f"{plan.training} songs to train on, {plan.held_out} held out, {plan.seconds / 60:.1f} min in all")
    say(
        context,
        f"about {clock(sum(seconds.values()))} of training on {ranks.device}, by these steps:",
    )
    for command in plan.commands:
        took = next((one for path, one in by_recipe.items() if path in command), None)
        say(context, f"{'' if took is None else clock(took):>9}  {command}")
    files = [*plan.codecs.values(), *plan.priors.values(), plan.card]
    facts = {"recipes": [str(path) for path in files[:-1]], "card": str(plan.card), "commands": list(plan.commands)}
    durations = {str(path): round(duration, 1) for path, duration in seconds.items()}
    emit(context, files, {**facts, "songs": plan.training, "held_out": plan.held_out, "seconds": durations})


@app.command()
def vqvae(
    context: typer.Context,
    recipe: RecipePath,
    overrides: Overrides = None,
    start: From = None,
    device: Device = "auto",
) -> None:
    """Train a codec (audio to codes and back), at one or more levels, on the recordings of a manifest.

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
    """Train the top prior on encoded songs. With --from, add artists, genres, lyrics or notes to a trained one.

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
    """Train an upsampler, the prior of a lower level given the level above, on encoded songs.

    Example: jukectl train upsampler examples/mini/middle.toml
    """
    _prior(context, recipe, [*(overrides or ()), *_starting(start, adapter_rank, force)], device)


def _prior(context: typer.Context, recipe: Path, overrides: Sequence[str], device: str) -> None:
    from jukectl.training.runs import train_prior

    _train(context, train_prior, recipe, overrides, device)


def _starting(start: str | None, adapter_rank: int | None = None, force: bool = False) -> list[str]:
    """Return the values of a recipe that these options override."""
    values = [] if start is None else [f"start={json.dumps(start, ensure_ascii=False)}"]
    values += [] if adapter_rank is None else [f"adapter.rank={adapter_rank}"]
    return [*values, "other_codec=true"] if force else values


Trainer = Callable[[Path, Sequence[str], Listener, "Ranks"], Path]


def _train(context: typer.Context, trainer: Trainer, recipe: Path, overrides: Sequence[str], device: str) -> None:
    """Train, together with the other processes if torchrun started several. The first one reports for all."""
    from jukectl.plan import device as machine
    from jukectl.training.distributed import join

    with join(machine.choose(device).device) as ranks:
        with progress(context) if ranks.first else nullcontext(ignore) as listener:
            weights = trainer(recipe, overrides, listener, ranks)
        if ranks.first:
            emit(context, [weights], {"weights": str(weights)})
