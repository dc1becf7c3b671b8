"""`--lyrics` with texts, LRC and files that are neither, and `jukectl lyrics`."""

import sys
import tomllib
from pathlib import Path

import pytest

from jukectl.lyrics.lrc import parse

SUNG = Path(__file__).parent.parent / "data/sung_twinkle.ogg"


@pytest.fixture
def sing(style, singing_model, tmp_path):
    """Arguments that make a draft with the model that sings, without lyrics."""
    options = [str(singing_model) if option == style[1] else option for option in style]
    return ["sample", "--out", tmp_path / "song", *options, "--levels", "top"]


def kept(tmp_path):
    return tomllib.loads((tmp_path / "song/song.toml").read_text(encoding="utf-8"))["labels"]["lyrics"]


@pytest.mark.parametrize(
    "text",
    [
        "One line",
        "One\nTwo\n\n",
        'He said "no", """no"""\\ \n',
        "\ufeffwith a mark\n",
        "tab\tand \x1b\x00 more\n",
        "ü\n",
    ],
)
def test_a_lyrics_text_is_kept_in_the_recipe_unchanged(jukectl, sing, tmp_path, text):
    (tmp_path / "words.txt").write_bytes(text.encode())
    jukectl(*sing, "--lyrics", tmp_path / "words.txt")
    assert kept(tmp_path) == text.removeprefix("\ufeff")
    assert "finished already" in jukectl(*sing, "--lyrics", tmp_path / "words.txt").err


def test_lyrics_can_have_line_ends_of_any_system(jukectl, sing, tmp_path):
    (tmp_path / "words.txt").write_bytes(b"One\r\nTwo\rThree")
    jukectl(*sing, "--lyrics", tmp_path / "words.txt")
    assert kept(tmp_path) == "One\nTwo\nThree"


@pytest.mark.parametrize("command", ["sample", "continue", "upsample"])
def test_a_model_without_lyrics_refuses_them(fails, riff, style, song, tmp_path, command):
    (tmp_path / "words.txt").write_text("la")
    given = {
        "sample": ["--out", tmp_path / "new", *style],
        "continue": [riff, "--out", tmp_path / "new", *style],
        "upsample": [song],
    }
    answer = fails(command, *given[command], "--lyrics", tmp_path / "words.txt")
    assert "tiny takes no lyrics, only artist and genre" in answer
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the lyrics are empty"), (b" \n", "the lyrics are empty"), (b"caf\xe9", "is not UTF-8 (byte 3)")],
)
def test_an_empty_lyrics_file_or_one_that_is_not_utf8_is_refused(fails, sing, tmp_path, content, reason):
    (tmp_path / "words.txt").write_bytes(content)
    assert reason in fails(*sing, "--lyrics", tmp_path / "words.txt")
    assert not (tmp_path / "song").exists()


def test_a_path_that_is_not_a_lyrics_file_is_refused(fails, sing, tmp_path):
    assert "words.txt: No such file" in fails(*sing, "--lyrics", tmp_path / "words.txt")
    assert "cannot read the lyrics -: No such file" in fails(*sing, "--lyrics", "-")
    assert f"{tmp_path}: it is not a regular file" in fails(*sing, "--lyrics", tmp_path)
    with (tmp_path / "giant.txt").open("wb") as file:
        file.truncate(2**20 + 1)
    assert "giant.txt: it has 1048577 bytes" in fails(*sing, "--lyrics", tmp_path / "giant.txt")


def test_characters_that_the_model_lacks_give_one_warning(jukectl, sing, tmp_path):
    (tmp_path / "words.txt").write_text("1 + 1 + 1\n")
    lines = jukectl(*sing, "--lyrics", tmp_path / "words.txt").err.splitlines()
    assert sum("singer has no characters for these of the lyrics" in line for line in lines) == 1


def test_an_lrc_file_is_kept_with_its_times(jukectl, sing, tmp_path):
    (tmp_path / "words.LRC").write_text("[00:00.00]One\n[00:00.10]Two\n")
    jukectl(*sing, "--lyrics", tmp_path / "words.LRC")
    assert kept(tmp_path) == "[00:00.00]One\n[00:00.10]Two\n"
    assert 'lyrics_format = "lrc"' in (tmp_path / "song/song.toml").read_text()
    assert "finished already" in jukectl(*sing, "--lyrics", tmp_path / "words.LRC").err


def test_a_wrong_lrc_file_is_refused_with_file_and_line(fails, sing, tmp_path):
    (tmp_path / "words.lrc").write_text("[00:00.00]One\nTwo\n")
    assert "words.lrc: line 2 has no time" in fails(*sing, "--lyrics", tmp_path / "words.lrc")
    assert not (tmp_path / "song").exists()


def test_lyrics_show_marks_replaced_and_dropped_characters(jukectl, singing_model, tmp_path):
    (tmp_path / "words.lrc").write_text("[00:01.00]Café\n[00:02.00]♪\n", encoding="utf-8")
    show = ["lyrics", "show", tmp_path / "words.lrc", "--model", singing_model]
    assert jukectl(*show).out.splitlines() == [
        "Caf{é→e}",
        "{♪→}",
        "",
        "singer reads 5 characters, 16 in each window.",
        "replaced: é by 'e'",
        "left out, at least in part: ♪",
    ]
    assert jukectl(*show, "--at", 1.5).out.splitlines()[-2] == "the window around 1.5 s:"
    found = jukectl("--json", *show).json
    assert (found["told"], found["otherwise"], found["left_out"]) == ("Cafe\n", {"é": "e"}, ["♪"])


def test_lyrics_align_writes_the_time_of_each_word(jukectl, tmp_path):
    (tmp_path / "words.txt").write_text("Twinkle, brightly little star,\nHow I wonder what you are!\n")
    out = tmp_path / "sung.lrc"
    answer = jukectl("--json", "lyrics", "align", SUNG, tmp_path / "words.txt", "--out", out, "--no-separate")
    assert answer.json == {"lyrics": str(out), "words": 10, "guessed": 0}
    lyrics = parse(out.read_text())
    assert lyrics.text == "Twinkle, brightly little star,\nHow I wonder what you are!"
    assert abs(lyrics.words[4].start - 5.333) < 0.2  # How


def test_lyrics_align_names_the_extra_to_install(fails, tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_text("Twinkle")
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    align = ["lyrics", "align", SUNG, tmp_path / "words.txt", "--out", tmp_path / "sung.lrc"]
    assert "pip install 'jukectl[align]', or leave the separation out with --no-separate" in fails(*align, status=1)
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert "to align lyrics takes pocketsphinx: pip install 'jukectl[align]'" in fails(*align, status=1)
    assert not (tmp_path / "sung.lrc").exists()
