"""Processes forked from one that has loaded jukectl behave like those that start anew."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every process starts anew")


def test_a_process_has_the_streams_arguments_environment_and_folder_of_its_caller(warm_python, tmp_path):
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['TUNE'], sys.stdin.read()); sys.exit('no')"
    for python in ([sys.executable], warm_python):
        done = subprocess.run(
            [*python, "-c", code, "a", "b c"],
            env={**os.environ, "TUNE": "la"},
            cwd=tmp_path,
            input="words",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (1, f"['a', 'b c'] {tmp_path} la words\n", "no\n")


def test_a_process_ends_by_the_signal_that_its_caller_is_sent(warm_python):
    code = "import signal; print('begun', flush=True); signal.pause()"
    with subprocess.Popen([*warm_python, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM


def test_a_process_is_killed_with_its_caller(warm_python):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
    with subprocess.Popen([*warm_python, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        assert child != process.pid
        process.kill()
        assert process.stdout.read() == ""  # which ends when no process has it any more
    assert not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes()
