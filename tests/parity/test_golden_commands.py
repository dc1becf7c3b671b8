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


def begun(golden, song, recording: Path) -> list[object]:
    """The command that begins a song, and what it goes on from."""
    if not song["prompt"]:
        return ["sample"]
    heard = song["prompt"] * golden.hop("top") / golden.cases["sample_rate"]
    return ["continue", recording, "--prompt-seconds", heard]


def asked(golden, song, folder: Path) -> list[object]:
    """What a song is told and how long it is to be, as options."""
    rate = golden.cases["sample_rate"]
    options: list[object] = ["--artist", f"#{song['artist']}", *(f"--genre=#{genre}" for genre in song["genres"])]
    options += ["--seconds", song["new"] * golden.hop("top") / rate, "--song-seconds", song["total"] / rate]
    if song["lyrics"] is not None:
        (folder / "lyrics.txt").write_text(song["lyrics"], encoding="utf-8")
        options += ["--lyrics", folder / "lyrics.txt"]
    return options


def test_songs_sampled_greedily_have_the_same_codes(golden, native, recording, command, tmp_path):
    for number, song in enumerate(golden.cases["songs"]):
        out = tmp_path / str(number)
        command(
            "--quiet", *begun(golden, song, recording), "--out", out, "--model", native, "--top-k", 1,
            "--levels", "top", *asked(golden, song, tmp_path),
        )  # fmt: skip
        assert np.array_equal(codes_in(out, "top"), golden.arrays[f"songs/{number}/top"]), song["name"]
        command("--quiet", "upsample", out, "--top-k", 1)
        for level in LEVELS[1:]:
            expected = golden.arrays[f"songs/{number}/{level}"]
            assert np.array_equal(codes_in(out, level), expected), (song["name"], level)


def test_all_samples_of_one_song_are_those_of_the_port(golden, native, recording, command, tmp_path):
    number, song = len(golden.cases["songs"]) - 1, golden.cases["songs"][-1]
    command(
        "--quiet", *begun(golden, song, recording), "--out", tmp_path / "song", "--model", native, "--temperature", 0,
        "--samples", 2, *asked(golden, song, tmp_path),
    )  # fmt: skip
    for level in LEVELS:
        expected = np.repeat(golden.arrays[f"songs/{number}/{level}"], 2, axis=0)
        assert np.array_equal(codes_in(tmp_path / "song", level), expected)
