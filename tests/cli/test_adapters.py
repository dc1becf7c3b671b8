"""Adapters on the command line: used, combined, kept in the recipe, and merged into models."""

import shutil
import signal
import subprocess
import tomllib

import numpy as np
import pytest
import torch

from jukectl.checkpoints.adapters import AdapterCard, save_adapter
from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.values import parse_adapter
from jukectl.codes.level import Level
from jukectl.prior.adapters import ARTISTS

QKV = "transformer.blocks.0.attention.qkv"


@pytest.fixture
def adapter(tiny_model, tmp_path):
    """Write adapters of the tiny model with random weights and a new artist, Zoë."""

    def make(name="zoë.safetensors", level=Level.TOP, seed=0):
        generator = torch.Generator().manual_seed(seed)
        sizes = {f"{QKV}.down": (32, 2), f"{QKV}.up": (2, 24), f"{ARTISTS}.rows": (1, 32)}
        tensors = {one: torch.randn(size, generator=generator) for one, size in sizes.items()}
        base = ModelFolder(tiny_model).fingerprint(level.label)
        card = AdapterCard(model="tiny", level=level, base=base, rank=2, alpha=2.0, artists=("Zoë",))
        save_adapter(tmp_path / name, card, tensors)
        return tmp_path / name

    return make


@pytest.fixture
def ask(tiny_model):
    """Options of `jukectl sample` for a song of the new artist."""
    return ["--model", tiny_model, "--artist", "zoë", "--seed", 3, "--seconds", 1]


def codes(path, level="top"):
    return np.load(path / f"{level}.npz")["codes"]


def test_an_adapter_adds_an_artist_and_is_kept_in_the_recipe(jukectl, adapter, ask, tmp_path):
    file = adapter()
    answer = jukectl("sample", "--out", tmp_path / "a", "--adapter", file, *ask)
    warnings = [line for line in answer.err.splitlines() if "warning" in line]
    assert len(warnings) == 2  # the upsamplers have not learned the name
    assert all("has no label for Zoë" in line for line in warnings)
    recipe = tomllib.loads((tmp_path / "a" / "song.toml").read_text(encoding="utf-8"))
    assert [(one["level"], one["strength"], one["path"]) for one in recipe["adapters"]] == [("top", 1.0, str(file))]
    jukectl("sample", "--out", tmp_path / "b", "--adapter", f"{file}:0.25", *ask, "--levels", "top")
    assert not np.array_equal(codes(tmp_path / "a"), codes(tmp_path / "b"))


def test_two_adapters_make_another_song_than_either(jukectl, adapter, ask, tmp_path):
    one, two = adapter("one"), adapter("two", seed=1)
    for name, files in {"one": [one], "two": [two], "both": [one, two]}.items():
        worn = [part for file in files for part in ("--adapter", file)]
        jukectl("sample", "--out", tmp_path / "songs" / name, *worn, *ask, "--levels", "top")
    made = [codes(tmp_path / "songs" / name).tobytes() for name in ("one", "two", "both")]
    assert len(set(made)) == 3


def test_a_killed_song_resumes_with_its_adapters_to_the_same_codes(jukectl, adapter, ask, warm_python, tmp_path):
    file = adapter()
    options = [*map(str, ask), "--adapter", str(file), "--seconds", "5", "--levels", "top", "--advance", "0.25"]
    jukectl("sample", "--out", tmp_path / "whole", *options)
    script = (
        "import os, signal, sys\n"
        "from jukectl.codes.song import Song\n"
        "save = Song.save\n"
        "def once(self, codes):\n"
        "    save(self, codes)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Song.save = once\n"
        "from jukectl.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [*warm_python, "-c", script, "sample", "--out", str(tmp_path / "cut"), *options]
    killed = subprocess.run(command, check=False, timeout=500)
    assert killed.returncode == -signal.SIGKILL
    assert codes(tmp_path / "cut").shape[1] < codes(tmp_path / "whole").shape[1]
    jukectl("resume", tmp_path / "cut")
    assert np.array_equal(codes(tmp_path / "cut"), codes(tmp_path / "whole"))


def test_a_missing_moved_or_changed_adapter_is_refused(jukectl, fails, adapter, ask, tmp_path):
    file = adapter()
    draft = ["sample", "--out", tmp_path / "a", *ask, "--levels", "top", "--adapter", file]
    jukectl(*draft)
    moved = shutil.move(file, tmp_path / "moved")
    assert "say where it is now with --adapter" in fails("upsample", tmp_path / "a")
    jukectl("upsample", tmp_path / "a", "--adapter", moved)
    right = shutil.copy(moved, tmp_path / "copied")
    wrong = adapter("moved", seed=5)  # where the recipe expects it now
    (tmp_path / "a" / "bottom.npz").unlink()
    assert "is not the adapter that" in fails("resume", tmp_path / "a")
    assert "begun without one of the adapters" in fails("resume", tmp_path / "a", "--adapter", wrong)
    jukectl("resume", tmp_path / "a", "--adapter", right)


def test_the_same_adapters_resume_a_song_and_others_are_refused(jukectl, fails, adapter, ask, tmp_path):
    file = adapter()
    jukectl("sample", "--out", tmp_path / "a", *ask, "--levels", "top", "--adapter", file)
    assert "nothing to do" in jukectl("sample", "--out", tmp_path / "a", *ask, "--levels", "top", "--adapter", file).err
    told = fails("sample", "--out", tmp_path / "a", *ask, "--levels", "top", "--adapter", f"{file}:0.5")
    assert "adapters.top" in told
    assert "at 0.5 asked" in told


def test_an_adapter_can_be_added_to_a_level_that_has_not_started(jukectl, adapter, ask, tmp_path):
    top, middle = adapter(), adapter("middle", Level.MIDDLE)
    jukectl("sample", "--out", tmp_path / "a", *ask, "--levels", "top", "--adapter", top)
    answer = jukectl("upsample", tmp_path / "a", "--adapter", middle)
    assert "middle prior has no label" not in answer.err
    recipe = tomllib.loads((tmp_path / "a" / "song.toml").read_text(encoding="utf-8"))
    assert [one["level"] for one in recipe["adapters"]] == ["top", "middle"]


def test_an_unknown_artist_or_adapter_is_refused(fails, adapter, ask, tmp_path, tiny_model):
    assert "no artist is called 'zoë'" in fails("sample", "--out", tmp_path / "a", *ask)
    assert "cannot read the adapter" in fails("sample", "--out", tmp_path / "a", *ask, "--adapter", tmp_path / "none")
    assert "not an adapter of" in fails(
        "sample", "--out", tmp_path / "a", *ask, "--adapter", tiny_model / "top.safetensors"
    )
    assert not (tmp_path / "a").exists()


def test_a_model_merged_with_an_adapter_makes_the_same_music(jukectl, adapter, ask, tmp_path, tiny_model):
    """Merging rounds to half precision, so a few codes may differ."""
    file = adapter()
    merged = tmp_path / "merged"
    answer = jukectl("models", "merge", tiny_model, "--adapter", file, "--out", merged)
    assert answer.out.splitlines() == [str(merged)]
    jukectl("sample", "--out", tmp_path / "a", *ask, "--adapter", file, "--levels", "top")
    jukectl("sample", "--out", tmp_path / "b", *ask, "--model", merged, "--levels", "top")
    assert np.mean(codes(tmp_path / "a") == codes(tmp_path / "b")) > 0.9
    assert ModelFolder(merged).fingerprint("middle") == ModelFolder(tiny_model).fingerprint("middle")
    assert "Zoë" in jukectl("models", "show", merged).out
    shown = ModelFolder(merged).card
    assert {part: ModelFolder(merged).fingerprint(part) for part in shown.fingerprints} == shown.fingerprints


def test_merging_refuses_to_overwrite_the_model_itself(fails, adapter, tmp_path, tiny_model):
    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    assert "another folder" in fails("models", "merge", folder, "--adapter", adapter(), "--out", folder)


@pytest.mark.parametrize(
    ("text", "path", "strength"),
    [
        ("a.safetensors", "a.safetensors", None),
        ("a.safetensors:0.5", "a.safetensors", 0.5),
        ("a.safetensors:-1", "a.safetensors", -1.0),
        ("C:\\a.safetensors", "C:\\a.safetensors", None),
        ("odd:name", "odd:name", None),
    ],
)
def test_an_adapter_option_has_a_file_and_an_optional_strength(text, path, strength):
    found, given = parse_adapter(text)
    assert (str(found), given) == (path, strength)
