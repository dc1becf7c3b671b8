"""`App`, the kind of typer app that the command line is made of."""

import inspect
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import typer

F = TypeVar("F", bound=Callable[..., Any])


class App(typer.Typer):
    """A typer app whose help texts fit the terminal: typer would keep the line breaks of the docstrings."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:
        """Return a decorator that registers a command, with its docstring as help."""
        register = super().command

        def decorate(command: F) -> F:
            text = inspect.cleandoc(command.__doc__ or "")
            return register(name, help=re.sub(r"(?<!\n)\n(?!\n)", " ", text), **settings)(command)

        return decorate


def load_help() -> None:
    """Import the part of typer that formats help, without rich.markdown, which takes longer to load than all of rich.

    Help texts of `App` have rich's markup, so none is parsed as Markdown.
    """
    name = "rich.markdown"
    if name in sys.modules:
        return
    stand_in = ModuleType(name)
    stand_in.Markdown = type("Markdown", (), {})  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        import typer.rich_utils  # noqa: F401
    finally:
        del sys.modules[name]
