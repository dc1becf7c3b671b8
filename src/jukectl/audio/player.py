"""Playback of a file in the terminal, by a player that is installed."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from jukectl.audio import io
from jukectl.errors import BadInput, MissingTool


@dataclass(frozen=True)
class Player:
    """A program that plays a file and ends with it."""

    command: tuple[str, ...]  # the file comes last
    suffixes: tuple[str, ...] = ()  # of the files that it plays; empty: of all that jukectl writes

    def plays(self, path: Path) -> bool:
        """Return True if the player supports the file's format."""
        return not self.suffixes or path.suffix.lower() in self.suffixes


PLAYERS = (
    Player(("ffplay", "-nodisp", "-autoexit", "-loglevel", "error")),
    Player(("mpv", "--no-video", "--really-quiet")),
    Player(("afplay",), (".wav", ".mp3", ".flac")),  # of macOS
    Player(("pw-play",), (".wav", ".flac", ".ogg")),
    Player(("paplay",), (".wav", ".flac", ".ogg")),
    Player(("play", "-q")),  # of SoX
    Player(("aplay", "-q"), (".wav",)),
)
"""Players in the order in which they are tried."""

WINDOWS = Player(("winsound",), (".wav",))
"""Player of Python itself on Windows."""

SOUNDDEVICE = Player(("sounddevice",))
"""Player of the extra jukectl[play], which needs no program."""


def find_player(path: Path, named: str | None = None) -> Player:
    """Return the player `named` by a command, or the first installed one that plays files like `path`.

    Raises MissingTool if none is installed, BadInput for an invalid command.
    """
    if named is not None:
        try:
            command = shlex.split(named)
        except ValueError as error:
            raise BadInput(f"--player is a command, such as 'mpv --no-video'; got {named!r}: {error}") from error
        if not command or shutil.which(command[0]) is None:
            raise MissingTool(f"there is no player {named!r} here. Leave --player out, or give another command")
        return Player(tuple(command))
    for player in PLAYERS:
        if player.plays(path) and shutil.which(player.command[0]):
            return player
    if sys.platform == "win32" and WINDOWS.plays(path):
        return WINDOWS
    if _sounddevice() is not None:
        return SOUNDDEVICE
    names = ", ".join(player.command[0] for player in PLAYERS)
    raise MissingTool(
        f"no player for {path.suffix or 'such'} files is here (looked for {names}). Install ffmpeg, which has ffplay, "
        f"or pip install 'jukectl[play]', or name another with --player, or open {path} yourself"
    )


def play(paths: Sequence[Path], named: str | None = None) -> Player:
    """Play files one after another; return the player. Raises MissingTool if none can play them, or if it fails."""
    player = find_player(paths[0], named)
    for path in paths:
        if player in (WINDOWS, SOUNDDEVICE):
            (_play_on_windows if player is WINDOWS else _play_by_sounddevice)(path)
            continue
        done = subprocess.run(
            [*player.command, os.fspath(path.absolute())], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            why = said[-1] if said else f"it ended with status {done.returncode}"
            raise MissingTool(f"{player.command[0]} cannot play {path}: {why}. Name another player with --player")
    return player


def _sounddevice() -> Any:
    """Return the module sounddevice, None if it or its library PortAudio is not installed."""
    with suppress(ImportError, OSError):
        return import_module("sounddevice")
    return None


def _play_by_sounddevice(path: Path) -> None:
    device = _sounddevice()
    audio = io.load(path)
    try:
        device.play(audio.samples.T, audio.sample_rate, blocking=True)
    except device.PortAudioError as error:
        raise MissingTool(f"cannot play {path}: {error}. Name a player with --player, or open it yourself") from error


def _play_on_windows(path: Path) -> None:
    if sys.platform == "win32":
        import winsound

        winsound.PlaySound(os.fspath(path), winsound.SND_FILENAME)
