"""The genre probe finds genres that differ, by embeddings and by MFCCs."""

import json
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from music_fixtures import RATE, save_music

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def probe(monkeypatch):
    """Return what the script prints for a manifest."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["probe.py", *map(str, arguments)])
        import_module("probe").main()

    return run


def collect(folder, count):
    """Write noise and tones, `count` of each to learn from and two held out; return the manifest."""
    random, lines = np.random.default_rng(0), []
    for number in range(count + 2):
        hiss = 0.2 * random.standard_normal(RATE).astype(np.float32)
        tone = 0.5 * np.sin(2 * np.pi * (200 + 20 * number) * np.arange(RATE) / RATE).astype(np.float32)
        for genre, samples in (("Hiss", hiss), ("Tone", tone)):
            path = save_music(folder / f"{genre}-{number}.wav", samples)
            split = "train" if number < count else "validation"
            about = {"seconds": 1.0, "sample_rate": RATE, "channels": 1, "genres": [genre], "split": split}
            lines.append(json.dumps({"path": path.name, **about}) + "\n")
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(lines))
    return manifest


def test_genres_of_held_out_recordings_are_found_where_they_sound_different(probe, tmp_path, tiny_model, capsys):
    probe(collect(tmp_path, 6), "--model", tiny_model)
    first, *measures = capsys.readouterr().out.splitlines()
    assert first == "12 recordings to learn from, 4 held out, 2 genres"
    shares = {name: float(share) for name, share in (line.split(": ") for line in measures)}
    assert shares["MFCC"] == 1
    assert shares["embedding"] > 0.5
    assert [share for name, share in shares.items() if re.match("always (Hiss|Tone)", name)] == [0.5]


def test_too_few_recordings_of_a_genre_are_said(probe, tmp_path):
    with pytest.raises(SystemExit, match="two genres"):
        probe(collect(tmp_path, 2))
