"""Settings as defaults of the commands' options."""

from collections.abc import Mapping
from typing import Any

import typer

from jukectl.cli.console import console
from jukectl.settings import Setting

NEW_SONGS = ("sample", "continue", "batch")
TAKERS = {
    "model": (*NEW_SONGS, "encode"),
    "artist": NEW_SONGS,
    "genre": NEW_SONGS,
    "format": (*NEW_SONGS, "branch", "decode"),
}
"""Commands that take a setting. Songs that exist keep their style. All other settings go to every command."""

KEPT = ("model", "artist", "genre")
"""Settings whose origin is kept in song.toml."""


def default_map(group: Any, settings: Mapping[str, Setting], *names: str) -> dict[str, Any]:
    """Return the defaults of the options of commands of a group, as contexts take them: of all, or of those named."""
    found: dict[str, Any] = {}
    for name in names or group.commands:
        below = group.commands[name]
        if hasattr(below, "commands"):
            found[name] = default_map(below, settings)
        else:
            taken = {key: one.value for key, one in settings.items() if name in TAKERS.get(key, (name,))}
            own = {parameter.name: parameter for parameter in below.params}
            found[name] = {key: _fitting(own[key], value) for key, value in taken.items() if key in own}
    return found


def _fitting(parameter: Any, value: Any) -> Any:
    """Return a value as a parameter takes it: as a list, if that may be given several times."""
    if not parameter.multiple:
        return value
    return list(value) if isinstance(value, tuple) else [value]


def origins(context: typer.Context) -> dict[str, str]:
    """Return where the style of a new song comes from, as far as settings give it."""
    found = console(context).settings
    return {
        name: found[name].origin
        for name in KEPT
        if name in found and getattr(context.get_parameter_source(name), "name", "") == "DEFAULT_MAP"
    }
