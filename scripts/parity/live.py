"""Compare jukectl with the port live, on random models of sizes drawn from a seed, in all styles and file formats.

`make parity` runs it in an environment that has transformers 4.57.6; jukectl itself runs in its own. What is compared
is in tests/parity, which the golden files go through as well. Then the port loads what became of each model on its way
to our format and back.
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
CLEAR = 2e-4  # logits by which a code must be the likeliest: ten times what rounding does
ATTEMPTS = 12


def run(*command: object, **environment: str) -> None:
    """A command of jukectl's own environment; ends everything where it fails."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=False)
    if result.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def there_and_back(folder: Path, golden: Golden) -> None:
    """The port loads a model that went through our format, and finds every number as it was."""
    convert = (OWN / "jukectl", "--quiet", "models", "convert")
    run(*convert, folder / "model", folder / "native")
    run(*convert, folder / "native", folder / "back", "--to", "huggingface")
    back, expected = JukeboxModel.from_pretrained(folder / "back").state_dict(), golden.model.state_dict()
    if back.keys() != expected.keys() or not all(torch.equal(back[name], one) for name, one in expected.items()):
        sys.exit(f"{folder}: numbers have changed on their way to our format and back")


def made(style: Style, seed: int, folder: Path) -> Golden:
    """A random model and the port's results in a folder; with other numbers where rounding could decide."""
    variant = drawn(style, seed)
    for numbers in range(ATTEMPTS):
        golden = Golden(replace(variant, seed=seed + 1_000 * numbers), clear=CLEAR)
        try:
            golden.make(folder)
        except NotClear:
            continue
        print(f"seed {seed}, {style}: made; the narrowest decision is {golden.recorder.gap:.4f}", flush=True)
        return golden
    sys.exit(f"seed {seed}, {style}: no numbers found with which rounding decides nothing")


def main() -> None:
    """All styles, each with as many seeds as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first model of each style")
    parser.add_argument("--models", type=int, default=1, help="of each style, with seeds that follow one another")
    parser.add_argument("--out", type=Path, default=ROOT / "build/parity", help="where they are made")
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
