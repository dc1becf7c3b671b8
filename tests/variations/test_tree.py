"""Trees: each leaf is what its path alone would have been, and music that several share is made once."""

import errno
import multiprocessing
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jukectl.api import (
    Beginning,
    Growth,
    Request,
    branch,
    describe_path,
    pick,
    pick_place,
    regrow,
    sample,
    tree,
    upsample,
)
from jukectl.cli.main import main
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.codes.tree import Tree, TreeRecipe, name_of, parse_place
from jukectl.errors import BadInput, NotASong, RecipeDiffers, SongBusy
from jukectl.render.decode import Preview, audio_of

EVERY, STEP = 0.4, 12  # seconds from node to node, and as many top codes
GROWTH = Growth(every=EVERY, branches=3, depth=2)
LIMIT = 60  # seconds to wait for a process
KILLED_AT = (
    ["growing/bottom.npz"],
    ["nodes/0.top.npz"],
    ["nodes/2.bottom.npz", "growing/middle.npz"],
    ["audio/0.1.wav"],
)
"""What is there when a run is killed, one run after another."""


@pytest.fixture(scope="module")
def beginning(tiny_model, tmp_path_factory) -> Path:
    """Three samples of a song, half a second each. Not to be changed."""
    path = tmp_path_factory.mktemp("songs") / "beginning"
    sample(path, Request(model=str(tiny_model), artist="Ada", genres=("jazz",), seconds=0.5, seed=3, samples=3))
    return path


@pytest.fixture(scope="module")
def request_(tiny_model) -> Request:
    return Request(seed=5, song_seconds=2.0)


@pytest.fixture(scope="module")
def grown(beginning, request_, tmp_path_factory) -> Path:
    """A tree of nine leaves at all levels, from the third sample. Not to be changed."""
    path = tmp_path_factory.mktemp("trees") / "tree"
    tree(beginning, path, GROWTH, Beginning(sample=2), request_)
    return path


def files(path: Path) -> dict[str, bytes]:
    """What of a tree follows from its recipe."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*.npz"))}


def leaf_codes(path: Path, leaf: str, out: Path) -> dict[Level, np.ndarray]:
    picked = pick_place(path, parse_place(leaf), out).song
    return {level: Song(picked).codes(level).array for level in TOP_DOWN if Song(picked).codes(level)}


def test_each_leaf_is_what_a_chain_of_branches_makes_of_the_root(grown, tmp_path):
    """The branches are sampled one folder after another, with none of the tree's other nodes beside them."""
    for first, second in ((0, 0), (1, 2), (2, 1)):
        place = tmp_path / f"{first}{second}"
        one = Request(seed=5, song_seconds=2.0, samples=first + 1)
        branch(grown / "root", None, place / "1", replace(one, seconds=EVERY))
        two = Request(seed=5, song_seconds=2.0, samples=second + 1)
        branch(place / "1", None, place / "2", replace(two, seconds=EVERY), sample=first)
        alone = pick(place / "2", second).song
        for level, array in leaf_codes(grown, f"{first}.{second}", place / "leaf").items():
            assert np.array_equal(array, Song(alone).codes(level).array)
        assert not [
            line for line in Song(place / "leaf").recipe().differences(Song(alone).recipe()) if "trunk.s" not in line
        ]


def test_a_path_grown_alone_is_the_trees(grown, beginning, request_, tmp_path):
    path = tmp_path / "path"
    tree(beginning, path, Growth(every=EVERY, branches=3, depth=2, leaf=(1, 2)), Beginning(sample=2), request_)
    nodes = {name for name in files(path) if name.startswith("nodes")}
    assert nodes == {f"nodes/{place}.{level.label}.npz" for place in ("1", "1.2") for level in TOP_DOWN}
    for name in nodes:
        assert (path / name).read_bytes() == (grown / name).read_bytes()
    assert not tree(beginning, path, GROWTH, Beginning(sample=2), request_).sampled % STEP  # and then the rest of it
    assert files(path) == files(grown)


def test_sixteen_leaves_cost_no_more_than_their_distinct_spans(beginning, drawn, tmp_path):
    growth = Growth(every=EVERY, branches=4, depth=2)
    result = tree(beginning, tmp_path / "tree", growth, Beginning(), Request(levels=(Level.TOP,)))
    assert len(result.leaves) == 16
    nodes = 4 + 16
    assert drawn == {Level.TOP: nodes * STEP, Level.MIDDLE: 0, Level.BOTTOM: 0}
    assert result.sampled == nodes * STEP
    assert not tree(beginning, tmp_path / "tree", growth, Beginning(), Request(levels=(Level.TOP,))).new
    assert drawn[Level.TOP] == nodes * STEP


def test_shared_codes_lie_in_the_folder_once(grown):
    for step in (1, 2):
        for place in TreeRecipe.from_toml((grown / "tree.toml").read_text(), grown).places(step):
            for level in TOP_DOWN:
                assert Tree(grown).node(place, level).array.shape == (1, STEP * 4 ** (Level.TOP - level))
    assert not (grown / "growing").exists()


def test_the_audio_of_nodes_joins_to_that_of_their_leaf(grown, tmp_path):
    picked = pick_place(grown, (2, 0), tmp_path / "leaf").song
    upsample(picked, Request())
    whole, _ = soundfile.read(picked / "audio/0.wav")
    own = [soundfile.read(grown / "audio" / f"{name}.wav")[0] for name in ("2", "2.0")]
    assert [len(one) for one in own] == [STEP * 256] * 2
    assert len(whole) == (15 + 2 * STEP) * 256
    assert np.abs(whole[-STEP * 256 :] - own[1]).max() < 1e-3
    assert np.abs(whole[15 * 256 :][: (STEP - 2) * 256] - own[0][: -2 * 256]).max() < 1e-3  # but where it ends


def test_a_leaf_of_a_draft_is_upsampled_as_a_separate_song(beginning, request_, grown, tmp_path):
    draft = tmp_path / "draft"
    tree(beginning, draft, GROWTH, Beginning(sample=2), replace(request_, levels=(Level.TOP,)))
    for file in (draft / "nodes").glob("*.npz"):
        assert file.read_bytes() == (grown / "nodes" / file.name).read_bytes()
    picked = pick_place(draft, (0, 1)).song
    assert picked == tmp_path / "draft-0.1"
    upsample(picked, Request())
    assert Song(picked).codes(Level.BOTTOM).done == 16 * (15 + 2 * STEP)


def test_a_tree_grows_from_a_recording(riff, tiny_model, tmp_path):
    growth = Growth(every=EVERY, branches=2, depth=1)
    result = tree(riff, tmp_path / "tree", growth, Beginning(start=0.5), Request(model=str(tiny_model), artist="Ada"))
    assert soundfile.info(tmp_path / "tree/root/prompt.wav").frames == STEP * 256  # as much as a step
    picked = pick_place(result.tree, (1,), tmp_path / "leaf").song
    assert (picked / "prompt.wav").read_bytes() == (tmp_path / "tree/root/prompt.wav").read_bytes()
    assert Song(picked).codes(Level.MIDDLE).array.shape == (1, 8 * STEP)


def test_a_tree_grows_deeper_and_wider_and_keeps_what_it_has(beginning, request_, grown, tmp_path):
    path = tmp_path / "tree"
    draft = replace(request_, levels=(Level.TOP,))
    tree(beginning, path, Growth(every=EVERY, branches=2, depth=1), Beginning(sample=2), draft)
    kept = {name: (path / name).stat().st_mtime_ns for name in files(path) if name.startswith("nodes")}
    regrow(path, Request(), depth=2)
    tree(beginning, path, GROWTH, Beginning(sample=2), replace(request_, levels=(Level.TOP,)))
    assert {name: (path / name).stat().st_mtime_ns for name in kept} == kept
    for name in (f"nodes/{one}.{two}.top.npz" for one in range(3) for two in range(3)):
        assert (path / name).read_bytes() == (grown / name).read_bytes()


def test_info_shows_the_tree_with_its_finished_nodes(grown, tmp_path, capsys):
    path = shutil.copytree(grown, tmp_path / "tree")
    (path / "nodes/1.2.bottom.npz").unlink()
    facts = describe_path(path)
    assert facts["unfinished"] == ["1.2"]
    assert facts["nodes"]["1.2"]["levels"] == ["top", "middle"]
    assert main(["info", str(path)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "│  └─ 1.2  bottom to do" in lines
    assert "└─ 2  done" in lines
    assert lines[-1].startswith("left to do: 1 of 12 nodes (jukectl tree ")


def test_a_node_that_was_lost_is_grown_again_to_the_same_codes(grown, tmp_path):
    path = shutil.copytree(grown, tmp_path / "tree")
    for name in ("1.2.bottom", "1.2.top", "0.0.middle", "2.top"):
        (path / f"nodes/{name}.npz").unlink()
    regrow(path, Request())
    assert files(path) == files(grown)


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        (Growth(every=EVERY, depth=7), "1 to 6 steps deep"),
        (Growth(every=EVERY, depth=0), "1 to 6 steps deep"),
        (Growth(every=EVERY, branches=0), "1 to 1000 branches"),
        (Growth(every=EVERY, branches=1000, depth=2), "at most 10000 nodes"),
        (Growth(every=0.0), "--every"),
        (Growth(every=float("nan")), "--every"),
        (Growth(every=EVERY, branches=3, leaf=(3, 0)), "there is no 3.0"),
    ],
    ids=str,
)
def test_an_invalid_tree_is_refused(beginning, request_, tmp_path, growth, message):
    with pytest.raises(BadInput, match=message):
        tree(beginning, tmp_path / "tree", growth, Beginning(), request_)
    assert not (tmp_path / "tree").exists()


def test_another_tree_in_the_same_folder_is_refused(beginning, grown, request_, tmp_path):
    path = shutil.copytree(grown, tmp_path / "tree")
    with pytest.raises(RecipeDiffers, match=r"seconds: 0\.4 here, 0\.3 asked"):
        tree(beginning, path, Growth(every=0.3, branches=3), Beginning(sample=2), request_)
    with pytest.raises(RecipeDiffers, match="grown from something else"):
        tree(beginning, path, GROWTH, Beginning(sample=1), request_)
    with pytest.raises(BadInput, match="is a song, and a tree needs a new folder"):
        tree(path / "root", beginning, GROWTH, Beginning(), request_)
    assert files(path) == files(grown)


def test_trees_and_songs_are_not_interchangeable(grown, beginning):
    with pytest.raises(NotASong, match="is a tree of songs"):
        Song.open(grown)
    with pytest.raises(NotASong, match="is no tree"):
        regrow(beginning, Request())


@pytest.mark.parametrize("place", [(), (3,), (0, 3), (0, 0, 0)])
def test_a_missing_leaf_is_reported(grown, tmp_path, place):
    with pytest.raises(BadInput, match="has the nodes"):
        pick_place(grown, place, tmp_path / "leaf")


def test_a_tree_of_a_newer_format_is_left_alone(grown, tmp_path):
    path = shutil.copytree(grown, tmp_path / "tree")
    text = (path / "tree.toml").read_text()
    (path / "tree.toml").write_text(text.replace("[tree]\nformat = 1", "[tree]\nformat = 2"))
    with pytest.raises(NotASong, match="tree format 2"):
        regrow(path, Request())
    (path / "tree.toml").write_text(text.replace("depth = 2", 'depth = "deep"'))
    with pytest.raises(NotASong, match="no recipe of a tree"):
        describe_path(path)


def test_the_recipe_of_a_tree_is_written_and_read_back(grown):
    recipe = Tree(grown).recipe()
    assert TreeRecipe.from_toml(recipe.to_toml(), grown / "tree.toml") == recipe
    assert (recipe.depth, recipe.branches, recipe.number) == (2, 3, 2)


@pytest.mark.parametrize("text", ["", "a", "1.", ".1", "1..2", "-1", "1.2345", "1,2"])
def test_invalid_names_of_nodes_are_refused(text):
    with pytest.raises(BadInput, match="a node of a tree"):
        parse_place(text)
    assert name_of(parse_place(" 2.30 ")) == "2.30"


# Heard while it grows


@pytest.fixture
def each_window(monkeypatch) -> list[dict[str, int]]:
    """The audio samples of a tree's files each time that a node's were written while it was made."""
    seen: list[dict[str, int]] = []
    write = Preview.write

    def counted(self, codes):
        write(self, codes)
        folder = self._files[0].parent
        seen.append({file.stem: soundfile.info(file).frames for file in sorted(folder.glob("*.wav"))})

    monkeypatch.setattr(Preview, "write", counted)
    return seen


def test_each_node_is_decoded_as_a_preview(beginning, request_, grown, tmp_path, each_window):
    path = tmp_path / "tree"
    growth = Growth(every=1.6, branches=2, depth=1)  # which is more than a context
    request = replace(request_, preview=(Level.TOP,), song_seconds=None)
    tree(beginning, path, growth, Beginning(sample=2), replace(request, levels=(Level.TOP,)))
    assert [set(one) for one in each_window] == [{"top-0", "top-1"}] * len(each_window)
    lengths = [one["top-1"] for one in each_window]
    assert len(lengths) > 1
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == 50 * 256
    plain = tmp_path / "plain"
    tree(beginning, plain, growth, Beginning(sample=2), replace(request, preview=(), levels=(Level.TOP,)))
    for name in ("0", "1"):
        file = f"previews/top-{name}.wav"
        heard, at_once = (soundfile.read(one / file, dtype="int16")[0].astype(int) for one in (path, plain))
        assert np.abs(heard - at_once).max() <= 1
    assert files(path) == files(plain)


def test_a_tree_of_all_levels_has_previews_too(beginning, request_, grown, tmp_path):
    path = tmp_path / "tree"
    tree(beginning, path, GROWTH, Beginning(sample=2), replace(request_, preview=(Level.TOP,)))
    assert files(path) == files(grown)
    names = [
        ".".join(map(str, place)) for place in TreeRecipe.from_toml((path / "tree.toml").read_text(), path).places(2)
    ]
    for name in ("0", "1", "2", *names):
        assert soundfile.info(path / f"previews/top-{name}.wav").frames == STEP * 256
        assert soundfile.info(path / f"audio/{name}.wav").frames == STEP * 256
    assert audio_of(path, leaf=(2, 1)) == [path / "audio/2.wav", path / "audio/2.1.wav"]
    (path / "audio/2.1.wav").unlink()
    assert audio_of(path, leaf=(2, 1)) == [path / "previews/top-2.wav", path / "previews/top-2.1.wav"]
    assert audio_of(path, leaf=(1, 1), level=Level.TOP)[0] == path / "previews/top-1.wav"
    assert regrow(path, Request(preview=(Level.TOP,))).new
    assert not regrow(path, Request(preview=(Level.TOP,))).new


def test_a_preview_that_was_left_half_made_is_made_whole(beginning, request_, tmp_path, monkeypatch):
    """Killed after a window, and gone on with without --preview."""
    path = tmp_path / "tree"
    growth = Growth(every=1.6, branches=2, depth=1)
    asked = replace(request_, preview=(Level.TOP,), song_seconds=None)

    class Killed(Exception): ...

    def killed(self, codes):
        write(self, codes)
        raise Killed

    write = Preview.write
    monkeypatch.setattr(Preview, "write", killed)
    with pytest.raises(Killed):
        tree(beginning, path, growth, Beginning(), replace(asked, levels=(Level.TOP,)))
    assert 0 < soundfile.info(path / "previews/top-1.wav").frames < 50 * 256
    monkeypatch.setattr(Preview, "write", write)
    regrow(path, Request())
    assert soundfile.info(path / "previews/top-1.wav").frames == 50 * 256


# Killed


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_recipe_that_a_full_disk_left_unwritten_is_written_by_the_next_run(
    beginning, request_, grown, tmp_path, monkeypatch, writes
):
    """Its record of how the nodes were made was once lost when the disk was full after the last of them."""
    written = []

    def until_full(folder: Tree, recipe: TreeRecipe) -> None:
        written.append(recipe)
        if len(written) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder, recipe)

    write = Tree.write_recipe
    monkeypatch.setattr(Tree, "write_recipe", until_full)
    with pytest.raises(OSError, match="No space"):
        tree(beginning, tmp_path / "tree", GROWTH, Beginning(sample=2), request_)
    monkeypatch.undo()
    tree(beginning, tmp_path / "tree", GROWTH, Beginning(sample=2), request_)
    assert files(tmp_path / "tree") == files(grown)
    assert Tree(tmp_path / "tree").recipe().step.made == Tree(grown).recipe().step.made != {}


@pytest.fixture(scope="module")
def start() -> Iterator:
    """Starts `jukectl` as a process of its own, forked from one that has loaded torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jukectl.cli.main", "jukectl.api"])
    started = []

    def run(*arguments):
        process = context.Process(target=main, args=(["--quiet", *map(str, arguments)],))
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.join()


def test_killed_again_and_again_a_tree_is_the_one_left_alone(start, beginning, grown, tmp_path):
    path = tmp_path / "tree"
    options = ["--sample", "2", "--every", EVERY, "--branch", "3", "--seed", "5", "--song-seconds", "2"]
    command = ["tree", beginning, "--out", path, *options]
    for states in KILLED_AT:
        process, began = start(*command), time.monotonic()
        while not all((path / state).exists() for state in states):
            assert process.is_alive(), "it ended before it could be killed"
            assert time.monotonic() - began < LIMIT
            time.sleep(0.001)
        process.kill()
        process.join(LIMIT)
        assert process.exitcode == -signal.SIGKILL
    last = start(*command)
    last.join(LIMIT)
    assert last.exitcode == 0
    assert files(path) == files(grown)
    assert (path / "audio/2.2.wav").read_bytes() == (grown / "audio/2.2.wav").read_bytes()
    assert not list(path.rglob("*.part"))
    assert not (path / "growing").exists()


def test_two_do_not_grow_one_tree(grown, tmp_path):
    path = shutil.copytree(grown, tmp_path / "tree")
    with Tree(path).lock(), pytest.raises(SongBusy):
        regrow(path, Request())
