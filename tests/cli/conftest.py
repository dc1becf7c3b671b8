"""The command line as a user sees it: arguments in, exit status, stdout and stderr out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """Exit status, stdout and stderr of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, parsed as one JSON object."""
        import json

        assert self.out.count("\n") == 1
        return json.loads(self.out)


@pytest.fixture
def jukectl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command line and return its answer; fail unless the status is as expected."""
    from jukectl.cli.main import main

    def run(*arguments: object, status: int = 0) -> Answer:
        capsys.readouterr()
        found = main([str(argument) for argument in arguments])
        answer = Answer(found, *capsys.readouterr())
        assert found == status, answer.err
        return answer

    return run


@pytest.fixture
def fails(jukectl: Callable[..., Answer]) -> Callable[..., str]:
    """Run a command line that must fail, and return the one line of its error."""

    def run(*arguments: object, status: int = 2) -> str:
        answer = jukectl(*arguments, status=status)
        assert answer.out == ""
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("jukectl: ")
        assert "Traceback" not in lines[0]
        return lines[0]

    return run


@pytest.fixture
def style(tiny_model: Path) -> list[str]:
    """Options of a very short song of the tiny model."""
    return ["--model", str(tiny_model), "--artist", "ada", "--genre", "JAZZ", "--seconds", "0.224", "--seed", "3"]


@pytest.fixture(scope="session")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very short song, finished. Tests must not change it."""
    from jukectl.cli.main import main

    path = tmp_path_factory.mktemp("songs") / "finished"
    options = ["--artist", "ada", "--genre", "jazz", "--seconds", "0.224", "--seed", "3", "--samples", "2"]
    assert main(["--quiet", "sample", "--out", str(path), "--model", str(tiny_model), *options]) == 0
    return path


@pytest.fixture
def song(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished song."""
    import shutil

    return shutil.copytree(finished, tmp_path / "song")
