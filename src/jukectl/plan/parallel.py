"""The number of parallel spans, for `--parallel auto`."""

from dataclasses import replace

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.plan.device import Machine
from jukectl.plan.free_memory import available_memory
from jukectl.plan.precision import footprints, precisions
from jukectl.plan.request import AUTO, Request
from jukectl.prior.config import PriorConfig
from jukectl.progress import Listener, Remark
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.footprint import BatchPlan

CHOICES = (1, 2, 4, 8, 16)
"""Numbers of spans. A unit of the processor multiplies sixteen rows at a time; more save little."""

WORTH = 0.9  # of the time a code with fewer spans: a smaller gain is not worth their warm-up codes


def with_parallel(request: Request, model: ModelFolder, machine: Machine, song: Song, listener: Listener) -> Request:
    """Return a request with numbers of spans in place of `auto`; those of a song that was begun before stay."""
    asked = request.settings.get("parallel", {})
    if AUTO not in asked.values():
        return request
    existing = None if request.overwrite else song.recipe()
    memory, chosen = available_memory(machine.device, request.max_memory), {}
    for level in TOP_DOWN[1:]:
        config = model.card.priors.get(level)
        if existing is not None and level in existing.sampling:
            chosen[level] = float(existing.sampling[level].parallel)
        elif config is not None:
            chosen[level] = float(spans_for(config, machine, memory, request, adapted=model.is_adapted(level)))
    words = ", ".join(f"{count:g} at the {level.label} level" for level, count in chosen.items())
    listener(Remark("parallel", f"spans that are sampled at once: {words}"))
    return replace(request, settings={**request.settings, "parallel": {Level.TOP: 1.0, **chosen}})


def spans_for(config: PriorConfig, machine: Machine, memory: int, request: Request, *, adapted: bool) -> int:
    """Return the number of spans that fit in memory and are worth it by the bytes that a code reads."""
    choices = precisions(machine, config, given=request.precision != "auto")
    (footprint, *_) = footprints(config, machine, choices, retains_freed=False, adapted=adapted)
    best = 1
    for count in CHOICES[1:]:
        if footprint.total(BatchPlan(count * request.samples)) > memory:
            break
        if _a_code(config, footprint.precision, count) < WORTH * _a_code(config, footprint.precision, best):
            best = count
    return best


def _a_code(config: PriorConfig, precision: str, spans: int) -> float:
    return step_bytes(config, precision, samples=spans).total / spans
