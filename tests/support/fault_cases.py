"""Every command that writes, on inputs that a tiny model makes in a fraction of a second."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiny_recipes import write_codec_recipe

Run = Callable[..., None]


@dataclass(frozen=True)
class Case:
    """A command that writes, and the commands that make what it starts from."""

    name: str
    command: str
    before: tuple[str, ...] = ()


STYLE = "--artist ada --genre jazz --seed 5"
SAMPLE = f"sample --out song {STYLE} --seconds 0.6 --samples 2 --model ../tiny"
DRAFT = f"sample --out song {STYLE} --seconds 0.6 --samples 2 --levels top --model ../tiny"

CASES = (
    Case("sample", f"{SAMPLE} --preview top,middle"),
    Case("sample --overwrite", f"{SAMPLE} --overwrite", (f"sample --out song {STYLE} --seconds 0.3 --model ../tiny",)),
    Case("continue", f"continue riff.wav --out song {STYLE} --seconds 2.2 --parallel 3 --model ../tiny"),
    Case("encode", "encode riff.wav --out song --seconds 1 --model ../tiny"),
    Case("upsample", "upsample song --preview middle", (DRAFT,)),
    Case("upsample --from", "upsample song --from 0.2 --to 0.5 --out passage", (DRAFT,)),
    Case("resume", "resume song", (f"{SAMPLE} --levels top", "upsample song --to 0.3")),
    Case("decode", "decode song --format flac", (SAMPLE,)),
    Case("pick", "pick song --sample 1 --out picked", (SAMPLE,)),
    Case("cut", "cut song --at 0.3 --out cut", (SAMPLE,)),
    Case("branch", "branch song --at 0.3 --out branch --seconds 0.3 --samples 2 --seed 3", (SAMPLE,)),
    Case(
        "tree",
        "tree song --out tree --every 0.2 --branch 2 --depth 2 --levels top --preview top --seed 4",
        (SAMPLE,),
    ),
    Case("tree of a recording", "tree riff.wav --out tree --every 0.3 --branch 2 --depth 1 --seed 4 --model ../tiny"),
    Case("explore", "explore song --out site --format flac", (SAMPLE,)),
    Case(
        "explore again",
        "explore songs --out site",
        (
            f"sample --out songs/one {STYLE} --seconds 0.6 --model ../tiny",
            "explore songs --out site",
            f"sample --out songs/two {STYLE} --seconds 0.3 --model ../tiny",
            "cut songs/one --at 0.3 --out songs/one-cut",
        ),
    ),
    Case("plot", "plot song --out song.png", (SAMPLE,)),
    Case("data scan", "data scan music"),
    Case("data encode", "data encode music/manifest.jsonl --out codes --model ../tiny", ("data scan music",)),
    Case("train vqvae", "train vqvae codec.toml", ("data scan music",)),
    Case("models convert", "models convert ../tiny model --precision fp16 --overwrite"),
)


def prepared(folder: Path, riff: Path) -> None:
    """Write what commands start from into an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "riff.wav").write_bytes(riff.read_bytes())
    (folder / "music").mkdir()
    for number in range(3):
        _tone(folder / "music" / f"{number}.wav", 220 * (number + 2))
    (folder / "music" / "0.txt").write_text("la la la\n")
    write_codec_recipe(
        folder / "codec.toml", out="run", manifest="music/manifest.jsonl", start_step=2, steps=6, checkpoint_every=2
    )


def _tone(path: Path, frequency: float) -> None:
    import numpy as np

    from jukectl.audio import io

    time = np.arange(8_000) / 8_000
    io.save(path, (0.5 * np.sin(2 * np.pi * frequency * time) * np.cos(3 * time) ** 2).astype(np.float32), 8_000)
