"""Medleys of synthetic songs: two songs' codes one after the other, and their words when they are sung."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.lyrics import lrc

FOLDER = Path(__file__).parents[2] / "examples" / "singing"
RATE, HOP, FRAMES = 8_000, 80, 50  # half a second a song


@pytest.fixture
def songs(tmp_path):
    """Four encoded songs: two of Ada's and one of Bruno's to learn from, one held out."""
    folder, tracks = CodeFolder(tmp_path / "codes"), []
    for number, (path, artist) in enumerate(
        [("train/0.flac", "Ada"), ("train/1.flac", "Ada"), ("train/2.flac", "Bruno"), ("held-out/0.flac", "Ada")]
    ):
        seconds = FRAMES * HOP / RATE
        about: dict[str, Any] = {
            "sample_rate": RATE,
            "channels": 1,
            "artist": artist,
            "genres": ("Folk",),
            "lyrics": f"{number}.lrc",
        }
        track = Track(path=path, seconds=seconds, **about)
        codes = np.full((1, FRAMES), number, np.uint16)
        made_by: dict[str, Any] = {"hop": HOP, "sample_rate": RATE, "codebook_size": 8, "vqvae": "f" * 64}
        folder.write(track.name, Codes(level=Level.TOP, array=codes, prompt=FRAMES, **made_by))
        words = tmp_path / f"{number}.lrc"
        words.write_text(f"[00:00.{number + 1}00]<00:00.{number + 1}00>word{number}\n")
        folder.keep_lyrics(track, words)
        tracks.append(track)
    folder.keep(Manifest(folder.path, tuple(tracks)), [Level.TOP])
    return folder.path


def test_each_song_to_learn_from_goes_over_into_one_of_its_artist(songs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import_module("medleys").main(songs, tmp_path / "medleys", seed=3, kept="train/")
    made = EncodedSongs(tmp_path / "medleys")
    pairs = []
    for track in made.manifest.tracks:
        codes = made.find(track, Level.TOP)[:]
        assert len(codes) == 2 * FRAMES and track.seconds == pytest.approx(2 * FRAMES * HOP / RATE)
        first, second = int(codes[0]), int(codes[-1])
        assert codes.tolist() == [first] * FRAMES + [second] * FRAMES
        words = lrc.parse(made.lyrics(track).read_text()).words
        assert [word.text for word in words] == [f"word{first}", f"word{second}"]
        begun = [(first + 1) / 10, (second + 1) / 10 + FRAMES * HOP / RATE]
        assert [word.start for word in words] == pytest.approx(begun)
        pairs.append((track.artist, first, second))
    assert sorted(pairs) == [("Ada", 0, 1), ("Ada", 1, 0), ("Bruno", 2, 2)]
    sys.modules.pop("medleys")
