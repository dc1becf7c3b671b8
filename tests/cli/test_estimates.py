"""`--dry-run` and `--progress`: output before and while a song is made."""

import json
import re
from pathlib import Path

import pytest


def listing(path):
    return {file: (file.is_dir() or file.read_bytes(), file.stat().st_mtime_ns) for file in Path(path).rglob("*")}


def test_a_dry_run_estimates_every_level_and_writes_nothing(jukectl, style, riff, tmp_path):
    (line,) = jukectl("sample", "--out", tmp_path / "song", *style, "--dry-run").out.splitlines()
    assert re.fullmatch(r"(.*): about [\d.]+ s on this CPU, 0.1 GB of memory", line)[1] == str(tmp_path / "song")
    lines = jukectl("--verbose", "sample", "--out", tmp_path / "song", *style, "--dry-run").out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == ["top", "middle", "bottom", "codes to audio"]
    assert lines[0].startswith("top: 7 codes in 1 window, 0 prefix codes; 1 of 1 rows per batch in fp32: about ")
    assert re.search(r" of memory \(tiny on cpu, \d+ GB available\)$", lines[-1])
    lines = jukectl("-v", "continue", riff, "--out", tmp_path / "song", *style, "--dry-run").out.splitlines()
    assert lines[0].startswith("prompt to codes: about ")
    assert listing(tmp_path) == {}


def test_a_dry_run_with_json_prints_one_object(jukectl, style, song):
    before = listing(song)
    facts = jukectl("--json", "upsample", song, "--overwrite", "--dry-run").json
    assert facts.keys() == {
        "song",
        "model",
        "device",
        "samples",
        "seconds",
        "memory_bytes",
        "memory_free_bytes",
        "levels",
        "encoding_seconds",
        "decoding_seconds",
    }
    assert facts["levels"].keys() == {"middle", "bottom"}
    assert facts["levels"]["bottom"].keys() == {
        "windows",
        "codes",
        "known",
        "seconds",
        "memory_bytes",
        "precision",
        "rows",
        "at_a_time",
        "chunk",
        "ms_a_code",
        "ms_a_known_code",
    }
    assert facts["levels"]["bottom"]["codes"] == 2 * 112
    assert facts["seconds"] == pytest.approx(
        sum(level["seconds"] for level in facts["levels"].values()) + facts["decoding_seconds"], abs=0.01
    )
    finished = jukectl("resume", song, "--dry-run").out
    assert finished == f"{song} is finished already: nothing to do.\n"
    assert listing(song) == before


def test_json_progress_goes_to_stderr_and_paths_to_stdout(jukectl, style, tmp_path):
    answer = jukectl("sample", "--out", tmp_path / "song", *style, "--progress", "json")
    assert answer.out == f"{tmp_path / 'song' / 'audio' / '0.wav'}\n"
    lines = [json.loads(line) for line in answer.err.splitlines()]
    assert list(dict.fromkeys(line["level"] for line in lines)) == ["top", "middle", "bottom"]
    for level, total in (("top", 7), ("middle", 28), ("bottom", 112)):
        windows = [line for line in lines if line["level"] == level]
        assert [line["window"] for line in windows] == list(range(1, windows[0]["windows"] + 1))
        assert (windows[-1]["done"], windows[-1]["total"], windows[-1]["saved"]) == (total, total, 0.224)
        assert all(line["codes_per_second"] > 0 for line in windows)
    left = [line["seconds_left"] for line in lines]
    assert 0 <= left[-1] < max(left)


def test_with_json_progress_warnings_and_errors_are_json_too(jukectl, style, tmp_path):
    out = tmp_path / "song"
    told = [*style, "--song-seconds", 100, "--levels", "top", "--progress=json"]
    first = json.loads(jukectl("sample", "--out", out, *told).err.splitlines()[0])
    assert first["warning"].startswith("the model was trained on songs shorter than 60 s")
    again = jukectl("--quiet", "sample", "--out", out, *style, "--seed", "4", "--progress", "json", status=2)
    (line,) = again.err.splitlines()
    assert json.loads(line)["status"] == 2
    assert json.loads(line)["error"].startswith(f"{out} was begun with another recipe")
    (line,) = jukectl("sample", "--out", out, "--progress", "json", "--nonsense", status=2).err.splitlines()
    assert "--nonsense" in json.loads(line)["error"]


def test_progress_none_leaves_stderr_empty(jukectl, style, tmp_path):
    answer = jukectl("sample", "--out", tmp_path / "song", *style, "--progress", "none")
    assert answer.err == ""
    assert jukectl("resume", tmp_path / "song", "--progress", "json").err == ""


def test_an_unknown_kind_of_progress_is_refused(fails, style, tmp_path):
    assert "--progress" in fails("sample", "--out", tmp_path / "song", *style, "--progress", "bells")
