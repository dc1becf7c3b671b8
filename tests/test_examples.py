"""`jukectl examples copy`: every example at hand, and no file of the user replaced."""

import os
from pathlib import Path

import pytest

from jukectl.cli.main import main
from jukectl.errors import BadInput, MissingTool
from jukectl.examples import copy_examples, examples_folder

SOURCE = Path(__file__).parent.parent / "examples"
NAMES = {path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def content(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_example_is_copied_with_its_bytes_and_scripts_can_be_run(tmp_path):
    assert set(copy_examples(tmp_path / "new/examples").new) == NAMES
    assert content(tmp_path / "new/examples") == {name: (SOURCE / name).read_bytes() for name in NAMES}
    scripts = {name for name in NAMES if os.access(SOURCE / name, os.X_OK)}
    assert Path("continue_riff.sh") in scripts
    assert {name for name in NAMES if os.access(tmp_path / "new/examples" / name, os.X_OK)} == scripts


def test_a_second_run_changes_nothing_and_says_so(tmp_path, capsys):
    assert main(["examples", "copy", str(tmp_path)]) == 0
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()
    assert main(["examples", "copy", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"{tmp_path}\n", f"{tmp_path} has every example already: nothing to do.\n")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_files_of_the_user_stay_and_what_is_missing_is_added(tmp_path, capsys):
    (tmp_path / "mini").mkdir()
    mine = {Path("riff.wav"): b"my riff", Path("mini/top.toml"): b"", Path("other.txt"): b"mine"}
    for name, text in mine.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "tune.mid").symlink_to(tmp_path / "nowhere.mid")
    assert main(["examples", "copy", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in mine} == mine
    assert (tmp_path / "tune.mid").is_symlink()
    assert not (tmp_path / "nowhere.mid").exists()
    said = capsys.readouterr().err.splitlines()
    kept = ("mini/top.toml", "riff.wav", "tune.mid")
    assert said == [f"{tmp_path / name} is another file: kept." for name in kept]
    assert set(content(tmp_path)) == (NAMES | set(mine)) - {Path("tune.mid")}


def test_a_folder_that_is_a_file_or_a_link_inside_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="is a file"):
        copy_examples(tmp_path / "file")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/mini").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="is a link to another place"):
        copy_examples(tmp_path / "examples")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_examples_inside_the_package_come_first_and_a_package_without_any_says_so(tmp_path, monkeypatch):
    package = tmp_path / "lib/site-packages/jukectl"
    monkeypatch.setattr("jukectl.examples.__file__", str(package / "examples.py"))
    with pytest.raises(MissingTool, match="has no examples"):
        examples_folder()
    (package / "assets/examples").mkdir(parents=True)
    (package / "assets/examples/riff.wav").touch()
    assert examples_folder() == package / "assets/examples"
