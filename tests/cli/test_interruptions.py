"""Ctrl-C ends the command with status 130, whatever a library makes of the exception."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

INTERRUPTED = """
import os, signal, sys, time
import jukectl.cli.interruptions
import jukectl.cli.main as cli
from jukectl import __main__ as entry

jukectl.cli.interruptions.AGAIN_SECONDS = 0.5

def press():
    os.kill(os.getpid(), signal.SIGINT)

def main():
{body}

cli.main = main
sys.argv = ["jukectl"]
sys.exit(entry.run())
"""


def run(body: str) -> tuple[int, str, str]:
    """Return the exit status, stdout and stderr of the entry point with `body` in place of the command line."""
    code = INTERRUPTED.format(body="\n".join(f"    {line}" for line in body.splitlines()))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_an_interruption_that_a_library_swallows_is_raised_again():
    body = "try:\n    press()\n    time.sleep(1)\nexcept BaseException:\n    pass\ntime.sleep(50)\nprint('went on')"
    assert run(body) == (130, "", "\njukectl: interrupted\n")


def test_an_interruption_that_a_library_turns_into_an_error_of_its_own_stays_one():
    body = "try:\n    press()\n    time.sleep(1)\nexcept BaseException:\n    raise ImportError('half loaded')"
    assert run(body) == (130, "", "\njukectl: interrupted\n")


def test_cleanup_after_an_interruption_takes_the_time_it_needs():
    body = "try:\n    press()\n    time.sleep(1)\nfinally:\n    time.sleep(1.2)\n    print('saved')"
    assert run(body) == (130, "saved\n", "\njukectl: interrupted\n")


def test_an_interruption_inside_exec_leaves_the_exit_status():
    body = "try:\n    exec('press()')\n    time.sleep(1)\nexcept KeyboardInterrupt:\n    return 130"
    assert run(body) == (130, "", "")


def test_an_interruption_that_the_command_handles_leaves_its_status():
    body = "try:\n    press()\n    time.sleep(1)\nexcept KeyboardInterrupt:\n    return 0"
    assert run(body) == (0, "", "")


def test_a_process_that_ignores_interruptions_goes_on_ignoring_them():
    code = INTERRUPTED.format(body="    press()\n    return 0")
    call = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", code]
    assert subprocess.run(call, check=False, capture_output=True).returncode == 0
