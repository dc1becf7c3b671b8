"""Free memory of a device, within all limits that this process has."""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

USED = 0.95  # share of the free memory that is planned with
LARGE = 2**20  # bytes of a piece of memory that goes back to the system when it is freed, see `give_back_at_once`
MMAP_THRESHOLD = -3  # the C library's number for that setting


def available_memory(device: torch.device, at_most: int | None = None) -> int:
    """Return the bytes to plan with: most of the free memory of the device, or `at_most` if that is less."""
    free = int(free_memory(device) * USED)
    return free if at_most is None else min(free, at_most)


def free_memory(device: torch.device) -> int:
    """Return the bytes that a model could take now: of a GPU with its own memory, or else of the machine.

    On the machine, the limits of this process and of its control groups count.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # free for torch alone
        return torch.cuda.mem_get_info(device)[0] + kept
    return max(0, min([int(psutil.virtual_memory().available), *_left_in_group(), *_left_to_process()]))


def _left_to_process() -> Iterator[int]:
    """Yield what a limit on the address space leaves, if there is one (ulimit -v)."""
    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft - int(psutil.Process().memory_info().vms)


def _left_in_group(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield what the limits of a container or a batch system leave: of this process's control group and all above."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            place, limit, used = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            place, limit, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = place / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(place):
                yield from _left_in(folder, limit, used)


def _left_in(folder: Path, limit: str, used: str) -> Iterator[int]:
    """Yield what one group's limit leaves, if it has one. The system's cache of files counts as free."""
    try:
        most, taken = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, used))
        statistics = (folder / "memory.stat").read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # no such file, or the word "max" in it
        return
    files = dict(zip(statistics[::2], statistics[1::2], strict=False)).get("inactive_file", "0")
    yield most - taken + int(files)


def give_back_at_once() -> bool:
    """Return large pieces of memory to the system as soon as they are freed; return True if this system can.

    The C library of Linux would keep many of them for later, which makes a pass over many positions a little faster,
    and lets the process grow to half as much again. The setting holds for the rest of the process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE))
    except (OSError, AttributeError):  # another C library
        return False
