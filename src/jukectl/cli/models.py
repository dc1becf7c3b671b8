"""`jukectl models`: the models at hand, and those that were published."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.checkpoints.published import PUBLISHED, TERMS, size
from jukectl.cli import tables
from jukectl.cli.console import emit, progress, say, show_facts
from jukectl.cli.options import Device, Precision
from jukectl.cli.values import parse_adapter
from jukectl.errors import CheckFailed

if TYPE_CHECKING:
    from jukectl.checkpoints.store import ModelFolder

Card = Annotated[
    Path | None, typer.Option("--card", help="A TOML file with name, licence, summary, sampling and sources.")
]
app = typer.Typer(
    help="The models at hand and the published ones: list, show, pull, convert, assemble, merge.", no_args_is_help=True
)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the models at hand, and the published ones that could be.

    Example: jukectl models list
    """
    from jukectl import api

    models = api.list_models()
    show_facts(context, {"models": models}, [_line(model) for model in models])


def _line(model: dict[str, Any]) -> str:
    head = f"{model['name']}  {model['state']}"
    if "parameters" not in model:  # it cannot be read
        return f"{head}  {model['summary']}"
    about = f"{model['parameters'] / 1e6:.1f} M numbers, {size(model['bytes'])}, {model['sample_rate']} Hz"
    return "  ".join(filter(None, [head, f"{about}, {model['licence']}", model["summary"], model.get("get")]))


@app.command()
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="A model's name, or its folder.")]) -> None:
    """Show a model: its artists and genres, sizes, memory, licence, and the music it learned from.

    Example: jukectl models show mini
    """
    from jukectl import api

    facts = api.describe_model(name)
    shown = {
        **facts,
        "midi": "yes" if facts["midi"] else "no",
        "bytes": size(facts["bytes"]),
        "memory": {precision: size(needed) for precision, needed in facts["memory"].items()},
    }
    lines = [f"{key}: {_plain(value)}" for key, value in shown.items() if value and key not in _APART]
    if facts["sources"]:
        lines.append("learned from:")
        lines += [f"  {' · '.join(str(value) for value in source.values())}" for source in facts["sources"]]
    show_facts(context, facts, lines)


_APART = ("sources", "fingerprints")


@app.command()
def pull(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="1b-lyrics or 5b-lyrics, or a repository of the hub as owner/name.")],
    revision: Annotated[
        str | None, typer.Option("--revision", help="A branch, tag or commit of the repository; the newest by default.")
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            file_okay=False,
            help="Where to keep it; then name it by the folder printed, or set HF_HUB_CACHE to find it by name.",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing: check what is here, and print its folder.")
    ] = False,
) -> None:
    """Fetch a published model from the Hugging Face hub, check it, and print its folder. It goes on where it broke off.

    Example: jukectl models pull 1b-lyrics
    """
    from jukectl.checkpoints.hub import pull as pull_model

    if name in PUBLISHED and PUBLISHED[name].repository:
        say(context, TERMS)
    with progress(context) as listener:
        folder = pull_model(name, revision=revision, cache_dir=cache_dir, offline=offline, listener=listener)
    weights = [file.stat().st_size for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")]
    result = {"name": name, "model": str(folder), "revision": folder.name, "bytes": sum(weights)}
    emit(context, [folder], result)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


@app.command()
def convert(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A model's name; or a folder: of ours, in Hugging Face layout, of original files.")
    ],
    out: Annotated[Path, typer.Argument(help="The model folder to write.")],
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="fp32, fp16 or bf16, of all numbers. [default: as they are]"),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="native, or huggingface for its port of Jukebox.")] = "native",
    config: Annotated[
        Path | None,
        typer.Option("--config", dir_okay=False, help="A config.json, for original files of no published model."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that is there.")] = False,
) -> None:
    """Convert a model to another format or precision. Run it again to go on where it broke off.

    Example: jukectl models convert jukebox-1b-lyrics my-model --precision fp16
    """
    from jukectl import api

    with progress(context) as listener:
        facts = api.convert_model(
            source, out, precision=precision, to=to, config=config, overwrite=overwrite, listener=listener
        )
    say(context, f"{facts['parameters'] / 1e6:.2f} M numbers in {out}")
    emit(context, [out], facts)


@app.command()
def assemble(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The model folder to write.")],
    runs: Annotated[list[Path], typer.Argument(help="Training runs: the folders that jukectl train wrote.")],
    card: Card = None,
    weights: Annotated[str, typer.Option("--weights", help="best or last.")] = "best",
    base: Annotated[
        str | None,
        typer.Option("--base", help="A model, by name or folder, that the other parts are copied from."),
    ] = None,
    codec_only: Annotated[bool, typer.Option("--codec-only", help="Copy no priors from the base.")] = False,
) -> None:
    """Put the weights of training runs together into a model folder, in half precision.

    Example: jukectl models assemble my-model runs/vqvae runs/top runs/middle runs/bottom --card card.toml

    Example: jukectl models assemble my-codec runs/vqvae-top --base mini --codec-only
    """
    from jukectl.checkpoints import catalogue
    from jukectl.checkpoints.assemble import Run, assemble, read_card

    about = {"name": out.name, **(read_card(card) if card else {})}
    begun = None if base is None else catalogue.find(base)
    _told(context, assemble(out, [Run.load(run, weights) for run in runs], about, base=begun, codec_only=codec_only))


@app.command()
def merge(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    adapters: Annotated[
        list[str], typer.Option("--adapter", metavar="FILE[:STRENGTH]", help="What to put on it; may be repeated.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The model folder to write.")],
    card: Card = None,
) -> None:
    """Make a model of its own from a model and adapters, which it then no longer needs.

    Example: jukectl models merge mini --adapter runs/adapter/adapter.safetensors --out my-model
    """
    from jukectl.checkpoints import catalogue
    from jukectl.checkpoints.assemble import merge_adapters, read_card
    from jukectl.plan.recipes import dressed
    from jukectl.plan.request import AdapterChoice

    about = {"name": out.name, **(read_card(card) if card else {})}
    choices = [AdapterChoice(*parse_adapter(text)) for text in adapters]
    _told(context, merge_adapters(dressed(catalogue.find(name), choices), out, about))


def _told(context: typer.Context, folder: "ModelFolder") -> None:
    """A model that was written: how large it is, and where."""
    say(context, f"{folder.parameters() / 1e6:.2f} M numbers in {folder.path}")
    emit(context, [folder.path], {"model": str(folder.path), "parameters": folder.parameters()})


@app.command()
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
    from jukectl.evaluation.check import check_model

    with progress(context) as listener:
        facts = check_model(name, audio=audio, device=device, precision=precision, listener=listener)
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
