"""The command as a process whose streams are closed, full, of other encodings, or shared with C libraries."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from jukectl.codes.level import Level
from jukectl.codes.song import Song

COMMAND = [sys.executable, "-m", "jukectl"]

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors and signals of POSIX")


def run(*arguments, env=None, **options):
    """Run the command in a process of its own."""
    options = {"capture_output": True, **options}
    return subprocess.run(
        [*COMMAND, *map(os.fspath, arguments)], check=False, timeout=240, env={**os.environ, **(env or {})}, **options
    )


@pytest.fixture
def sampling(tiny_model):
    return ["--model", tiny_model, "--seconds", "0.3", "--seed", "1", "--levels", "top"]


@posix
@pytest.mark.parametrize("stderr", ["closed", "full", "unread"])
def test_a_render_goes_on_without_a_stderr(sampling, warm_jukectl, tmp_path, stderr):
    command = COMMAND if stderr == "closed" else warm_jukectl
    shell = {"closed": '"$@" 2>&-', "full": '"$@" 2>/dev/full', "unread": '{ "$@" 2>&1 >&3 | true; } 3>&1'}[stderr]
    arguments = [*command, "sample", "--out", tmp_path / "song", *sampling, "--progress", "json"]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *map(os.fspath, arguments)], check=False, capture_output=True, timeout=240
    )
    assert Song(tmp_path / "song").codes(Level.TOP).done > 0
    assert done.stdout.decode().strip() == str(tmp_path / "song/previews/top-0.wav")


@posix
@pytest.mark.parametrize(("stdout", "status"), [("1>&-", 0), (">/dev/full", 1)])
def test_a_stdout_that_cannot_be_written_leaves_no_traceback(tmp_path, stdout, status):
    arguments = [*COMMAND, "--quiet", "examples", "copy", tmp_path / "copied"]
    shell = f'"$@" {stdout}'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *map(os.fspath, arguments)], check=False, capture_output=True, timeout=240
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (status, status)
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "copied/riff.wav").exists()


@posix
def test_a_reader_that_leaves_gets_no_traceback():
    process = subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    process.wait(60)
    process.stderr.close()
    assert b"Traceback" not in said and b"Exception" not in said


@pytest.mark.parametrize("encoding", ["cp437", "ascii"])
def test_help_is_printed_in_every_encoding(encoding):
    done = run("sample", "--help", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--temperature" in done.stdout


def test_a_name_is_printed_with_replacements_where_an_encoding_lacks_it(tmp_path):
    environment = {"PYTHONIOENCODING": "cp437", "PYTHONUTF8": "0"}
    done = run("examples", "copy", tmp_path / "Łódź", env=environment)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert done.stdout.decode("cp437") == f"{tmp_path}/?ód?\n"


@posix
def test_the_bytes_of_a_folder_that_is_not_utf_8_are_printed_as_they_are(sampling, warm_jukectl, tmp_path):
    folder = os.fsencode(tmp_path) + b"/song \xff"
    done = run("examples", "copy", folder + b"-examples")
    assert (done.returncode, done.stdout) == (0, folder + b"-examples\n")
    made = [*warm_jukectl, "--quiet", "sample", "--out", folder, *map(os.fspath, sampling)]
    subprocess.run(made, check=True, capture_output=True, timeout=240)
    shown = subprocess.run([*warm_jukectl, "--json", "info", folder], check=False, capture_output=True, timeout=240)
    assert shown.returncode == 0


DELETED = """
import os, sys
from jukectl.__main__ import run
os.chdir(sys.argv.pop(1))
os.rmdir(os.getcwd())
sys.exit(run())
"""


@posix
def test_a_deleted_working_folder_is_one_line_and_absolute_paths_work(sampling, warm_python, tmp_path):
    def there(python, *arguments):
        (tmp_path / "gone").mkdir()
        call = [*python, "-c", DELETED, tmp_path / "gone", *arguments]
        return subprocess.run(list(map(os.fspath, call)), check=False, capture_output=True, timeout=240)

    made = there([sys.executable], "--quiet", "sample", "--out", tmp_path / "song", *sampling)  # it loads torch there
    assert (made.returncode, made.stderr) == (0, b"")
    assert there(warm_python, "info", tmp_path / "song").returncode == 0
    lost = there(warm_python, "sample", "--out", "song", *sampling)
    assert lost.returncode in (1, 2)
    assert len(lost.stderr.splitlines()) == 1


STARTING = """
import os, sys
from jukectl import __main__ as entry
from jukectl.cli import streams

prepare_streams = streams.prepare_streams

def prepare():
    os.write(1, b"begun\\n")
    prepare_streams()

streams.prepare_streams = prepare
sys.exit(entry.run())
"""


@posix
@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.0])
def test_ctrl_c_in_the_first_second_is_one_line(sampling, tmp_path, seconds):
    arguments = ["sample", "--out", tmp_path / "song", *sampling, "--seconds", "600"]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTING, *map(os.fspath, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"begun\n"  # before that it is the interpreter that starts, not the command
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    lines = [line for line in err.decode().splitlines() if line.startswith("jukectl:")]
    assert (process.returncode, out) == (130, b"")
    assert "Traceback" not in err.decode()
    assert len(lines) == 1 and "interrupted" in lines[0]


NOISY = """
import os, sys
from jukectl import __main__ as entry
import jukectl.cli.main as cli

def main():
    os.write(2, b"libmpg123: part2_3_length (3360) too large\\n")
    print("plain Python", file=sys.stderr)
    from jukectl.cli.console import json_line
    json_line({"level": "top"})
    os.system("echo of a child >&2")
    {last}
    return 0

cli.main = main
sys.argv = ["jukectl", "sample", "--progress", "json"]
sys.exit(entry.run())
"""


@posix
@pytest.mark.parametrize("last", ["pass", "raise KeyError('unforeseen')"])
def test_with_json_progress_every_line_of_stderr_is_json_whoever_writes_it(last):
    done = subprocess.run(
        [sys.executable, "-c", NOISY.replace("{last}", last)], check=False, capture_output=True, text=True, timeout=120
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[:4] == [
        {"warning": "libmpg123: part2_3_length (3360) too large"},
        {"warning": "plain Python"},
        {"level": "top"},
        {"warning": "of a child"},
    ]
    assert done.returncode == (0 if last == "pass" else 1)
    assert last == "pass" or lines[-1] == {"error": "unexpected KeyError: 'unforeseen'", "status": 1}


FORKING = """
import multiprocessing, sys, torch
from pathlib import Path
import jukectl
from jukectl.codes.level import Level

torch.set_num_threads(2)
big = torch.randn(600, 600)
big @ big  # starts the threads that a fork does not have
model, folder = sys.argv[1:]
request = jukectl.Request(model=model, seconds=1.0, seed=1)
jukectl.sample(Path(folder, "first"), request)

def again(name):
    jukectl.sample(Path(folder, name), request)
    return str(name)

with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(again, ["second", "third"]).get(100))
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="fork")
def test_a_forked_process_makes_the_song_that_its_parent_made(tiny_model, warm_python, tmp_path):
    subprocess.run([*warm_python, "-c", FORKING, tiny_model, tmp_path], check=True, capture_output=True, timeout=200)
    first, *others = (Song(tmp_path / name).codes(Level.BOTTOM).digest() for name in ("first", "second", "third"))
    assert others == [first, first]
