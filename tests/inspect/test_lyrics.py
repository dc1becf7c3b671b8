"""Previews of the lyric tokens that a model is conditioned on."""

import pytest

from jukectl.errors import BadInput
from jukectl.inspect.lyrics import HERE, preview_lyrics

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def preview(singing_model, tmp_path):
    """Preview the text of a file for the singing model, whose windows have 16 characters."""

    def of(text, name="words.txt", **options):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return preview_lyrics(tmp_path / name, str(singing_model), **options)

    return of


def test_replaced_and_dropped_characters_are_marked_and_listed(preview):
    about = preview("Café ♪\n“жд”\u200b 1+1")
    assert about.text == 'Cafe \n"zhd" 11'
    assert about.marked == 'Caf{é→e} {♪→}\n{“→"}{ж→zh}{д→d}{”→"}{U+200B→} 1{+→}1'
    assert about.replaced == {"é": "e", "“": '"', "ж": "zh", "д": "d", "”": '"'}
    assert about.dropped == ("♪", "U+200B", "+")
    assert (about.model, about.window_size, about.window) == ("singer", 16, None)


def test_the_window_around_a_second_of_timed_lyrics_marks_the_character_sung(preview):
    lrc = "[00:10.00]" + "".join(f"<00:{10 + number}.00>{letter}" for number, letter in enumerate(LETTERS))
    assert preview(lrc, "song.lrc", at=22.5).window == f"efghijkl{HERE}mnopqrst"
    assert preview(lrc, "song.lrc", at=0).window == f"{HERE}abcdefghijklmnop"  # not sung yet
    assert preview(lrc, "song.lrc", at=500).window == f"klmnopqrstuvwxy{HERE}z"


def test_plain_text_is_spread_over_the_song_whose_length_is_needed(preview):
    assert preview(LETTERS, at=13, song_seconds=26).window == f"fghijklm{HERE}nopqrstu"
    for options in ({"at": 13}, {"at": 26, "song_seconds": 26}):
        with pytest.raises(BadInput, match="with --at goes --song-seconds"):
            preview(LETTERS, **options)


def test_lyrics_shorter_than_a_window_are_shown_whole(preview):
    assert preview("[00:01.00]<00:01.00>ab<00:02.00>c", "song.lrc", at=2.5).window == f"ab{HERE}c"


def test_a_model_without_lyrics_is_refused(tiny_model, tmp_path):
    (tmp_path / "words.txt").write_text("la")
    with pytest.raises(BadInput, match="tiny takes no lyrics"):
        preview_lyrics(tmp_path / "words.txt", str(tiny_model))
