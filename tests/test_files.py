"""Writing of files: exclusive, under names that nobody foresees, and without litter."""

import os
import platform
import subprocess
import sys

import pytest

from jukectl import files
from jukectl.errors import CannotWrite
from jukectl.files import atomic_write, remove_folder, sweep


def write(path, data=b"new"):
    with atomic_write(path) as file:
        file.write(data)


def parts(folder):
    return sorted(path.name for path in folder.glob(".*.part"))


def test_a_link_laid_at_a_foreseen_name_is_not_followed(tmp_path, monkeypatch):
    """Names were .NAME.PID.part; now even one that is guessed is created exclusively."""
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / f".song.toml.{os.getpid()}.part").symlink_to(tmp_path / "victim")
    write(tmp_path / "song.toml")
    assert (tmp_path / "song.toml").read_bytes() == b"new"
    monkeypatch.setattr(files, "_part_beside", lambda path: path.with_name(".guessed.part"))
    (tmp_path / ".guessed.part").symlink_to(tmp_path / "victim")
    with pytest.raises(CannotWrite, match="File exists"):
        write(tmp_path / "other.toml")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / ".guessed.part").is_symlink()  # it is not ours to remove


def test_a_link_in_the_place_of_the_file_is_replaced_and_its_target_stays(tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "song.toml").symlink_to(tmp_path / "victim")
    write(tmp_path / "song.toml")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "song.toml").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o640])
def test_a_file_keeps_its_permissions_and_is_never_more_open_on_the_way(tmp_path, mode):
    path = tmp_path / "song.toml"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_write(path) as file:
        (part,) = tmp_path.glob(".*.part")
        assert part.stat().st_mode & 0o777 == mode
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            write(tmp_path / f"{umask}")
        finally:
            os.umask(before)
        assert (tmp_path / f"{umask}").stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_a_killed_process_left_is_removed_by_the_next_write_in_the_folder(tmp_path):
    script = (
        "import os, sys, pathlib; from jukectl.files import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as file: file.write(b'half'); file.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "top.npz"], check=False)
    assert len(parts(tmp_path)) == 1
    write(tmp_path / "other.npz")
    assert parts(tmp_path) == []
    assert not (tmp_path / "top.npz").exists()


def test_files_of_processes_at_work_and_of_other_machines_and_programs_are_kept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    token, other = "0" * 16, "f" * 8
    assert other != files._HOST, platform.node()
    kept = [
        f".jukectl-{files._HOST}-{os.getpid()}-{token}.part",
        f".jukectl-{other}-{gone.pid}-{token}.part",
        f".download.{gone.pid}.part",
    ]
    swept = [f".jukectl-{files._HOST}-{gone.pid}-{token}.part", f".jukectl-{other}-{gone.pid}-{token[:-1]}1.part"]
    for name in (*kept, *swept):
        (tmp_path / name).write_bytes(b"")
    os.utime(tmp_path / swept[1], (1e9, 1e9))  # of another machine, and old
    sweep(tmp_path)
    assert parts(tmp_path) == sorted(kept)


def test_a_folder_is_removed_at_once_and_a_link_without_its_target(tmp_path):
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "deep" / "file").write_bytes(b"")
    remove_folder(tmp_path / "work")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    remove_folder(tmp_path / "link")
    remove_folder(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "file").read_bytes() == b"mine"
