"""Settings: their order of precedence, the file they come from, and `jukectl config`."""

import stat
import tomllib
from pathlib import Path

import pytest

from jukectl.settings import HELP, NAMES, PROJECT, project_file, read_settings, user_file


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and a user without settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project/songs"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def short(tiny_model):
    """Options of a short song, without a style."""
    return ["--model", str(tiny_model), "--seconds", "0.224", "--seed", "3"]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def values():
    return {name: one.value for name, one in read_settings().items()}


# Precedence


def test_variables_precede_the_project_and_the_project_precedes_the_user(here, monkeypatch):
    write(user_file(), 'artist = "user"\ngenre = "user"\nformat = "ogg"\n')
    write(here.parent / PROJECT, 'artist = "project"\ngenre = "project"\n')
    monkeypatch.setenv("JUKECTL_ARTIST", "variable")
    found = {name: (one.value, one.origin) for name, one in read_settings().items()}
    assert found == {
        "artist": ("variable", "JUKECTL_ARTIST"),
        "genre": ("project", str(here.parent / PROJECT)),
        "format": ("ogg", str(user_file())),
    }


def test_the_nearest_file_of_a_project_counts_alone(here):
    write(here.parent / PROJECT, 'artist = "far"\ngenre = "far"\n')
    write(here / PROJECT, 'artist = "near"\n')
    assert values() == {"artist": "near"}


def test_a_folder_that_may_not_be_searched_has_no_file(here, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    assert project_file() is None


def test_an_empty_variable_unsets_a_setting(here, monkeypatch):
    write(user_file(), 'genre = "Piano"\n')
    monkeypatch.setenv("JUKECTL_GENRE", "")
    assert values() == {}


@pytest.mark.parametrize(
    ("genre", "given", "made"),
    [
        ("jazz", [], ["jazz"]),
        ("jazz", ["--genre", "ambient"], ["ambient"]),
        (["jazz", "ambient"], [], ["jazz", "ambient"]),
    ],
)
def test_a_setting_is_the_default_of_an_option(jukectl, short, here, genre, given, made):
    write(here / PROJECT, f"genre = {genre!r}\n")
    jukectl("sample", "--out", "song", *short, *given)
    assert jukectl("--json", "info", "song").json["genres"] == made


def test_info_tells_where_the_style_of_a_song_comes_from(jukectl, tiny_model, here, monkeypatch):
    write(here / PROJECT, f'model = "{tiny_model}"\ngenre = "jazz"\n')
    monkeypatch.setenv("JUKECTL_ARTIST", "ada")
    jukectl("sample", "--out", "song", "--seconds", "0.224")
    assert jukectl("--json", "info", "song").json["origins"] == {
        "model": str(here / PROJECT),
        "artist": "JUKECTL_ARTIST",
        "genre": str(here / PROJECT),
    }
    jukectl("sample", "--out", "other", "--seconds", "0.224", "--genre", "ambient", "--artist", "ada")
    assert jukectl("--json", "info", "other").json["origins"] == {"model": str(here / PROJECT)}


def test_a_song_from_settings_is_resumed_by_the_same_options(jukectl, short, here):
    write(here / PROJECT, 'genre = "jazz"\n')
    first = jukectl("sample", "--out", "song", *short).out
    (here / PROJECT).unlink()
    assert jukectl("sample", "--out", "song", *short, "--genre", "jazz").out == first


def test_the_style_of_a_song_that_exists_is_not_changed_by_settings(jukectl, song, here):
    write(here / PROJECT, 'genre = "ambient"\nmodel = "no-such-model"\n')
    (song / "bottom.npz").unlink()
    jukectl("resume", song)
    branch = jukectl("branch", song, "--at", "0.1", "--seconds", "0.1").out.partition("/audio")[0]
    assert jukectl("--json", "info", branch).json["genres"] == ["jazz"]


def test_format_and_folder_of_new_songs_are_settings(jukectl, short, here):
    write(here.parent / PROJECT, 'format = "flac"\nout_folder = "made"\n')
    assert jukectl("sample", *short).out == f"{here.parent}/made/song-0001/audio/0.flac\n"


def test_settings_of_the_machine_go_to_every_command(fails, song, here, monkeypatch):
    monkeypatch.setenv("JUKECTL_DEVICE", "tpu")
    assert "tpu" in fails("resume", song)
    assert "tpu" in fails("doctor")


# Wrong files


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('gendre = "Piano"', "did you mean genre?"),
        ("colour = 3", "there are model, artist"),
        ("loudness = 6", "-70 to 0"),
        ('loudness = "loud"', "loudness"),
        ("genre = [1, 2]", "genre"),
        ("genre = ", "not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(fails, here, text, named):
    write(here / PROJECT, text)
    line = fails("doctor")
    assert str(here / PROJECT) in line
    assert named in line


def test_a_wrong_variable_is_named(fails, here, monkeypatch):
    monkeypatch.setenv("JUKECTL_LOUDNESS", "loud")
    assert "JUKECTL_LOUDNESS" in fails("doctor")


def test_other_variables_of_that_prefix_are_left_alone(here, monkeypatch):
    monkeypatch.setenv("JUKECTL_NATIVE", "0")
    assert values() == {}


# Commands


def test_set_keeps_comments_and_other_values(jukectl, here):
    write(user_file(), '# mine\nartist = "Ada" # likes it\n')
    assert jukectl("config", "set", "genre", "Piano").out == f"{user_file()}\n"
    jukectl("config", "set", "loudness", "-16")
    text = user_file().read_text()
    assert "# mine" in text
    assert "# likes it" in text
    assert tomllib.loads(text) == {"artist": "Ada", "genre": "Piano", "loudness": -16.0}
    jukectl("config", "set", "artist", "--unset")
    assert values() == {"genre": "Piano", "loudness": -16.0}


def test_a_project_has_a_file_of_its_own_and_genres_may_be_several(jukectl, here):
    assert jukectl("config", "set", "genre", "Piano", "Game", "--project").out == "jukectl.toml\n"
    assert values() == {"genre": ("Piano", "Game")}
    assert not user_file().exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["gendre", "Piano"], "did you mean genre?"),
        (["genre"], "give a value"),
        (["genre", "Piano", "--unset"], "--unset"),
        (["artist", "Nikola", "Whallon"], "quotes"),
        (["loudness", "loud"], "number"),
        (["genre", "--unst"], "no option --unst"),
        (["loudness", "6"], "-70 to 0"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_written(fails, here, arguments, named):
    assert named in fails("config", "set", *arguments)
    assert not user_file().exists()


def test_show_lists_every_setting_with_its_origin(jukectl, here, monkeypatch):
    monkeypatch.setenv("JUKECTL_GENRE", "Piano")
    lines = jukectl("config", "show").out.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == list(NAMES)
    assert lines[NAMES.index("genre")].endswith("Piano  (JUKECTL_GENRE)")
    shown = jukectl("--json", "config", "show").json
    assert shown["genre"] == {"value": "Piano", "origin": "JUKECTL_GENRE"}
    assert shown["model"] is None


def test_edit_opens_a_file_that_explains_each_setting_and_checks_it_afterwards(jukectl, fails, here, monkeypatch):
    editor = here / "editor"
    editor.write_text('#!/bin/sh\ncp "$1" opened\nprintf \'genre = "Piano"\\n\' > "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", str(editor))
    jukectl("config", "edit")
    opened = Path("opened").read_text()
    assert all(text in opened for text in HELP.values())
    assert tomllib.loads(opened) == {}
    assert values() == {"genre": "Piano"}
    write(user_file(), "genre = ")  # the next command to mend it starts all the same
    jukectl("config", "edit")
    editor.write_text('#!/bin/sh\necho "gendre = 1" > "$1"\n')
    assert "did you mean genre?" in fails("config", "edit")
    monkeypatch.setenv("VISUAL", "/no/editor")
    assert "EDITOR" in fails("config", "edit", status=1)


def test_every_setting_is_explained():
    assert set(HELP) == set(NAMES)
