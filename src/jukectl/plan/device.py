"""Device, precision and threads that models run with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from jukectl.errors import BadInput
from jukectl.native.library import library
from jukectl.vqvae.chunks import CHUNK_SECONDS

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float32}
"""Type of the weights in torch. For int8 they are packed from float32 for the compiled step."""

INT8_COST = "at most 0.02 % more bits"
"""Loss of 8-bit weights, as measured at three levels (docs/RESULTS.md, Precision)."""


@dataclass(frozen=True)
class Machine:
    """A device and the precision of priors; the codec is always in fp32."""

    device: torch.device
    precision: str = "fp32"
    chunk_seconds: float = CHUNK_SECONDS  # of audio that go through the codec at a time
    threads: int | None = None  # of the compiled step; None: as many as are fastest. Codes depend on no thread count.

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights in torch."""
        return PRECISIONS[self.precision]


def _use_one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: with more than one, the first tensor of a forked process would wait for them for
    # ever. Codes depend on no thread count.
    os.register_at_fork(after_in_child=_use_one_thread)


def choose(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Machine:
    """Return the requested device, or the best one found. BadInput if it does not exist here."""
    if precision != "auto" and precision not in PRECISIONS:
        raise BadInput(f"--precision is auto, {', '.join(PRECISIONS)}; got {precision!r}")
    found = torch.device(_best() if device == "auto" else _checked(device))
    if precision == "int8" and (found.type != "cpu" or library() is None):
        raise BadInput(
            f"--precision int8 is for CPUs, and here priors would be on {found}: leave it out"
            if found.type != "cpu"
            else "--precision int8 needs the compiled step, which was not built here: install a C compiler and then "
            "jukectl again"
        )
    if precision == "auto":
        precision = "bf16" if found.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return Machine(found, precision, threads=threads)


def devices() -> list[str]:
    """Return the devices of this machine, best first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def _best() -> str:
    return devices()[0]


def _checked(device: str) -> str:
    try:
        kind = torch.device(device)
    except RuntimeError:
        raise BadInput(f"--device is auto, {', '.join(devices())} here; got {device!r}") from None
    name = "cuda:0" if device == "cuda" else device
    if name not in devices():
        raise BadInput(f"there is no device {kind} here; there are: {', '.join(devices())}")
    return name


def half_precision(device: torch.device) -> str:
    """Return the 16-bit precision of a device: bf16 if it has that."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "fp16" if device.type == "mps" else "bf16"


@contextmanager
def single_thread(machine: Machine) -> Iterator[None]:
    """Use one CPU thread while the block runs: fastest for small decoding steps, and the same bits on every run."""
    threads = torch.get_num_threads()
    if machine.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
