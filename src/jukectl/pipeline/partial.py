"""How far the lower levels have to be made for a song's beginning: today a part of it, tomorrow the rest.

The windows of a level follow from its length, so what is made of its beginning is what the whole level would have been.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.errors import BadInput
from jukectl.pipeline.pace import LevelWork
from jukectl.pipeline.recipes import frames_wanted
from jukectl.sampling.windows import advance_codes, plan_windows

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
