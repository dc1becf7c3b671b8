"""What a model is told of lyrics, shown beforehand."""

import pytest

from jukectl.errors import BadInput
from jukectl.inspect.lyrics import HERE, tell_lyrics

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def tell(singing_model, tmp_path):
    """What the model that sings, and reads 16 characters at a time, is told of the text of a file."""

    def of(text, name="words.txt", **options):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tell_lyrics(tmp_path / name, str(singing_model), **options)

    return of


def test_what_is_told_otherwise_is_marked_and_listed(tell):
    about = tell("Café ♪\n“жд”\u200b 1+1")
    assert about.told == 'Cafe \n"zhd" 11'
    assert about.marked == 'Caf{é→e} {♪→}\n{“→"}{ж→zh}{д→d}{”→"}{U+200B→} 1{+→}1'
    assert about.otherwise == {"é": "e", "“": '"', "ж": "zh", "д": "d", "”": '"'}
    assert about.left_out == ("♪", "U+200B", "+")
    assert (about.model, about.reads, about.window) == ("singer", 16, None)


def test_the_window_around_a_second_of_timed_lyrics(tell):
    lrc = "[00:10.00]" + "".join(f"<00:{10 + number}.00>{letter}" for number, letter in enumerate(LETTERS))
    assert tell(lrc, "song.lrc", at=22.5).window == f"efghijkl{HERE}mnopqrst"
    assert tell(lrc, "song.lrc", at=0).window == f"{HERE}abcdefghijklmnop"  # not sung yet
    assert tell(lrc, "song.lrc", at=500).window == f"klmnopqrstuvwxy{HERE}z"


def test_plain_text_is_spread_over_the_song(tell):
    assert tell(LETTERS, at=13, song_seconds=26).window == f"fghijklm{HERE}nopqrstu"
    for options in ({"at": 13}, {"at": 26, "song_seconds": 26}):
        with pytest.raises(BadInput, match="with --at goes --song-seconds"):
            tell(LETTERS, **options)


def test_short_lyrics_are_told_whole(tell):
    assert tell("[00:01.00]<00:01.00>ab<00:02.00>c", "song.lrc", at=2.5).window == f"ab{HERE}c"


def test_a_model_that_takes_none_says_so(tiny_model, tmp_path):
    (tmp_path / "words.txt").write_text("la")
    with pytest.raises(BadInput, match="tiny takes no lyrics"):
        tell_lyrics(tmp_path / "words.txt", str(tiny_model))
