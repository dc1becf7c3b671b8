"""Fixtures that the tests of this package share."""

from pathlib import Path

import pytest
import torch
from music_fixtures import codes, held_out, manifest, prompted_song, run

from jukectl.checkpoints.store import ModelFolder
from jukectl.vqvae.model import VQVAE

__all__ = ["codes", "held_out", "manifest", "prompted_song", "run"]


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def codec(tiny_model: Path) -> VQVAE:
    """All levels of the tiny model's codec."""
    return ModelFolder(tiny_model).vqvae(torch.device("cpu"))
