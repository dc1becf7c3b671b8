"""`jukectl stems`: a song folder or a recording, and demucs that is not there."""

import sys
from pathlib import Path

import pytest

from jukectl.alignment.separation import DemucsSeparator

RIFF = Path(__file__).parents[2] / "examples" / "riff.wav"


class Silent:
    """A separator that finds no voice."""

    sample_rate = 16_000

    def voices(self, samples, sample_rate):
        return 0 * samples[:, ::2]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    calls: list[tuple] = []
    monkeypatch.setattr(DemucsSeparator, "load", lambda *given: calls.append(given) or Silent())
    return calls


def test_stems_of_a_song_and_of_a_recording_are_named_on_stdout(jukectl, finished, silent, tmp_path):
    answer = jukectl("stems", finished, "--sample", 0, "--separator", "mine", "--device", "cpu")
    assert answer.out.split() == [str(finished / "audio" / f"0-{name}.wav") for name in ("vocals", "accompaniment")]
    assert silent[0][:2] == ("mine", "cpu")
    (tmp_path / "riff.wav").write_bytes(RIFF.read_bytes())
    stems = jukectl("--json", "stems", tmp_path / "riff.wav", "--format", "flac").json["stems"]
    assert stems == [str(tmp_path / f"riff-{name}.flac") for name in ("vocals", "accompaniment")]


def test_stems_say_what_is_missing(fails, finished, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    assert "pip install 'jukectl[stems]'" in fails("stems", RIFF, status=1)
    assert "--sample chooses a sample" in fails("stems", RIFF, "--sample", 0)
    assert "there is no file" in fails("stems", tmp_path / "none.wav")
