"""Examine the machine: devices, memory, models that fit, and the time that a minute of their music takes."""

import shutil
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from jukectl import __version__
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.planned import PlannedModel
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.plan.calibration import decoding_time, level_speed
from jukectl.plan.device import Machine, choose, devices
from jukectl.plan.forecast import Extent, level_work
from jukectl.plan.free_memory import available_memory
from jukectl.plan.models import planned_model
from jukectl.plan.precision import footprints, precisions
from jukectl.plan.request import Request
from jukectl.prior.matrices import PACKED_BYTES
from jukectl.sampling.footprint import MemoryPlan, choose_memory_plan, minimum_bytes


@dataclass(frozen=True)
class Checkup:
    """Result of `examine`."""

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
    """Examine the machine, and time a few codes of every level of the available models, or of one.

    A model fits if one sample fits, into the free memory or into `max_memory` bytes of it.
    """
    machine = choose(device, precision)
    memory = psutil.virtual_memory()
    folders = [planned_model(Request(model=only))] if only else list(catalogue.available().values())
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
    """Return the memory a model needs, and if it fits, the seconds that a minute of its music takes."""
    if shortage := folder.shortage:
        return {"name": folder.path.name, "problem": shortage}
    try:
        card = folder.card
        choices = {
            level: precisions(machine, config, given=precision != "auto") for level, config in card.priors.items()
        }
        needs = {
            level: footprints(config, machine, choices[level], retains_freed=False)
            for level, config in card.priors.items()
        }
        memory = available_memory(machine.device, max_memory)
        plans = {level: choose_memory_plan(sizes, 1, memory) for level, sizes in needs.items()}
        # a level that does not fit is listed with the least that it would take
        taken = {
            level: plan.bytes if (plan := plans[level]) else min(map(minimum_bytes, needs[level])) for level in needs
        }
        about = {
            "name": folder.path.name,
            "here": not isinstance(folder, PlannedModel),
            "device": str(machine.device),
            "needed_bytes": max(taken.values(), default=0),
            "fits": all(plans.values()),
        }
        if not all(plans.values()):
            return about
        minute = {level: _minute(folder, machine, level, plan) for level, plan in plans.items() if plan}
        decoding = decoding_time(folder, Level.BOTTOM, machine, seconds=60)
    except BadModel as error:
        return {"name": folder.path.name, "problem": str(error)}
    taken_in = [plan.precision for plan in plans.values() if plan]
    lowest = min(taken_in, key=lambda one: PACKED_BYTES.get(one, 2), default=machine.precision)
    return {
        **about,
        "precision": lowest,
        "seconds_a_minute": {
            **{level.label: round(minute[level], 2) for level in TOP_DOWN if level in minute},
            "decoding": round(decoding, 2),
            "all": round(sum(minute.values()) + decoding, 2),
        },
    }


def _minute(folder: ModelFolder, machine: Machine, level: Level, plan: MemoryPlan) -> float:
    """Return the seconds that a level of a minute of music takes, loading included."""
    card = folder.card
    config, settings = card.priors[level], Request().sampling(level, card.sampling)
    total = round(60 * card.vqvae.codes_per_second(Level.TOP)) * card.vqvae.hop(Level.TOP) // config.hop
    work = level_work(config, settings, plan, Extent(total), samples=1)
    machine = replace(machine, precision=plan.precision)
    speed = level_speed(folder, level, machine, plan.batch, settings, prefix=work.typical_prefix)
    return speed.load + work.seconds(speed)
