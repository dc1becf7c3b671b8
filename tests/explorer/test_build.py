"""Songs on a site: what is shown of them, what is not, and what happens when it is made again."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

import numpy as np
import pytest
from matplotlib.image import imread

from jukectl.api import Beginning, Growth, Request, tree
from jukectl.audio import io
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.schedule import Change, parse_schedule
from jukectl.codes.song import Song
from jukectl.codes.tree import Tree, TreeRecipe
from jukectl.errors import BadInput, CannotWrite
from jukectl.explorer.build import explore
from jukectl.explorer.site import Site
from jukectl.explorer.update import MediaOptions, SiteUpdate, update_site
from jukectl.lyrics.value import Lyrics
from jukectl.progress import WarningsOnly
from jukectl.render.karaoke import karaoke_paths


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is another matter, see tests/explorer."""
    monkeypatch.setattr(Site, "write_page", lambda site, tags: None)


def index(site: Path) -> list[dict]:
    values = json.loads((site / "data" / "index.json").read_text())
    return [dict(zip(values["columns"], row, strict=True)) for row in values["songs"]]


def only(site: Path) -> dict:
    """The file of the one song on a site."""
    (path,) = (site / "data" / "songs").glob("*.json")
    return json.loads(path.read_text())


def test_a_song_has_audio_for_every_level(song: Song, tmp_path):
    site = tmp_path / "site"
    assert explore([song.path], site) == SiteUpdate(site, 1, 1, 0)
    shown = only(site)
    assert [sample["number"] for sample in shown["samples"]] == [0, 1]
    for sample in shown["samples"]:
        assert list(sample["levels"]) == ["top", "middle", "bottom"]
        for level, heard in sample["levels"].items():
            with wave.open(str(site / unquote(heard["audio"]))) as file:
                assert file.getnframes() / file.getframerate() == pytest.approx(heard["seconds"])
            assert len(heard["peaks"]) <= 1_000
            assert all(-127 <= low <= high <= 127 for low, high in heard["peaks"])
            assert imread(site / unquote(heard["spectrogram"])).shape[0] == 128, level
    final = site / unquote(shown["samples"][1]["levels"]["bottom"]["audio"])
    assert final.read_bytes() == song.audio_path(1).read_bytes()


def test_the_outline_is_that_of_the_audio(song: Song, tmp_path):
    explore([song.path], tmp_path / "site")
    samples = io.load(song.audio_path(0)).samples[0]
    peaks = np.array(only(tmp_path / "site")["samples"][0]["levels"]["bottom"]["peaks"])
    assert peaks.max() == round(127 * samples.max())
    assert peaks.min() == round(127 * samples.min())


def test_the_index_has_the_columns_of_the_list(song: Song, tmp_path):
    explore([song.path], tmp_path / "site", title="Ours")
    (row,) = index(tmp_path / "site")
    assert (row["title"], row["samples"], row["levels"], row["lyrics"], row["prompt"]) == ("song", 2, "tmb", False, 0)
    assert row["seconds"] == 0.61
    assert json.loads((tmp_path / "site" / "data" / "index.json").read_text())["artists"] == ["Ada"]


def test_the_scripts_hold_what_the_json_does(song: Song, tmp_path):
    explore([song.path], tmp_path / "site")
    for path in (tmp_path / "site" / "data").rglob("*.json"):
        script = path.with_suffix(".js").read_text()
        start = script.index("{")
        assert json.loads(script[start : script.rindex("}") + 1]) == json.loads(path.read_text())


def test_a_site_does_not_reveal_local_paths(song: Song, tiny_model, tmp_path):
    explore([song.path], tmp_path / "site")
    texts = [path.read_text() for path in (tmp_path / "site").rglob("*") if path.suffix in (".json", ".js", ".toml")]
    assert len(texts) == 5
    assert not any(str(tiny_model.parent) in text or str(tmp_path) in text for text in texts)


def test_unchanged_songs_are_not_built_again(song: Song, tmp_path):
    site = tmp_path / "site"
    explore([tmp_path], site)
    before = {path: path.stat().st_mtime_ns for path in (site / "media").rglob("*")}
    assert explore([tmp_path], site).written == 0
    assert {path: path.stat().st_mtime_ns for path in (site / "media").rglob("*")} == before
    first = index(site)
    song.audio_path(0).unlink()
    assert explore([tmp_path], site).written == 1
    assert index(site)[0].keys() == first[0].keys()


def test_a_song_that_is_gone_is_taken_off(song: Song, tmp_path):
    shutil.copytree(song.path, tmp_path / "songs" / "one")
    shutil.copytree(song.path, tmp_path / "songs" / "two")
    assert explore([tmp_path / "songs"], tmp_path / "site").songs == 2
    shutil.rmtree(tmp_path / "songs" / "two")
    explore([tmp_path / "songs"], tmp_path / "site")
    assert [row["title"] for row in index(tmp_path / "site")] == ["one"]
    assert len(list((tmp_path / "site" / "media").iterdir())) == 1


def test_audio_is_linked_or_transcoded_on_the_way(song: Song, tmp_path):
    explore([song.path], tmp_path / "linked", options=MediaOptions(link=True))
    heard = only(tmp_path / "linked")["samples"][0]["levels"]["bottom"]
    link = tmp_path / "linked" / unquote(heard["audio"])
    assert link.is_symlink()
    assert link.resolve() == song.audio_path(0).resolve()
    explore([song.path], tmp_path / "ogg", options=MediaOptions(format="ogg"))
    for heard in only(tmp_path / "ogg")["samples"][0]["levels"].values():
        assert heard["type"] == "audio/ogg"
        assert (tmp_path / "ogg" / unquote(heard["audio"])).read_bytes()[:4] == b"OggS"


def test_levels_without_audio_need_not_be_decoded(song: Song, tmp_path):
    explore([song.path], tmp_path / "site", options=MediaOptions(decode=False))
    assert index(tmp_path / "site")[0]["levels"] == "b"


def test_a_broken_song_a_newer_one_and_one_in_progress_are_shown_as_such(song: Song, tmp_path):
    songs = tmp_path / "songs"
    for name in ("broken", "newer", "unfinished", "whole"):
        shutil.copytree(song.path, songs / name)
    (songs / "broken" / "top.npz").write_bytes(b"no archive")
    text = (songs / "newer" / "song.toml").read_text()
    (songs / "newer" / "song.toml").write_text(text.replace("format = 1", "format = 99", 1))
    (songs / "unfinished" / "bottom.npz").unlink()
    warnings: list[str] = []
    made = explore([songs], tmp_path / "site", listener=WarningsOnly(warnings.append))
    states = {row["title"]: row["state"] for row in index(tmp_path / "site")}
    assert states == {"broken": 2, "newer": 3, "unfinished": 1, "whole": 0}
    assert (made.songs, made.unreadable, len(warnings)) == (4, 2, 2)
    for path in (tmp_path / "site" / "data" / "songs").glob("*.json"):
        shown = json.loads(path.read_text())
        assert bool(shown["problem"]) == (shown["state"] in ("broken", "newer"))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_out_of_a_song_are_not_followed(song: Song, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(song.audio_path(0).read_bytes())
    song.audio_path(0).unlink()
    song.audio_path(0).symlink_to(secret)
    (song.path / "about.toml").symlink_to(secret)
    (song.path / "notes.mid").symlink_to(secret)
    site = tmp_path / "site"
    explore([song.path], site, options=MediaOptions(decode=False))
    assert "bottom" not in only(site)["samples"][0]["levels"]
    assert not any(path.name == "notes.mid" for path in site.rglob("*"))
    assert not any(path.read_bytes() == secret.read_bytes() for path in site.rglob("*") if path.is_file())


def test_its_maker_may_say_what_a_song_is(song: Song, tmp_path):
    title = '</script> "quoted" שלום 🎵 ' + "long " * 3_000
    (song.path / "about.toml").write_text(f"kind = 'riff'\ntitle = '''{title}'''\n", encoding="utf-8")
    explore([song.path], tmp_path / "site")
    (row,) = index(tmp_path / "site")
    assert (row["title"], row["kind"]) == (title[:10_000], 8)
    (media,) = (tmp_path / "site" / "media").iterdir()
    assert media.name.isascii()


def test_a_folder_without_songs_is_refused(tmp_path):
    with pytest.raises(BadInput, match="there are no songs in"):
        explore([tmp_path], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_with_other_files_is_not_written_into(song: Song, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").write_text("dear to me")
    with pytest.raises(BadInput, match="holds other files"):
        explore([song.path], tmp_path / "site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["thesis.txt"]


def test_a_tree_is_one_entry_with_audio_for_every_path(song: Song, tmp_path):
    grown = tmp_path / "tree"
    tree(song.path, grown, Growth(every=0.4, branches=2, depth=2), Beginning(sample=1), Request(seed=5))
    explore([grown], tmp_path / "site")
    (row,) = index(tmp_path / "site")
    assert (row["title"], row["kind"], row["samples"], row["state"]) == ("tree", 3, 4, 0)
    shown = only(tmp_path / "site")["tree"]
    nodes = {node["path"]: node for node in shown["nodes"]}
    assert list(nodes) == ["", "0", "1", "0.0", "0.1", "1.0", "1.1"]
    assert [nodes[path]["parent"] for path in ("", "1", "1.0")] == [None, "", "1"]
    assert nodes["1"]["start"] == nodes[""]["stop"] == pytest.approx(0.608)
    for path, node in nodes.items():
        heard = node["levels"]["bottom"]
        assert heard["seconds"] == pytest.approx(node["stop"] - node["start"], abs=0.04), path
        assert (tmp_path / "site" / unquote(heard["audio"])).exists()


def test_the_commands_of_a_node_extract_it_and_continue_from_it(song: Song, tmp_path, monkeypatch):
    grown = tmp_path / "tree"
    tree(song.path, grown, Growth(every=0.4, branches=2, depth=1), Beginning(sample=1), Request(seed=5))
    explore([grown], tmp_path / "site")
    nodes = {node["path"]: node for node in only(tmp_path / "site")["tree"]["nodes"]}
    assert list(nodes[""]["commands"]) == ["branch"]
    monkeypatch.chdir(tmp_path)
    for command in (*nodes["1"]["commands"].values(), nodes[""]["commands"]["branch"]):
        words = shlex.split(command)[1:]
        assert main([*words, *(["--dry-run"] if words[0] == "branch" else [])]) == 0, command
    assert Song(tmp_path / "tree-1").begun


def test_stars_notes_and_quiet_songs_are_in_the_data(song: Song, tmp_path):
    (song.path / "about.toml").write_text("star = true\nnotes = 'Loud\u00e9r'\ntitle = 3\n")
    for sample in (0, 1):
        path = song.audio_path(sample)
        audio = io.load(path)
        io.save(path, audio.samples * 1e-4, audio.sample_rate)
    explore([song.path], tmp_path / "site", options=MediaOptions(decode=False))
    (row,) = index(tmp_path / "site")
    assert (row["star"], row["quiet"], row["title"]) == (True, True, "3")
    assert (only(tmp_path / "site")["notes"], only(tmp_path / "site")["star"]) == ("Loud\u00e9r", True)
    level = only(tmp_path / "site")["samples"][0]["levels"]["bottom"]
    assert (level["quiet"], level["hertz"]) == (True, [40.0, audio.sample_rate / 2])


def test_downloads_of_a_site_equal_the_files_of_the_song(song: Song, tmp_path):
    site = tmp_path / "site"
    explore([song.path], site)
    shown = only(site)
    files = {one["label"]: site / unquote(one["url"]) for one in shown["downloads"]}
    assert list(files) == ["song.toml", "top.npz", "middle.npz", "bottom.npz"]
    assert [one["bytes"] for one in shown["downloads"]] == [path.stat().st_size for path in files.values()]
    assert all(files[name].read_bytes() == (song.path / name).read_bytes() for name in list(files)[1:])
    assert files["song.toml"].read_text() == shown["recipe"]
    heard = shown["samples"][1]["levels"]["bottom"]
    assert heard["bytes"] == song.audio_path(1).stat().st_size


def test_a_trees_recipe_and_the_codes_of_its_nodes_are_taken_home(song: Song, tmp_path):
    grown = tmp_path / "tree"
    tree(song.path, grown, Growth(every=0.4, branches=2, depth=1), Beginning(at=0.3), Request(seed=5))
    (grown / "nodes" / "1.top.npz").unlink()
    (grown / "nodes" / "1.top.npz").symlink_to(song.path / "top.npz")  # which leads elsewhere
    site = tmp_path / "site"
    explore([grown], site)
    shown = only(site)
    (recipe,) = shown["downloads"]
    assert recipe["label"] == "tree.toml"
    text = (site / unquote(recipe["url"])).read_text()
    assert text == shown["recipe"]
    assert str(tmp_path) not in text
    there, here = Tree(grown).recipe(), TreeRecipe.from_toml(text, grown)
    assert there is not None
    assert (here.depth, here.number, there.step.differences(here.step)) == (1, there.number, [])
    assert shown["command"].startswith("jukectl tree song --out tree --at ")
    nodes = {node["path"]: {one["label"]: one for one in node["downloads"]} for node in shown["tree"]["nodes"]}
    assert {path: list(files) for path, files in nodes.items()} == {
        "": ["top.npz", "middle.npz", "bottom.npz"],
        "0": ["top.npz", "middle.npz", "bottom.npz"],
        "1": ["middle.npz", "bottom.npz"],
    }
    for path, folder in (("", "root/"), ("0", "nodes/0."), ("1", "nodes/1.")):
        for label, one in nodes[path].items():
            assert (site / unquote(one["url"])).read_bytes() == (grown / f"{folder}{label}").read_bytes()


def test_media_that_a_song_no_longer_has_are_removed(song: Song, tmp_path):
    site = tmp_path / "site"
    explore([song.path], site)
    explore([song.path], site, options=MediaOptions(format="ogg"))
    assert list((site / "media").rglob("*.ogg"))
    assert not list((site / "media").rglob("*.wav"))
    shown = [heard for sample in only(site)["samples"] for heard in sample["levels"].values()]
    assert all((site / unquote(one[key])).exists() for one in shown for key in ("audio", "spectrogram"))


def test_nothing_is_loaded_for_songs_that_have_not_changed(song: Song, tmp_path):
    explore([song.path], tmp_path / "site")

    def begin(site: Site, options: MediaOptions) -> NoReturn:
        raise AssertionError("there is nothing to make")

    assert update_site([song.path], tmp_path / "site", begin).written == 0
    script = (
        f"from jukectl.cli.main import main; main(['explore', {str(song.path)!r}, '--out', {str(tmp_path / 'site')!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {script}; sys.exit('torch' in sys.modules)"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_lyrics_are_shown_with_their_times(lyric_song: Path, tmp_path):
    explore([lyric_song], tmp_path / "site", options=MediaOptions(decode=False))
    lyrics = only(tmp_path / "site")["lyrics"]
    assert lyrics["text"] == "Hey <you>\nthere"
    assert [lyrics["text"][word["from"] : word["to"]] for word in lyrics["words"]] == ["Hey", "<you>", "there"]
    assert [word["start"] for word in lyrics["words"]] == [0.1, 0.3, 0.45]


def test_the_times_of_lyrics_are_those_of_the_audio(lyric_song: Path, tmp_path):
    recipe = Song(lyric_song).recipe()
    assert recipe is not None
    Song(lyric_song).write_recipe(replace(recipe, start_at=0.25))
    explore([lyric_song], tmp_path / "site", options=MediaOptions(decode=False))
    lyrics = only(tmp_path / "site")["lyrics"]
    assert [(word["text"], word["start"]) for word in lyrics["words"]] == [
        ("<you>", pytest.approx(0.05)),
        ("there", pytest.approx(0.2)),
    ]
    assert [lyrics["text"][word["from"] : word["to"]] for word in lyrics["words"]] == ["<you>", "there"]


def test_the_files_that_a_command_names_are_taken_home(lyric_song: Path, tmp_path):
    recipe = Song(lyric_song).recipe()
    assert recipe is not None
    changes = (
        Change(at=0.1, artist="Björk B.", settings={"guidance": {Level.TOP: 3.0}}),
        Change(at=0.2, lyrics_line=2),
    )
    Song(lyric_song).write_recipe(replace(recipe, schedule=changes))
    explore([lyric_song], tmp_path / "site", options=MediaOptions(decode=False))
    shown = only(tmp_path / "site")
    files = {one["label"]: (tmp_path / "site" / unquote(one["url"])).read_text() for one in shown["downloads"][:3]}
    assert list(files) == ["song.toml", "lyrics.lrc", "schedule.toml"]
    assert {"lyrics.lrc", "schedule.toml"} < set(shlex.split(shown["command"]))
    assert files["lyrics.lrc"] == recipe.labels.lyrics.source
    assert parse_schedule(files["schedule.toml"], "schedule.toml") == changes


def test_schedule_changes_are_described_in_words(song: Song, tmp_path):
    recipe = song.recipe()
    assert recipe is not None
    both = {Level.TOP: 0.5, Level.MIDDLE: 0.5, Level.BOTTOM: 0.5}
    changes = (
        Change(at=0.1, artist="Björk B.", genres=("jazz", "rock"), settings={"guidance": {Level.TOP: 3}}),
        Change(at=0.2, artist="", genres=(), settings={"temperature": both, "top_k": {Level.TOP: 9, Level.BOTTOM: 7}}),
        Change(at=0.3, lyrics_line=4),
    )
    song.write_recipe(replace(recipe, schedule=changes))
    explore([song.path], tmp_path / "site", options=MediaOptions(decode=False))
    assert [(change["at"], change["label"]) for change in only(tmp_path / "site")["changes"]] == [
        (0.1, "Björk B., jazz, rock, guidance top 3"),
        (0.2, "no artist, no genre, temperature 0.5, top-k top 9 and bottom 7"),
        (0.3, "lyrics from line 4"),
    ]


def test_the_alignment_picture_is_included(song: Song, tmp_path):
    recipe = song.recipe()
    assert recipe is not None
    song.write_recipe(replace(recipe, labels=replace(recipe.labels, lyrics=Lyrics("Hey you"))))
    picture, times, _ = karaoke_paths(song, 0)
    picture.parent.mkdir()
    picture.write_bytes(b"a picture")
    times.write_text("[00:00.20]<00:00.20>Hey <00:00.50>you")
    explore([song.path], tmp_path / "site", options=MediaOptions(decode=False))
    shown = only(tmp_path / "site")
    assert [(word["text"], word["start"]) for word in shown["lyrics"]["words"]] == [("Hey", 0.2), ("you", 0.5)]
    assert [one["sample"] for one in shown["alignment"]] == [0]
    assert (tmp_path / "site" / unquote(shown["alignment"][0]["image"])).read_bytes() == b"a picture"


@pytest.fixture
def lyric_song(song: Song) -> Path:
    """A song whose recipe has lyrics with times."""
    recipe = song.recipe()
    assert recipe is not None
    text = "[00:00.10]<00:00.10>Hey <00:00.30><you>\n[00:00.45]<00:00.45>there"
    song.write_recipe(replace(recipe, labels=replace(recipe.labels, lyrics=Lyrics(text, "lrc"))))
    return song.path


def test_on_a_full_disk_a_song_keeps_its_media_and_the_next_update_brings_the_rest(finished, tmp_path, monkeypatch):
    songs, site = tmp_path / "songs", tmp_path / "site"
    shutil.copytree(finished, songs / "one")
    explore([songs], site)
    before = {path.name: path.stat().st_size for path in site.rglob("media/*/*")}
    (songs / "one" / "about.toml").write_text('title = "Other"\n')

    def full(*_, **__):
        raise CannotWrite("cannot write it: No space left on device")

    monkeypatch.setattr("jukectl.explorer.media.draw_thumbnail", full)
    with pytest.raises(CannotWrite):
        explore([songs], site)
    assert {path.name: path.stat().st_size for path in site.rglob("media/*/*")} == before
    assert only(site)["state"] == "whole"
    monkeypatch.undo()
    monkeypatch.setattr(Site, "write_page", lambda site, tags: None)
    explore([songs], site)
    assert only(site)["title"] == "Other"
    assert {path.name for path in site.rglob("media/*/*")} == set(before)


def test_a_site_whose_first_run_was_killed_at_once_is_built_by_the_next(finished, tmp_path):
    (tmp_path / "site" / "data" / "songs").mkdir(parents=True)  # empty folders do not count as files of the user
    assert explore([finished], tmp_path / "site").written == 1


def test_an_about_toml_that_cannot_be_read_is_warned_of(song, tmp_path):
    warnings: list[str] = []
    (song.path / "about.toml").write_text("title = [")
    explore([song.path], tmp_path / "site", listener=WarningsOnly(warnings.append))
    (warning,) = warnings
    assert "about.toml is not TOML" in warning
