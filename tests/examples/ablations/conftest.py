"""The scripts of examples/ablations as modules, and small recordings to train on."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from training_fixtures import codec_recipe, music

__all__ = ["codec_recipe", "music"]

ABLATIONS = Path(__file__).parents[3] / "examples/ablations"


def forget_scripts() -> None:
    """Remove the scripts from the imported modules: other folders have a train.py too."""
    for path in ABLATIONS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a script by its name, as the scripts import each other."""
    monkeypatch.syspath_prepend(ABLATIONS)
    forget_scripts()
    yield importlib.import_module
    forget_scripts()
