"""What this machine can do: devices, memory, which models fit, how long a minute of music would take."""

import shutil
import time
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from jukectl import __version__
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.pipeline.machine import Machine, choose, devices, single_thread
from jukectl.pipeline.memory import memory_there_is
from jukectl.pipeline.planning import footprints, precisions
from jukectl.prior.labels import LabelBatch
from jukectl.sampling.plan import least, settle

CALIBRATION_STEPS = 48  # codes decoded at a level to time it
WARM_STEPS = 8  # of them, not counted


@dataclass(frozen=True)
class Checkup:
    """What `examine` found."""

    version: str
    torch: str
    devices: list[str]
    cpus: int
    memory_bytes: int
    memory_free_bytes: int
    ffmpeg: bool
    models: list[dict[str, Any]]


def examine(
    device: str = "auto", precision: str = "auto", only: str | None = None, max_memory: int | None = None
) -> Checkup:
    """Look at the machine, and time a few codes of every level of the models at hand (or of one).

    What fits is what one sample fits of, in the memory that is free or in `max_memory` bytes of it.
    """
    machine = choose(device, precision)
    memory = psutil.virtual_memory()
    folders = [catalogue.find(only)] if only else list(catalogue.known())
    return Checkup(
        version=__version__,
        torch=torch.__version__,
        devices=devices(),
        cpus=psutil.cpu_count() or 1,
        memory_bytes=memory.total,
        memory_free_bytes=memory.available,
        ffmpeg=shutil.which("ffmpeg") is not None,
        models=[_examine_model(folder, machine, precision, max_memory) for folder in folders],
    )


def _examine_model(folder: ModelFolder, machine: Machine, precision: str, max_memory: int | None) -> dict[str, Any]:
    """Whether a model fits, and the seconds that a minute of its music takes where it does."""
    choices = precisions(machine, given=precision != "auto")
    try:
        card = folder.card
        needs = {level: footprints(config, machine, choices, holds_back=False) for level, config in card.priors.items()}
        memory = memory_there_is(machine.device, max_memory)
        plans = {level: settle(sizes, 1, memory) for level, sizes in needs.items()}
        # of what fits what it takes, of what does not the least that it would take
        taken = {level: plan.bytes if (plan := plans[level]) else min(map(least, needs[level])) for level in needs}
        about = {
            "name": folder.path.name,
            "device": str(machine.device),
            "needed_bytes": max(taken.values(), default=0),
            "fits": all(plans.values()),
        }
        fitting = {level: replace(machine, precision=plan.precision) for level, plan in plans.items() if plan}
        if len(fitting) < len(plans):
            return about
        steps = {level: _seconds_per_code(folder, fitting[level], level) for level in TOP_DOWN if level in fitting}
    except BadModel as error:
        return {"name": folder.path.name, "problem": str(error)}
    minute = {level.label: 60 * card.vqvae.codes_per_second(level) * seconds for level, seconds in steps.items()}
    lowest = max((one.precision for one in fitting.values()), key=choices.index, default=machine.precision)
    return {
        **about,
        "precision": lowest,
        "seconds_a_minute": {
            **{name: round(value, 1) for name, value in minute.items()},
            "all": round(sum(minute.values()), 1),
        },
    }


@torch.inference_mode()
def _seconds_per_code(folder: ModelFolder, machine: Machine, level: Level) -> float:
    prior = folder.prior(level, machine.device, machine.dtype)
    config = prior.config
    labels = LabelBatch.repeat(
        1,
        slots=config.genre_slots,
        total_length=config.window_samples * 2,
        sample_length=config.window_samples,
        device=machine.device,
    )
    upper = None
    if config.conditioner is not None:
        upper = torch.zeros(1, config.context // config.conditioner.ratio, dtype=torch.int64, device=machine.device)
    steps = min(CALIBRATION_STEPS, config.context - 1)
    with single_thread(machine):
        conditioning, cache = prior.conditioning(labels, upper), prior.new_cache(1)
        code = torch.zeros(1, dtype=torch.int64, device=machine.device)
        logits, began = prior.prefill(code[:, None][:, :0], conditioning, cache), time.perf_counter()
        for position in range(1, steps):
            if position == WARM_STEPS:
                began = time.perf_counter()
            logits = prior.step(logits.argmax(-1), position, conditioning, cache)
        float(logits.sum())  # waits for a GPU
    return (time.perf_counter() - began) / max(1, steps - WARM_STEPS)
