"""A studio that has the tiny model."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_client import RunningStudio, running


@pytest.fixture(scope="session")
def environment(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which the tiny model is one of the user's own, called tiny."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(tiny_model, data / "jukectl" / "models" / "tiny")
    return {"XDG_DATA_HOME": str(data), "XDG_CONFIG_HOME": str(data), "HF_HUB_CACHE": str(data)}


@pytest.fixture(scope="module")
def studio(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """A studio in a folder of its own, for tests that leave it as it is or do not mind what others left."""
    with running(tmp_path_factory.mktemp("songs"), environment=environment) as found:
        yield found


@pytest.fixture
def draft() -> dict[str, Any]:
    """A job that takes a moment."""
    return {
        "command": "sample",
        "model": "tiny",
        "artist": "ada",
        "genre": "jazz",
        "seconds": 0.5,
        "seed": 3,
        "device": "cpu",
    }
