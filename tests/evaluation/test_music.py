"""`jukectl eval music`, from the command line to the figures."""

import json

import numpy as np
import pytest
from music_fixtures import RATE, music, save_music

from jukectl.evaluation.music import evaluate_music
from jukectl.midi.notes import Notes


def noise(seed):
    return (0.1 * np.random.default_rng(seed).standard_normal(4 * RATE)).astype(np.float32)


def genre_file(path, genre):
    path.with_suffix(".toml").write_text(f'genres = ["{genre}"]\n')
    return path


@pytest.fixture
def recordings(tmp_path):
    """A manifest of tunes and of noise, eight of each, two of them held out."""
    rows = []
    for number in range(16):
        genre = ("Tune", "Noise")[number % 2]
        samples = music(4, number) if genre == "Tune" else noise(number)
        save_music(tmp_path / "music" / f"{number}.wav", samples)
        row = {"path": f"{number}.wav", "seconds": 4.0, "sample_rate": RATE, "channels": 1, "genres": [genre]}
        rows.append({**row, "split": "validation" if number < 4 else "train"})
    path = tmp_path / "music" / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def songs(tmp_path):
    """Audio files: a tune, noise that was to be a tune, and silence of no genre."""
    return [
        genre_file(save_music(tmp_path / "tune.wav", music(4, 50)), "Tune"),
        genre_file(save_music(tmp_path / "miss.wav", noise(50)), "tune"),
        save_music(tmp_path / "silence.wav", np.zeros(4 * RATE, np.float32)),
    ]


def test_songs_are_measured_and_compared_with_recordings(run, songs, recordings):
    facts = json.loads(run("--json", "eval", "music", *songs, "--against", recordings))
    tune, miss, silence = facts["songs"]
    assert (tune["recognised"], tune["genre_recognised"], miss["recognised"], miss["genre_recognised"]) == (
        "Tune",
        True,
        "Noise",
        False,
    )
    assert (silence["genre"], silence["genre_recognised"], silence["key"], silence["nearly_silent"]) == (
        None,
        None,
        None,
        True,
    )
    assert (tune["seconds"], tune["nearly_silent"], tune["lufs"] > -25) == (4.0, False, True)
    assert facts["genres"]["Tune"]["beat"] == pytest.approx(tune["beat"], abs=1e-4)
    assert (facts["all"]["songs"], facts["all"]["nearly_silent"], facts["all"]["genre_recognised"]) == (3, 1, 0.5)
    assert facts["recordings"]["songs"] == 4
    assert (facts["genres_learned"], facts["genre_chance"], facts["genre_accuracy"]) == (["Noise", "Tune"], 0.5, 1.0)
    assert facts["fd_mel"] > facts["fd_mel_recordings"] > 0
    flat = [*facts["songs"], *facts["genres"].values(), facts["all"], facts["recordings"]]
    assert not any(isinstance(value, dict | list) for row in flat for value in row.values())


def test_a_table_has_a_row_for_each_genre_and_one_for_recordings(run, songs, recordings):
    table = run("--quiet", "eval", "music", *songs, "--against", recordings)
    for words in ("| Tune ", "| no genre ", "| all ", "| held-out recordings ", "FD-mel", "genre recognised, of 2"):
        assert words in table


def test_without_a_manifest_songs_are_measured_alone_and_prompts_are_left_out(run, prompted_song):
    facts = json.loads(run("--json", "eval", "music", prompted_song))
    assert [(one["name"], one["seconds"]) for one in facts["songs"]] == [("song/0", 1.024), ("song/1", 1.024)]
    assert (facts["fd_mel"], facts["genre_accuracy"], facts["recordings"]) == (None, None, None)


def test_notes_are_those_of_the_transcription(songs):
    found = Notes.of([(0.0, 1.0, 60, 90, False), (2.0, 3.0, 64, 90, False)])
    facts = evaluate_music(songs[:1], transcriber=lambda samples: found)
    assert (facts["all"]["notes_per_second"], facts["all"]["rests"]) == (0.5, 0.5)


def test_recordings_that_are_damaged_or_too_short_are_skipped(run, songs, recordings):
    (recordings.parent / "1.wav").write_text("no audio")
    save_music(recordings.parent / "8.wav", music(0.05, 0))
    facts = json.loads(run("--json", "eval", "music", songs[0], "--against", recordings))
    assert facts["recordings"]["songs"] == 3
    damaged, short = facts["skipped"]
    assert "1.wav" in damaged and "8.wav is too short: 0.05 s, and 1 s are needed" in short


@pytest.mark.parametrize("what", ["nothing", "too short", "no manifest", "held out", "no held out"])
def test_bad_input_is_one_line_with_the_way_out(run, songs, recordings, tmp_path, what):
    short = save_music(tmp_path / "short.wav", music(0.5, 0))
    globs = tmp_path / "globs.txt"
    globs.write_text("0.wav\n")
    plain = recordings.with_name("plain.jsonl")
    plain.write_text(recordings.read_text().replace("validation", "train"))
    arguments, words = {
        "nothing": ([tmp_path / "nothing"], "nothing"),
        "too short": ([short], "0.50 s of new music, and 1 s are needed"),
        "no manifest": ([songs[0], "--against", tmp_path / "none.jsonl"], "jukectl data scan"),
        "held out": ([songs[0], "--held-out", globs], "--against"),
        "no held out": ([songs[0], "--against", plain], "--held-out FILE"),
    }[what]
    said = run("--quiet", "eval", "music", *arguments, status=2).splitlines()
    assert len(said) == 1 and words in said[0]
