"""The process that reads mutants reports every kind of problem. Its readers are made up here, and misbehave."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutant_runs import Runs, runs

SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {support!r})
import mutant_formats, mutant_runs
from jukectl.errors import BadInput
from pathlib import Path

mutant_runs.SECONDS = mutant_runs.WAIT = 1


def on_mutants(read):
    return lambda: None if Path("file").read_bytes() == bytes(99) else read()


def hangs():
    while True:
        time.sleep(0.01)


def computes():
    while True:
        pass


def switches_the_alarm_off():
    signal.alarm(0)
    hangs()


def refuses():
    raise BadInput({refusal!r})


def accepts_wrongly():
    assert Path("file").read_bytes() == bytes(99), "other bytes"


READERS = dict(
    hangs=hangs, computes=computes, switches_the_alarm_off=switches_the_alarm_off, refuses=refuses,
    accepts_wrongly=accepts_wrongly, accepts=lambda: None, fails=lambda: {{}}["key"], fills=lambda: bytearray(2**31),
    dies=lambda: os.kill(os.getpid(), signal.SIGSEGV), speaks=lambda: refuses_in_lines(),
)


def refuses_in_lines():
    raise BadInput("two" + chr(10) + "lines")


mutant_formats.FORMATS = tuple(
    mutant_formats.Format(name, "file", mutant_formats.BYTES, on_mutants(read)) for name, read in READERS.items()
)
mutant_runs.serve()
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Read mutants by readers that misbehave."""
    if sys.platform != "linux":
        pytest.skip("the address space is limited on Linux alone")
    support = str(Path(__file__).parent.parent / "support")
    script = tmp_path_factory.mktemp("readers") / "readers.py"
    script.write_text(SCRIPT.format(support=support, refusal="no"))
    with runs(str(script)) as found:
        yield found


@pytest.mark.parametrize(
    ("reader", "accepted", "problem"),
    [
        ("accepts", 2, None),
        ("refuses", 0, None),
        ("speaks", 0, "several lines"),
        ("accepts_wrongly", 2, "accepted, though wrong: other bytes"),
        ("fails", 0, "KeyError"),
        ("fills", 0, "out of memory"),
        ("dies", 0, f"ended by signal {int(signal.SIGSEGV)}"),
        ("hangs", 0, "not read within"),
        ("computes", 0, "not read within"),
        ("switches_the_alarm_off", 0, "not read within"),
    ],
)
@pytest.mark.timeout(60)
def test_each_problem_of_a_reader_is_reported_and_the_next_mutant_is_read(
    runner: Runs, tmp_path: Path, reader: str, accepted: int, problem: str | None
):
    (tmp_path / "file").write_bytes(bytes(99))
    found, problems = runner.run(tmp_path, reader, 2)
    assert found == accepted
    if problem is None:
        assert problems == []
        return
    assert [one.split(":")[0] for one in problems] == ["mutant 0", "mutant 1"]
    assert all(problem in one for one in problems)
