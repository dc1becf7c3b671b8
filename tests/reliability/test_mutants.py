"""No mutant of a file that jukectl reads ends in a traceback, hangs, fills the memory, or passes for what it is not.

`make torture` reads many more mutants of each format.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutant_formats import FORMATS, Format, workplace
from mutant_runs import Runs, runs

COUNT = int(os.environ.get("JUKECTL_MUTANTS", "0")) or 12  # of each format


@pytest.fixture(scope="module")
def whole(tiny_model: Path, riff: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole file of every format."""
    return workplace(tmp_path_factory.mktemp("whole") / "workplace", tiny_model, riff)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runs]:
    """Read mutants in a process with limits."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("the address space is limited on Linux alone")
    with runs() as found:
        yield found


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("tested", FORMATS, ids=lambda one: one.name)
def test_mutants_are_refused_in_one_line_or_read_rightly(
    tested: Format, whole: Path, runner: Runs, tmp_path: Path, record_property
):
    place = Path(shutil.copytree(whole, tmp_path / "workplace"))
    accepted, problems = runner.run(place, tested.name, COUNT)
    record_property("mutants", {"read": COUNT, "accepted": accepted})
    assert problems == []
