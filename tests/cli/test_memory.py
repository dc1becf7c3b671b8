"""`--max-memory`: parsing of sizes, and commands with little memory."""

import subprocess
import sys

import numpy as np
import pytest

from jukectl.cli.values import parse_memory
from jukectl.errors import BadInput


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("8", 8 * 10**9),
        ("7.5GiB", 7.5 * 2**30),
        ("800MB", 8 * 10**8),
        ("800 mb", 8 * 10**8),
        ("512MiB", 2**29),
        ("2g", 2 * 10**9),
        (".5G", 5 * 10**8),
        ("64000kB", 64 * 10**6),
        ("1TB", 10**12),
        (None, None),
    ],
)
def test_memory_sizes_are_parsed_with_and_without_units(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "0GB", "8XB", "8b", "8iB", "8GBs", "1e9", "nan", "8,5GB"])
def test_max_memory_refuses_texts_that_are_not_sizes(text):
    with pytest.raises(BadInput, match="--max-memory is a size"):
        parse_memory(text)


@pytest.fixture(autouse=True)
def allocator(monkeypatch):
    """Leave the allocator of the C library alone: its setting would last for all other tests."""
    monkeypatch.setattr("jukectl.plan.memory.give_back_at_once", lambda: True)


def test_a_song_that_does_not_fit_is_refused_before_it_starts(fails, style, tmp_path):
    line = fails("sample", "--out", tmp_path / "song", *style, "--max-memory", "20MB", status=1)
    assert line.startswith("jukectl: the top prior of tiny does not fit: one sample needs ")
    assert not list((tmp_path / "song").glob("*.npz"))


def test_every_sampling_command_respects_max_memory(jukectl, fails, style, riff, tmp_path):
    limit = ["--max-memory", "20MB"]
    assert "does not fit" in fails("continue", riff, "--out", tmp_path / "one", *style, *limit, status=1)
    jukectl("--quiet", "sample", "--out", tmp_path / "song", *style, "--levels", "top")
    assert "middle prior of tiny does not fit" in fails("upsample", tmp_path / "song", *limit, status=1)
    jukectl("upsample", tmp_path / "song", "--max-memory", "1GB")
    (tmp_path / "song" / "bottom.npz").unlink()
    assert "bottom prior of tiny does not fit" in fails("resume", tmp_path / "song", *limit, status=1)


def test_doctor_reports_models_that_do_not_fit(jukectl, tiny_model):
    facts = jukectl("--json", "doctor", "--model", tiny_model, "--max-memory", "20MB").json
    assert facts["models"][0]["fits"] is False
    lines = jukectl("doctor", "--model", tiny_model, "--max-memory", "20MB").out.splitlines()
    assert lines[-1].startswith("tiny: does not fit into memory: it needs ")


SHRINKING = """
import resource, sys
from jukectl.cli.main import main
from jukectl.render import level

filling = level.filling

def shrink(*rest):
    # as if another program had taken the memory that was planned with
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = used + int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    yield from filling(*rest)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # audio is another matter

level.filling = shrink
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_running_out_of_memory_continues_in_smaller_batches_to_the_same_codes(warm_python, tmp_path):
    options = ["--samples", "64", "--seconds", "0.1", "--seed", "5", "--levels", "top", "--progress", "none"]

    def run(room, name):
        command = [*warm_python, "-c", SHRINKING, str(room), "sample", "--out", str(tmp_path / name), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    short, free = run(150, "short"), run(100_000, "free")
    assert (short.returncode, free.returncode) == (0, 0), short.stderr
    assert (
        "warning: out of memory at the top level: its window is sampled again, and from here on 32 of 64"
        in short.stderr
    )
    assert "warning" not in free.stderr
    codes = [np.load(tmp_path / name / "top.npz")["codes"] for name in ("short", "free")]
    assert np.array_equal(*codes)
