"""librosa is imported by one process at a time: two that compile it at once can crash each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

IMPORT = """
from jukectl.librosa import load_librosa
print("begun", flush=True)
print(load_librosa().__name__, flush=True)
"""


def started(cache: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a process that imports librosa, with a cache folder of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **environment}
    process = subprocess.Popen([sys.executable, "-c", IMPORT], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "begun\n"
    return process


def rest(process: subprocess.Popen[str]) -> str:
    """The rest of what a process prints. `communicate` would lose what was read along with the first line."""
    assert process.stdout
    with process.stdout:
        printed = process.stdout.read()
    process.wait(120)
    return printed


@pytest.fixture
def quick_librosa(tmp_path: Path) -> str:
    """A folder of modules in which librosa is empty, so that only the lock delays its import."""
    names = ("", "core", "core.audio", "core.pitch", "feature", "onset", "util", "util.utils")
    for name in names:
        package = tmp_path.joinpath("modules", "librosa", *name.split("."))
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    return str(tmp_path / "modules")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache folder is named otherwise")
def test_a_process_waits_while_another_imports(quick_librosa: str, tmp_path: Path):
    (tmp_path / "jukectl").mkdir()
    with FileLock(tmp_path / "jukectl" / "librosa.lock"):
        process = started(tmp_path, PYTHONPATH=quick_librosa)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
    assert rest(process) == "librosa\n"


def test_without_a_folder_for_the_lock_it_is_imported_all_the_same(quick_librosa: str, tmp_path: Path):
    """Not the true librosa: without the lock it could crash a test beside this one, on a machine that it is new to."""
    (tmp_path / "file").write_text("no folder")
    process = started(tmp_path / "file", PYTHONPATH=quick_librosa)
    assert rest(process) == "librosa\n"
