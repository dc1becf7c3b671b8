"""Progress and remarks on stderr: bars on a terminal, lines elsewhere, or nothing."""

import io
import json
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
import typer

from jukectl.cli import console
from jukectl.cli.console import Console, ProgressStyle, clock, printable, progress, warnings_only
from jukectl.progress import LevelProgress, Progress, Remark, WarningEvent


class Context(typer.Context):
    """The part of typer.Context that the console reads."""

    def __init__(self, **options):
        self.obj = Console(**options)


@pytest.fixture
def time(monkeypatch):
    """Stop the clock, and return a function that moves it."""
    now = [1000.0]
    monkeypatch.setattr("jukectl.cli.console.time.monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_progress_without_a_terminal_is_a_line_every_ten_seconds(time, capsys):
    with progress(Context()) as listener:
        for done in range(0, 101):
            listener(Progress("top codes", done, 100))
            time(0.6)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "top codes: 0/100"
    assert lines[1] == "top codes: 17/100, 0:50 left"  # 10.2 s later
    assert lines[-1] == "top codes: 100/100"
    assert len(lines) == 7


def test_each_stage_prints_its_first_and_last_line(time, capsys):
    with progress(Context()) as listener:
        for stage in ("top codes", "middle codes"):
            for done in range(3):
                listener(Progress(stage, done, 2, "saved"))
    assert capsys.readouterr().err.splitlines() == [
        "top codes: 0/2  saved",
        "top codes: 2/2  saved",
        "middle codes: 0/2  saved",
        "middle codes: 2/2  saved",
    ]


def test_time_left_is_estimated_from_this_run_alone(time, capsys):
    """Resumed at 900 of 1000, ten codes a second leave nine seconds after ten codes, not a fraction of one."""
    with progress(Context()) as listener:
        listener(Progress("top codes", 900, 1000))
        time(10)
        listener(Progress("top codes", 910, 1000))
    assert capsys.readouterr().err.splitlines()[-1] == "top codes: 910/1000, 1:30 left"


def test_the_estimate_is_shown_with_window_and_speed(time, capsys):
    event = LevelProgress("top", 2, 5, 40, 100, codes_per_second=1234.5, seconds_left=75.0)
    with progress(Context()) as listener:
        listener(event)
    assert capsys.readouterr().err == "top codes: 40/100, window 2 of 5, 1234 codes/s, 1:15 left in all\n"


def test_json_progress_prints_an_object_for_each_saved_window(capsys):
    with progress(Context(quiet=True), ProgressStyle.JSON) as listener:
        listener(Remark("plan", "top level"))
        listener(LevelProgress("top", 1, 2, 30, 100, 10.0, 7.0))
        listener(LevelProgress("top", 1, 2, 50, 100, 10.0, None, seconds_saved=3.2))
        listener(Progress("decoding bottom", 0, 1))
        listener(WarningEvent("memory is short"))
    warnings_only(ProgressStyle.JSON)(WarningEvent("a dry run"))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        {
            "level": "top",
            "window": 1,
            "windows": 2,
            "done": 50,
            "total": 100,
            "codes_per_second": 10.0,
            "seconds_left": None,
            "saved": 3.2,
        },
        {"warning": "memory is short"},
        {"warning": "a dry run"},
    ]


def test_progress_none_prints_only_warnings(capsys):
    with progress(Context(), ProgressStyle.NONE) as listener:
        listener(Progress("top codes", 0, 2))
        listener(WarningEvent("memory is short"))
    assert capsys.readouterr().err == "jukectl: warning: memory is short\n"


def test_quiet_prints_no_progress_and_no_remarks(capsys):
    with progress(Context(quiet=True)) as listener:
        listener(Progress("top codes", 0, 2))
        listener(Remark("plan", "top level"))
    console.say(Context(quiet=True), "finished already")
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(Context()) as listener:
        listener(Progress("top [codes]", 1, 2, "saved [0.1 s]"))
        listener(Progress("top [codes]", 2, 2, "saved [0.2 s]"))
        listener(LevelProgress("middle", 3, 5, 1, 2, 12.0, 42.0))
        listener(Remark("plan", "top level, [all] " + 20 * "long "))
    assert "top [codes]" in terminal.getvalue()  # no markup
    assert "2/2" in terminal.getvalue()
    assert "window 3 of 5, 12 codes/s, 0:42 left in all" in terminal.getvalue()
    assert "saved [0.2 s]" in terminal.getvalue()
    assert "plan: top level, [all] " + 20 * "long " in terminal.getvalue()  # in one line


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (42.4, "0:42"), (59.6, "1:00"), (725, "12:05"), (11_220, "3:07:00")]
)
def test_durations_are_printed_as_on_a_clock(seconds, shown):
    assert clock(seconds) == shown


def test_sampling_with_quiet_leaves_stderr_empty(jukectl, style, tmp_path):
    answer = jukectl("--quiet", "sample", "--out", tmp_path / "song", *style)
    assert answer.err == ""
    assert answer.out
    assert jukectl("--quiet", "sample", "--out", tmp_path / "song", *style).err == ""


@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_continuing_prints_every_stage_in_order_and_plans_with_verbose_alone(jukectl, style, riff, tmp_path, verbose):
    lines = jukectl(*verbose, "continue", riff, "--out", tmp_path / "song", *style).err.splitlines()
    stages = list(dict.fromkeys(line.split(":")[0] for line in lines))
    assert stages == [
        *(["plan"] if verbose else []),
        "encoding top",
        "encoding middle",
        "encoding bottom",
        "estimate",
        "top codes",
        "checking top",
        "middle codes",
        "bottom codes",
        "decoding bottom",
    ]


def test_a_warning_is_shown_even_with_quiet(jukectl, style, tmp_path):
    answer = jukectl("--quiet", "sample", "--out", tmp_path / "song", *style, "--song-seconds", 100, "--levels", "top")
    assert answer.err.startswith("jukectl: warning: the model was trained on songs shorter than 60 s")


def test_results_are_printed_as_paths_or_as_one_object(capsys):
    console.emit(Context(), [Path("a b.wav"), Path("c.wav")], {"audio": []})
    assert capsys.readouterr().out == "a b.wav\nc.wav\n"
    console.emit(Context(json=True), [Path("a b.wav")], {"audio": ["Björk.wav"]})
    assert capsys.readouterr().out == '{"audio": ["Björk.wav"]}\n'


def test_global_options_have_defaults():
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    assert console.console(context) == Console()


EVIL = "a\x1b]0;owned\x07\x1b[2Jb\rc\x9bd\u202ee\u2066f\x00g"
SHOWN = r"a\x1b]0;owned\x07\x1b[2Jb\rc\x9bd\u202ee\u2066f\x00g"


def test_control_characters_of_names_are_printed_as_escapes(capsys):
    assert printable(EVIL) == SHOWN
    assert printable("one\ntwo\u2028three") == r"one\ntwo\u2028three"
    with progress(Context()) as listener:
        listener(WarningEvent(EVIL))
        listener(Remark("plan", EVIL))
        listener(Progress("songs", 1, 2, EVIL))
    console.say(Context(), EVIL)
    console.show_facts(Context(), {}, [EVIL])
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count(SHOWN) == 5
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & {*shown.out, *shown.err}


@pytest.mark.parametrize(
    "text", ["Björk — Jóga", "日本語\u3000歌", "नमस्ते\u200dक", "🎵 e\u0301", "caf\udce9.wav", "a\u00a0b"]
)
def test_names_of_all_languages_are_printed_as_they_are(text):
    assert printable(text) == text


def test_info_and_errors_of_a_strangers_song_send_nothing_to_the_terminal_but_text(jukectl, fails, song):
    text = (song / "song.toml").read_text()
    assert 'artist = "ada"' in text
    (song / "song.toml").write_text(text.replace('artist = "ada"', 'artist = "a\\u001b[2Jda\\nforged: line"'))
    answer = jukectl("info", song)
    assert r"a\x1b[2Jda\nforged: line" in answer.out
    (song / "song.toml").write_text(text.replace('kind = "sample"', 'kind = "\\u001b]0;owned\\u0007"'))
    error = fails("info", song)
    assert r"\x1b]0;owned" in error
    assert not {"\x1b", "\x07"} & {*answer.out, *error}


def test_a_log_gets_a_line_while_nothing_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(console, "SILENT_SECONDS", 0.06)
    with progress(Context()) as listener:
        listener(Progress("training", 3, 100, "loss=1"))
        assert capsys.readouterr().err.startswith("training: 3/100")
        found, until = "", monotonic() + 20
        while not found and monotonic() < until:
            sleep(0.02)
            found = capsys.readouterr().err
    assert found.startswith("training: 3/100, for 0:00")
    sleep(0.1)
    capsys.readouterr()
    sleep(0.1)
    assert capsys.readouterr().err == ""  # over with the block
