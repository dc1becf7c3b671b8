"""Forecast of a song: the work that its levels lack, and its duration on this machine by a short calibration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling
from jukectl.errors import BadInput, is_out_of_memory
from jukectl.plan.calibration import (
    CAREFUL,
    QUICK,
    Effort,
    decoding_time,
    encoding_speed,
    level_speed,
    prior_speed,
    saving_seconds,
)
from jukectl.plan.conditioning import cuts_at
from jukectl.plan.device import Machine
from jukectl.plan.eta import Eta, Forecast, LevelWork, Round, Speed, plainly
from jukectl.plan.job import Job
from jukectl.plan.memory import SongPlan, plan_song
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.progress import Remark, wants_progress
from jukectl.sampling.footprint import NUMBER_BYTES, MemoryPlan, parameters
from jukectl.sampling.spans import Spans, spans_of
from jukectl.sampling.windows import advance_codes, plan_windows

LARGE = 2**30
"""Bytes of a prior that is not loaded only to be calibrated before sampling."""


@dataclass(frozen=True)
class Extent:
    """Numbers of codes of a level."""

    total: int  # that it will have
    given: int = 0  # that were not sampled: its prompt or prefix
    done: int = 0  # that it has


def song_work(job: Job, plan: SongPlan, saving: float) -> tuple[LevelWork, ...]:
    """Return the work at each planned level; a prompt that is not encoded yet counts as done.

    `saving` is the time in seconds to write a window. With `request.until` it is the work of the song's first seconds.
    """

    def work(level: Level, memory: MemoryPlan) -> LevelWork:
        config, settings = job.model.card.priors[level], job.recipe.sampling[level]
        extent = Extent(job.wanted[level], job.given(level), job.done(level))
        cuts = cuts_at(job.recipe, job.model.card.vqvae, level)
        return replace(
            level_work(config, settings, memory, extent, samples=job.samples_at(level), cuts=cuts), saving=saving
        )

    stops = goals(job)
    levels = (up_to(work(level, memory), stops) for level, memory in plan.levels.items())
    return tuple(one for one in levels if one.rounds)


def level_work(
    config: PriorConfig,
    settings: LevelSampling,
    plan: MemoryPlan,
    extent: Extent,
    *,
    samples: int,
    cuts: Sequence[int] = (),
) -> LevelWork:
    """Return the rounds that add the missing codes of a level.

    Rounds end at the `cuts`, where settings or labels change; for spans they are not counted that finely.
    """
    ratio = config.ratio
    spans = spans_of(config, settings, extent.total, extent.given)
    if spans is not None:
        rows, rounds = samples * len(spans.starts), tuple(_span_rounds(spans, extent.done))
    else:
        advance = advance_codes(config.context, settings.advance, ratio)
        windows = plan_windows(
            extent.total, context=config.context, advance=advance, done=extent.done, ratio=ratio, cuts=cuts
        )
        rows, rounds = samples, tuple(map(Round.of, windows))
    return LevelWork(
        level=config.level,
        rounds=rounds,
        rows=rows,
        at_a_time=min(rows, plan.batch.samples),
        parameters=parameters(config),
    )


def _span_rounds(spans: Spans, done: int) -> Iterator[Round]:
    """Yield the rounds that are left of a level in spans that has `done` codes without a gap."""
    made = done - (spans.starts[0] - spans.warmup) if done > spans.prefix else 0
    for windows in spans.rounds(made):
        row = windows[-1]  # of the first span the warm-up codes may exist already
        stop = row.stop - (spans.starts[-1] - spans.warmup)
        yield Round(spans.progress(made), spans.progress(stop), row.prefix, row.new)
        made = stop


def forecast(job: Job, plan: SongPlan) -> Eta | None:
    """Return the ETA of a song that is about to be sampled, and remark on it; None if no listener wants progress.

    Large levels are not calibrated yet: they are assumed to be as fast for their size as the others.
    """
    saving = saving_seconds(job.song.path)
    work = song_work(job, plan, saving)
    if not wants_progress(job.listener) or not work:
        return None
    eta, speeds = None, {}
    with _ignoring_out_of_memory():
        for one in work:
            if one.parameters * NUMBER_BYTES[plan.levels[one.level].precision] <= LARGE:
                speeds[one.level] = work_speed(job, plan, one, QUICK)
        later = tuple(one for after in job.later for one in song_work(after, plan_song(after), saving))
        eta = Eta(Forecast(work, speeds, after=decoding_seconds(job, saving, QUICK), later=later))
        if (seconds := eta.forecast.seconds) is not None:
            memory = max(one.bytes for one in plan.levels.values())
            job.listener(Remark("estimate", plainly(seconds, memory, str(plan.machine.device))))
    return eta


def calibrate_loaded(eta: Eta, prior: Prior, settings: LevelSampling, plan: SongPlan) -> None:
    """Measure the speed of a level that was not calibrated before its prior was loaded."""
    level = prior.config.level
    if not eta.has_speed(level):
        with _ignoring_out_of_memory():
            batch, prefix = plan.levels[level].batch, eta.work(level).typical_prefix
            speed = prior_speed(prior, plan.machine_at(level), batch, settings, prefix=prefix, effort=QUICK)
            eta.learn(level, speed)


@contextmanager
def _ignoring_out_of_memory() -> Iterator[None]:
    """Leave the block if memory runs out: the estimate is optional, and sampling handles that itself."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise


def work_speed(job: Job, plan: SongPlan, work: LevelWork, effort: Effort = CAREFUL) -> Speed:
    """Load the prior of a level and measure its speed."""
    batch, machine = plan.levels[work.level].batch, plan.machine_at(work.level)
    settings = job.recipe.sampling[work.level]
    return level_speed(job.model, work.level, machine, batch, settings, prefix=work.typical_prefix, effort=effort)


def decoding_seconds(job: Job, saving: float, effort: Effort = CAREFUL) -> float:
    """Return the seconds it takes to decode the lowest level of a recipe."""
    config, lowest = job.model.card.vqvae, job.recipe.levels[-1]
    length = job.wanted[lowest] / config.codes_per_second(lowest)
    samples = job.samples_at(lowest)
    seconds = samples * length if job.to_decode is None else job.to_decode
    if not seconds:
        return 0.0
    return decoding_time(job.model, lowest, job.machine, seconds=seconds, effort=effort) + samples * saving


def encoding_seconds(
    folder: ModelFolder, machine: Machine, levels: Iterable[Level], seconds: float, effort: Effort = CAREFUL
) -> float:
    """Return the seconds it takes to encode a recording of `seconds` at some levels."""
    if not seconds:
        return 0.0
    each = (encoding_speed(folder, level, machine, seconds=seconds, effort=effort) for level in levels)
    return seconds * sum(each)


Goals = Mapping[Level, int]
"""Codes at which a level may stop, of the levels that are not sampled to their end."""


def goals(job: Job) -> dict[Level, int]:
    """Return where the levels below the top may stop for the first `request.until` seconds; {} without that.

    Each level gets whole windows, and what the windows of the level below read of it. BadInput for a level in parallel
    spans, which reach their ends together.
    """
    until = job.request.until
    if until is None:
        return {}
    card, recipe = job.model.card, job.recipe
    stops: dict[Level, int] = {}
    below = 0  # codes of this level that the level below reads
    for level in reversed(TOP_DOWN[1:]):
        if level not in job.wanted or level not in recipe.sampling:
            continue
        if recipe.sampling[level].parallel > 1:
            raise BadInput(
                f"the {level.label} level is sampled in {recipe.sampling[level].parallel} parallel spans, not from its "
                "beginning on: leave --to or --parallel out"
            )
        prior, total = card.priors[level], job.wanted[level]
        need = min(total, max(below, ceil(until * card.vqvae.codes_per_second(level) - 1e-6)))
        advance = advance_codes(prior.context, recipe.sampling[level].advance, prior.ratio)
        for window in plan_windows(total, context=prior.context, advance=advance, ratio=prior.ratio):
            stops[level] = window.stop
            below = -(-min(window.start + prior.context, total) // prior.ratio)
            if window.stop >= need:
                break
    return stops


def up_to(work: LevelWork, goals: Goals) -> LevelWork:
    """Return the part of a level's work up to its goal."""
    goal = goals.get(work.level)
    if goal is None:
        return work
    return replace(work, rounds=tuple(one for one in work.rounds if one.begin < goal))
