"""Compare jukectl with the port live, on random models of sizes drawn from a seed, in all styles and file formats.

`make parity` runs it in an environment that has transformers 4.57.6; jukectl itself runs in its own. What is compared
is in tests/parity, which the golden files go through as well. Then the formats: Hugging Face to ours and back, loaded
by the port again, and original files to ours, must leave every number as it was.
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
from original import save_original
from port import state
from safetensors.torch import load_file
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxModel
from variants import Style, drawn

from golden import Golden, NotClear

ROOT = Path(__file__).parents[2]
OWN = ROOT / ".venv/bin"
CLEAR = 2e-4  # logits by which a code must be the likeliest: ten times what rounding does
ATTEMPTS = 5
PARTS = ("vqvae", "top", "middle", "bottom")


def run(*command: object, **environment: str) -> None:
    """A command of jukectl's own environment; ends everything where it fails."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=False)
    if result.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def compare_formats(folder: Path, golden: Golden) -> None:
    """Every way from one format to another leaves the tensors as they were."""
    expected = golden.model.state_dict()
    run(OWN / "jukectl", "--quiet", "models", "convert", folder / "model", folder / "native")
    run(OWN / "jukectl", "--quiet", "models", "convert", folder / "native", folder / "back", "--to", "huggingface")
    back = JukeboxModel.from_pretrained(folder / "back").state_dict()
    assert back.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(back[name], tensor), f"{name} has changed on its way to our format and back"

    native = {part: load_file(folder / f"native/{part}.safetensors") for part in PARTS}
    downs = tuple(golden.model.config.vqvae_config.res_downs_t)
    for prefix in ("", "module."):
        source, out = folder / f"original{prefix}", folder / f"native-{prefix}"
        save_original(state(golden.model), downs, source, prefix=prefix)
        run(
            OWN / "jukectl", "--quiet", "models", "convert", source, out, "--config", folder / "model/config.json"
        )  # fmt: skip
        for part, tensors in native.items():
            found = load_file(out / f"{part}.safetensors")
            assert found.keys() == tensors.keys()
            for name, tensor in tensors.items():
                assert torch.equal(found[name], tensor), f"{part}: {name} differs by the format it was read from"


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
            compare_formats(out / style, golden)
        print(f"seed {seed}: all agree", flush=True)


if __name__ == "__main__":
    main()
