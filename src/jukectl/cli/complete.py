"""Values that the shell completes: names of models, artists and genres, choices, song folders. Torch is not loaded."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from jukectl.errors import BadInput

Completer = Callable[..., list[str]]

SONG_FILES = ("song.toml", "tree.toml", "top.npz", "middle.npz", "bottom.npz")
SPECIAL = " \t\\'\"`$&|;<>()[]{}*?!#~="  # characters that bash takes for something else
MOST = 2_000  # entries of a folder that are looked at


class Match(str):
    """A value that matches what was typed. Typer compares it once more, case included and escapes left out."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        """Return True, whatever was typed."""
        return True


def choices(*values: str) -> Completer:
    """Return a completion of fixed values."""

    def complete(incomplete: str) -> list[str]:
        return list(_matches(values, incomplete))

    return complete


def models(incomplete: str) -> list[str]:
    """Complete the name of a model: embedded, the user's own, or published."""
    from jukectl.checkpoints.published import PUBLISHED

    return list(_matches([*_native(), *PUBLISHED], incomplete))


def artists(context: typer.Context, incomplete: str) -> list[str]:
    """Complete an artist of the model that the command line names."""
    return list(_matches(_names(context, "artists"), incomplete))


def genres(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a genre of the model that the command line names."""
    return list(_matches(_names(context, "genres"), incomplete))


def songs(incomplete: str) -> list[str]:
    """Complete the path of a song folder or a tree. Without any, the shell completes files."""
    folder = os.path.dirname(incomplete)  # noqa: PTH120 - keeps what was typed, such as ./
    found = []
    with suppress(OSError), os.scandir(os.path.expanduser(folder) or ".") as entries:  # noqa: PTH111
        for entry, _ in zip(entries, range(MOST), strict=False):
            if entry.is_dir() and any((Path(entry.path) / name).exists() for name in SONG_FILES):
                found.append(os.path.join(folder, entry.name))  # noqa: PTH118
    return list(_matches(sorted(found), incomplete))


def _native() -> dict[str, Path]:
    from jukectl.checkpoints.places import assets, native_folders, user_models

    return native_folders(assets(), user_models())


def _names(context: typer.Context, kind: str) -> list[str]:
    """Return the artists or genres of the model of a command line; none if it is not on this machine."""
    model = context.params.get("model") or _model_of_settings() or "mini"
    folder = Path(model) if Path(model).is_dir() else _native().get(model) or _pulled(model)
    if folder is None:
        return []
    with suppress(BadInput, OSError, ValueError):
        return sorted({name for name in _listed(folder, kind) if name != "unlabelled"}, key=str.casefold)
    return []


def _model_of_settings() -> str | None:
    from jukectl.settings import read_settings

    with suppress(BadInput):
        setting = read_settings().get("model")
        return str(setting.value) if setting else None
    return None


def _pulled(model: str) -> Path | None:
    from jukectl.checkpoints.places import hub_snapshots
    from jukectl.checkpoints.published import PUBLISHED

    repository = PUBLISHED[model].repository if model in PUBLISHED else model if model.count("/") == 1 else None
    return next(iter(hub_snapshots(repository)), None) if repository else None


def _listed(folder: Path, kind: str) -> Iterator[str]:
    """Yield the names of a model: of a native card, or of the word lists of a published one."""
    from jukectl.checkpoints.places import CARD
    from jukectl.tables import read_json, read_toml

    if (folder / CARD).is_file():
        card = read_toml(folder / CARD, BadInput)
        vocabularies = [card.get("vocabulary", {}), *card.get("vocabularies", [])]
        yield from (name for one in vocabularies for name in one.get(kind, []))
        return
    for name in (f"{kind}.json", "vocab.json"):
        if (folder / name).is_file():
            found = read_json(folder / name, BadInput)
            yield from (one.removesuffix(".v2") for one in (found.get(kind, found) if name == "vocab.json" else found))
            return


def _matches(values: Iterable[str], incomplete: str) -> Iterator[str]:
    """Yield the values that begin with what was typed, ignoring case, as the shell must insert them."""
    wanted = incomplete.casefold()
    for value in dict.fromkeys(values):
        if value.casefold().startswith(wanted):
            yield Match(_escaped(value) if _needs_escapes() else value)


def _needs_escapes() -> bool:
    """Return True for bash, which inserts completions as they are, unless the word begins with a quote."""
    if os.environ.get("_JUKECTL_COMPLETE") != "complete_bash":
        return False
    words = os.environ.get("COMP_WORDS", "").split("\n")  # one a line, as the user typed them
    number = int(os.environ.get("COMP_CWORD", "0"))
    return not (number < len(words) and words[number][:1] in ("'", '"'))


def _escaped(value: str) -> str:
    return "".join(f"\\{one}" if one in SPECIAL else one for one in value)
