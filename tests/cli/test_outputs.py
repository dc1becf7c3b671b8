"""Commands without --out make new folders, numbered; - is stdin for a recording and stdout for audio."""

import io
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from jukectl.cli import outputs
from jukectl.cli.console import Console
from jukectl.cli.main import main
from jukectl.cli.outputs import again, named_after
from jukectl.folders import Series

CONTEXT: Any = SimpleNamespace(obj=Console())


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def short(tiny_model):
    """Options of a short song with a random seed."""
    return ["--model", str(tiny_model), "--artist", "ada", "--genre", "jazz", "--seconds", "0.224"]


@pytest.fixture
def music(riff, tmp_path):
    """A folder with a recording."""
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "riff.wav").write_bytes(riff.read_bytes())
    return folder


# Names


@pytest.mark.parametrize(
    ("there", "number", "made"),
    [
        ([], 0, "riff"),
        (["riff"], 1, "riff-2"),
        (["riff", "riff-2", "riff-7"], 7, "riff-8"),
        (["riff-continued", "riff-2x", "riffs", "a-riff"], 0, "riff"),
    ],
)
def test_a_series_goes_on_after_its_highest_number(tmp_path, there, number, made):
    for name in there:
        (tmp_path / name).mkdir()
    series = Series(tmp_path, "riff")
    assert series.last() == number
    assert series.reserve() == tmp_path / made
    assert (tmp_path / made).is_dir()


def test_numbers_with_leading_zeros_are_followed_past_them(tmp_path):
    (tmp_path / "song-9999").mkdir()
    (tmp_path / "song-3").write_text("not a folder")
    assert Series(tmp_path, "song", digits=4).reserve().name == "song-10000"


def test_files_of_a_series_keep_their_suffix(tmp_path):
    series = Series(tmp_path, "song", suffix=".lrc")
    (tmp_path / "song.txt").touch()
    assert series.next().name == "song.lrc"
    (tmp_path / "song.lrc").touch()
    assert series.next().name == "song-2.lrc"


def test_special_characters_of_a_name_match_only_themselves(tmp_path):
    (tmp_path / "riff (1).x").mkdir()
    assert Series(tmp_path, "riff (1)+").last() == 0


def test_two_processes_never_get_the_same_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from jukectl.folders import Series\n"
        "series = Series(Path(sys.argv[1]), 'song', digits=4)\n"
        "for _ in range(50): print(series.reserve().name)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    names = [name for process in running for name in process.communicate()[0].split()]
    assert sorted(names) == [f"song-{number:04}" for number in range(1, 151)]


def test_a_recording_in_a_folder_that_cannot_be_written_to_gets_its_song_here(music, here, monkeypatch):
    assert named_after(CONTEXT, music / "riff.wav", "continued").place == music
    monkeypatch.setattr("jukectl.folders.os.access", lambda path, mode: Path(path) != music)
    assert named_after(CONTEXT, music / "riff.wav", "continued").folder(1) == Path("riff-continued")


# Commands


def test_continue_works_twice_in_a_row_without_out(jukectl, short, music, here):
    for name in ("riff-continued", "riff-continued-2", "riff-continued-3"):
        assert jukectl("continue", music / "riff.wav", *short).out == f"{music / name}/audio/0.wav\n"
    first, second = ((music / name / "song.toml").read_text() for name in ("riff-continued", "riff-continued-2"))
    assert first != second  # other seeds
    assert not any(here.iterdir())


def test_continue_in_a_folder_that_cannot_be_written_to_makes_the_song_here(jukectl, short, music, here, monkeypatch):
    monkeypatch.setattr(outputs, "is_writable", lambda folder: folder != music)
    for name in ("riff-continued", "riff-continued-2"):
        assert jukectl("continue", music / "riff.wav", *short).out == f"{name}/audio/0.wav\n"
    assert [path.name for path in music.iterdir()] == ["riff.wav"]


def test_sample_and_encode_number_their_folders(jukectl, short, music, here, tiny_model):
    assert [jukectl("sample", *short).out for _ in range(2)] == [f"song-000{n}/audio/0.wav\n" for n in (1, 2)]
    first, second = (
        jukectl("encode", music / "riff.wav", "--model", tiny_model, "--levels", "top").out for _ in range(2)
    )
    assert (first, second) == (f"{music}/riff-codes/top.npz\n", f"{music}/riff-codes-2/top.npz\n")


def test_a_folder_of_that_name_is_left_alone(jukectl, short, here):
    (here / "song-0001").mkdir()
    (here / "song-0001/letter.txt").write_text("mine")
    assert jukectl("sample", *short).out == "song-0002/audio/0.wav\n"
    assert [path.name for path in (here / "song-0001").iterdir()] == ["letter.txt"]


def test_resume_last_resumes_the_newest_song_and_begins_one_without_any(jukectl, short, here):
    first = jukectl("sample", *short, "--resume-last")
    assert first.out == "song-0001/audio/0.wav\n"
    assert jukectl("sample", *short).out == "song-0002/audio/0.wav\n"
    (here / "song-0002/audio/0.wav").unlink()
    assert jukectl("sample", *short, "--resume-last").out == "song-0002/audio/0.wav\n"
    assert sorted(path.name for path in here.iterdir()) == ["song-0001", "song-0002"]


def test_resume_last_with_other_options_names_the_difference(jukectl, fails, short, here):
    jukectl("sample", *short)
    assert "genre" in fails("sample", *short, "--genre", "ambient", "--resume-last")


def test_resume_last_excludes_out(fails, short, here):
    assert "--resume-last" in fails("sample", *short, "--resume-last", "--out", "song")


@pytest.mark.parametrize("wrong", [["--genre", "polka"], ["--device", "tpu"], ["--samples", "0"]])
def test_a_command_that_fails_at_once_leaves_no_folder(fails, short, here, wrong):
    fails("sample", *short, *wrong)
    assert not any(here.iterdir())


def test_a_recording_that_does_not_exist_leaves_no_folder(fails, short, here):
    assert "gone.wav" in fails("continue", "gone.wav", *short)
    assert not any(here.iterdir())


def test_a_dry_run_names_the_folder_and_makes_none(jukectl, short, here):
    assert jukectl("--json", "sample", "--dry-run", *short).json["song"] == "song-0001"
    assert not any(here.iterdir())


def test_the_command_to_resume_names_the_folder_that_was_chosen(tmp_path, finished):
    given = ["sample", "--resume-last", "--seed", "1"]
    assert again(given, None) == "jukectl sample --seed 1"
    assert again(given, tmp_path) == "jukectl sample --seed 1"  # nothing was begun there
    assert again(given, finished) == f"jukectl sample --seed 1 --out {finished}"
    assert again(["continue", "-", "--genre", "x"], finished) == f"jukectl resume {finished}"
    assert again(["sample", "--out", "song", "--overwrite"], None) == "jukectl sample --out song"


def test_a_branch_in_another_style_gets_the_next_folder_and_the_same_branch_its_own(jukectl, song, here):
    options = ["branch", song, "--at", "0.1", "--seconds", "0.1"]
    made = [jukectl(*options, "--genre", genre).out for genre in ("jazz", "ambient", "jazz")]
    first, second = (f"{song.parent}/song-branch-0.1{end}/audio/0.wav\n" for end in ("", "-2"))
    assert made == [first, second, first]


def test_a_song_in_a_folder_that_cannot_be_written_to_is_varied_here(jukectl, song, here, monkeypatch):
    monkeypatch.setattr("jukectl.variations.pick.is_writable", lambda folder: False)
    assert jukectl("pick", song, "--sample", "1").out == "song-sample-1\n"


@pytest.mark.parametrize("options", [[], ["--resume-last"]])
def test_ctrl_c_without_out_names_the_folder_that_was_begun(jukectl, short, here, monkeypatch, options):
    jukectl("sample", *short)
    begun = "song-0001" if options else "song-0002"

    def stop(*_, **__):
        (here / begun).mkdir(exist_ok=True)
        (here / begun / "song.toml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("jukectl.api.sample", stop)
    said = jukectl("sample", *short, *options, status=130).err
    assert said.rstrip().endswith(f"Resume with: jukectl sample {shlex.join(short)} --out {begun}")


# Streams


@pytest.fixture
def piped(monkeypatch, capsysbinary):
    """Run a command line on bytes from stdin; return its status, its bytes on stdout, and its stderr."""

    def run(*arguments, data=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        capsysbinary.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return status, out, err.decode()

    return run


@pytest.fixture
def process(warm_jukectl):
    """Run a command line in a process, in bytes."""

    def run(*given, **rest):
        return subprocess.run([*warm_jukectl, *map(str, given)], capture_output=True, check=False, **rest)

    return run


def test_a_recording_from_stdin_becomes_a_song_on_stdout(process, short, riff, here):
    options = [*short, "--seed", "3"]
    done = process("continue", "-", "--out", "-", *options, input=riff.read_bytes())
    assert done.returncode == 0, done.stderr
    assert not any(here.iterdir())
    assert main(["continue", str(riff), "--out", "song", *options]) == 0
    assert done.stdout == (here / "song/audio/0.wav").read_bytes()


def test_audio_on_stdout_has_the_format_asked_for(piped, short, here):
    _, out, _ = piped("sample", "--out", "-", "--format", "flac", *short)
    with soundfile.SoundFile(io.BytesIO(out)) as file:
        assert (file.format, file.samplerate) == ("FLAC", 8_000)


def test_codes_are_made_of_stdin(piped, tiny_model, riff, here):
    _, out, _ = piped("encode", "-", "--model", tiny_model, data=riff.read_bytes())
    assert out.decode().split()[0] == "recording-codes/top.npz"
    assert main(["encode", str(riff), "--model", str(tiny_model), "--out", "other"]) == 0
    for level in ("top", "middle", "bottom"):
        first, second = (np.load(here / name / f"{level}.npz")["codes"] for name in ("recording-codes", "other"))
        assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "data", "named"),
    [
        (["continue", "-"], b"", "stdin is empty"),
        (["continue", "-"], b"no sound at all", "stdin"),
        (["--json", "sample", "--out", "-"], b"", "--json"),
        (["sample", "--out", "-", "--samples", "2"], b"", "--samples"),
        (["encode", "-", "--out", "-"], b"", "folder"),
    ],
)
def test_streams_that_cannot_work_are_refused(piped, short, here, arguments, data, named):
    status, out, err = piped(*arguments, *([] if "encode" in arguments else short), data=data)
    assert (status, out) == (2, b"")
    assert named in err
    assert not any(here.iterdir())


def test_the_best_of_several_goes_to_stdout(piped, short, here):
    _, out, _ = piped("sample", "--out", "-", "--samples", 3, "--keep", 1, *short)
    assert soundfile.info(io.BytesIO(out)).samplerate == 8_000
    assert not any(here.iterdir())


def test_decoded_audio_goes_to_stdout_too(piped, song):
    _, out, _ = piped("decode", song, "--sample", 1, "--format", "ogg", "--out", "-")
    assert out == (song / "audio/1.ogg").read_bytes()
    status, out, err = piped("decode", song, "--out", "-")
    assert (status, out) == (2, b"")
    assert "--sample" in err


@pytest.mark.parametrize(
    "command", [["branch"], ["pick", "--sample", "0"], ["cut", "--at", "0.1"], ["tree"], ["upsample", "--sample", "0"]]
)
def test_commands_that_make_folders_refuse_stdout(fails, song, here, command):
    assert "jukectl decode SONG --out -" in fails(*command, song, "--out", "-")
    assert not any(here.iterdir())


def test_audio_neither_goes_to_a_terminal_nor_comes_from_one(fails, short, here, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert "terminal" in fails("continue", "-", *short)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "terminal" in fails("sample", "--out", "-", *short)


# Formats


@pytest.mark.parametrize("name", ["flac", "ogg", "mp3"])
def test_a_song_keeps_the_format_of_its_audio(jukectl, short, here, name):
    answer = jukectl("sample", "--out", "song", "--format", name, *short)
    assert answer.out == f"song/audio/0.{name}\n"
    assert jukectl("--json", "info", "song").json["unfinished"] == []
    assert jukectl("resume", "song").out == f"song/audio/0.{name}\n"
    assert [path.name for path in (here / "song/audio").iterdir()] == [f"0.{name}"]
