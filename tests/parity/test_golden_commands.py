"""What a user types gives the port's codes: convert, encode, sample, continue and upsample, with lyrics and labels."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from jukectl.codes.level import TOP_DOWN

LEVELS = tuple(level.label for level in TOP_DOWN)


@pytest.fixture
def recording(golden, tmp_path):
    """The recording as a file, no bit of it lost."""
    path = tmp_path / "recording.wav"
    soundfile.write(path, golden.arrays["recording"], golden.cases["sample_rate"], subtype="FLOAT")
    return path


def codes_in(song: Path, level: str) -> np.ndarray:
    with np.load(song / f"{level}.npz", allow_pickle=False) as file:
        return file["codes"].astype(np.int64)


def test_encode_gives_the_codes_of_a_recording(golden, native, recording, command, tmp_path):
    command("encode", recording, "--out", tmp_path / "song", "--model", native)
    for level in LEVELS:
        assert np.array_equal(codes_in(tmp_path / "song", level), golden.arrays[f"codes/{level}"])


def test_songs_sampled_greedily_have_the_same_codes(golden, native, recording, command, tmp_path):
    rate = golden.cases["sample_rate"]

    def seconds(codes: int) -> str:
        return repr(codes * golden.hop("top") / rate)

    for number, song in enumerate(golden.cases["songs"]):
        out = tmp_path / str(number)
        told = ["--artist", f"#{song['artist']}", *(f"--genre=#{genre}" for genre in song["genres"])]
        told += ["--song-seconds", repr(song["total"] / rate), "--seconds", seconds(song["new"])]
        if song["lyrics"] is not None:
            text = tmp_path / "lyrics.txt"
            text.write_text(song["lyrics"], encoding="utf-8")
            told += ["--lyrics", str(text)]
        options = ["--out", out, "--model", native, "--device", "cpu", "--top-k", 1]
        if song["prompt"]:
            begin = ["continue", recording, "--prompt-seconds", seconds(song["prompt"])]
        else:
            begin = ["sample"]
        command("--quiet", *begin, *options, *told, "--levels", "top")
        expected = golden.arrays[f"songs/{number}/top"]
        assert np.array_equal(codes_in(out, "top"), expected), song["name"]
        command("--quiet", "upsample", out, "--top-k", 1)
        for level in LEVELS[1:]:
            assert np.array_equal(codes_in(out, level), golden.arrays[f"songs/{number}/{level}"]), (song["name"], level)


def test_samples_of_one_song_are_all_the_same_when_greedy(golden, native, command, tmp_path):
    number, song = next((number, song) for number, song in enumerate(golden.cases["songs"]) if not song["prompt"])
    rate = golden.cases["sample_rate"]
    told = ["--artist", f"#{song['artist']}", *(f"--genre=#{genre}" for genre in song["genres"])]
    if song["lyrics"] is not None:
        (tmp_path / "lyrics.txt").write_text(song["lyrics"], encoding="utf-8")
        told += ["--lyrics", tmp_path / "lyrics.txt"]
    lengths = ["--seconds", song["new"] * golden.hop("top") / rate, "--song-seconds", song["total"] / rate]
    command(
        "--quiet", "sample", "--out", tmp_path / "song", "--model", native, "--levels", "top", "--temperature", 0,
        "--samples", 2, *lengths, *told,
    )  # fmt: skip
    expected = golden.arrays[f"songs/{number}/top"]
    assert np.array_equal(codes_in(tmp_path / "song", "top"), np.repeat(expected, 2, axis=0))
