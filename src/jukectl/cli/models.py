"""`jukectl models`: local models, and published ones."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukectl.checkpoints.published import LICENCE, PUBLISHED, TERMS, size
from jukectl.cli import complete, tables
from jukectl.cli.app import App
from jukectl.cli.console import emit, progress, say, show_facts
from jukectl.cli.options import Device, Precision, flag, option
from jukectl.cli.values import parse_adapter
from jukectl.errors import BadInput, CheckFailed
from jukectl.folders import Series

if TYPE_CHECKING:
    from jukectl.checkpoints.store import ModelFolder

Card = Annotated[
    Path | None,
    option(
        "--card",
        "FILE.toml",
        "File with the name, licence, summary, sampling settings and sources of the model.",
        default="none, named after the folder",
    ),
]
WIDTH = 80  # characters of a line of `models list`
NARROWEST = 24  # of its last column
MOST_NAMES = 20  # artists or genres that `models show` lists

ModelName = Annotated[str, typer.Argument(help="Model name, or its folder.", autocompletion=complete.models)]
app = App(
    help="Local and published models: list, show, pull, convert, assemble, merge, check, cache.", no_args_is_help=True
)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the local models, and the published ones that can be fetched.

    Example: jukectl models list
    """
    from jukectl import api

    models = api.list_models()
    show_facts(context, {"models": models}, _table(models))


def _table(models: list[dict[str, Any]]) -> list[str]:
    """Return a table of at most WIDTH characters, unless names are long, and how to get the models that are missing."""
    rows = [
        (one["name"], size(one["bytes"]) if "bytes" in one else "-", one["state"], _short_licence(one))
        for one in models
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for one, row in zip(models, rows, strict=True):
        start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "  "
        room = max(WIDTH - len(start), NARROWEST)
        lines += wrap(one["summary"], len(start) + room, initial_indent=start, subsequent_indent=" " * len(start)) or [
            start.rstrip()
        ]
    missing = [one["name"] for one in models if "get" in one]
    return [*lines, "", f"To get {', '.join(missing)}: jukectl models show NAME"] if missing else lines


def _short_licence(model: dict[str, Any]) -> str:
    licence = model.get("licence", "")
    return "non-commercial" if licence == LICENCE else licence


@app.command()
def show(
    context: typer.Context,
    name: ModelName,
    sources: Annotated[bool, flag("--sources", "List the music that the model was trained on.")] = False,
) -> None:
    """Show a model: artists and genres, sizes, memory, limits, licence, and with --sources its training music.

    Example: jukectl models show mini
    """
    from jukectl import api

    facts = api.describe_model(name)
    lines = [f"{key}: {_plain(value)}" for key, value in _readable(facts).items() if value]
    if facts["sources"] and not sources:
        lines.append(f"trained on: {len(facts['sources'])} sources; list them with --sources")
    elif facts["sources"]:
        lines.append("trained on:")
        lines += [f"  {' · '.join(str(value) for value in source.values())}" for source in facts["sources"]]
    show_facts(context, facts, lines)


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a model as people read them: what it can be asked for, then its sizes, then the rest."""
    return {
        "name": facts["name"],
        "summary": facts["summary"],
        "state": facts["state"],
        "missing": facts["missing"],
        "so": facts["abilities"] if facts["missing"] else "",
        "artists": _names(facts["artists"], facts["artist_ids"]),
        "genres": _names(facts["genres"], facts["genre_ids"]),
        "genres a song": facts["genre_slots"],
        "longest song": facts["longest_song"] and f"{facts['longest_song']:g} s",
        "takes": ", ".join(["artist", "genre", *(kind for kind in ("lyrics", "midi", "beats") if facts[kind])]),
        "parameters": f"{facts['parameters'] / 1e6:,.1f} million",
        "bytes": size(facts["bytes"]),
        "memory": {precision: size(needed) for precision, needed in facts["memory"].items()},
        "sample_rate": f"{facts['sample_rate']} Hz",
        "contexts": {
            level: f"{facts['hops'][level] * codes / facts['sample_rate']:.1f} s"
            for level, codes in facts["contexts"].items()
        },
        "licence": facts["licence"],
        "terms": facts["terms"],
        "version": facts["version"],
        "path": facts["path"],
        "get": facts.get("get"),
    }


def _names(names: list[str], ids: int) -> str:
    """Return the names that may be given, the first ones of many; ids alone if the model has no word list."""
    given = [name for name in names if name != "unlabelled"]
    if not given:
        return f"#0 to #{ids - 1}" if ids > 1 else ""
    more = f" and {len(given) - MOST_NAMES} more" if len(given) > MOST_NAMES else ""
    return ", ".join(given[:MOST_NAMES]) + more


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


@app.command()
def pull(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="1b-lyrics, 5b-lyrics, or a repository of the hub as owner/name.", autocompletion=complete.models
        ),
    ],
    revision: Annotated[
        str | None,
        option("--revision", "NAME", "Branch, tag or commit of the repository.", default="the newest"),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        option(
            "--cache-dir",
            "FOLDER",
            "Folder to keep it in. Use the printed folder as --model, or set HF_HUB_CACHE to find it by name.",
            default="the cache of huggingface_hub",
            file_okay=False,
        ),
    ] = None,
    offline: Annotated[
        bool, flag("--offline", "Fetch nothing: check the files that are here, and print their folder.")
    ] = False,
) -> None:
    """Fetch a published model from the Hugging Face hub, check it, and print its folder. Run it again to resume.

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


@app.command()
def convert(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(help="Model name, or a folder of jukectl, of the Hugging Face port, or of original files."),
    ],
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    precision: Annotated[
        str | None,
        option("--precision", "fp32|fp16|bf16", "Number format of the weights.", default="unchanged"),
    ] = None,
    to: Annotated[str, option("--to", "native|huggingface", "Layout of the model folder to write.")] = "native",
    config: Annotated[
        Path | None,
        option(
            "--config",
            "FILE",
            "config.json of original files that are not a published model.",
            default="none",
            dir_okay=False,
        ),
    ] = None,
    overwrite: Annotated[bool, flag("--overwrite", "Replace an existing model.")] = False,
) -> None:
    """Convert a model to another layout or precision. Run it again to resume.

    Example: jukectl models convert jukebox-1b-lyrics my-model --precision fp16
    """
    from jukectl import api

    with progress(context) as listener:
        facts = api.convert_model(
            source, out, precision=precision, to=to, config=config, overwrite=overwrite, listener=listener
        )
    finished = "" if facts["new"] else f"{out} is converted already: nothing to do. It has "
    say(context, f"{finished}{facts['parameters'] / 1e6:.2f} M parameters{'' if finished else f' in {out}'}")
    emit(context, [out], facts)


@app.command()
def assemble(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    runs: Annotated[list[Path], typer.Argument(help="Training runs: folders written by jukectl train.")],
    card: Card = None,
    weights: Annotated[str, option("--weights", "best|last", "Checkpoint of each run to take.")] = "best",
    base: Annotated[
        str | None,
        option("--base", "NAME|FOLDER", "Model to copy all other parts from.", default="none"),
    ] = None,
    codec_only: Annotated[bool, flag("--codec-only", "Copy no priors from --base.")] = False,
    precision: Annotated[
        str, option("--precision", "fp16|int8", "Number format of the weights. int8 takes half the space.")
    ] = "fp16",
) -> None:
    """Assemble the weights of training runs into a model folder.

    Example: jukectl models assemble my-model runs/vqvae runs/top runs/middle runs/bottom --card card.toml

    Example: jukectl models assemble my-codec runs/vqvae-top --base mini --codec-only
    """
    from jukectl.checkpoints import catalogue
    from jukectl.checkpoints.assemble import PRECISIONS, Run, assemble, read_card

    if precision not in PRECISIONS:
        raise BadInput(f"--precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    about = {"name": out.name, **(read_card(card) if card else {})}
    other_parts = None if base is None else catalogue.find(base)
    _show_written(
        context,
        assemble(
            out,
            [Run.load(run, weights) for run in runs],
            about,
            PRECISIONS[precision],
            base=other_parts,
            codec_only=codec_only,
        ),
    )


@app.command()
def merge(
    context: typer.Context,
    name: ModelName,
    adapters: Annotated[
        list[str],
        option("--adapter", "FILE[:STRENGTH]", "Adapter to merge. Repeat to merge several."),
    ],
    out: Annotated[
        Path | None,
        option("--out", "FOLDER", "Model folder to write.", default="MODEL-merged in the working folder"),
    ] = None,
    card: Card = None,
) -> None:
    """Merge adapters into the weights of a model, and write the result as a new model.

    Example: jukectl models merge mini --adapter runs/adapter/adapter.safetensors
    """
    from jukectl.checkpoints import catalogue
    from jukectl.checkpoints.assemble import merge_adapters, read_card
    from jukectl.plan.models import with_adapters
    from jukectl.plan.request import AdapterChoice

    folder = out or Series(Path(), f"{Path(name).name}-merged").next()
    about = {"name": folder.name, **(read_card(card) if card else {})}
    choices = [AdapterChoice(*parse_adapter(text)) for text in adapters]
    _show_written(context, merge_adapters(with_adapters(catalogue.find(name), choices), folder, about))


def _show_written(context: typer.Context, folder: "ModelFolder") -> None:
    """Print the folder of a model that was written, and its size on stderr."""
    say(context, f"{folder.parameters() / 1e6:.2f} M parameters in {folder.path}")
    emit(context, [folder.path], {"model": str(folder.path), "parameters": folder.parameters()})


@app.command()
def check(
    context: typer.Context,
    name: ModelName,
    audio: Annotated[
        Path | None,
        option("--audio", "FILE", "Recording of music to check with.", default="some chords"),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Check each part of a model for damaged, untrained or misread weights.

    The codec must reconstruct music, all logits must be finite, and each prior must give the codes of a recording a
    higher probability than chance, and than the same codes in random order. The exit status is 1 if a value is out of
    its bound.

    Example: jukectl models check 1b-lyrics --audio song.flac
    """
    from jukectl.evaluation.check import check_model

    with progress(context) as listener:
        facts = check_model(name, audio=audio, device=device, precision=precision, listener=listener)
    table = tables.table("part", "measure", "value", "at most", "", text=2)
    for one in facts["findings"]:
        cells = (tables.figure(one["value"]), f"{tables.figure(one['bound'])} {one['unit']}")
        table.add_row(one["part"], one["what"], *cells, "ok" if one["good"] else "BAD")
    show_facts(context, facts, tables.lines([table]))
    if bad := [f"{one['part']}: {one['what']}" for one in facts["findings"] if not one["good"]]:
        raise CheckFailed(
            f"{facts['model']} does not work as it should ({'; '.join(bad)}): its weights are untrained or damaged. "
            "Fetch or convert it again"
        )


@app.command()
def cache(
    context: typer.Context,
    clear: Annotated[bool, flag("--clear", "Remove the packed weights; they are made again when needed.")] = False,
) -> None:
    """List the packed weights of large models in the user's cache, which sampling on CPUs maps into memory.

    Example: jukectl models cache --clear
    """
    from jukectl.checkpoints import packed

    found = packed.clear() if clear else packed.cached()
    names = ("model", "level", "precision", "bytes")
    facts: dict[str, Any] = {
        "folder": str(packed.cache_folder()),
        "bytes": sum(one.bytes for one in found),
        "removed": clear,
        "packed": [{"path": str(one.path)} | {name: getattr(one, name) for name in names} for one in found],
    }
    lines = [f"{size(one.bytes):>8}  {one.model or 'damaged'} {one.level} {one.precision}" for one in found]
    total = size(facts["bytes"]) if found else "nothing"
    lines.append(f"{total} {'removed from' if clear else 'in'} {packed.cache_folder()}")
    show_facts(context, facts, lines)
