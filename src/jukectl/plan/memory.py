"""Memory plan of a song: batch sizes and precisions that fit, settled and remarked on before anything is sampled."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jukectl.checkpoints.published import size
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import OutOfMemory
from jukectl.plan.conditioning import rows_of
from jukectl.plan.device import INT8_COST, Machine, half_precision
from jukectl.plan.free_memory import available_memory, give_back_at_once
from jukectl.plan.job import Job
from jukectl.plan.precision import footprints, precisions
from jukectl.prior.config import PriorConfig
from jukectl.progress import Remark, warn
from jukectl.sampling.footprint import BatchPlan, Footprint, MemoryPlan, choose_memory_plan, minimum_bytes, parameters
from jukectl.sampling.spans import spans_of
from jukectl.vqvae.chunks import CHUNK_SECONDS
from jukectl.vqvae.plan import codec_bytes, settle_chunk


@dataclass(frozen=True)
class SongPlan:
    """Device settings of a song, and the batch plan and precision of each level."""

    machine: Machine  # with the audio that its codec decodes at a time
    levels: Mapping[Level, MemoryPlan]  # those that are not finished
    memory: int  # bytes available to models

    def machine_at(self, level: Level) -> Machine:
        """Return the machine with the precision of a level."""
        return replace(self.machine, precision=self.levels[level].precision)


def plan_song(job: Job) -> SongPlan:
    """Plan the levels that a song lacks, in the order they are sampled.

    Each level gets a remark, and a warning if it does not fit as a whole. OutOfMemory if one does not fit at all.
    """
    card = job.model.card
    lacking = [
        level
        for level in TOP_DOWN
        if level in job.wanted
        and level in job.recipe.sampling
        and (level not in job.codes or job.codes[level].done < job.wanted[level])
    ]
    for level in lacking:
        parameters(card.priors[level])  # lazily imported libraries must be loaded before free memory is measured
    memory = available_memory(job.machine.device, job.request.max_memory)
    machine = replace(job.machine, chunk_seconds=_codec_chunk(job, memory))
    job = replace(job, machine=machine)
    levels = {}
    for level in lacking:
        need = _Need.of(job, level)
        plan = need.settled(job, memory)
        job.listener(Remark("plan", f"{level.label} level, {_in_words(plan, need, memory)}", detail=True))
        if plan.precision == "int8" != machine.precision and job.request.precision == "auto":
            text = f"the {level.label} level is sampled in int8, the fastest here, at {INT8_COST} a code over fp32"
            job.listener(Remark("precision", text))
        if reduced := _reduced(plan, need):
            warn(job.listener, f"memory is short at the {level.label} level, with {size(memory)} available: {reduced}")
        levels[level] = plan
    return SongPlan(machine, levels, memory)


def pooled_plan(songs: Sequence[tuple[Job, SongPlan]], level: Level) -> BatchPlan:
    """Return the batch plan of a level of several songs of one model and precision, whose rows share batches.

    The chunk of a prefix stays that of a song alone, since on some devices it changes the bits.
    """
    needs = [_Need.of(job, level) for job, _ in songs]
    (job, plan), alone = songs[0], songs[0][1].levels[level]
    need = replace(needs[0], rows_per_sample=max(one.rows_per_sample for one in needs))
    (footprint,) = need.footprints(job.machine, [alone.precision], retains_freed=True)
    room = plan.memory - max(one.reserved for one in needs)
    counts = range(1, sum(one.samples for one in needs) + 1)
    fitting = bisect_right(counts, room, key=lambda rows: footprint.total(BatchPlan(rows, alone.batch.chunk)))
    return BatchPlan(max(fitting, 1), alone.batch.chunk)


def _spans(job: Job, level: Level) -> int:
    """Return the number of spans of a level that are sampled in parallel; 1 for a level in one piece."""
    spans = spans_of(job.model.card.priors[level], job.recipe.sampling[level], job.wanted[level], job.given(level))
    return len(spans.starts) if spans is not None else 1


@dataclass(frozen=True)
class _Need:
    """Memory that one level needs, and the ways to need less."""

    level: Level
    config: PriorConfig
    samples: int  # or rows: spans of samples
    unit: str  # "samples" or "rows"
    many: str  # their number in words
    choices: list[str]  # precisions, the best first
    limit: BatchPlan | None  # what the level was begun with, if a larger or smaller batch would change the bits
    reserved: int  # bytes of the codec, if it works while the prior is loaded
    rows_per_sample: int
    adapted: bool  # adapters are merged into the prior

    @classmethod
    def of(cls, job: Job, level: Level) -> "_Need":
        machine, samples, spans = job.machine, job.samples, _spans(job, level)
        rows = samples * spans
        begun = level in job.codes and job.codes[level].done > job.codes[level].prompt
        before = job.recipe.made.get(level) if begun else None
        if before is not None and before.device != machine.device.type:
            before = None
        limit = None
        if before is not None and before.samples:
            alike = machine.device.type == "cpu"  # a sample's bits do not depend on the batch there
            limit = BatchPlan(rows if alike else before.samples, before.chunk or None)
        chosen = job.request.precision != "auto"
        many = f"{samples} samples"
        if spans > 1:
            many = f"{rows} rows ({'one sample' if samples == 1 else many} in {spans} spans)"
        codec = job.model.card.vqvae
        return cls(
            level=level,
            config=job.model.card.priors[level],
            samples=rows,
            unit="samples" if spans == 1 else "rows",
            many=many,
            choices=precisions(
                machine,
                job.model.card.priors[level],
                given=chosen,
                before=before.precision if before is not None else None,
            ),
            limit=limit,
            reserved=codec_bytes(codec, level, machine.chunk_seconds) if level in job.request.preview else 0,
            rows_per_sample=rows_of(job.recipe, level),
            adapted=job.model.is_adapted(level),
        )

    def settled(self, job: Job, memory: int) -> MemoryPlan:
        """Return the plan. OutOfMemory if no plan fits."""
        plan = self._choose(job.machine, memory, retains_freed=True)
        if (plan is None or self.less_than_asked(plan)) and give_back_at_once():
            plan = self._choose(job.machine, memory, retains_freed=False)
        if plan is None:
            raise OutOfMemory(self._too_large(job, memory))
        return plan

    def less_than_asked(self, plan: MemoryPlan) -> bool:
        """Return True if the memory limits a plan."""
        return plan.batch.samples < self.samples or plan.batch.chunk is not None or self.lowered(plan)

    def lowered(self, plan: MemoryPlan) -> bool:
        """Return True for a plan in another precision than the best."""
        return plan.precision != self.choices[0]

    def footprints(self, machine: Machine, choices: list[str], *, retains_freed: bool = False) -> list[Footprint]:
        """Return the memory that the level takes in each precision."""
        return footprints(
            self.config,
            machine,
            choices,
            retains_freed=retains_freed,
            rows_per_sample=self.rows_per_sample,
            adapted=self.adapted,
        )

    def _choose(self, machine: Machine, memory: int, *, retains_freed: bool) -> MemoryPlan | None:
        sizes = self.footprints(machine, self.choices, retains_freed=retains_freed)
        return choose_memory_plan(sizes, self.samples, memory, reserved=self.reserved, limit=self.limit)

    def _too_large(self, job: Job, memory: int) -> str:
        """Return a message with the memory needed, the memory available, and the ways out."""
        machine, most = job.machine, job.request.max_memory
        (last,) = self.footprints(machine, self.choices[-1:])
        (half,) = self.footprints(machine, [half_precision(machine.device)])
        needed, halved = (minimum_bytes(one, reserved=self.reserved) for one in (last, half))
        ways = []
        if halved <= memory:
            ways.append(f"take --precision {half.precision}, which needs {size(halved)}")
        if needed - self.reserved <= memory:
            ways.append("leave --preview out")
        ways.append("raise --max-memory" if most is not None and most <= memory else "free some memory")
        ways.append("choose a smaller model")
        return (
            f"the {self.level.label} prior of {job.model.card.name} does not fit: one sample needs {size(needed)} in "
            f"{last.precision}, and {size(memory)} are available on {machine.device}. {_sentence(ways)}"
        )


def _sentence(ways: list[str]) -> str:
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]


def _codec_chunk(job: Job, memory: int) -> float:
    """Return the seconds of audio that the codec decodes at a time, at any level."""
    room = memory // 4 if job.request.preview else memory  # with previews, a prior is loaded at the same time
    seconds = min(settle_chunk(job.model.card.vqvae, level, room) for level in job.recipe.levels)
    if seconds < CHUNK_SECONDS:
        give_back_at_once()
    return seconds


def _in_words(plan: MemoryPlan, need: _Need, memory: int) -> str:
    many = f"{plan.batch.samples} of {need.many} at a time"
    if need.samples == 1:
        many = "one sample"
    elif plan.batch.samples >= need.samples:
        many = f"all {need.many} at a time"
    read = f", the prefix read {plan.batch.chunk} codes at a time" if plan.batch.chunk else ""
    return f"{many}{read}, in {plan.precision}: {size(plan.bytes)} of {size(memory)} available"


def _reduced(plan: MemoryPlan, need: _Need) -> str:
    """Return what a plan has less of than with more memory; "" for a level that is resumed as it was begun."""
    limit = need.limit or BatchPlan(need.samples)
    parts = []
    if need.lowered(plan):
        parts.append(f"{plan.precision} is taken, not {need.choices[0]}, which gives other codes")
    if plan.batch.samples < min(limit.samples, need.samples):
        parts.append(f"{plan.batch.samples} of {need.samples} {need.unit} are sampled at a time, which takes longer")
    if plan.batch.chunk != limit.chunk:
        parts.append(f"the prefix of a window is read {plan.batch.chunk} codes at a time")
    return "; ".join(parts)
