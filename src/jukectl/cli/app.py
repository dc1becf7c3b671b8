"""`App`, the kind of typer app that the command line is made of."""

import inspect
import re
from collections.abc import Callable
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
