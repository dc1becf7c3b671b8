"""Songs and a model stored by jukectl 0.1.0, at the last commit that had pipeline/ in place of plan/ and render/.

They open, and their recipes give the same codes, bit for bit, on a CPU. The songs use much of what a recipe can ask
for: a prompt, two samples, lyrics with times, notes, a schedule, top-k and top-p, guidance, and parallel spans. They
were made from riff.wav, lyrics.lrc, tune.mid and changes.toml beside them, the first one by `COMMAND`.

Never write these files again with newer code: a test that fails here has found changed codes, or a changed format.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jukectl.checkpoints import catalogue
from jukectl.cli.main import main
from jukectl.codes.archive import Codes

STORED = Path(__file__).parent / "golden" / "stored"
SONGS = ("continued", "branched", "tree/root")
COMMAND = (
    "continue riff.wav --model stored --prompt-seconds 0.6 --start 0.2 --seconds 4 --lyrics lyrics.lrc --midi tune.mid "
    "--schedule changes.toml --artist Ada --genre jazz --song-seconds 6 --samples 2 --seed 11 --temperature 0.98 "
    "--advance 0.5 --top-k top=20,middle=0,bottom=0 --top-p bottom=0.95 --guidance middle=1.5 --parallel 2"
)


@pytest.fixture(autouse=True)
def stored_model(monkeypatch):
    """The stored model is one of the user's, so recipes find it by its name."""
    monkeypatch.setattr(catalogue, "user_models", lambda: STORED / "models")


@pytest.fixture
def copy_of(tmp_path) -> Callable[[str], Path]:
    """A copy of a stored song or tree that a test may change."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(STORED / "songs" / name, tmp_path / name))

    return copy


def assert_same_codes(folder: Path, stored: Path) -> None:
    """Every archive of codes in a stored folder is in the other one, with the same codes."""
    names = [path.name for path in stored.glob("*.npz") if not path.name.endswith(".spans.npz")]
    assert names
    for name in names:
        made, kept = Codes.load(folder / name), Codes.load(stored / name)
        assert np.array_equal(made.array, kept.array), name
        assert (made.prompt, made.hop, made.vqvae) == (kept.prompt, kept.hop, kept.vqvae), name


@pytest.mark.parametrize("name", SONGS)
def test_a_stored_song_is_described(name, capsys):
    assert main(["--json", "info", str(STORED / "songs" / name)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "stored"
    assert facts["levels"]["bottom"]["frames"] == Codes.load(STORED / "songs" / name / "bottom.npz").done


@pytest.mark.parametrize("name", SONGS)
def test_a_stored_song_is_decoded(name, copy_of, capsys):
    song = copy_of(name)
    assert main(["decode", str(song)]) == 0
    files = [Path(line) for line in capsys.readouterr().out.split()]
    assert len(files) == Codes.load(song / "bottom.npz").samples
    assert all(file.stat().st_size > 10_000 for file in files)


@pytest.mark.parametrize("name", ["continued", "branched"])
def test_a_stored_song_that_was_decoded_is_finished(name, copy_of, capsys):
    song = copy_of(name)
    assert main(["decode", str(song)]) == 0
    assert main(["resume", str(song)]) == 0
    assert "is finished already: nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["continued", "branched"])
def test_a_stored_recipe_gives_the_same_codes(name, copy_of):
    song = copy_of(name)
    for level in ("top", "middle", "bottom"):
        (song / f"{level}.npz").unlink()
    assert main(["--quiet", "resume", str(song)]) == 0
    assert_same_codes(song, STORED / "songs" / name)


@pytest.mark.parametrize("name", ["continued", "branched"])
def test_a_stored_song_that_lost_its_bottom_level_gets_the_same_codes(name, copy_of):
    song = copy_of(name)
    (song / "bottom.npz").unlink()
    assert main(["--quiet", "resume", str(song)]) == 0
    assert_same_codes(song, STORED / "songs" / name)


def test_the_command_of_a_stored_song_makes_the_same_codes(tmp_path, monkeypatch):
    monkeypatch.chdir(STORED)
    assert main(["--quiet", *COMMAND.split(), "--out", str(tmp_path / "again")]) == 0
    assert_same_codes(tmp_path / "again", STORED / "songs" / "continued")


def test_a_stored_song_that_was_stopped_within_its_spans_is_resumed_to_the_same_codes(copy_of, capsys):
    song = copy_of("stopped")
    assert (song / "bottom.spans.npz").exists()
    assert main(["--quiet", "resume", str(song)]) == 0
    assert "warning: what the spans" not in capsys.readouterr().err
    assert_same_codes(song, STORED / "songs" / "continued")


def test_a_stored_tree_that_lost_nodes_grows_them_to_the_same_codes(copy_of):
    tree = copy_of("tree")
    for path in (tree / "nodes").iterdir():
        path.unlink()
    assert main(["--quiet", "tree", str(tree)]) == 0
    assert_same_codes(tree / "nodes", STORED / "songs" / "tree" / "nodes")


def test_a_leaf_of_a_stored_tree_becomes_a_song(copy_of, tmp_path):
    assert main(["--quiet", "pick", str(copy_of("tree")), "--leaf", "1", "--out", str(tmp_path / "leaf")]) == 0
    leaf = Codes.load(STORED / "songs" / "tree" / "nodes" / "1.middle.npz").array
    assert np.array_equal(Codes.load(tmp_path / "leaf" / "middle.npz").array[:, -leaf.shape[1] :], leaf)
