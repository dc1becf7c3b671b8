"""Errors, help and global options: one line on stderr, the right exit status, and a traceback only with --verbose."""

import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from jukectl.cli.commands import LOOK, MAKE, MODELS, TRAIN

RATE = 8_000  # Hz


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["continue", "--out", "x"], "Missing argument 'audio'"),
        (["sample", "--out", "x", "--seed", "one"], "--seed"),
        (["sample", "--out", "x", "--seconds", "long"], "--seconds"),
        (["sample", "--out", "x", "--sead", "1"], "No such option"),
        (["sing"], "No such command 'sing'"),
        (["models", "eat"], "No such command 'eat'"),
        (["sample", "--out", "x", "extra"], "extra"),
    ],
)
def test_a_usage_error_names_the_mistake_and_the_help_to_read(fails, arguments, named):
    line = fails(*arguments)
    assert named in line
    command = "jukectl" if arguments == ["sing"] else f"jukectl {arguments[0]}"
    assert line.endswith(f"See: {command} --help")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--temperature", "abc"], "--temperature"),
        (["--temperature", "top=hot"], "--temperature"),
        (["--temperature", "0.9,bottom=1"], "--temperature"),
        (["--temperature", "roof=1"], "'roof'"),
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--top-p", "2"], "top_p"),
        (["--top-p", "0"], "top_p"),
        (["--top-k", "2.5"], "--top-k"),
        (["--expected", "0.5"], "--expected"),
        (["--top-k", "nan"], "--top-k"),
        (["--top-k", "-3"], "top_k"),
        (["--advance", "0"], "advance"),
        (["--advance", "1.5"], "advance"),
        (["--levels", "bottom"], "--levels"),
        (["--levels", "top,bottom"], "--levels"),
        (["--levels", ""], "--levels"),
        (["--levels", "roof"], "'roof'"),
        (["--preview", "roof"], "'roof'"),
        (["--samples", "0"], "--samples"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**63)], "--seed"),
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--seconds", "1e9"], "--seconds"),
        (["--song-seconds", "-1"], "song_seconds"),
        (["--loudness", "6"], "--loudness"),
        (["--device", "tpu"], "--device"),
        (["--precision", "int4"], "--precision"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_an_invalid_option_value_is_named_and_no_folder_is_created(fails, style, tmp_path, options, named):
    assert named in fails("sample", "--out", tmp_path / "song", *style, *options)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize(("option", "name", "near"), [("--artist", "Ad", "Ada"), ("--genre", "Jaz", "Jazz")])
def test_an_unknown_artist_or_genre_gets_a_suggestion(fails, style, tmp_path, option, name, near):
    line = fails("sample", "--out", tmp_path / "song", *style, option, name)
    assert f"'{name}'" in line
    assert near in line
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize(
    "options", [["--start", "-1"], ["--start", "99"], ["--prompt-seconds", "0"], ["--start", "nan"]], ids=" ".join
)
def test_continue_refuses_a_part_outside_the_recording(fails, style, riff, tmp_path, options):
    fails("continue", riff, "--out", tmp_path / "song", *style, *options)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize(("option", "value"), [("--level", "roof"), ("--format", "aiff"), ("--sample", 2)])
def test_decode_refuses_unknown_levels_formats_and_samples(fails, song, option, value):
    assert str(value) in fails("decode", song, option, value)


# Bad files


@pytest.fixture
def bad(tmp_path):
    """A folder of files that cannot be used as recordings."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("This is no music.\n" * 50)
    (tmp_path / "folder.wav").mkdir()
    nan = np.zeros(RATE, dtype=np.float32)
    nan[RATE // 2] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "click.wav", np.ones(100), RATE)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *(
            ("continue", name)
            for name in ("missing.wav", "empty.wav", "text.wav", "folder.wav", "nan.wav", "click.wav")
        ),
        *(("encode", name) for name in ("missing.wav", "nan.wav")),
    ],
)
def test_an_unusable_recording_is_named_in_the_error(fails, style, bad, tiny_model, command, name):
    options = style if command == "continue" else ["--model", tiny_model]
    assert name in fails(command, bad / name, "--out", bad / "song", *options)
    assert not (bad / "song").exists()


@pytest.mark.parametrize(
    ("rate", "channels", "seconds", "loud"),
    [(8_000, 1, 0.1, 0.1), (8_000, 1, 0.5, 0.1), (96_000, 6, 0.3, 0.1), (44_100, 2, 0.3, 0.1), (44_100, 2, 0.3, 0.0)],
)
def test_short_silent_and_surround_recordings_are_continued(jukectl, style, tmp_path, rate, channels, seconds, loud):
    samples = np.random.default_rng(0).normal(scale=loud, size=(round(rate * seconds), channels))
    soundfile.write(tmp_path / "odd.wav", samples, rate)
    jukectl("continue", tmp_path / "odd.wav", "--out", tmp_path / "song", *style)
    frames = (int(seconds * RATE) // 256 + 7) * 256
    assert soundfile.info(tmp_path / "song/audio/0.wav").frames == frames


@pytest.mark.parametrize("command", ["resume", "upsample", "decode", "info"])
def test_a_path_that_is_not_a_song_is_named_in_the_error(fails, tmp_path, command):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("hello")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "song.toml").write_text("seed = ")
    for name in ("missing", "empty", "file", "broken"):
        assert name in fails(command, tmp_path / name)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(("command", "size"), [("resume", 0), ("upsample", 1), ("decode", 100), ("info", -1)])
def test_a_truncated_archive_is_named_in_the_error_and_left_unchanged(fails, song, command, size):
    path = song / "bottom.npz"
    damaged = path.read_bytes()[:size]
    path.write_bytes(damaged)
    line = fails(command, song)
    assert str(path) in line
    assert "jukectl resume" in line
    assert path.read_bytes() == damaged


def test_a_file_at_the_path_of_the_song_folder_is_not_overwritten(fails, style, tmp_path):
    (tmp_path / "song").write_text("mine")
    assert "--out" in fails("sample", "--out", tmp_path / "song", *style, "--overwrite")
    assert (tmp_path / "song").read_text() == "mine"


def test_a_damaged_weights_file_is_named_in_the_error(fails, style, tiny_model, tmp_path):
    import shutil

    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "middle.safetensors").write_bytes(b"damaged")
    assert "middle.safetensors" in fails("sample", "--out", tmp_path / "song", *style, "--model", model)


def test_resuming_a_song_locked_by_another_process_exits_with_status_one(fails, song):
    from jukectl.codes.song import Song

    with Song(song).lock():
        assert "another jukectl is working on" in fails("resume", song, status=1)


# Errors of the machine


def raising(error):
    def work(*arguments, **options):
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/some/where"), "/some/where: No space left on device"),
        (PermissionError(13, "Permission denied", "/music/x"), "/music/x: Permission denied"),
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), "of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), "out of memory"),
    ],
)
def test_system_errors_exit_with_status_one(fails, song, monkeypatch, error, said):
    monkeypatch.setattr("jukectl.api.describe_path", raising(error))
    assert said in fails("info", song, status=1)


def test_an_unexpected_error_keeps_its_traceback(jukectl, song, monkeypatch):
    monkeypatch.setattr("jukectl.api.describe_path", raising(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        jukectl("info", song)


def test_verbose_shows_the_traceback_of_any_error(jukectl, tmp_path):
    for option in ("--verbose", "-v"):
        answer = jukectl(option, "info", tmp_path / "missing", status=2)
        assert "Traceback" in answer.err
        assert answer.err.splitlines()[-1].startswith("jukectl: there is no song folder")


def test_ctrl_c_prints_the_command_that_resumes(jukectl, song, monkeypatch):
    monkeypatch.setattr("jukectl.api.upsample", raising(KeyboardInterrupt()))
    answer = jukectl("upsample", song, "--artist", "Björk B.", "--overwrite", status=130)
    assert answer.out == ""
    assert answer.err.strip().endswith(f"Resume with: jukectl upsample {song} --artist 'Björk B.'")


# Help


def test_help_lists_the_six_pipeline_commands_first(jukectl):
    text = jukectl("--help").out
    places = [text.index(f"│ {name} ") for name in ("encode", "sample", "continue", "upsample", "decode", "resume")]
    assert places == sorted(places)
    panels = [text.index(panel) for panel in (MAKE, LOOK, MODELS, TRAIN)]
    assert panels == sorted(panels)
    assert panels[0] < places[0] < places[-1] < panels[1]


@pytest.mark.parametrize("arguments", [[], ["models"], ["train"], ["data"]])
def test_a_command_group_without_a_command_shows_its_help(jukectl, arguments):
    answer = jukectl(*arguments, status=2)
    assert "Usage: jukectl" in answer.out
    assert answer.err == ""


def test_the_version_is_printed(jukectl):
    from jukectl import __version__

    assert jukectl("--version").out == f"jukectl {__version__}\n"


@pytest.mark.alone
def test_help_takes_little_time():
    """CPU time counts as well, since on a busy machine it grows less than the time on the clock."""
    import resource

    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "jukectl", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return min(spent, time.monotonic() - began)

    assert min(seconds() for _ in range(3)) < 0.7


def test_help_imports_neither_torch_nor_numpy():
    code = "import sys\nfrom jukectl.cli.main import main\nmain(['--help'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "jukectl.api", "markdown_it", "cattrs"} & set(done.stdout.splitlines()[-1].split())
