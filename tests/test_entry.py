"""The process of a command ends at once, and yet loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = """
import atexit, sys, threading, time
from jukectl import __main__ as entry

def main():
{body}

entry.main = main
sys.exit(entry.run())
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    code = ENTRY.format(body=indented)
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_the_exit_status_is_that_of_the_command(status: int):
    assert run(f"return {status}").returncode == status


def test_all_that_was_printed_arrives_also_through_a_pipe():
    done = run("print('x' * 200_000)\nsys.stderr.write('remark')\nreturn 0")
    assert (len(done.stdout), done.stderr) == (200_001, "remark")


def test_what_libraries_do_at_the_exit_is_done():
    done = run("atexit.register(print, 'last words')\nreturn 3")
    assert (done.stdout, done.returncode) == ("last words\n", 3)


def test_threads_are_waited_for(tmp_path: Path):
    path = tmp_path / "late"
    body = (
        f"def late():\n    time.sleep(0.3)\n    open({str(path)!r}, 'w').write('whole')\n"
        "threading.Thread(target=late).start()\nreturn 0"
    )
    assert run(body).returncode == 0
    assert path.read_text() == "whole"


def test_nothing_else_is_taken_down():
    body = "class Kept:\n    def __del__(self): print('taken down')\nsys.kept = Kept()\nreturn 0"
    assert run(body).stdout == ""


def test_an_unforeseen_error_shows_its_traceback():
    done = run("raise KeyError('unforeseen')")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "KeyError: 'unforeseen'")
