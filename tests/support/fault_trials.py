"""A command is killed, or its disk is full, at one system call; run again, it leaves what it leaves undisturbed."""

import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from fault_cases import Case, prepared
from faults import Fault, Faults, Outcome, content

KILLS = (Fault.KILL_BEFORE, Fault.KILL_HALFWAY, Fault.KILL_AFTER)
KILLED = -9


@dataclass(frozen=True)
class Trial:
    """A fault at a system call of a command."""

    fault: Fault
    call: int


class Bench:
    """One command with what it starts from, and what it leaves undisturbed."""

    def __init__(self, case: Case, faults: Faults, riff: Path, place: Path) -> None:
        self.case = case
        self._faults = faults
        self._start = place / "start"
        shutil.rmtree(self._start, ignore_errors=True)
        prepared(self._start, riff)
        self._reset()
        for command in case.before:
            self._run(command)
        shutil.rmtree(self._start)
        shutil.copytree(faults.root, self._start, symlinks=True)
        self.calls = self._run(case.command).calls
        self.left = content(faults.root)

    def _run(self, command: str) -> Outcome:
        outcome = self._faults.run(shlex.split(command))
        assert outcome.status == 0, f"{command}: {outcome.errors}"
        return outcome

    def _reset(self) -> None:
        shutil.rmtree(self._faults.root, ignore_errors=True)
        shutil.copytree(self._start, self._faults.root, symlinks=True)

    def problem(self, trial: Trial) -> str | None:
        """Return what a fault spoils, None if nothing."""
        self._reset()
        command = shlex.split(self.case.command)
        outcome = self._faults.run(command, trial.fault, trial.call)
        if "Traceback" in outcome.errors:
            return f"a traceback: {outcome.errors[-600:]}"
        if trial.fault is Fault.FULL_DISK and outcome.status not in (0, 1):
            return f"status {outcome.status} on a full disk: {outcome.errors}"
        if outcome.status == 0 and trial.fault is Fault.FULL_DISK and (lost := self._differences()):
            return f"status 0, although the disk was full: {lost}"
        again = self._faults.run(command)
        if again.status != 0:
            return f"run again, status {again.status}: {again.errors[-600:]}"
        return self._differences()

    def _differences(self) -> str | None:
        now = content(self._faults.root)
        parts = {
            "missing": sorted(self.left.keys() - now.keys()),
            "left over": sorted(now.keys() - self.left.keys()),
            "different": sorted(name for name in now.keys() & self.left.keys() if now[name] != self.left[name]),
        }
        return "; ".join(f"{what}: {', '.join(names[:6])}" for what, names in parts.items() if names) or None

    def kills(self, count: int | None = None) -> Iterator[Trial]:
        """Yield kills at calls spread over the command, or at all of them."""
        modes = cycle(KILLS)
        for call in self._spread(count):
            yield Trial(next(modes), call)

    def full_disks(self, count: int | None = None) -> Iterator[Trial]:
        """Yield disks that are full from a call on."""
        return (Trial(Fault.FULL_DISK, call) for call in self._spread(count))

    def _spread(self, count: int | None) -> list[int]:
        if count is None or count >= self.calls:
            return list(range(1, self.calls + 1))
        return sorted({1 + round(number * (self.calls - 1) / max(count - 1, 1)) for number in range(count)})


Problems = Mapping[Trial, str]
