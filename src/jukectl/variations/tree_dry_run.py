"""What a tree would take to grow, told without doing it: nothing is written, no folder made, no lock taken."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.tree import Tree, TreeRecipe, is_tree
from jukectl.codes.trunk import codes_of_song
from jukectl.plan.calibration import decoding_time, saving_seconds
from jukectl.plan.device import choose
from jukectl.plan.dry_run import LevelEstimate, to_be_made
from jukectl.plan.forecast import encoding_seconds
from jukectl.plan.memory import memory_there_is
from jukectl.plan.recipes import frames_wanted, recipe_of_song
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.encode import new_codes
from jukectl.variations.tree import (
    Beginning,
    Growth,
    check_root,
    first_step,
    is_grown,
    place_of,
    places_in_progress,
    recipe_to_grow,
    recipe_to_regrow,
)


@dataclass(frozen=True)
class StepEstimate:
    """What some nodes would take that are made side by side."""

    step: int  # from the root, which is 0
    nodes: int
    levels: Mapping[Level, LevelEstimate]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        levels = {level.label: one.to_dict() for level, one in self.levels.items()}
        return {"step": self.step, "nodes": self.nodes, "levels": levels}


@dataclass(frozen=True)
class TreeEstimate:
    """What a tree would take here, from what is there of it."""

    tree: Path
    model: str
    device: str
    steps: tuple[StepEstimate, ...]  # in the order in which they are made; the root's where it lacks codes
    encoding_seconds: float  # of a recording
    decoding_seconds: float  # of what each node adds
    memory_free_bytes: int  # to be had by models

    @property
    def nodes(self) -> int:
        """To be made, beside the root."""
        return sum(one.nodes for one in self.steps if one.step)

    @property
    def codes(self) -> int:
        """To be made, of all nodes and levels."""
        return sum(level.codes for one in self.steps for level in one.levels.values())

    @property
    def seconds(self) -> float:
        """All of it, from when the command has started."""
        levels = sum(level.seconds for one in self.steps for level in one.levels.values())
        return self.encoding_seconds + levels + self.decoding_seconds

    @property
    def memory_bytes(self) -> int:
        """The most that models take at any time."""
        return max((level.memory_bytes for one in self.steps for level in one.levels.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "tree": str(self.tree),
            "model": self.model,
            "device": self.device,
            "nodes": self.nodes,
            "codes": self.codes,
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "memory_free_bytes": self.memory_free_bytes,
            "steps": [one.to_dict() for one in self.steps],
            "encoding_seconds": round(self.encoding_seconds, 3),
            "decoding_seconds": round(self.decoding_seconds, 3),
        }


@dataclass(frozen=True)
class _Step:
    """Nodes that are to be made side by side, and what is there of them."""

    number: int
    recipe: Recipe
    found: Mapping[Level, Codes]


def estimate_tree(
    source: Path,
    out: Path | None,
    growth: Growth,
    beginning: Beginning,
    request: Request,
    *,
    levels: tuple[Level, ...] | None = None,
    listener: Listener = ignore,
) -> TreeEstimate:
    """What `tree` would take. Raises what it would raise before its first code, but for a folder that is at work."""
    place = place_of(source, out, growth, beginning)
    if is_tree(place) and not request.overwrite:
        grove = Tree.open(place)
        if source.is_dir():
            check_root(source, grove, beginning)
        recipe = recipe_to_grow(grove, growth, request, levels, grove.recipe())
        return _estimate_tree(grove, recipe, request, listener)
    return _estimate_anew(source, place, growth, beginning, request, levels, listener)


def estimate_regrow(
    path: Path, request: Request, *, depth: int | None = None, listener: Listener = ignore
) -> TreeEstimate:
    """What `regrow` would take."""
    grove = Tree.open(path)
    return _estimate_tree(grove, recipe_to_regrow(grove, depth), request, listener)


def _estimate_tree(grove: Tree, recipe: TreeRecipe, request: Request, listener: Listener) -> TreeEstimate:
    """Of a tree that has a root."""
    folder, _ = recipe_of_song(grove.root, request)
    last = recipe.step.levels[-1]
    undecoded = sum(not grove.audio_path(place, last).exists() for place in recipe.all_places())
    return _estimate(
        grove.path, folder, list(_missing(grove, recipe, folder)), recipe.step, request, listener, undecoded=undecoded
    )


def _missing(grove: Tree, recipe: TreeRecipe, folder: ModelFolder) -> Iterator[_Step]:
    """What a tree lacks: first the nodes in progress, then those of each step that are neither there nor begun."""
    growing = grove.growing.recipe() if grove.growing.begun else None
    begun = places_in_progress(grove, recipe) if growing is not None else []
    if growing is not None and not all(is_grown(grove, recipe, place) for place in begun):
        yield _Step(len(begun[0]), growing, codes_of_song(grove.growing))
    root = codes_of_song(grove.root)
    frames = {level: root[level].done for level in recipe.step.levels}
    for step in range(1, recipe.depth + 1):
        missing = [place for place in recipe.places(step) if not is_grown(grove, recipe, place) and place not in begun]
        if missing:
            yield _step(step, len(missing), recipe.step, folder, frames)
        frames = _longer(recipe.step, folder, frames)


def _estimate_anew(
    source: Path,
    place: Path,
    growth: Growth,
    beginning: Beginning,
    request: Request,
    levels: tuple[Level, ...] | None,
    listener: Listener,
) -> TreeEstimate:
    """Of a tree that has no root yet: a recording is encoded, or a song's levels are made, and then the steps."""
    folder, recipe, given = first_step(source, growth, beginning, request, levels)
    assert recipe.trunk is not None
    config, encoding = folder.card.vqvae, 0.0
    if given:
        length = recipe.trunk.seconds
        root = replace(
            recipe,
            samples=1,
            sample_numbers=(),
            seconds=0.0,
            schedule=tuple(change for change in recipe.schedule if change.at < length),
        )
        frames = frames_wanted(root, config, {level: codes.done for level, codes in given.items()})
        steps = [_Step(0, root, given)]
    else:
        machine = choose(request.device, request.precision)
        frames, steps = dict(recipe.trunk.frames), []
        encoding = encoding_seconds(folder, machine, recipe.levels, recipe.trunk.seconds)
    steps += _all_steps(recipe, folder, growth, frames)
    return _estimate(place, folder, steps, recipe, request, listener, encoding=encoding)


def _all_steps(recipe: Recipe, folder: ModelFolder, growth: Growth, frames: Mapping[Level, int]) -> Iterator[_Step]:
    """The steps of a tree of which nothing is there but the root, with so many codes."""
    for step in range(1, growth.depth + 1):
        yield _step(step, 1 if growth.leaf else growth.branches**step, recipe, folder, frames)
        frames = _longer(recipe, folder, frames)


def _step(number: int, nodes: int, recipe: Recipe, folder: ModelFolder, frames: Mapping[Level, int]) -> _Step:
    """Nodes that go on from parents with so many codes."""
    fingerprint = folder.fingerprint(VQVAE_PART)
    parents = {
        level: new_codes(
            folder, level, np.broadcast_to(np.uint16(0), (nodes, count)), prompt=count, fingerprint=fingerprint
        )
        for level, count in frames.items()
    }
    return _Step(number, _going_on(replace(recipe, samples=nodes, sample_numbers=(), made={}), frames), parents)


def _longer(recipe: Recipe, folder: ModelFolder, frames: Mapping[Level, int]) -> dict[Level, int]:
    """The codes of a node whose parent has so many."""
    return frames_wanted(_going_on(recipe, frames), folder.card.vqvae, {})


def _going_on(recipe: Recipe, frames: Mapping[Level, int]) -> Recipe:
    """A step's recipe where its parents have so many codes."""
    assert recipe.trunk is not None
    return replace(recipe, trunk=replace(recipe.trunk, frames=frames, sha256=dict.fromkeys(frames, "")))


def _estimate(
    place: Path,
    folder: ModelFolder,
    steps: list[_Step],
    recipe: Recipe,
    request: Request,
    listener: Listener,
    *,
    encoding: float = 0.0,
    undecoded: int | None = None,
) -> TreeEstimate:
    """What steps would take, and the audio of their nodes, or of `undecoded` ones."""
    saving, told = saving_seconds(place), []
    for one in steps:
        _, levels = to_be_made(one.recipe, folder, one.found, request, saving, listener)
        if levels:
            told.append(StepEstimate(one.number, one.recipe.samples, levels))
    machine = choose(request.device, request.precision)
    files = sum(one.nodes for one in told if one.step) if undecoded is None else undecoded
    decoding = 0.0
    if files:
        spoken = files * recipe.seconds
        decoding = decoding_time(folder, recipe.levels[-1], machine, seconds=spoken) + files * saving
    return TreeEstimate(
        tree=place,
        model=folder.card.name,
        device=str(machine.device),
        steps=tuple(told),
        encoding_seconds=encoding,
        decoding_seconds=decoding,
        memory_free_bytes=memory_there_is(machine.device, request.max_memory),
    )
