"""Where models run: device, precision and threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from jukectl.errors import BadInput

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """A device and the precision that priors are loaded in; the codec is always in fp32."""

    device: torch.device
    precision: str = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch knows it."""
        return PRECISIONS[self.precision]


def choose(device: str = "auto", precision: str = "auto") -> Machine:
    """The device asked for, or the best one found; BadInput for one that is not here."""
    if precision != "auto" and precision not in PRECISIONS:
        raise BadInput(f"--precision is auto, {', '.join(PRECISIONS)}; got {precision!r}")
    found = torch.device(_best() if device == "auto" else _checked(device))
    if precision == "auto":
        precision = "bf16" if found.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return Machine(found, precision)


def devices() -> list[str]:
    """The devices of this machine, best first."""
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


def free_memory(device: torch.device) -> int:
    """Bytes that a model could take now: of the GPU where it is one of its own, or else of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


@contextmanager
def single_thread(machine: Machine) -> Iterator[None]:
    """One thread on a CPU while the block runs: fastest for small decoding steps, and the same bits on every run."""
    threads = torch.get_num_threads()
    if machine.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
