"""librosa is imported by one process at a time: two that compile it at once can crash each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

IMPORT = "from jukectl.librosa import load_librosa; print(load_librosa().feature.mfcc.__name__, flush=True)"


def started(cache: Path) -> subprocess.Popen[str]:
    """Start a process that imports librosa, with a cache folder of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen([sys.executable, "-c", IMPORT], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache folder is named otherwise")
def test_a_process_waits_while_another_imports(tmp_path: Path):
    (tmp_path / "jukectl").mkdir()
    with FileLock(tmp_path / "jukectl" / "librosa.lock"):
        process = started(tmp_path)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)
    assert process.communicate(timeout=120)[0].strip() == "mfcc"


def test_without_a_folder_for_the_lock_it_is_imported_all_the_same(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    process = started(tmp_path / "file")
    assert process.communicate(timeout=120)[0].strip() == "mfcc"
