"""Compare jukectl with the port live, on random models of sizes drawn from a seed, in all styles and file formats.

`make parity` runs it in an environment with transformers 4.57.6; jukectl itself runs in its own. The comparisons are
those of tests/parity, which the golden files go through as well. Then each model is converted to jukectl's format and
back, and loaded by the port.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxModel
from variants import Style, drawn

from golden import Golden, NotClear

ROOT = Path(__file__).parents[2]
OWN = ROOT / ".venv/bin"
CLEAR = 2e-4  # margin of the most likely code, in logits: ten times the rounding errors
ATTEMPTS = 12


def run(*command: object, **environment: str) -> None:
    """Run a command of jukectl's environment; exit if it fails."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=False)
    if result.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def there_and_back(folder: Path, golden: Golden) -> None:
    """Convert a model to jukectl's format and back; exit unless the port loads the same tensors."""
    convert = (OWN / "jukectl", "--quiet", "models", "convert")
    run(*convert, folder / "model", folder / "native")
    run(*convert, folder / "native", folder / "back", "--to", "huggingface")
    back, expected = JukeboxModel.from_pretrained(folder / "back").state_dict(), golden.model.state_dict()
    if back.keys() != expected.keys() or not all(torch.equal(back[name], one) for name, one in expected.items()):
        sys.exit(f"{folder}: tensors have changed in the conversion to jukectl's format and back")


def made(style: Style, seed: int, folder: Path) -> Golden:
    """Write a random model and the port's results to a folder; try other seeds while rounding could decide."""
    variant = drawn(style, seed)
    for numbers in range(ATTEMPTS):
        golden = Golden(replace(variant, seed=seed + 1_000 * numbers), clear=CLEAR)
        try:
            golden.make(folder)
        except NotClear:
            continue
        print(f"seed {seed}, {style}: made; the smallest margin is {golden.recorder.gap:.4f}", flush=True)
        return golden
    sys.exit(f"seed {seed}, {style}: no weights found for which rounding does not matter")


def main() -> None:
    """Compare all styles, each with `--models` seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first model of each style")
    parser.add_argument("--models", type=int, default=1, help="of each style, with consecutive seeds")
    parser.add_argument("--out", type=Path, default=ROOT / "build/parity", help="folder for the models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(options.seed, options.seed + options.models):
        out = options.out / str(seed)
        shutil.rmtree(out, ignore_errors=True)
        styles: tuple[Style, ...] = get_args(Style)
        goldens = {style: made(style, seed, out / style) for style in styles}
        run(OWN / "python", "-m", "pytest", "tests/parity", "-q", JUKECTL_GOLDEN=str(out))
        for style, golden in goldens.items():
            there_and_back(out / style, golden)
        print(f"seed {seed}: all agree", flush=True)


if __name__ == "__main__":
    main()
