"""What a song is made with so that it fits into the memory there is: settled, and told, before anything is sampled."""

import ctypes
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from jukectl.checkpoints.published import size
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.errors import OutOfMemory
from jukectl.plan.conditioning import rows_of
from jukectl.plan.device import Machine, half_precision
from jukectl.plan.recipes import frames_wanted, given_frames
from jukectl.plan.request import Request
from jukectl.prior.config import PriorConfig
from jukectl.progress import Listener, Remark, warn
from jukectl.sampling.footprint import BatchPlan, Footprint, MemoryPlan, choose_memory_plan, minimum_bytes, parameters
from jukectl.sampling.spans import spans_of
from jukectl.vqvae.chunks import CHUNK_SECONDS
from jukectl.vqvae.plan import codec_bytes, settle_chunk


@dataclass(frozen=True)
class SongPlan:
    """How a song is made on a machine."""

    machine: Machine  # with what its codec takes at a time
    levels: Mapping[Level, MemoryPlan]  # those that are not finished
    memory: int  # bytes to be had by models

    def machine_at(self, level: Level) -> Machine:
        """The machine, with the precision that a level is made in."""
        return replace(self.machine, precision=self.levels[level].precision)


def plan_song(
    found: Mapping[Level, Codes],
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    request: Request,
    listener: Listener,
) -> SongPlan:
    """The plan for what a song lacks beside the codes `found`, in the order it is made.

    A remark a level, and a warning where less than all is made at a time. OutOfMemory where a level cannot be made.
    """
    wanted = frames_wanted(recipe, folder.card.vqvae, {level: codes.done for level, codes in found.items()})
    lacking = [
        level
        for level in TOP_DOWN
        if level in wanted and level in recipe.sampling and not _finished(found.get(level), wanted[level])
    ]
    samples = found[Level.TOP].samples if Level.TOP in found else recipe.samples
    for level in lacking:
        parameters(folder.card.priors[level])  # now, since the libraries that it loads are no part of what is planned
    memory = memory_there_is(machine.device, request.max_memory)
    machine = replace(machine, chunk_seconds=_codec_chunk(folder, memory, recipe, request))
    levels = {}
    for level in lacking:
        spans = _spans(recipe, folder, level, wanted[level], found.get(level))
        need = _Need.of(level, samples, spans, folder, machine, recipe, request, found.get(level))
        plan = need.settled(memory, folder, machine, request)
        listener(Remark("plan", f"{level.label} level, {_told(plan, need, memory)}"))
        if clamped := _clamped(plan, need):
            warn(listener, f"memory is short at the {need.level.label} level, with {size(memory)} to be had: {clamped}")
        levels[need.level] = plan
    return SongPlan(machine, levels, memory)


def precisions(machine: Machine, *, given: bool, before: str | None = None) -> list[str]:
    """Those that a prior may be sampled in, the best first: the one `given`, or the one it was begun in, or others."""
    if given:
        return [machine.precision]
    choices = [before, machine.precision, half_precision(machine.device)]
    return list(dict.fromkeys(one for one in choices if one is not None))


def footprints(
    config: PriorConfig, machine: Machine, choices: list[str], *, retains_freed: bool, rows_per_sample: int = 1
) -> list[Footprint]:
    """Return what a prior takes of a machine's memory in each precision."""
    cpu = machine.device.type == "cpu"
    return [
        Footprint(config, choice, row_by_row=cpu, retains_freed=cpu and retains_freed, rows_per_sample=rows_per_sample)
        for choice in choices
    ]


def _spans(recipe: Recipe, folder: ModelFolder, level: Level, total: int, codes: Codes | None) -> int:
    """How many spans a level is made in, side by side."""
    begun = codes.prompt if codes is not None else given_frames(recipe, folder.card.vqvae, level)
    spans = spans_of(folder.card.priors[level], recipe.sampling[level], total, begun)
    return len(spans.starts) if spans is not None else 1


@dataclass(frozen=True)
class _Need:
    """What one level wants of the memory."""

    level: Level
    config: PriorConfig
    samples: int  # or rows: spans of samples
    what: str  # is made beside each other: "samples", or "rows"
    many: str  # how many those are, in words
    choices: list[str]  # precisions, the best first
    limit: BatchPlan | None  # what it was begun with, where more or less would give other bits
    reserved: int  # bytes of the codec, where it works while the prior is there
    rows_per_sample: int  # rows of the model that each of them takes

    @classmethod
    def of(
        cls,
        level: Level,
        samples: int,
        spans: int,
        folder: ModelFolder,
        machine: Machine,
        recipe: Recipe,
        request: Request,
        codes: Codes | None,
    ) -> "_Need":
        rows = samples * spans
        before = recipe.made.get(level) if codes is not None and codes.done > codes.prompt else None
        if before is not None and before.device != machine.device.type:
            before = None
        limit = None
        if before is not None and before.samples:
            alike = machine.device.type == "cpu"  # there a sample is the same bits in any company
            limit = BatchPlan(rows if alike else before.samples, before.chunk or None)
        choices = precisions(
            machine, given=request.precision != "auto", before=before.precision if before is not None else None
        )
        previewed = level in request.preview
        beside = codec_bytes(folder.card.vqvae, level, machine.chunk_seconds) if previewed else 0
        what, many = "samples", f"{samples} samples"
        if spans > 1:
            what = "rows"
            many = f"{rows} rows ({'one sample' if samples == 1 else many} in {spans} spans)"
        return cls(level, folder.card.priors[level], rows, what, many, choices, limit, beside, rows_of(recipe, level))

    def settled(self, memory: int, folder: ModelFolder, machine: Machine, request: Request) -> MemoryPlan:
        """The plan; OutOfMemory where there is none."""
        plan = self._settle(memory, machine, retains_freed=True)
        if (plan is None or self.less_than_asked(plan)) and give_back_at_once():
            plan = self._settle(memory, machine, retains_freed=False)
        if plan is None:
            raise OutOfMemory(self._too_large(memory, folder, machine, request))
        return plan

    def less_than_asked(self, plan: MemoryPlan) -> bool:
        """Whether a plan has been cut to the memory."""
        return plan.batch.samples < self.samples or plan.batch.chunk is not None or self.lowered(plan)

    def lowered(self, plan: MemoryPlan) -> bool:
        """Whether a plan is in another precision than the best."""
        return plan.precision != self.choices[0]

    def _settle(self, memory: int, machine: Machine, *, retains_freed: bool) -> MemoryPlan | None:
        sizes = footprints(
            self.config, machine, self.choices, retains_freed=retains_freed, rows_per_sample=self.rows_per_sample
        )
        return choose_memory_plan(sizes, self.samples, memory, reserved=self.reserved, limit=self.limit)

    def _too_large(self, memory: int, folder: ModelFolder, machine: Machine, request: Request) -> str:
        """What is needed, what there is, and what would do."""
        (last,) = footprints(
            self.config, machine, self.choices[-1:], retains_freed=False, rows_per_sample=self.rows_per_sample
        )
        needed = minimum_bytes(last, reserved=self.reserved)
        (half,) = footprints(
            self.config,
            machine,
            [half_precision(machine.device)],
            retains_freed=False,
            rows_per_sample=self.rows_per_sample,
        )
        ways = []
        if minimum_bytes(half, reserved=self.reserved) <= memory:
            ways.append(
                f"take --precision {half.precision}, which needs {size(minimum_bytes(half, reserved=self.reserved))}"
            )
        if needed - self.reserved <= memory:
            ways.append("leave --preview out")
        limited = request.max_memory is not None and request.max_memory <= memory
        ways.append("raise --max-memory" if limited else "free some memory")
        ways.append("choose a smaller model")
        return (
            f"the {self.level.label} prior of {folder.card.name} does not fit: one sample needs {size(needed)} in "
            f"{last.precision}, and {size(memory)} are to be had on {machine.device}. {_sentence(ways)}"
        )


def _sentence(ways: list[str]) -> str:
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]


def _finished(codes: Codes | None, wanted: int) -> bool:
    return codes is not None and codes.done >= wanted


def _codec_chunk(folder: ModelFolder, memory: int, recipe: Recipe, request: Request) -> float:
    """Seconds of audio that go through the codec at a time, at whatever level."""
    room = memory // 4 if request.preview else memory  # then a prior is there at the same time
    seconds = min(settle_chunk(folder.card.vqvae, level, room) for level in recipe.levels)
    if seconds < CHUNK_SECONDS:
        give_back_at_once()
    return seconds


def _told(plan: MemoryPlan, need: _Need, memory: int) -> str:
    """A plan in words."""
    many = f"{plan.batch.samples} of {need.many} at a time"
    if need.samples == 1:
        many = "one sample"
    elif plan.batch.samples >= need.samples:
        many = f"all {need.many} at a time"
    read = f", what is known read {plan.batch.chunk} at a time" if plan.batch.chunk else ""
    return f"{many}{read}, in {plan.precision}: {size(plan.bytes)} of the {size(memory)} to be had"


def _clamped(plan: MemoryPlan, need: _Need) -> str:
    """What of a plan is less than it would be with more memory; nothing where a level goes on as it was begun."""
    limit = need.limit or BatchPlan(need.samples)
    parts = []
    if need.lowered(plan):
        parts.append(f"{plan.precision} is taken, not {need.choices[0]}, which gives other codes")
    if plan.batch.samples < min(limit.samples, need.samples):
        parts.append(f"{plan.batch.samples} of {need.samples} {need.what} are made at a time, which takes longer")
    if plan.batch.chunk != limit.chunk:
        parts.append(f"the codes a window knows are read {plan.batch.chunk} at a time")
    return "; ".join(parts)


USED = 0.95  # share of the free memory that is planned with
LARGE = 2**20  # bytes of a piece of memory that goes back to the system when it is freed, see `give_back_at_once`
MMAP_THRESHOLD = -3  # the C library's number for that setting


def memory_there_is(device: torch.device, at_most: int | None = None) -> int:
    """Bytes to plan with: most of what is free on the device, or `at_most` where that is less."""
    free = int(free_memory(device) * USED)
    return free if at_most is None else min(free, at_most)


def free_memory(device: torch.device) -> int:
    """Bytes that a model could take now: of the GPU where it is one of its own, or else of the machine.

    On the machine, as far as the limits reach that were set for this process or its group.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # free for torch alone
        return torch.cuda.mem_get_info(device)[0] + kept
    return max(0, min([int(psutil.virtual_memory().available), *_left_in_group(), *_left_to_process()]))


def _left_to_process() -> Iterator[int]:
    """What a limit on the address space leaves, where there is one (ulimit -v)."""
    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield soft - int(psutil.Process().memory_info().vms)


def _left_in_group(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """What the limits of a container or a batch system leave: those of this process's control group and all above."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            place, limit, used = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            place, limit, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = place / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(place):
                yield from _left_in(folder, limit, used)


def _left_in(folder: Path, limit: str, used: str) -> Iterator[int]:
    """What one group's limit leaves, where it has one. What the system only keeps of files may be had."""
    try:
        most, taken = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, used))
        statistics = (folder / "memory.stat").read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # no such file, or the word "max" in it
        return
    files = dict(zip(statistics[::2], statistics[1::2], strict=False)).get("inactive_file", "0")
    yield most - taken + int(files)


def give_back_at_once() -> bool:
    """Have this process hand large pieces of memory back as soon as they are freed; whether that can be had here.

    The C library of Linux would keep many of them for later, which makes a pass over many positions a little faster,
    and lets the process grow to half as much again. It stays so for the rest of the process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE))
    except (OSError, AttributeError):  # another C library
        return False
