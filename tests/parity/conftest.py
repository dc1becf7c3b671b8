"""The golden models, and what the port made of them: see scripts/parity/golden.py.

JUKECTL_GOLDEN names another folder of such, as `make parity` does.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.vqvae.model import VQVAE

GOLDEN = Path(os.environ.get("JUKECTL_GOLDEN", Path(__file__).parents[1] / "golden"))
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Golden:
    """One model, and the port's results."""

    path: Path

    @cached_property
    def cases(self) -> dict[str, Any]:
        """What the arrays are of."""
        return json.loads((self.path / "cases.json").read_text(encoding="utf-8"))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The results."""
        with np.load(self.path / "expected.npz", allow_pickle=False) as file:
            return dict(file)

    def tensor(self, name: str) -> Tensor:
        """A result; whole numbers as int64."""
        tensor = torch.from_numpy(self.arrays[name])
        return tensor if tensor.is_floating_point() else tensor.long()

    @property
    def model(self) -> Path:
        """The model as the port saved it."""
        return self.path / "model"

    @cached_property
    def vqvae(self) -> VQVAE:
        """The codec, read from those files."""
        return ModelFolder(self.model).vqvae(CPU)

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """The priors, read from those files."""
        return {level.label: ModelFolder(self.model).prior(level, CPU) for level in TOP_DOWN}

    def labels(self, metadata: Tensor) -> LabelBatch:
        """The port's table of labels as ours: length, offset, window, artist, genres, lyrics."""
        slots = self.cases["slots"]
        lyrics = metadata[:, 4 + slots :]
        return LabelBatch(
            artist=metadata[:, 3],
            genres=metadata[:, 4 : 4 + slots],
            total_length=metadata[:, 0],
            offset=metadata[:, 1],
            sample_length=metadata[:, 2],
            lyrics=lyrics if lyrics.shape[1] else None,
        )

    def upper(self, kind: str, level: str) -> Tensor | None:
        """The codes above."""
        name = f"{kind}/{level}/upper"
        return self.tensor(name) if name in self.arrays else None

    def hop(self, level: str) -> int:
        """Audio samples a code."""
        return int(self.cases["hops"][Level.parse(level)])


def folders() -> list[Path]:
    return sorted(path.parent for path in GOLDEN.glob("*/cases.json"))


@pytest.fixture(scope="session", params=folders(), ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Every model in turn, in Hugging Face layout."""
    return Golden(request.param)


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_all() -> Iterator[None]:
    """As the fixture that every test has, for what is made once for several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command line that goes well; its stdout."""
    from jukectl.cli.main import main

    def run(*arguments: object) -> str:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return run


@pytest.fixture(scope="session")
def native(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model converted to a folder of our own, by the command."""
    from jukectl.cli.main import main

    path = tmp_path_factory.mktemp("native") / "model"
    assert main(["--quiet", "models", "convert", str(golden.model), str(path)]) == 0
    yield path
    shutil.rmtree(path)
