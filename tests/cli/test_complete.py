"""Completion of values in bash, zsh and fish: names of the model on the command line, choices, song folders."""

import os
import resource
import subprocess
import sys
import time

import pytest

from jukectl.checkpoints.places import hub_snapshots


def environment(shell, words):
    """The variables with which a shell asks for completions of the last word."""
    asked = {"_JUKECTL_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        return asked | {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    return asked | {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


@pytest.fixture
def offered(capsys, monkeypatch):
    """The values that a command line offers, in this process."""
    from jukectl.cli.main import main

    def run(*words, shell="bash"):
        for name, value in environment(shell, ["jukectl", *map(str, words)]).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main([])
        return capsys.readouterr().out.rstrip("\n").splitlines()

    return run


GENRES = {"Ambient", "Art Song", "Chiptune", "Electronic", "Game", "Jazz", "Metal", "Orchestral", "Piano"}


def test_genres_of_the_embedded_model_are_offered(offered):
    assert set(offered("sample", "--genre", "", shell="fish")) >= GENRES
    assert {genre.replace("\\ ", " ") for genre in offered("sample", "--genre", "")} >= GENRES
    (line,) = "".join(offered("sample", "--genre", "", shell="zsh")).splitlines()
    assert all(f'"{genre}"' in line for genre in GENRES)


def test_names_follow_the_model_on_the_command_line(offered, tiny_model, singing_model):
    assert offered("sample", "--model", tiny_model, "--genre", "") == ["Ambient", "Jazz"]
    assert "zoë" in offered("continue", "riff.wav", "--model", singing_model, "--artist", "")
    assert offered("sample", "--model", "no-such-model", "--genre", "") == []


def test_case_does_not_matter_and_spaces_are_escaped_as_the_shell_needs(offered):
    assert offered("sample", "--artist", "nik") == ["Nikola\\ Whallon"]
    assert offered("sample", "--artist", "Nikola\\ w") == ["Nikola\\ Whallon"]
    assert offered("sample", "--artist", '"nik') == ["Nikola Whallon"]
    assert offered("sample", "--artist", "nik", shell="fish") == ["Nikola Whallon"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["sample", "--levels", ""], ["top", "top,middle", "top,middle,bottom"]),
        (["decode", "--level", "b"], ["bottom"]),
        (["decode", "--format", ""], ["wav", "flac", "ogg", "mp3"]),
        (["resume", "--device", ""], ["auto", "cpu", "cuda", "mps"]),
        (["sample", "--precision", "f"], ["fp32", "fp16"]),
        (["sample", "--model", ""], ["mini", "1b-lyrics", "5b-lyrics", "5b"]),
        (["models", "show", "1"], ["1b-lyrics"]),
        (["sample", "--seed", ""], []),
    ],
)
def test_choices_and_models_are_offered(offered, words, values, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert offered(*words) == values


def test_song_folders_are_offered_and_other_folders_are_not(offered, song, tmp_path, monkeypatch):
    (tmp_path / "socks").mkdir()
    monkeypatch.chdir(tmp_path)
    assert offered("branch", "so") == ["song"]
    assert offered("play", "./") == ["./song"]
    assert offered("resume", f"{tmp_path}/s") == [str(tmp_path / "song")]
    assert offered("resume", "nowhere/") == []


def test_names_of_a_pulled_model_are_offered(offered, monkeypatch, tmp_path):
    folder = tmp_path / "models--openai--jukebox-1b-lyrics/snapshots/abc"
    folder.mkdir(parents=True)
    (folder / "artists.json").write_text('{"abba.v2": 3, "abba": 1, "alabama": 2}')
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert hub_snapshots("openai/jukebox-1b-lyrics") == [folder]
    assert offered("sample", "--model", "1b-lyrics", "--artist", "a") == ["abba", "alabama"]


@pytest.mark.alone
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_takes_little_time(shell, tmp_path):
    """CPU time counts as well, since on a busy machine it grows less than the time on the clock.

    Modules are compiled once, as by an installation.
    """
    variables = environment(shell, ["jukectl", "continue", "riff.wav", "--artist", "n"])
    variables |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}

    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "jukectl"], env={**os.environ, **variables}, capture_output=True, check=True
        )
        assert b"Nikola" in done.stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return min(spent, time.monotonic() - began)

    assert min(seconds() for _ in range(4)) < 0.6  # 0.3 on a quiet machine; importing torch would take 2


def test_completion_imports_neither_torch_nor_numpy(monkeypatch):
    code = (
        "import sys, runpy\n"
        "sys.argv = ['jukectl']\n"
        "try:\n    runpy.run_module('jukectl', run_name='__main__')\n"
        "except SystemExit:\n    print(*sys.modules)"
    )
    variables = environment("bash", ["jukectl", "sample", "--genre", ""])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert not {"numpy", "torch", "jukectl.api", "huggingface_hub"} & set(done.stdout.splitlines()[-1].split())
