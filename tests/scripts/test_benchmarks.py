"""The benchmarks run; what they measure is for quiet machines."""

import json
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(warm_python):
    """Run a script; returns its table, and the figures that it wrote."""

    def measured(script, path, *options):
        command = [*warm_python, FOLDER / script, "--quick", "--json", path, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
        assert done.returncode == 0, done.stderr
        return done.stdout, json.loads(path.read_text())

    return measured


def test_every_way_to_decode_takes_part(run, tmp_path):
    table, rows = run("step.py", tmp_path / "step.json")
    decoders = {(row["name"].split(", ")[0], row["name"].split(", ")[1]) for row in rows}
    assert {("naive torch", "fp32"), ("eager", "fp32")} < decoders
    assert {precision for _, precision in decoders} == {"fp32", "bf16", "int8"}
    assert all(row["ms"]["median"] >= row["ms"]["least"] > 0 for row in rows)
    floors = {row["name"].split(", ")[1]: row["floor_ms"]["least"] for row in rows}
    assert floors["fp32"] > floors["bf16"]
    assert table.count("\n| 2 |") == len(rows)


@pytest.mark.slow
def test_the_codec_is_measured_both_ways_in_all_settings(run, tmp_path):
    _, rows = run("codec.py", tmp_path / "codec.json", "--levels", "top", "--model", "mini")
    assert {row["what"] for row in rows} == {"decode", "encode"}
    exact = [row["error"] for row in rows if "float32" in row["setting"] and row["what"] == "decode"]
    rounded = [row["error"] for row in rows if "bfloat16" in row["setting"] and row["what"] == "decode"]
    assert max(exact) < 1e-5 < min(rounded)


@pytest.mark.slow
def test_a_song_has_its_time_and_its_memory(run, tmp_path):
    _, rows = run("length.py", tmp_path / "length.json")
    assert [row["music_seconds"] for row in rows] == [0.1, 0.5]
    assert all(100 < row["peak_megabytes"] < 2_000 and row["seconds"] > 0.5 for row in rows)


def test_the_check_of_a_gpu_goes_on_past_a_part_that_fails(warm_python, tmp_path):
    """On this processor it measures nothing worth knowing, but all parts run, or say why not."""
    report = tmp_path / "gpu.json"
    command = [*warm_python, FOLDER / "gpu_check.py", "--device", "cpu", "--tiny", "--json", report, "--parts"]
    parts = ["minute", "parity", "memory", "bottom", "1b-lyrics", "training"]  # the first needs what others measure
    done = subprocess.run([*command, *parts], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 1
    assert "minute: failed, KeyError" in done.stdout
    figures = json.loads(report.read_text())
    assert figures["parity"]["codes_equal"] == figures["parity"]["codes"] > 0
    assert figures["bottom"]["row_ms"] > 0 and figures["bottom"]["rows_floor_ms"] > figures["bottom"]["row_floor_ms"]
    assert figures["training"]["share_of_matmul"] > 0
