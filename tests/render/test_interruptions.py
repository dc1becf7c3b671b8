"""Renders that are killed, stopped, or run out of disk: nothing is lost, and no code differs."""

import multiprocessing
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from jukectl.api import resume
from jukectl.cli.main import main
from jukectl.codes.level import TOP_DOWN
from jukectl.codes.song import Song

LIMIT = 60  # seconds to wait for a process that should be quick
KILLS = 4
DISK = 160  # KiB

LISTENING = """
import signal
from jukectl.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
raise SystemExit(main())
"""
"""jukectl, hearing Ctrl-C even as the background job of a shell, which has it ignored."""

Start = Callable[..., ForkServerProcess]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts `jukectl` as a process of its own, forked from one that has loaded torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jukectl.cli.main", "jukectl.api"])
    started = []

    def run(*arguments: object) -> ForkServerProcess:
        process = context.Process(target=main, args=(["--quiet", *map(str, arguments)],))
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def render(tiny_model, riff) -> Callable[[Path], list[str]]:
    """The command that makes a song of two seconds from half a second of the riff."""
    options = ["--artist", "ada", "--genre", "jazz", "--seconds", "2", "--samples", "2", "--seed", "5"]
    given = [str(riff), "--model", str(tiny_model), "--prompt-seconds", "0.5", *options]
    return lambda out: ["continue", *given, "--out", str(out)]


@pytest.fixture(scope="module")
def alone(render, tmp_path_factory) -> Song:
    """The song of a run that was left alone."""
    song = Song(tmp_path_factory.mktemp("alone") / "song")
    assert main(["--quiet", *render(song.path)]) == 0
    return song


def wait_until(holds: Callable[[], bool], process: ForkServerProcess) -> None:
    began = time.monotonic()
    while not holds():
        assert process.is_alive(), "it ended before it could be stopped"
        assert time.monotonic() - began < LIMIT
        time.sleep(0.002)


def archived(path: Path) -> int:
    """Bytes of a song's archives, which grow as it does."""
    return sum(file.stat().st_size for file in path.glob("*.npz"))


def has_any(*paths: Path) -> bool:
    return any(path.exists() for path in paths)


def has_share(path: Path, size: float) -> bool:
    return archived(path) >= size


def test_killed_at_random_moments_and_resumed_a_song_is_the_one_left_alone(start, render, alone, tmp_path, codes_in):
    chance = random.Random(10)
    song, whole = Song(tmp_path / "song"), archived(alone.path)
    for share in sorted(chance.uniform(0, 0.97) for _ in range(KILLS)):  # of the way, so that it is never over by then
        process = start(*(render(song.path) if chance.random() < 0.5 or not song.begun else ["resume", song.path]))
        wait_until(partial(has_share, song.path, share * whole), process)
        time.sleep(chance.uniform(0, 0.02))  # whatever it is doing then
        process.kill()
        process.join(LIMIT)
        assert process.exitcode == -signal.SIGKILL
        for level in TOP_DOWN:  # each archive is there whole or not at all
            song.codes(level)

    last = start("resume", song.path)
    last.join(LIMIT)
    assert codes_in(song.path) == codes_in(alone.path)
    assert song.audio_path(1).read_bytes() == alone.audio_path(1).read_bytes()
    assert not list(song.path.rglob("*.part"))  # what the killed ones left half written is swept up


def test_killed_while_spans_are_made_and_resumed_a_song_is_the_one_left_alone(start, render, tmp_path, codes_in):
    song, alone, met = Song(tmp_path / "song"), Song(tmp_path / "alone"), 0
    assert main(["--quiet", *render(alone.path), "--parallel", "3"]) == 0
    for level in TOP_DOWN[1:]:
        for pause in (0.0, 0.01):
            process = start(*(["resume", song.path] if song.begun else [*render(song.path), "--parallel", "3"]))
            wait_until(partial(has_any, song.spans_path(level), song.audio_path(1)), process)
            time.sleep(pause)  # whatever it is doing then
            process.kill()
            process.join(LIMIT)
            met += song.spans_path(level).exists()
    assert met  # else nothing was tried
    last = start("resume", song.path)
    last.join(LIMIT)
    assert codes_in(song.path) == codes_in(alone.path)
    assert not list(song.path.rglob("*.part"))


def test_killed_as_soon_as_it_began_it_can_be_begun_again(start, render, tmp_path):
    song = Song(tmp_path / "song")
    process = start(*render(song.path))
    wait_until(song.path.exists, process)
    process.kill()
    process.join(LIMIT)
    again = start(*render(song.path))
    again.join(LIMIT)
    assert song.audio_path(1).exists()


@pytest.mark.alone
def test_a_second_process_on_the_same_song_is_refused_at_once(start, render, tmp_path, capsys):
    process = start(*render(tmp_path / "song"))
    wait_until((tmp_path / "song" / "top.npz").exists, process)
    began = time.monotonic()
    assert main(render(tmp_path / "song")) == 1
    assert main(["resume", str(tmp_path / "song")]) == 1
    assert time.monotonic() - began < 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(f"another jukectl is working on {tmp_path / 'song'}" in line for line in lines)
    assert process.is_alive()


def test_a_terminated_process_leaves_a_song_that_can_be_resumed(start, render, tmp_path):
    song = Song(tmp_path / "song")
    process = start(*render(song.path))
    wait_until((song.path / "middle.npz").exists, process)
    process.terminate()
    process.join(LIMIT)
    assert process.exitcode == -signal.SIGTERM
    assert resume(song.path).new
    assert not resume(song.path).new


def test_after_ctrl_c_the_exit_status_is_130_and_the_resume_command_is_printed(render, warm_python, tmp_path):
    song = Song(tmp_path / "my song")
    process = subprocess.Popen(
        [*warm_python, "-c", LISTENING, *render(song.path), "--overwrite"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    for line in process.stderr:
        if line.startswith("bottom codes"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("jukectl: ")]
    assert len(said) == 1
    assert "Traceback" not in err
    way_on = said[0].partition("Resume with: ")[2]
    assert way_on.startswith("jukectl continue")
    assert f"'{song.path}'" in way_on  # as a shell takes it
    assert "--overwrite" not in way_on  # which would begin anew
    assert song.codes(TOP_DOWN[1]).done == 77 * 4
    assert resume(song.path).new


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own; nothing where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}k", "tmpfs", place], capture_output=True, check=False
    )
    yield place if mounted.returncode == 0 else None
    if mounted.returncode == 0:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("free", [0, 12, 32, 40, 60, 100], ids="{} KiB free".format)
def test_on_a_full_disk_nothing_is_lost_and_the_song_resumes_later(
    small_disk, render, alone, tmp_path, capsys, codes_in, free
):
    """The prompt, each level and the audio are what it may run out of room for. Without a disk, a file is too large."""
    song = Song((small_disk or tmp_path) / "song")
    command = ["--quiet", *render(song.path)]
    if small_disk:
        (small_disk / "filler").write_bytes(bytes((DISK - free) * 1024))
        status = main(command)
        (small_disk / "filler").unlink()
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (16_000 if free else 0, before[1])
        )  # the audio is too large; or all is
        try:
            status = main(command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert re.match(r"jukectl: cannot .*(No space left|File too large)", line)
    assert not list(song.path.rglob("*.part"))
    kept = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}

    if small_disk:
        subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert main(command) == 0
    for level, codes in kept.items():
        assert (song.codes(level).array[:, : codes.done] == codes.array).all()
    assert codes_in(song.path) == codes_in(alone.path)


def test_a_finished_song_is_resumed_on_a_read_only_disk_and_one_that_is_not_is_named(small_disk, alone, capsys):
    if small_disk is None:
        pytest.skip("no disk can be mounted here")
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    done = Song(shutil.copytree(alone.path, small_disk / "done"))
    half = Song(shutil.copytree(alone.path, small_disk / "half"))
    half.audio_path(1).unlink()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    again = resume(done.path)
    assert not again.new
    assert again.audio == (done.audio_path(0), done.audio_path(1))
    assert main(["resume", str(half.path)]) == 1
    assert re.match(r"jukectl: cannot lock .*Read-only file system", capsys.readouterr().err.splitlines()[-1])
