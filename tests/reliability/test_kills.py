"""Every command is idempotent: killed at any system call, or on a full disk, it leaves in the end what it always does.

`make torture` tries many more calls of all commands.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_cases import CASES, Case
from fault_trials import Bench
from faults import Faults, compiled, faults

SHORT = {"sample", "upsample --from", "pick", "tree", "explore again", "data encode"}
COUNT = int(os.environ.get("JUKECTL_KILLS", "0"))  # calls of each command; 0: few calls of some commands
CHOSEN = [case for case in CASES if COUNT or case.name in SHORT]


@pytest.fixture(scope="module")
def runner(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """Runs commands with faults in a folder beside a copy of the tiny model."""
    place = tmp_path_factory.mktemp("faults", numbered=True)
    library = compiled(place)
    if library is None:
        pytest.skip("faults are injected by a library: it takes Linux and a C compiler")
    shutil.copytree(tiny_model, place / "tiny")
    with faults(library, place / "work") as found:
        yield found


@pytest.mark.timeout(3_600 if COUNT else 300)
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_a_command_that_is_killed_or_meets_a_full_disk_is_completed_by_running_it_again(
    case: Case, runner: Faults, riff: Path, tmp_path: Path, record_property
):
    bench = Bench(case, runner, riff, tmp_path)
    kills, disks = list(bench.kills(COUNT or 3)), list(bench.full_disks(COUNT // 2 or 1))
    problems = {f"{one.fault.name} {one.call}": problem for one in (*kills, *disks) if (problem := bench.problem(one))}
    record_property("trials", {"calls": bench.calls, "kills": len(kills), "full disks": len(disks)})
    assert bench.calls > 5
    assert problems == {}
