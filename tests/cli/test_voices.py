"""Mixtures, schedules, guidance, places in a song and fades on the command line."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

GOLDEN = Path(__file__).parents[1] / "golden"
DUET = """
[[change]]
at = 0.1
artist = "Björk B."
temperature = { top = 0.5 }
guidance = 1.5
"""


@pytest.fixture
def draft(style, tmp_path):
    """Arguments that make a draft."""
    return ["sample", "--out", tmp_path / "song", *style, "--levels", "top"]


@pytest.fixture
def duet(tmp_path):
    """A schedule file."""
    path = tmp_path / "duet.toml"
    path.write_text(DUET, encoding="utf-8")
    return path


def recipe(path):
    return tomllib.loads((path / "song.toml").read_text(encoding="utf-8"))


def codes(path):
    return np.load(path / "top.npz")["codes"]


def test_mixtures_schedule_and_guidance_are_kept_in_the_recipe(jukectl, draft, duet, tmp_path):
    options = [*draft, "--artist", "ADA:0.6+#2:0.4", "--genre", "jazz:0.5+Ambient:0.5", "--schedule", duet]
    options += ["--guidance", "top=2,middle=1.5", "--song-seconds", "9", "--start-at", "4"]
    answer = jukectl(*options)
    assert answer.out.splitlines() == [str(tmp_path / "song/previews/top-0.wav")]
    made = recipe(tmp_path / "song")
    assert made["labels"] == {"artist": "ADA:0.6+#2:0.4", "genres": ["JAZZ", "jazz:0.5+Ambient:0.5"]}
    assert made["schedule"] == [
        {
            "at": 0.1,
            "artist": "Björk B.",
            "temperature": {"top": 0.5},
            "guidance": {"top": 1.5, "middle": 1.5, "bottom": 1.5},
        }
    ]
    assert [made["sampling"][level].get("guidance") for level in ("top", "middle", "bottom")] == [2.0, 1.5, None]
    assert (made["song_seconds"], made["start_at"]) == (9.0, 4.0)
    duet.unlink()
    (tmp_path / "song/top.npz").unlink()
    jukectl("resume", tmp_path / "song")
    duet.write_text(DUET, encoding="utf-8")
    assert "finished already" in jukectl(*options).err


def test_a_schedule_counts_from_the_beginning_of_the_recording(jukectl, riff, style, duet, tmp_path):
    given = ["continue", riff, "--prompt-seconds", "0.064", *style, "--levels", "top"]
    jukectl(*given, "--out", tmp_path / "duet", "--schedule", duet)
    jukectl(*given, "--out", tmp_path / "alone")
    alone, both = codes(tmp_path / "alone"), codes(tmp_path / "duet")
    assert alone.shape == both.shape == (1, 9)  # of which 2 are the prompt's, and 0.1 s are 3
    assert np.array_equal(alone[:, :3], both[:, :3])


def test_a_wrong_schedule_is_refused_with_file_and_reason(fails, draft, duet, tmp_path):
    assert "later.toml: No such file" in fails(*draft, "--schedule", tmp_path / "later.toml")
    assert "not a regular file" in fails(*draft, "--schedule", tmp_path)
    duet.write_text("[[change]]\nat = 0.1\nvoice = 3")
    assert f"{duet}: change[0].voice is not known" in fails(*draft, "--schedule", duet)
    duet.write_bytes(b"caf\xe9")
    assert "is not UTF-8 (byte 3)" in fails(*draft, "--schedule", duet)
    duet.write_text('[[change]]\nat = 0.1\nartist = "Addda"')
    assert "no artist is called 'Addda'. The nearest: Ada" in fails(*draft, "--schedule", duet)
    duet.write_text('[[change]]\nat = 5\nartist = "Ada"')
    assert "scheduled for 5 s, and the song is over at 0.224 s" in fails(*draft, "--schedule", duet)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--artist", "Ada:0.5+Björk B."], "give each name of the mixture a weight"),
        (["--artist", "Ada:0.5+Nobody:0.5"], "no artist is called 'Nobody'"),
        (["--artist", "Ada:1e9"], "weights are from -100 to 100"),
        (["--guidance", "-1"], "guidance must be 0 or more"),
        (["--guidance", "nan"], "guidance must be 0 or more"),
        (["--guidance", "strong"], "--guidance takes a number"),
        (["--start-at", "-3"], "--start-at must be from 0"),
        (["--start-at", "3", "--ending"], "leave one of them out"),
        (["--start-at", "30", "--song-seconds", "20"], "--start-at 30 lies past the end of the song"),
        (["--fade", "-1"], "--fade is from 0"),
    ],
)
def test_invalid_mixtures_and_places_are_refused_before_anything_is_written(fails, draft, tmp_path, options, reason):
    assert reason in fails(*draft, *options)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize("name", ["one-sequence", "no-lyrics"])
def test_mixtures_and_schedules_work_on_published_layouts(jukectl, tmp_path, name):
    schedule = tmp_path / "duet.toml"
    schedule.write_text('[[change]]\nat = 0.05\nartist = "#1"\nguidance = 2')
    given = ["sample", "--model", GOLDEN / name / "model", "--seconds", "0.1", "--seed", "3", "--levels", "top"]
    jukectl(*given, "--out", tmp_path / "pure", "--artist", "#2", "--genre", "#1")
    jukectl(*given, "--out", tmp_path / "mixed", "--artist", "#2:1+#1:0", "--genre", "#1:1")
    answer = jukectl(*given, "--out", tmp_path / "duet", "--artist", "#2", "--genre", "#1", "--schedule", schedule)
    assert "guidance needs: it may not help there" in " ".join(answer.err.split())
    pure, mixed, duet = (codes(tmp_path / song) for song in ("pure", "mixed", "duet"))
    assert np.array_equal(pure, mixed)
    assert not np.array_equal(pure, duet)


def test_a_fade_changes_only_the_end_of_the_audio(jukectl, song):
    (path,) = jukectl("decode", song, "--sample", "0").out.splitlines()
    whole, rate = soundfile.read(path)
    jukectl("decode", song, "--sample", "0", "--fade", "0.1")
    faded, _ = soundfile.read(path)
    assert np.array_equal(whole[: -rate // 10], faded[: -rate // 10])
    assert abs(faded[-1]) < 1e-3
    tail = slice(-rate // 20, None)
    assert 0 < np.square(faded[tail]).sum() < np.square(whole[tail]).sum()
    jukectl("decode", song, "--sample", "0", "--fade", "60")  # longer than the song
    assert len(soundfile.read(path)[0]) == len(whole)
