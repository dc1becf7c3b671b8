"""How much memory there is, under limits of every kind."""

import subprocess
import sys

import psutil
import pytest
import torch

from jukectl.plan.free_memory import _left_in_group, available_memory

CPU = torch.device("cpu")
GIB = 2**30


def test_no_more_is_planned_with_than_is_free_and_a_limit_only_lowers_it():
    free = available_memory(CPU)
    assert 0 < free < psutil.virtual_memory().total
    assert available_memory(CPU, 10**6) == 10**6
    assert available_memory(CPU, 10**18) == pytest.approx(free, rel=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")
def test_a_limit_of_the_process_counts(warm_python):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))"
    code = f"import torch; from jukectl.plan.free_memory import free_memory; {limit}; "
    code += "print(free_memory(torch.device('cpu')))"
    done = subprocess.run([*warm_python, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 4 * GIB


def group(folder, names, limit, used, files=0):
    """A control group as the kernel shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nactive_file 7\n")


def test_the_tightest_of_the_groups_that_a_process_is_in_counts(tmp_path):
    names = ("memory.max", "memory.current")
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/batch/job-7\n")
    group(root, names, "max", 9 * GIB)
    group(root / "batch", names, 8 * GIB, 6 * GIB, files=GIB)  # files may be dropped for it
    group(root / "batch" / "job-7", names, 5 * GIB, 1 * GIB)
    group(root / "batch" / "job-8", names, 5 * GIB, 5 * GIB)  # another's
    assert sorted(_left_in_group(root, membership)) == [3 * GIB, 4 * GIB]


def test_groups_of_the_old_kind_count_too(tmp_path):
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("3:cpu,cpuacct:/other\n4:memory:/docker/abc\n0::/\n")
    group(root / "memory" / "docker" / "abc", names, 2 * GIB, GIB)
    assert list(_left_in_group(root, membership)) == [GIB]


def test_a_machine_without_groups_has_no_such_limit(tmp_path):
    assert list(_left_in_group(tmp_path / "none", tmp_path / "nothing")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of Linux's C library")
def test_memory_goes_back_to_the_system_when_it_is_freed(warm_python):
    code = """
import torch
from jukectl.plan.free_memory import give_back_at_once
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
if {given}:
    assert give_back_at_once()
large = torch.ones(8 * 2**20)  # 32 MiB: when that is freed, the C library keeps all that is smaller from then on
del large
before = resident()
pieces = [torch.ones(2**20) for _ in range(20)]
small = torch.ones(100)  # on top of the heap, it keeps what lies below it there
del pieces
print(resident() - before)
"""
    kept = [
        int(
            subprocess.run(
                [*warm_python, "-c", code.format(given=given)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for given in (False, True)
    ]
    assert kept[1] < 10 * 2**20
    assert kept[1] <= kept[0] + 2**20  # some machines' C libraries keep nothing either way
