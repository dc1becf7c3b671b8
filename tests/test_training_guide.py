"""The commands in the documents that train a model work, on audio files without notes, lyrics or labels."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from jukectl.audio import io
from jukectl.cli.main import main

ROOT = Path(__file__).parent.parent
RATE = 22_050
STEPS = ["--set", "train.steps=2", "--set", "train.batch=2"]


def melody(seed: int, seconds: float) -> np.ndarray:
    """Quarter-second notes (n,), other ones for every seed."""
    random, time = np.random.default_rng(seed), np.arange(RATE // 4) / RATE
    pitches = 220 * 2 ** (random.integers(0, 24, round(4 * seconds)) / 12)
    notes = [np.sin(2 * np.pi * pitch * time) * np.exp(-4 * time) for pitch in pitches]
    return 0.5 * np.concatenate(notes).astype(np.float32)


def write_music(folder: Path, songs: int, seconds: float) -> None:
    """Write songs with a name of their artist, and nothing else beside them."""
    folder.mkdir()
    for number in range(songs):
        io.save(folder / f"{number}.wav", melody(number, seconds), RATE)
        (folder / f"{number}.toml").write_text('artist = "My Band"\n')


def commands(document: str, title: str) -> list[str]:
    """The command lines of the first shell block of a section, without comments."""
    text = (ROOT / document).read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    (block, *_) = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].strip() for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split()) for line in lines if line]


def run(capsys: pytest.CaptureFixture[str], line: str, *more: str) -> str:
    """Run a command line with further options; return what it says on stderr."""
    status = main([*shlex.split(line.removeprefix("jukectl ")), *more])
    said = capsys.readouterr().err
    assert status == 0, f"{line}\n{said}"
    return said


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_guide_leads_from_a_music_folder_to_a_song_of_the_new_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_music(Path("music"), 4, 4.0)
    printed: list[str] = []
    for line in commands("docs/train.md", "Steps"):
        found = re.match(r"jukectl train (vqvae|prior|upsampler)", line)
        few = f"data.validation_{'songs' if found and found[1] == 'vqvae' else 'segments'}=1"
        more = [*STEPS, "--set", few] if found else []
        more = ["--seconds", "0.3"] if line.startswith("jukectl sample") else more
        said = run(capsys, line, *more)
        if line.startswith("jukectl train init"):
            printed = re.findall(r"jukectl .*", said)
            assert "3 songs to train on, 1 held out" in said
        elif found:
            assert "to train on" in said and "should fall" in said
    guide = commands("docs/train.md", "Steps")
    assert printed == guide[2:-1]  # the steps that train init prints are those of the guide
    assert io.load(Path("my-song/audio/0.wav")).samples.shape[1] > 0.25 * RATE  # whole top codes


def test_the_embedded_model_is_fine_tuned_on_songs_that_have_nothing_beside_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_music(Path("music"), 3, 26.0)
    guide = (ROOT / "docs/fine-tune.md").read_text(encoding="utf-8")
    (recipe, *_) = re.findall(r"^```toml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    Path("band.toml").write_text(recipe)
    lines = [line.replace("~/Music/band", "music") for line in commands("docs/fine-tune.md", "Steps")]
    scan, encode, train, assemble, _ = lines
    run(capsys, scan)
    run(capsys, encode)
    few = ["--set", "train.steps=1", "--set", "train.batch=1", "--set", "data.validation_segments=1"]
    run(capsys, train, *few, "--set", "copying.codes=8")
    run(capsys, assemble)
    assert (Path("band-model") / "top.safetensors").exists()
    run(capsys, train, *few, "--set", "copying.codes=8", "--set", "out=runs/adapter", "--adapter-rank", "8")
    assert Path("runs/adapter/adapter.safetensors").exists()
