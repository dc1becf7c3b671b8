"""What a song's levels lack, and how long that will take here: reckoned before the start, by a short calibration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling, Recipe
from jukectl.codes.song import Song
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
from jukectl.plan.eta import Forecast, LevelWork, Pace, Round, Speed, duration
from jukectl.plan.memory import SongPlan
from jukectl.plan.recipes import frames_wanted, given_frames
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Remark, wants_progress
from jukectl.sampling.footprint import NUMBER_BYTES, MemoryPlan, parameters
from jukectl.sampling.spans import Spans, spans_of
from jukectl.sampling.windows import advance_codes, plan_windows

LARGE = 2**30
"""Bytes of a prior that is not loaded for the calibration of a song that is made right away."""


def song_work(
    recipe: Recipe,
    folder: ModelFolder,
    plan: SongPlan,
    found: Mapping[Level, Codes],
    saving: float,
    until: float | None = None,
) -> tuple[LevelWork, ...]:
    """What is to be made at each level that a plan is for; a prompt that is not encoded yet counts as there.

    `saving` are the seconds that it takes to save a window. With `until` it is what the song's first seconds need.
    """
    vqvae = folder.card.vqvae
    wanted = frames_wanted(recipe, vqvae, {level: codes.done for level, codes in found.items()})
    samples = found[Level.TOP].samples if Level.TOP in found else recipe.samples

    def work(level: Level, memory: MemoryPlan) -> LevelWork:
        codes = found.get(level)
        begun = codes.prompt if codes is not None else given_frames(recipe, vqvae, level)
        done = codes.done if codes is not None else begun
        config, settings = folder.card.priors[level], recipe.sampling[level]
        cuts = cuts_at(recipe, vqvae, level)
        work = level_work(
            config, settings, memory, total=wanted[level], begun=begun, done=done, samples=samples, cuts=cuts
        )
        return replace(work, saving=saving)

    stops = goals(recipe, folder, found, until)
    levels = (up_to(work(level, memory), stops) for level, memory in plan.levels.items())
    return tuple(one for one in levels if one.rounds)


def level_work(
    config: PriorConfig,
    settings: LevelSampling,
    plan: MemoryPlan,
    *,
    total: int,
    begun: int,
    done: int,
    samples: int,
    cuts: Sequence[int] = (),
) -> LevelWork:
    """The rounds that add the codes `done`..`total` of a level, of which `begun` were there before any was made.

    At the `cuts` something changes, so rounds end there; those of spans are not counted so finely.
    """
    ratio = config.ratio
    advance = advance_codes(config.context, settings.advance, ratio)
    spans = spans_of(config, settings, total, begun)
    if spans is not None:
        rows, rounds = samples * len(spans.starts), tuple(_span_rounds(spans, done))
    else:
        windows = plan_windows(total, context=config.context, advance=advance, done=done, ratio=ratio, cuts=cuts)
        rows, rounds = samples, tuple(map(Round.of, windows))
    return LevelWork(
        level=config.level,
        rounds=rounds,
        rows=rows,
        at_a_time=min(rows, plan.batch.samples),
        weights=parameters(config),
    )


def _span_rounds(spans: Spans, done: int) -> Iterator[Round]:
    """The rounds of a level in spans that has `done` codes without a gap."""
    made = done - (spans.starts[0] - spans.warmup) if done > spans.prefix else 0
    for windows in spans.rounds(made):
        row = windows[-1]  # the first one's lead-in may be there already
        stop = row.stop - (spans.starts[-1] - spans.warmup)
        yield Round(spans.progress(made), spans.progress(stop), row.prefix, row.new)
        made = stop


def foresee(
    song: Song, recipe: Recipe, folder: ModelFolder, plan: SongPlan, listener: Listener, until: float | None = None
) -> Pace | None:
    """How a song that is about to be made will get on, and a remark of it; None where nobody watches.

    Calibrated for that is what is not large. A large level is taken to be as fast for its size as another.
    """
    found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    saving = saving_seconds(song.path)
    work = song_work(recipe, folder, plan, found, saving, until)
    if not wants_progress(listener) or not work:
        return None
    pace, speeds = None, {}
    with _where_memory_lasts():
        for one in work:
            if one.weights * NUMBER_BYTES[plan.levels[one.level].precision] <= LARGE:
                speeds[one.level] = work_speed(one, recipe.sampling[one.level], folder, plan, QUICK)
        pace = Pace(Forecast(work, speeds, after=decoding_seconds(recipe, folder, plan, found, saving, QUICK)))
        if (seconds := pace.forecast.seconds) is not None:
            listener(Remark("estimate", f"about {duration(seconds)} for what is left of the song"))
    return pace


def get_to_know(pace: Pace, prior: Prior, settings: LevelSampling, plan: SongPlan) -> None:
    """Calibrate a level of which only now the prior is in memory."""
    level = prior.config.level
    if not pace.knows(level):
        with _where_memory_lasts():
            known, batch = pace.work(level).usual_known, plan.levels[level].batch
            pace.learn(level, prior_speed(prior, plan.machine_at(level), batch, settings, known=known, effort=QUICK))


@contextmanager
def _where_memory_lasts() -> Iterator[None]:
    """Leave the block where memory runs out: an estimate is no reason to stop, and the making knows what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise


def work_speed(
    work: LevelWork, settings: LevelSampling, folder: ModelFolder, plan: SongPlan, effort: Effort = CAREFUL
) -> Speed:
    """How fast a level is made."""
    batch, machine = plan.levels[work.level].batch, plan.machine_at(work.level)
    return level_speed(folder, work.level, machine, batch, settings, known=work.usual_known, effort=effort)


def decoding_seconds(
    recipe: Recipe,
    folder: ModelFolder,
    plan: SongPlan,
    found: Mapping[Level, Codes],
    saving: float,
    effort: Effort = CAREFUL,
) -> float:
    """What it takes to decode the lowest level that a recipe asks for."""
    config, lowest = folder.card.vqvae, recipe.levels[-1]
    wanted = frames_wanted(recipe, config, {level: codes.done for level, codes in found.items()})
    length = wanted[lowest] / config.codes_per_second(lowest)
    samples = found[Level.TOP].samples if Level.TOP in found else recipe.samples
    if not length:
        return 0.0
    return decoding_time(folder, lowest, plan.machine, seconds=samples * length, effort=effort) + samples * saving


def encoding_seconds(
    folder: ModelFolder, machine: Machine, levels: Iterable[Level], seconds: float, effort: Effort = CAREFUL
) -> float:
    """What it takes to encode a prompt of so many seconds at some levels."""
    if not seconds:
        return 0.0
    each = (encoding_speed(folder, level, machine, seconds=seconds, effort=effort) for level in levels)
    return seconds * sum(each)


Goals = Mapping[Level, int]
"""Codes at which a level may stop, of the levels that need not be made to their end."""


def goals(recipe: Recipe, folder: ModelFolder, found: Mapping[Level, Codes], until: float | None) -> dict[Level, int]:
    """Where the levels below the top may stop for the first `until` seconds; none without that.

    Each has whole windows, and what the windows of the level below read of it. BadInput where spans are made side by
    side, which all come to their end together.
    """
    if until is None:
        return {}
    config = folder.card.vqvae
    wanted = frames_wanted(recipe, config, {level: codes.done for level, codes in found.items()})
    stops: dict[Level, int] = {}
    below = 0  # codes of this level that the level below reads
    for level in reversed(TOP_DOWN[1:]):
        if level not in wanted or level not in recipe.sampling:
            continue
        if recipe.sampling[level].parallel > 1:
            raise BadInput(
                f"the {level.label} level is made in {recipe.sampling[level].parallel} spans at once, not from its "
                "beginning on: leave --to or --parallel out"
            )
        prior, total = folder.card.priors[level], wanted[level]
        need = min(total, max(below, ceil(until * config.codes_per_second(level) - 1e-6)))
        advance = advance_codes(prior.context, recipe.sampling[level].advance, prior.ratio)
        for window in plan_windows(total, context=prior.context, advance=advance, ratio=prior.ratio):
            stops[level] = window.stop
            below = -(-min(window.start + prior.context, total) // prior.ratio)
            if window.stop >= need:
                break
    return stops


def up_to(work: LevelWork, goals: Goals) -> LevelWork:
    """The work of a level up to its goal."""
    goal = goals.get(work.level)
    if goal is None:
        return work
    return replace(work, rounds=tuple(one for one in work.rounds if one.begin < goal))
