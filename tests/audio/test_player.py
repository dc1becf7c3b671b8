"""Players found on the PATH, and real processes of them."""

import sys

import pytest

from jukectl.audio import player
from jukectl.audio.player import PLAYERS, find_player, play
from jukectl.errors import BadInput, MissingTool


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine that has these players alone: each writes down what it was told to play, or fails."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr(player, "_sounddevice", lambda: None)
    heard = tmp_path / "heard"

    def have(*names, status=0):
        for name in names:
            script = place / name
            script.write_text(
                f"#!{sys.executable}\nimport sys\n"
                f"print(*sys.argv[1:], file=open({str(heard)!r}, 'a'))\n"
                f"print('no such device', file=sys.stderr)\nsys.exit({status})\n"
            )
            script.chmod(0o755)
        return heard

    return have


def test_the_first_installed_player_plays_the_files_one_after_another(machine, tmp_path):
    heard = machine("aplay", "ffplay")
    files = [tmp_path / name for name in ("one.wav", "-two [x].wav")]
    assert play(files).command[0] == "ffplay"
    assert heard.read_text().splitlines() == [f"-nodisp -autoexit -loglevel error {file}" for file in files]


def test_a_player_is_not_given_formats_that_it_cannot_play(machine, tmp_path):
    machine("aplay", "play")
    assert find_player(tmp_path / "song.wav").command[0] == "play"  # SoX comes before
    (tmp_path / "bin/play").unlink()
    assert find_player(tmp_path / "song.wav").command[0] == "aplay"
    with pytest.raises(MissingTool, match=r"no player for \.mp3 files is here \(looked for ffplay, mpv"):
        find_player(tmp_path / "song.mp3")


def test_without_any_player_the_error_says_how_to_get_one(machine, tmp_path):
    with pytest.raises(MissingTool, match=r"Install ffmpeg.*--player, or open .*song\.flac"):
        play([tmp_path / "song.flac"])


def test_a_player_that_fails_is_quoted(machine, tmp_path):
    machine("mpv", status=3)
    with pytest.raises(MissingTool, match=r"mpv cannot play .*song\.wav: no such device"):
        play([tmp_path / "song.wav"])


def test_a_player_can_be_named_with_its_options(machine, tmp_path):
    heard = machine("ffplay", "mine")
    play([tmp_path / "song.wav"], "mine --loud 'and clear'")
    assert heard.read_text() == f"--loud and clear {tmp_path / 'song.wav'}\n"
    with pytest.raises(MissingTool, match="no player 'yours'"):
        play([tmp_path / "song.wav"], "yours")
    with pytest.raises(BadInput, match="--player is a command"):
        play([tmp_path / "song.wav"], "mine 'unfinished")


def test_the_file_is_the_last_argument_of_every_player():
    assert all(player.command and not player.command[0].startswith("-") for player in PLAYERS)


class Device:
    """A stand-in for sounddevice, which plays into a list."""

    class PortAudioError(Exception):
        pass

    def __init__(self, problem=None):
        self.played, self.problem = [], problem

    def play(self, samples, rate, *, blocking):
        assert blocking
        if self.problem:
            raise self.PortAudioError(self.problem)
        self.played.append((samples.shape, rate))


def test_the_extra_plays_where_no_player_is_installed(machine, riff, monkeypatch):
    device = Device()
    monkeypatch.setattr(player, "_sounddevice", lambda: device)
    assert play([riff, riff]) is player.SOUNDDEVICE
    assert device.played == [((16_000, 2), 8_000)] * 2
    machine("ffplay")
    assert play([riff]).command[0] == "ffplay"


def test_a_device_that_fails_is_quoted(machine, riff, monkeypatch):
    monkeypatch.setattr(player, "_sounddevice", lambda: Device("no default output device"))
    with pytest.raises(MissingTool, match=r"cannot play .*: no default output device"):
        play([riff])
