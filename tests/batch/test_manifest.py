"""Manifests as plain values: three forms of a file give the same songs, and each mistake has its line."""

import json

import pytest

from jukectl.batch.manifest import Line, Manifest, Problem, column_of, example
from jukectl.errors import BadInput


@pytest.fixture
def read(tmp_path):
    """Return what is read from a file with some text."""

    def parse(name: str, text: str) -> Manifest:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return Manifest.read(path)

    return parse


def test_csv_has_a_song_on_each_line_and_leaves_empty_cells_out(read):
    found = read("songs.csv", "out,--Top-P, genre\na,0.9,Game\n\n# a comment\nb,,\n")
    assert found.lines == [Line(2, {"out": "a", "top_p": "0.9", "genre": "Game"}), Line(5, {"out": "b"})]
    assert (found.header, found.problems) == (1, [])


def test_a_cell_in_quotes_may_have_commas_and_line_breaks_and_lines_are_counted_on(read):
    found = read("songs.csv", 'out,genre\na,"Jazz, cool"\n"b\nc",x\nd,y\n')
    assert [line.number for line in found.lines] == [2, 3, 5]
    assert found.lines[0].values["genre"] == "Jazz, cool"


def test_tsv_has_tabs(read):
    assert read("songs.tsv", "out\tgenre\na\tB, C\n").lines == [Line(2, {"out": "a", "genre": "B, C"})]


def test_json_lines_keep_their_types(read):
    text = '{"out": "a", "top-p": 0.9, "ending": true, "seed": null}\n\n{"temperature": {"top": 0.9}}\n'
    assert read("songs.jsonl", text).lines == [
        Line(1, {"out": "a", "top_p": 0.9, "ending": True}),
        Line(3, {"temperature": {"top": 0.9}}),
    ]


def test_defaults_of_toml_hold_for_every_song_that_has_no_other_value(read):
    text = '[defaults]\nformat = "flac"\nseconds = 8\n\n[[song]]\nout = "a"\n\n[[song]]\nout = "b"\nseconds = 9\n'
    assert read("songs.toml", text).lines == [
        Line(5, {"format": "flac", "seconds": 8, "out": "a"}),
        Line(8, {"format": "flac", "seconds": 9, "out": "b"}),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.csv", "out,genre\na,b,c\n", 2, "3 cells"),
        ("a.csv", "out,top-p,top_p\na,1,1\n", 1, "'top_p' is there twice"),
        ("a.csv", "out,,genre\na,b,c\n", 1, "column 2 has no name"),
        ("a.csv", 'out\na\n"b\n', 3, "no CSV"),
        ("a.jsonl", '{"out": "a"}\n{"out": \n', 2, "no JSON"),
        ("a.jsonl", '{"out": "a"}\n["b"]\n', 2, "an object"),
        ("a.jsonl", '{"out": "a", "out": "b"}\n', 1, "'out' is there twice"),
        ("a.jsonl", '{"top-p": 1, "top_p": 1}\n', 1, "an option is there twice"),
        ("a.toml", "[[song]]\nout = a\n", 2, "no TOML"),
        ("a.toml", "[[songs]]\nout = 'a'\n", 0, "'songs' is not known"),
        ("a.toml", "song = 3\n", 0, "[[song]]"),
    ],
)
def test_a_mistake_is_reported_with_its_line(read, name, text, line, words):
    (problem,) = read(name, text).problems
    assert isinstance(problem, Problem)
    assert (problem.line, words in problem.text) == (line, True), problem


@pytest.mark.parametrize(("name", "text"), [("a.csv", ""), ("a.csv", "out,genre\n"), ("a.jsonl", "\n"), ("a.toml", "")])
def test_a_manifest_without_songs_is_refused(read, name, text):
    with pytest.raises(BadInput, match="names no songs"):
        read(name, text)


def test_a_file_of_another_kind_is_refused(read):
    with pytest.raises(BadInput, match=r"ends in \.csv"):
        read("songs.txt", "out\na\n")


@pytest.mark.parametrize("name", ["songs.csv", "songs.tsv", "songs.jsonl", "songs.toml"])
def test_the_example_names_the_same_songs_in_every_form(read, tmp_path, name):
    songs = [dict(line.values) for line in read(name, example(tmp_path / name)).lines]
    as_text = [{column: str(value) for column, value in song.items() if column != "format"} for song in songs]
    expected = [json.loads(line) for line in example(tmp_path / "a.jsonl").splitlines()]
    assert as_text == [{column: str(value) for column, value in song.items()} for song in expected]


@pytest.mark.parametrize("name", ["top-p", "--top-p", " Top_P "])
def test_the_spellings_of_an_option_are_one_column(name):
    assert column_of(name) == "top_p"
