"""The value `Lyrics`: what it keeps of a file, and that a run parses the file once."""

import pytest

from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.lyrics import lrc
from jukectl.lyrics.value import Lyrics

LRC = "[ti:Mine]\n[00:00.50]La <00:01.00>la\n"


def test_lrc_keeps_its_source_and_has_words_with_times():
    lyrics = Lyrics(LRC, "lrc")
    assert lyrics.source == LRC
    assert lyrics.text == "La la"
    assert [word.start for word in lyrics.timed.words] == [0.5, 1.0]


def test_plain_text_has_no_times_even_if_it_looks_like_lrc():
    assert Lyrics(LRC).timed is None
    assert Lyrics(LRC).text == LRC


def test_an_unknown_format_is_refused():
    with pytest.raises(BadInput, match="lyrics_format must be text or lrc, got 'vtt'"):
        Lyrics("la", "vtt")  # type: ignore[arg-type]


@pytest.mark.parametrize(("source", "lyrics_format"), [(" \n", "text"), ("[ti:Mine]\n[00:01.00]\n", "lrc")])
def test_lyrics_without_a_word_are_empty(source, lyrics_format):
    assert Lyrics(source, lyrics_format).is_empty
    assert not Lyrics(source + "[00:02.00]la", lyrics_format).is_empty


def test_files_without_lyrics_are_refused_by_name(tmp_path):
    wrong, large = tmp_path / "wrong.lrc", tmp_path / "large.txt"
    wrong.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"a" * (2**20 + 1))
    cases = {
        tmp_path / "gone.txt": "No such file",
        tmp_path: "not a regular file",
        wrong: "is not UTF-8",
        large: "1048577 bytes",
    }
    for path, message in cases.items():
        with pytest.raises(BadInput, match=message):
            Lyrics.read(path)


def test_lrc_that_cannot_be_parsed_is_refused_with_its_file_and_line(tmp_path):
    path = tmp_path / "words.lrc"
    path.write_text("la la")
    with pytest.raises(BadInput, match=r"words\.lrc: line 1 has no time"):
        Lyrics.read(path)


def test_a_byte_order_mark_is_not_part_of_the_lyrics(tmp_path):
    path = tmp_path / "song.txt"
    path.write_bytes(b"\xef\xbb\xbfla")
    assert Lyrics.read(path) == Lyrics("la")


@pytest.fixture
def parses(monkeypatch):
    """The texts of LRC that were parsed, in order."""
    found, parse = [], lrc.parse

    def counted(text):
        found.append(text)
        return parse(text)

    monkeypatch.setattr(lrc, "parse", counted)
    return found


@pytest.fixture
def sing(riff, singing_model, tmp_path):
    """Run `jukectl continue` to a draft that sings the LRC above; returns its folder."""

    def run(*options):
        (tmp_path / "words.lrc").write_text(LRC)
        command = ["continue", riff, "--out", tmp_path / "song", "--prompt-seconds", 1, "--seconds", 0.3]
        command += ["--model", singing_model, "--device", "cpu", "--levels", "top"]
        assert main([str(one) for one in [*command, "--lyrics", tmp_path / "words.lrc", *options]]) == 0
        return tmp_path / "song"

    return run


def test_a_run_parses_its_lrc_file_once_from_the_option_to_the_karaoke_files(parses, sing):
    song = sing("--plots")
    assert parses == [LRC]
    assert (song / "plots/lyrics-0.lrc").exists()


def test_a_resumed_run_parses_the_lrc_of_its_recipe_once(parses, sing):
    song = Song(sing())
    top = song.codes(Level.TOP)
    song.save(top.cut(top.done - 3))
    parses.clear()
    assert main(["resume", str(song.path), "--device", "cpu"]) == 0
    assert song.codes(Level.TOP).done == top.done
    assert parses == [LRC]
