"""`about.toml`, beside a song's recipe: the title, kind, star and notes that a person gives a song."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jukectl.errors import BadInput
from jukectl.explorer.contract import KINDS, Kind
from jukectl.explorer.site import inside
from jukectl.files import atomic_write
from jukectl.progress import Listener, warn
from jukectl.tables import read_text, read_toml

FILE = "about.toml"
LONGEST_TITLE, LONGEST_NOTES = 10_000, 10_000  # characters; longer texts of a file are cut


@dataclass(frozen=True, kw_only=True)
class About:
    """Values of about.toml. Those that are missing, or of a wrong type, have their default."""

    title: str = ""  # "": the name of the folder
    kind: Kind | None = None  # None: the kind that follows from the recipe
    star: bool = False
    notes: str = ""

    @classmethod
    def read(cls, song: Path, listener: Listener) -> "About":
        """Read about.toml in a song's folder. One that cannot be read is ignored with a warning."""
        file = song / FILE
        if not inside(song, file):
            return cls()
        try:
            values = read_toml(file, BadInput)
        except BadInput as error:
            warn(listener, f"{error}: the song is shown without it")
            return cls()
        kind = values.get("kind")
        return cls(
            title=str(values.get("title") or "")[:LONGEST_TITLE],
            kind=kind if kind in KINDS else None,
            star=values.get("star") is True,
            notes=str(values.get("notes") or "")[:LONGEST_NOTES],
        )


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of about.toml from the page; None leaves a value as it is. Raises BadInput for values out of bounds."""

    title: str | None = None
    star: bool | None = None
    notes: str | None = None

    LONGEST_TITLE = 200  # characters

    def __post_init__(self) -> None:
        _check_text("title", self.title, self.LONGEST_TITLE)
        _check_text("notes", self.notes, LONGEST_NOTES, allowed="\n\t")
        if self.star is not None and not isinstance(self.star, bool):
            raise BadInput("star is true or false")

    @classmethod
    def of(cls, values: Any) -> "Change":
        """Return the change that a JSON object asks for. Raises BadInput for anything else."""
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not values or not values.keys() <= names:
            raise BadInput(f"a change is an object with one or more of {', '.join(sorted(names))}")
        if None in values.values():
            raise BadInput("null is no value: an empty text removes a title or notes")
        return cls(**values)

    @property
    def values(self) -> Mapping[str, str | bool]:
        """Values that change, by key; texts are stripped of blanks around them."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        texts = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in texts.items() if value is not None}

    def write(self, song: Path) -> None:
        """Write the change to a song's about.toml, in one step. Other keys, comments and layout of the file stay.

        Raises BadInput for a file that is not TOML, which stays as it is, CannotWrite.
        """
        import tomlkit

        file = song / FILE
        text = ""
        if inside(song, file):
            read_toml(file, BadInput)  # checks nesting and size, which tomlkit does not
            text = read_text(file, BadInput)
        document = tomlkit.parse(text)
        for name, value in self.values.items():
            if value not in ("", False):
                document[name] = tomlkit.string(value, multiline="\n" in value) if isinstance(value, str) else value
            elif name in document:
                del document[name]
        with atomic_write(file) as out:
            out.write(document.as_string().encode())


def _check_text(name: str, value: Any, longest: int, allowed: str = "") -> None:
    """Raise BadInput for a value that is not a text, is too long, or has control characters not allowed."""
    if value is None:
        return
    if not isinstance(value, str):
        raise BadInput(f"{name} is a text")
    if len(value) > longest:
        raise BadInput(f"{name} has at most {longest} characters, and this one has {len(value)}")
    if any(
        (ord(char) < 32 and char not in allowed) or char == "\x7f" or 0xD800 <= ord(char) < 0xE000 for char in value
    ):
        raise BadInput(f"{name} has a control character, or half of a surrogate pair")
