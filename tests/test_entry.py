"""The installed command as a process: its exit status, its streams, and a quick and orderly exit."""

import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = """
import atexit, gc, sys, threading, time
import jukectl.cli.main as cli
from jukectl import __main__ as entry

def main():
{body}

cli.main = main
sys.exit(entry.run())
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point in a process of its own, with `body` in place of the command line."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    code = ENTRY.format(body=indented)
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_the_process_exits_with_the_status_of_the_command_line(status: int):
    assert run(f"return {status}").returncode == status


def test_everything_printed_arrives_through_a_pipe():
    done = run("print('x' * 200_000)\nsys.stderr.write('remark')\nreturn 0")
    assert (len(done.stdout), done.stderr) == (200_001, "remark")


def test_exit_handlers_of_libraries_run():
    done = run("atexit.register(print, 'last words')\nreturn 3")
    assert (done.stdout, done.returncode) == ("last words\n", 3)


def test_running_threads_finish_before_the_process_ends(tmp_path: Path):
    path = tmp_path / "late"
    body = (
        f"def late():\n    time.sleep(0.3)\n    open({str(path)!r}, 'w').write('whole')\n"
        "threading.Thread(target=late).start()\nreturn 0"
    )
    assert run(body).returncode == 0
    assert path.read_text() == "whole"


def test_the_last_garbage_collections_skip_what_the_command_left():
    body = "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\nreturn 0"
    assert run(body).stdout == "True\n"


def test_an_unexpected_error_shows_its_traceback_and_exits_with_status_one():
    done = run("raise KeyError('unforeseen')")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "KeyError: 'unforeseen'")
