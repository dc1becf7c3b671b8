"""A copy of the tiny model that a test may change."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model, to change at will."""
    return Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
