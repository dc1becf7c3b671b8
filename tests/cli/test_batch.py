"""`jukectl batch`: songs are those that their own commands make, mistakes are reported together, runs are resumed."""

import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch

from jukectl.batch.entries import Entry
from jukectl.batch.run import _work
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import CannotWrite
from jukectl.plan.request import Request
from jukectl.sampling.level import WindowSampler

SHORT: dict[str, Any] = {"artist": "ada", "genre": "jazz", "seconds": 0.224, "seed": 3}


@pytest.fixture
def write(tmp_path, tiny_model):
    """Return the path of a manifest in JSON lines with some songs of the tiny model."""

    def jsonl(*songs):
        path = tmp_path / "songs.jsonl"
        path.write_text("".join(json.dumps({"model": str(tiny_model), **song}) + "\n" for song in songs), "utf-8")
        return path

    return jsonl


def option(name, value):
    """Return the arguments of a command line that have the meaning of a column."""
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, str(value)]


def codes(path):
    """Return the codes of each level of a song."""
    song = Song(path)
    return {level.label: song.codes(level).array.tolist() for level in TOP_DOWN if song.codes(level) is not None}


def alone(jukectl, place, song):
    """Make a song of a manifest by a command of its own."""
    song = dict(song)
    command = ["continue", song.pop("audio")] if "audio" in song else ["sample"]
    arguments = [one for name, value in song.items() if name != "out" for one in option(name, value)]
    jukectl("--quiet", *command, "--out", place / song["out"], *arguments)
    return place / song["out"]


@pytest.fixture
def batches(monkeypatch):
    """The number of songs in each batch that is sampled."""
    found = []
    sample = WindowSampler.sample

    def counted(self, asked):
        found.append(len(asked))
        return sample(self, asked)

    monkeypatch.setattr(WindowSampler, "sample", counted)
    return found


def test_each_song_has_the_codes_and_the_audio_that_its_own_command_gives_it(
    jukectl, write, riff, tmp_path, tiny_model, batches
):
    songs = [
        {**SHORT, "out": "plain"},
        {**SHORT, "out": "seed", "seed": 4},
        {**SHORT, "out": "style", "artist": "ada:0.6+björk b.:0.4", "genre": "ambient"},
        {**SHORT, "out": "samples", "samples": 2},
        {**SHORT, "out": "best", "samples": 3, "keep": 1},
        {**SHORT, "out": "settings", "temperature": "top=0.9", "top_k": "20"},
        {**SHORT, "out": "guided", "guidance": "top=2"},
        {**SHORT, "out": "draft", "levels": "top", "format": "flac"},
        {**SHORT, "out": "long", "seconds": 2.3},
        {**SHORT, "out": "spans", "seconds": 1.024, "parallel": 2},
        {**SHORT, "out": "primed", "audio": str(riff), "prompt_seconds": 0.5, "seed": 9},
    ]
    manifest = write(*songs)
    answer = jukectl("--quiet", "--json", "batch", manifest, "--workers", 1)
    assert answer.json == {
        "songs": 11,
        "finished": 11,
        "failed": 0,
        "results": str(tmp_path / "songs" / "results.jsonl"),
    }
    shared = max(batches)
    assert shared >= 4
    for song in songs:
        made = alone(jukectl, tmp_path / "alone", {"model": str(tiny_model), **song})
        ours = tmp_path / "songs" / song["out"]
        assert codes(ours) == codes(made), song
        audio = sorted(path.relative_to(made) for path in made.rglob("*") if path.parent.name in ("audio", "previews"))
        assert [(ours / path).read_bytes() for path in audio] == [(made / path).read_bytes() for path in audio], song
        assert len(audio) >= 1
        names = [sorted(path.name for path in one.iterdir() if path.name != ".jukectl") for one in (ours, made)]
        assert names[0] == names[1]


def test_songs_of_equal_lengths_share_every_batch(jukectl, write, batches):
    jukectl("--quiet", "batch", write(*({**SHORT, "seed": seed} for seed in range(5))), "--workers", 1)
    assert set(batches) == {5}


def test_results_name_the_audio_of_each_song_and_its_seed(jukectl, write, tmp_path):
    answer = jukectl("--quiet", "batch", write({**SHORT, "out": "a"}, {**SHORT, "seed": 7}), "--workers", 1)
    folder = tmp_path / "songs"
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]
    assert answer.out.splitlines() == [str(folder / "a" / "audio" / "0.wav"), str(folder / "0002" / "audio" / "0.wav")]
    assert [one["audio"][0] for one in records] == answer.out.splitlines()
    assert [(one["line"], one["status"], one["new"], one["seed"]) for one in records] == [
        (1, "finished", True, 3),
        (2, "finished", True, 7),
    ]
    assert records[0]["seconds"] == pytest.approx(0.224, abs=0.001)


def test_a_second_run_makes_nothing_again(jukectl, write, tmp_path, batches):
    manifest = write({**SHORT, "out": "a"}, {**SHORT, "out": "b", "seed": 4})
    first = jukectl("--quiet", "batch", manifest, "--workers", 1)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "songs").glob("*/*") if path.name != ".lock"}
    batches.clear()
    assert jukectl("--quiet", "batch", manifest, "--workers", 1).out == first.out
    assert batches == []
    assert {path: path.stat().st_mtime_ns for path in files} == files
    estimate = jukectl("--quiet", "--json", "batch", manifest, "--workers", 1, "--dry-run").json
    assert (estimate["songs"], estimate["unfinished"]) == (2, 0)


def test_options_of_the_batch_and_settings_hold_for_songs_without_them(jukectl, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("JUKECTL_ARTIST", "ada")
    manifest = tmp_path / "songs.csv"
    manifest.write_text("out,genre,seed\na,jazz,3\nb,jazz;ambient,4\n", "utf-8")
    options = ["--model", tiny_model, "--seconds", 0.224, "--levels", "top", "--format", "ogg", "--workers", 1]
    jukectl("--quiet", "batch", manifest, *options)
    recipes = [Song(tmp_path / "songs" / name).recipe() for name in "ab"]
    assert [recipe.labels.genres for recipe in recipes] == [("jazz",), ("jazz", "ambient")]
    assert [(recipe.labels.artist, recipe.seconds, recipe.levels) for recipe in recipes] == 2 * [
        ("ada", 0.224, (Level.TOP,))
    ]
    assert recipes[0].origins == {"artist": "JUKECTL_ARTIST"}
    assert (tmp_path / "songs" / "a" / "previews" / "top-0.ogg").exists()


def test_files_are_looked_for_beside_the_manifest(jukectl, write, tmp_path, riff):
    shutil.copy(riff, tmp_path / "riff.wav")
    jukectl("--quiet", "batch", write({**SHORT, "audio": "riff.wav", "levels": "top"}), "--workers", 1)
    assert Song(tmp_path / "songs" / "0001").recipe().prompt.source == str(tmp_path / "riff.wav")


# Mistakes

BAD: dict[str, dict[str, Any]] = {
    "a misspelt option": {"tempreature": 1},
    "an option of the batch": {"dry_run": True},
    "text for a number": {"seconds": "long"},
    "no length": {"seconds": 0},
    "a length of a day": {"seconds": 90_000},
    "no samples": {"samples": 0},
    "samples in words": {"samples": "two"},
    "more kept than made": {"samples": 2, "keep": 3},
    "a negative seed": {"seed": -1},
    "a seed in words": {"seed": "three"},
    "an unknown artist": {"artist": "nobody"},
    "an unknown genre": {"genre": "polka"},
    "levels without the top": {"levels": "bottom"},
    "an unknown level": {"levels": "upper"},
    "a temperature in words": {"temperature": "hot"},
    "a setting of an unknown level": {"temperature": {"upper": 1}},
    "a negative temperature": {"temperature": -1},
    "a probability over 1": {"top_p": 2},
    "part of a code": {"top_k": 1.5},
    "no advance": {"advance": 0},
    "no spans": {"parallel": 0},
    "an unknown format": {"format": "aiff"},
    "a loudness over 0": {"loudness": 5},
    "a negative fade": {"fade": -1},
    "two places in a song": {"start_at": 3, "ending": True},
    "lyrics that are not there": {"lyrics": "none.txt"},
    "a time of no notes": {"midi_at": 2},
    "an impossible tempo": {"tempo": 100_000},
    "an impossible meter": {"meter": "three"},
    "a recording that is not there": {"audio": "none.wav"},
    "a recording that is a list of songs": {"audio": "songs.jsonl"},
    "a schedule that is not there": {"schedule": "none.toml"},
    "an adapter that is not there": {"adapter": "none.safetensors"},
    "an unknown model": {"model": "none"},
    "an unknown device": {"device": "tpu"},
    "an unknown precision": {"precision": "fp4"},
    "memory in words": {"max_memory": "lots"},
    "neither true nor false": {"ending": "perhaps"},
    "a list for one value": {"seed": [1, 2]},
    "a table for a name": {"out": {"a": [1]}},
    "the start of no recording": {"start": 3},
    "a file in place of a folder": {"out": "../songs.jsonl"},
    "a folder of other files": {"out": "../other"},
    "the folder of another song": {"out": "first"},
    "a folder in another song's": {"out": "first/inside"},
}


def test_all_kinds_of_mistakes_are_reported_at_once_and_nothing_is_begun(jukectl, write, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    manifest = write({**SHORT, "out": "first"}, *({**SHORT, **values} for values in BAD.values()))
    with manifest.open("a", encoding="utf-8") as file:
        file.write('{"out": \n["b"]\n{"out": "c", "out": "d"}\n')
    answer = jukectl("batch", manifest, "--workers", 1, status=2)
    kinds = [*BAD, "no JSON", "no object", "a key twice"]
    reported = {int(line.removeprefix(f"{manifest}:").partition(":")[0]) for line in answer.err.splitlines()[:-1]}
    missed = [kind for number, kind in enumerate(kinds, 2) if number not in reported]
    assert len(kinds) > 30
    assert missed == []
    assert 1 not in reported
    assert answer.err.splitlines()[-1].endswith(f"mistakes in {manifest}: no song was begun")
    assert not (tmp_path / "songs").exists()
    assert "Traceback" not in answer.err


def test_a_mistake_in_the_header_is_reported_once(jukectl, tmp_path):
    manifest = tmp_path / "songs.csv"
    manifest.write_text("out,genra\na,Game\nb,Piano\n", "utf-8")
    answer = jukectl("batch", manifest, status=2)
    assert answer.err.splitlines() == [
        f"{manifest}:1: there is no option --genra: did you mean --genre?",
        f"jukectl: 1 mistake in {manifest}: no song was begun",
    ]


def test_mistakes_are_objects_for_scripts(jukectl, write):
    answer = jukectl("batch", write({"seconds": 0}), "--progress", "json", status=2)
    first, last = map(json.loads, answer.err.splitlines())
    assert (first["line"], last["status"]) == (1, 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_as_json_counts_the_codes_of_all_songs(jukectl, write, workers):
    manifest = write(SHORT, {**SHORT, "seed": 4, "samples": 2})
    events = [
        json.loads(line)
        for line in jukectl("batch", manifest, "--progress", "json", "--workers", workers).err.splitlines()
    ]
    assert {event["songs"] for event in events} == {2}
    assert events[-1]["finished"] == 2
    assert events[-1]["done"] == events[-1]["total"]
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert {event["level"] for event in events} == {"top", "middle", "bottom"}
    # nothing is left to count
    assert jukectl("batch", manifest, "--progress", "json", "--workers", workers).err == ""


# Failures


def test_a_worker_whose_starter_is_gone_ends_at_its_next_report(tmp_path, tiny_model, batches, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    entries = [Entry(line, tmp_path / str(line), Request(model=str(tiny_model), seconds=0.224)) for line in (1, 2)]
    receiver, sender = multiprocessing.Pipe(duplex=False)
    receiver.close()
    with pytest.raises(SystemExit):
        _work(entries, sender, 2**33)
    assert batches == [2]


def test_a_song_that_fails_stops_no_other_and_is_finished_by_the_next_run(jukectl, write, tmp_path, monkeypatch):
    songs = [{**SHORT, "out": name, "seed": seed} for seed, name in enumerate("abc")]
    manifest, save = write(*songs), Song.save

    def failing(self, codes):
        if self.path.name == "b" and codes.level is Level.MIDDLE:
            raise CannotWrite("cannot write middle.npz: no space left")
        save(self, codes)

    with monkeypatch.context() as patch:
        patch.setattr(Song, "save", failing)
        answer = jukectl("--quiet", "batch", manifest, "--workers", 1, status=1)
    folder = tmp_path / "songs"
    assert answer.out.splitlines() == [str(folder / name / "audio" / "0.wav") for name in "ac"]
    assert f"line 2, {folder / 'b'}: cannot write middle.npz: no space left" in answer.err.splitlines()
    records = {one["line"]: one for one in map(json.loads, (folder / "results.jsonl").read_text("utf-8").splitlines())}
    assert {line: one["status"] for line, one in records.items()} == {1: "finished", 2: "failed", 3: "finished"}
    again = jukectl("--quiet", "batch", manifest, "--workers", 1)
    assert len(again.out.splitlines()) == 3
    assert codes(folder / "b") == codes(
        alone(jukectl, tmp_path, {"model": json.loads(manifest.read_text().splitlines()[1])["model"], **songs[1]})
    )


def test_an_error_in_a_shared_batch_is_that_of_the_song_alone_that_causes_it(
    jukectl, write, tmp_path, monkeypatch, tiny_model
):
    manifest, sample = (
        write(*({**SHORT, "out": name, "seed": seed} for seed, name in enumerate("abc"))),
        WindowSampler.sample,
    )

    def failing(self, asked):
        if any(one.rows[0].job.seed == 1 for one in asked):
            raise RuntimeError("not finite")
        return sample(self, asked)

    monkeypatch.setattr(WindowSampler, "sample", failing)
    answer = jukectl("--quiet", "batch", manifest, "--workers", 1, status=1)
    assert [line.split("/")[-3] for line in answer.out.splitlines()] == ["a", "c"]
    assert "RuntimeError: not finite" in answer.err
    again = jukectl("batch", manifest, "--workers", 1, "--progress", "json", status=1)
    failed, last = [json.loads(line) for line in again.err.splitlines()][-2:]
    assert failed == {"line": 2, "song": str(tmp_path / "songs" / "b"), "error": "RuntimeError: not finite"}
    assert last["status"] == 1


def test_a_foreign_file_of_results_is_not_replaced(fails, write, tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "results.jsonl").write_text('{"mine": 1}\n')
    assert "another program's" in fails("batch", write(SHORT), "--workers", 1)
    assert (tmp_path / "songs" / "results.jsonl").read_text() == '{"mine": 1}\n'


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_batch_that_is_killed_is_finished_by_running_it_again(jukectl, write, tmp_path, tiny_model):
    songs = [{**SHORT, "out": name, "seed": seed, "seconds": 6} for seed, name in enumerate("ab")]
    manifest = write(*songs)
    command = [sys.executable, "-m", "jukectl", "batch", str(manifest), "--workers", "2"]
    begun = [tmp_path / "songs" / name / "top.npz" for name in "ab"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not all(path.exists() for path in begun):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = {name: Song(tmp_path / "songs" / name).codes(Level.TOP).array for name in "ab"}
    deadline = time.monotonic() + 60
    while jukectl_status(manifest) and time.monotonic() < deadline:
        time.sleep(0.5)  # the processes of the killed run end when they next report
    for song in songs:
        made = alone(jukectl, tmp_path / "alone", {"model": str(tiny_model), **song})
        assert codes(tmp_path / "songs" / song["out"]) == codes(made)
        before = kept[song["out"]]
        assert np.array_equal(before, Song(made).codes(Level.TOP).array[:, : before.shape[1]])


def jukectl_status(manifest):
    """Run a batch in this process and return its status."""
    from jukectl.cli.main import main

    return main(["--quiet", "batch", str(manifest), "--workers", "1"])


# Before


def test_a_dry_run_estimates_time_and_disk_and_makes_nothing(jukectl, write, tmp_path):
    manifest = write({**SHORT, "out": "a"}, {**SHORT, "out": "b", "seconds": 2})
    estimate = jukectl("--json", "batch", manifest, "--workers", 1, "--dry-run").json
    assert (estimate["songs"], estimate["unfinished"], estimate["workers"]) == (2, 2, 1)
    assert 0 < estimate["seconds"] < 1000
    assert not (tmp_path / "songs").exists()
    jukectl("--quiet", "batch", manifest, "--workers", 1)
    written = sum(path.stat().st_size for path in (tmp_path / "songs").rglob("*") if path.is_file())
    assert written / 3 < estimate["disk_bytes"] < written * 3


@pytest.mark.parametrize("name", ["my.csv", "my.jsonl", "my.toml"])
def test_init_writes_an_example_and_replaces_no_file(jukectl, fails, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert jukectl("--quiet", "batch", "--init", name).out == f"{name}\n"
    assert "exists already" in fails("batch", "--init", name)


def test_a_batch_that_stopped_before_the_choice_of_samples_makes_it_when_it_is_run_again(jukectl, write, monkeypatch):
    """All top codes were there, so the level lacked nothing; all samples were then made down to audio."""
    manifest = write({**SHORT, "samples": 3, "keep": 1})

    def stopped(job, quality):
        raise RuntimeError("stopped")

    with monkeypatch.context() as before:
        before.setattr("jukectl.render.song.keep_best", stopped)
        jukectl("batch", manifest, status=1)
    jukectl("batch", manifest)
    (song,) = manifest.with_suffix("").glob("*/song.toml")
    assert len(list((song.parent / "audio").glob("*.wav"))) == 1
