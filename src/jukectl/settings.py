"""Settings: defaults of options, from the environment, a project's jukectl.toml and the user's config.toml."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import platformdirs

from jukectl.errors import BadInput
from jukectl.files import atomic_write, make_folder
from jukectl.tables import build, parse_toml, read_text_if_any

PROJECT = "jukectl.toml"
"""Name of the file for a folder and those below it."""

PREFIX = "JUKECTL_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Defaults of options; None: the command's own default."""

    model: str | None = None
    artist: str | None = None
    genre: str | tuple[str, ...] | None = None
    format: str | None = None
    loudness: float | None = None
    device: str | None = None
    precision: str | None = None
    out_folder: str | None = None

    def __post_init__(self) -> None:
        if self.loudness is not None and not -70 <= self.loudness <= 0:
            raise BadInput(f"loudness is from -70 to 0 LUFS, got {self.loudness:g}")


HELP = {
    "model": "model: a name, or a folder",
    "artist": "artist of new songs",
    "genre": "genre of new songs, or a list of genres",
    "format": "format of the audio files: wav, flac, ogg or mp3",
    "loudness": "loudness of the audio files, in LUFS, such as -16",
    "device": "device to compute on: auto, cpu, cuda or mps",
    "precision": "number format of the priors: auto, fp32, bf16, fp16 or int8",
    "out_folder": "folder in which commands without --out make new songs",
}
"""Description of each setting, for the help and for new files."""

NAMES = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True)
class Setting:
    """A value, and where it comes from."""

    value: Any
    origin: str  # a variable of the environment, or the path of a file


def user_file() -> Path:
    """Return the path of the user's file, which may not exist."""
    return platformdirs.user_config_path("jukectl") / "config.toml"


def project_file(folder: Path | None = None) -> Path | None:
    """Return the nearest jukectl.toml of a folder (default: the working folder) and those around it, None without."""
    try:
        start = (folder or Path.cwd()).absolute()
    except FileNotFoundError:  # the working folder was deleted
        return None
    return next((path for parent in (start, *start.parents) if _is_file(path := parent / PROJECT)), None)


def read_settings() -> dict[str, Setting]:
    """Return the settings that are set, by name: variables over the project's file over the user's.

    A variable that is empty sets the command's own default. BadInput, naming file or variable, for a wrong value.
    """
    found: dict[str, Setting] = {}
    for path in (user_file(), project_file()):
        if path is not None:
            found |= {name: Setting(value, str(path)) for name, value in _set_in(read_file(path)).items()}
    for name in NAMES:
        variable = variable_of(name)
        text = os.environ.get(variable)
        if text is not None:
            found[name] = Setting(parse(name, text, variable) if text else None, variable)
    return {name: one for name, one in found.items() if one.value is not None}


def read_file(path: Path) -> Settings:
    """Return the settings in a file, none if it does not exist. BadInput names the file and the key that is wrong."""
    text = read_text_if_any(path, BadInput, "settings")
    try:
        table = parse_toml(text or "")
    except ValueError as problem:
        raise BadInput(f"{path} is not TOML: {problem}. Mend it with: jukectl config edit") from problem
    for name in table:
        check_name(name, str(path))
    return _built(table, str(path)) if table else Settings()  # without the converter, which takes a while to load


def parse(name: str, text: str, where: str) -> Any:
    """Return the value of a setting that was given as text. BadInput, which begins with `where`, if it has none."""
    check_name(name, where)
    value: Any = text
    if float in get_args(_kind(name)):
        try:
            value = float(text)
        except ValueError:
            raise BadInput(f"{where}: {name} is a number, got {text!r}") from None
    return getattr(_built({name: value}, where), name)


def write_setting(path: Path, name: str, value: Any) -> None:
    """Set a value in a file, or remove it if it is None. Comments and other values stay. CannotWrite."""
    import tomlkit

    read_file(path)  # a file that cannot be read is not changed
    document = tomlkit.parse(read_text_if_any(path, BadInput, "settings") or "")
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value
    _write(path, tomlkit.dumps(document))


def write_template(path: Path) -> None:
    """Write a file in which every setting is explained and none is set."""
    lines = ["# Defaults of jukectl. Remove the # before a line to set a value.", ""]
    lines += [f"# {name} =  # {text}" for name, text in HELP.items()]
    _write(path, "\n".join(lines) + "\n")


def check_name(name: str, where: str) -> None:
    """Raise BadInput for a setting that does not exist."""
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        raise BadInput(f"{where}: there is no setting {name!r}; {hint}")


def variable_of(name: str) -> str:
    """Return the variable of the environment of a setting."""
    return f"{PREFIX}{name.upper()}"


def _is_file(path: Path) -> bool:
    """Return True for a file; False also in a folder that may not be searched."""
    with suppress(OSError):
        return path.is_file()
    return False


def _kind(name: str) -> Any:
    return Settings.__annotations__[name]


def _built(table: Mapping[str, Any], where: str) -> Settings:
    return build(Settings, table, where, error=BadInput)


def _set_in(settings: Settings) -> dict[str, Any]:
    return {name: value for name in NAMES if (value := getattr(settings, name)) is not None}


def _write(path: Path, text: str) -> None:
    make_folder(path.parent)
    with atomic_write(path) as file:
        file.write(text.encode())
