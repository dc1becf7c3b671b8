"""How much memory it takes to load and to convert a model of a hundred million bytes or so, in every format: JSON.

Run it as a script, with a folder to write in. Each measurement is a process of its own, so none finds memory at hand
that another one has freed.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from foreign_models import TOP, random_model, write_huggingface, write_originals

from jukectl.checkpoints.convert import convert, source_of
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level

CPU = torch.device("cpu")
CONFIG = replace(TOP, width=1_024, depth=5, context=512, blocks=8)


def apart(work: Callable[[], float]) -> float:
    """The result of work that another process does."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, repr(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.wait()
    return float(text)


def memory(kind: str) -> int:
    """Of this process, in bytes: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(kind))


def peak(work: Callable[[], object]) -> int:
    """How much more memory there was while working than before."""
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    work()
    return memory("VmHWM") - before


def write(place: Path, dtype: torch.dtype) -> float:
    """A model in every format."""
    model = random_model(CONFIG, lower=False)
    for part in model.state.values():
        part.update({name: tensor.to(dtype) for name, tensor in part.items()})
    write_huggingface(model, place / "bin", "pytorch_model.bin", 2)
    write_huggingface(model, place / "safetensors")
    write_originals(model, place / "old", old=True)
    (place / "old" / "config.json").write_text(json.dumps(model.config_json))
    return 0


def loading(path: Path, dtype: torch.dtype) -> float:
    """The peak while a prior is loaded, and every number of it used, as a share of its size."""
    folder = ModelFolder(path)
    # what a first use takes is not what loading takes
    torch.cat([tensor.to(dtype).flatten() for tensor in folder.vqvae(CPU).parameters()]).sum()
    size = folder.weights("top").bytes(dtype)
    return peak(lambda: [tensor.sum() for tensor in folder.prior(Level.TOP, CPU, dtype).parameters()]) / size


def converting(path: Path, out: Path) -> float:
    """The peak while a model is converted, as a share of its largest part."""
    source = source_of(path)
    size = ModelFolder(path).weights("top").bytes()
    return peak(lambda: convert(source, out, precision="bf16")) / size


def measure(place: Path, kept: torch.dtype, formats: list[str], wanted: list[torch.dtype]) -> dict[str, float]:
    """What it takes to load a model kept in one precision in another, or in several and to convert it."""
    apart(lambda: write(place, kept))
    shares = {}
    for name in formats:
        for dtype in wanted:
            shares[f"{name} of {kept} as {dtype}"] = apart(lambda: loading(place / name, dtype))  # noqa: B023
        if len(wanted) > 1:
            shares[f"{name} of {kept} converted"] = apart(lambda: converting(place / name, place / f"{name}-out"))  # noqa: B023
    return shares


def main() -> None:
    """Some of it, or with a second argument all."""
    torch.set_num_threads(1)
    place, single, half = Path(sys.argv[1]), torch.float32, torch.float16
    if len(sys.argv) > 2:
        formats = ["bin", "safetensors", "old"]
        shares = measure(place / "single", single, formats, [single, half])
        shares |= measure(place / "half", half, formats, [single, half])
    else:
        shares = measure(place / "single", single, ["bin", "old"], [half])
    sys.stdout.write(json.dumps(shares))


if __name__ == "__main__":
    main()
