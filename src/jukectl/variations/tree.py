"""Trees of songs: from a beginning several continuations, from each of them several more; shared codes are made once.

The nodes of a step are the samples of one branch, so they are sampled in one batch. A node follows from the tree's seed
and the way there, whatever else is grown: it equals what a chain of `branch` with that seed makes of the same root.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.audio import io
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import Codeset, beside, codes_of_song, prefix_ref, sample_of, top_frames
from jukectl.codes.recipe import PrefixRef, Recipe
from jukectl.codes.song import SONG, Song
from jukectl.codes.tree import TREE, Place, Tree, TreeRecipe, check_shape, is_tree, name_of
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import make_folder, remove_folder
from jukectl.plan.beats import with_beat
from jukectl.plan.calibration import decoding_time, saving_seconds
from jukectl.plan.device import choose
from jukectl.plan.dry_run import StepEstimate, TreeEstimate, estimate_levels
from jukectl.plan.forecast import encoding_seconds
from jukectl.plan.free_memory import available_memory
from jukectl.plan.job import Given, Job, begin, begun, resumed
from jukectl.plan.models import model_of, requested_model
from jukectl.plan.notes import notes_data
from jukectl.plan.prompt import Recording, load_prompt, prompt_of
from jukectl.plan.recipes import check_end, frames_wanted, recipe_of
from jukectl.plan.request import DEFAULT_SECONDS, LARGEST_SEED, Request
from jukectl.progress import Listener, Progress, Remark, ignore, wants_progress
from jukectl.render.decode import waveform
from jukectl.render.encode import encode, new_codes
from jukectl.render.song import sample_codes
from jukectl.variations.branch import MOST, branched, child_stream, levels_of
from jukectl.variations.pick import Taken, beginning_of, decode_like, stored_streams, streams_of

LONGEST_STEP = 60.0
"""Seconds of a step, if none are asked for, of a song that is longer."""

MARGIN_SECONDS = 2.0
"""Music before a node that is decoded with it, so that one passes into the other without a seam."""


@dataclass(frozen=True)
class Growth:
    """Shape of a tree."""

    every: float | None = None  # seconds of music a step; None: as much as the song has, see `following`
    branches: int = 4  # of each node
    depth: int = 2  # steps
    leaf: Place = ()  # only what leads to this leaf

    @property
    def step_seconds(self) -> float:
        """Seconds of music a step."""
        assert self.every is not None, "see following"
        return self.every

    def following(self, source: Path, at: float | None, existing: TreeRecipe | None = None) -> "Growth":
        """Return the growth with the seconds of a step, by default those of an existing tree, or of the source.

        A song's steps are as long as its new music, or what `at` leaves of it, at most LONGEST_STEP; a recording's are
        DEFAULT_SECONDS.
        """
        if self.every is not None:
            return self
        if existing is not None:
            return replace(self, every=existing.step.seconds)
        if not source.is_dir():
            return replace(self, every=DEFAULT_SECONDS)
        song = Song.open(source)
        recipe, found = song.recipe(), codes_of_song(song)
        length = found[Level.TOP].cut(top_frames(song, found, at)).seconds
        own = recipe.seconds if recipe is not None and recipe.seconds else length
        return replace(self, every=min(own if at is None else min(own, length), LONGEST_STEP))


@dataclass(frozen=True)
class Beginning:
    """Part of a recording or a song that a tree begins with."""

    start: float = 0.0  # seconds into a recording
    prompt_seconds: float | None = None  # of a recording; None: as much as a step
    at: float | None = None  # seconds of a song; None: all of it
    sample: int = 0  # of a song


@dataclass(frozen=True)
class Grown:
    """A grown tree."""

    tree: Path
    leaves: dict[str, Path]  # audio of each leaf's own part
    sampled: int  # codes that were sampled in this run, all levels and nodes together
    new: bool


def tree(
    source: Path,
    out: Path | None,
    growth: Growth,
    beginning: Beginning,
    request: Request,
    *,
    listener: Listener = ignore,
) -> Grown:
    """Grow a tree from a recording or a song, in the folder `out`; resumed, or grown deeper, if it was begun before.

    The request's levels are by default the song's, or all of a recording. BadInput for an impossible growth,
    RecipeDiffers if the folder holds another tree.
    """
    place, growth = place_of(source, out, growth, beginning, overwrite=request.overwrite)
    if request.overwrite or not is_tree(place):
        first_step(source, growth, beginning, request)  # errors are found before anything is written
    grove = Tree.create(place)
    with grove.lock():
        if request.overwrite:
            grove.clear()
        existing = grove.recipe()
        _plant(source, grove, growth, beginning, request, listener)
        recipe = recipe_to_grow(grove, growth, request, existing)
        if recipe != existing:
            grove.write_recipe(recipe)
        return _Growing.of(grove, recipe, request, listener).grow()


def regrow(path: Path, request: Request, *, depth: int | None = None, listener: Listener = ignore) -> Grown:
    """Resume a tree, or grow it deeper."""
    grove = Tree.open(path)
    with grove.lock():
        recipe = recipe_to_regrow(grove, depth)
        if recipe != grove.recipe():
            grove.write_recipe(recipe)
        return _Growing.of(grove, recipe, request, listener).grow()


def estimate_tree(
    source: Path,
    out: Path | None,
    growth: Growth,
    beginning: Beginning,
    request: Request,
    *,
    listener: Listener = ignore,
) -> TreeEstimate:
    """Estimate `tree`. Raises whatever it would raise before its first code, except for a locked folder."""
    place, growth = place_of(source, out, growth, beginning, overwrite=request.overwrite)
    grove = Tree(place)
    if is_tree(place) and not request.overwrite:
        if source.is_dir():
            check_root(source, grove, beginning)
        recipe = recipe_to_grow(grove, growth, request, grove.recipe())
        return _Growing.of(grove, recipe, request, listener).estimate()
    step = first_step(source, growth, beginning, request)
    recipe = TreeRecipe(step=step.recipe, depth=growth.depth, leaf=growth.leaf)
    growing = _Growing(grove, recipe, step.model, request, listener)
    if source.is_dir():
        song = Song.open(source)
        root, given = root_of(song, codes_of_song(song), beginning, request)
        return growing.estimate(root=replace(root, song=grove.root, codes=given.prefix, listener=listener))
    assert step.recipe.prefix is not None
    machine = choose(request.device, request.precision, request.threads)
    seconds = encoding_seconds(step.model, machine, step.recipe.levels, step.recipe.prefix.seconds)
    return growing.estimate(frames=step.recipe.prefix.frames, encoding=seconds)


def estimate_regrow(
    path: Path, request: Request, *, depth: int | None = None, listener: Listener = ignore
) -> TreeEstimate:
    """Estimate `regrow`."""
    grove = Tree.open(path)
    return _Growing.of(grove, recipe_to_regrow(grove, depth), request, listener).estimate()


def place_of(
    source: Path, out: Path | None, growth: Growth, beginning: Beginning, *, overwrite: bool = False
) -> tuple[Path, Growth]:
    """Return the folder of a tree that is to grow from a recording or a song, and its growth. BadInput if it cannot."""
    if growth.every is not None and not 0 < growth.every <= 36_000:
        raise BadInput(f"--every is over 0 and at most 36000 seconds, got {growth.every:g}")
    check_shape(growth.branches, growth.depth, growth.leaf)
    if not source.exists():
        raise BadInput(f"there is no recording and no song folder {source} to grow a tree from")
    if source.is_dir():
        song = Song.open(source)
        found = codes_of_song(song)
        top_frames(song, found, beginning.at)
        sample_of(song, found, beginning.sample)
    place = out or beside(source, "tree")
    if place.exists() and source.exists() and place.samefile(source):
        raise BadInput(f"--out {place} is what the tree is to grow from. Give another folder")
    if SONG.is_begun(place):
        raise BadInput(f"{place} is a song, and a tree needs a new folder: give another --out")
    TREE.check(place)
    existing = Tree(place).recipe() if is_tree(place) and not overwrite else None
    return place, growth.following(source, beginning.at, existing)


def pick_place(path: Path, place: Place, out: Path | None = None, *, overwrite: bool = False) -> Taken:
    """Extract a node of a tree, with all that leads there, into a song in `out` or beside the tree.

    It is the song that a chain of branches would have made; levels below the tree's can be upsampled.
    """
    grove = Tree.open(path)
    recipe = recipe_of_tree(grove)
    if not place or len(place) > recipe.depth or max(place) >= recipe.branches:
        last = name_of((recipe.branches - 1,) * recipe.depth)
        raise BadInput(f"{path} has the nodes 0 to {last}; got {name_of(place)}")
    if not is_grown(grove, recipe, place):
        raise NotASong(f"{path} has not grown {name_of(place)} yet. Resume it with: jukectl tree {path}")
    root = codes_of_song(grove.root)
    codes, prefix = codes_to(grove, recipe, root, place), codes_to(grove, recipe, root, place[:-1])
    made = {
        level: replace(one, samples=min(one.samples, 1), upper=codes[level.above].digest() if level < Level.TOP else "")
        for level, one in recipe.step.made.items()
    }
    asked = replace(
        recipe.step,
        samples=1,
        streams=stored_streams([_stream(recipe, place)]),
        prefix=prefix_ref(grove.root.path, None, prefix),
        made=made,
    )
    own = {level: replace(one, prompt=prefix[level].done) for level, one in codes.items()}
    target = Song.create(out or beside(path, name_of(place)))
    with target.lock():
        existing = {} if overwrite else codes_of_song(target)
        given = replace(_given(grove, asked, prefix), codes=own)
        _, start = begin(target, asked, given, existing, overwrite=overwrite)
        start.write(target)
    return Taken(target.path, start.new or bool(start.codes))


def describe_tree(path: Path) -> dict[str, Any]:
    """Return the facts of a tree: its recipe, and of each node the levels and the audio that exist."""
    grove = Tree.open(path)
    recipe = recipe_of_tree(grove)
    step, prefix = recipe.step, recipe.step.prefix
    assert prefix is not None
    nodes: dict[str, dict[str, Any]] = {}
    for place in recipe.all_places():
        done = [level.label for level in step.levels if grove.node_path(place, level).exists()]
        audio = grove.audio_path(place, step.levels[-1])
        nodes[name_of(place)] = {"levels": done, "audio": str(audio) if audio.exists() else None}
    return {
        "tree": str(path),
        "model": step.model.name,
        "artist": step.labels.artist,
        "genres": list(step.labels.genres),
        "seed": step.seed,
        "every": step.seconds,
        "branches": recipe.branches,
        "depth": recipe.depth,
        "levels": [level.label for level in step.levels],
        "root": {"song": str(grove.root.path), "seconds": round(prefix.seconds, 3), "source": _source(grove)},
        "nodes": nodes,
        "unfinished": [name for name, node in nodes.items() if len(node["levels"]) < len(step.levels)],
    }


def _source(grove: Tree) -> str:
    """Return the recording or the song that a tree has grown from."""
    rooted = grove.root.recipe()
    if rooted is None:
        return str(grove.root.path)
    return rooted.prefix.source if rooted.prefix else rooted.prompt.source if rooted.prompt else str(grove.root.path)


def _plant(
    source: Path, grove: Tree, growth: Growth, beginning: Beginning, request: Request, listener: Listener
) -> None:
    """Make the root if it is missing: a recording in codes, or a song's beginning, at all levels of the request.

    RecipeDiffers if the tree has grown from another one.
    """
    if not source.is_dir():
        encode(
            source,
            grove.root.path,
            replace(request, overwrite=False),
            levels=request.levels or TOP_DOWN,
            start=beginning.start,
            seconds=growth.step_seconds if beginning.prompt_seconds is None else beginning.prompt_seconds,
            listener=listener,
        )
    elif grove.recipe() is not None:
        check_root(source, grove, beginning)
    else:
        song = Song.open(source)
        found = codes_of_song(song)
        draft, given = root_of(song, found, beginning, request)
        root = Song.create(grove.root.path)
        with root.lock():
            job = begun(replace(draft, song=root, listener=listener), given)
            job.start.write(root)
            decode_like(song, found, job)
            sample_codes(job)


def root_of(song: Song, found: Codeset, beginning: Beginning, request: Request) -> tuple[Job, Given]:
    """Return the draft of a tree's root, the beginning of a song with the codes `found`, and what it begins with."""
    fresh = replace(request, adapters=(), overwrite=False)
    draft, given = beginning_of(song, found, beginning.at, fresh, sample=beginning.sample)
    levels = request.levels or levels_of(draft.recipe)
    settings = {level: request.sampling(level, draft.model.card.sampling) for level in levels}
    recipe = replace(draft.recipe, levels=levels, sampling={**settings, **draft.recipe.sampling})
    return replace(draft, recipe=recipe), given


@dataclass(frozen=True, eq=False)
class FirstStep:
    """Recipe and model of the first step of a tree that has no root yet."""

    recipe: Recipe
    model: ModelFolder


def first_step(source: Path, growth: Growth, beginning: Beginning, request: Request) -> FirstStep:
    """Return the first step of a tree without a root. Errors in the request are found before anything is written."""
    if source.is_dir():
        song = Song.open(source)
        found = codes_of_song(song)
        length = found[Level.TOP].cut(top_frames(song, found, beginning.at)).seconds
        draft, _ = branched(song, beginning.at, _first_request(growth, request, length), sample=beginning.sample)
        step = FirstStep(draft.recipe, draft.model)
    else:
        model = requested_model(request)
        seconds = growth.step_seconds if beginning.prompt_seconds is None else beginning.prompt_seconds
        recording = load_prompt(Recording(source, beginning.start, seconds), model)
        prompt, config = recording.entry, model.card.vqvae
        length = prompt.samples / config.sample_rate
        asked = _first_request(growth, request, length)
        asked, beat = with_beat(asked, model.card, recording.samples, ignore)
        recipe = recipe_of(model, asked, prompt, beat=beat)
        frames = {level: prompt.samples // config.hop(level) for level in recipe.levels}
        prefix = PrefixRef(source=prompt.source, seconds=length, frames=frames, sha256=dict.fromkeys(frames, ""))
        step = FirstStep(replace(recipe, kind="branch", prefix=prefix), model)
    check_end(replace(step.recipe, seconds=growth.depth * growth.step_seconds), step.model)
    return step


def _first_request(growth: Growth, request: Request, length: float) -> Request:
    """Return the request of the first step of a tree whose root lasts `length` seconds."""
    whole = length + growth.depth * growth.step_seconds if request.song_seconds is None else request.song_seconds
    return replace(request, samples=growth.branches, seconds=growth.step_seconds, song_seconds=whole)


def check_root(source: Path, grove: Tree, beginning: Beginning) -> None:
    """Raise RecipeDiffers if a tree has not grown from this song."""
    song = Song.open(source)
    frames = top_frames(song, codes_of_song(song), beginning.at)
    before = grove.root.recipe()
    prefix = before.prefix if before else None
    same = prefix is not None and (prefix.source, prefix.sample) == (str(source.absolute()), beginning.sample)
    if prefix is None or not same or (beginning.at is not None and frames != prefix.frames[Level.TOP]):
        raise RecipeDiffers(f"{grove.path} has grown from something else: give another --out, or --overwrite")


def recipe_to_grow(grove: Tree, growth: Growth, request: Request, existing: TreeRecipe | None) -> TreeRecipe:
    """Return the recipe of a tree with a root; an existing one is grown deeper or wider. RecipeDiffers."""
    root = grove.root
    if request.song_seconds is None:
        length = _top_codes(root).seconds + growth.depth * growth.step_seconds
        request = replace(request, song_seconds=existing.step.song_seconds if existing else length)
    asked = replace(request, samples=growth.branches, seconds=growth.step_seconds)
    draft, _ = branched(root, None, asked, sample=0)
    step = draft.recipe
    if existing is not None and request.seed is None:
        step = replace(step, seed=existing.step.seed)
    recipe = TreeRecipe(step=step, depth=growth.depth, number=_root_stream(root), leaf=growth.leaf)
    check_end(replace(step, seconds=growth.depth * growth.step_seconds), draft.model)
    if existing is None:
        return recipe
    wider = replace(existing.step, samples=recipe.branches, streams=step.streams)
    if differences := wider.differences(step):
        raise RecipeDiffers(
            f"{grove.path} was begun with another recipe ({'; '.join(differences)}). "
            "Give the same options, another --out, or --overwrite"
        )
    return replace(recipe, step=wider)


def recipe_to_regrow(grove: Tree, depth: int | None) -> TreeRecipe:
    """Return the recipe of a tree that is resumed, with a larger depth if one is given."""
    recipe = recipe_of_tree(grove)
    if depth is None or depth == recipe.depth:
        return recipe
    return replace(recipe, depth=max(depth, recipe.depth), leaf=())


def recipe_of_tree(grove: Tree) -> TreeRecipe:
    """Return the recipe of a tree. NotASong without one."""
    recipe = grove.recipe()
    if recipe is None:
        raise NotASong(f"{grove.path} is no tree: it has no tree.toml")
    return recipe


def _top_codes(root: Song) -> Codes:
    top = root.codes(Level.TOP)
    if top is None:
        raise NotASong(f"{root.path} has no top codes to continue from. Make them with: jukectl resume {root.path}")
    return top


def is_grown(grove: Tree, recipe: TreeRecipe, place: Place) -> bool:
    """Return True if all codes exist that a node adds."""
    return all(grove.node_path(place, level).exists() for level in recipe.step.levels)


class _Growing:
    """A tree that is grown, or whose growing is estimated: both go through the same missing nodes."""

    def __init__(
        self, grove: Tree, recipe: TreeRecipe, model: ModelFolder, request: Request, listener: Listener
    ) -> None:
        self.grove = grove
        self.recipe = recipe
        self.model = model
        self.machine = choose(request.device, request.precision, request.threads)
        self.request = Request(  # labels and settings are the tree's
            model=request.model,
            device=request.device,
            precision=request.precision,
            max_memory=request.max_memory,
            force=request.force,
            preview=tuple(level for level in request.preview if level in recipe.step.levels),
        )
        self.listener = listener

    @classmethod
    def of(cls, grove: Tree, recipe: TreeRecipe, request: Request, listener: Listener) -> "_Growing":
        """Return the growing of a tree that has a root."""
        model = model_of(grove.root, recipe.step, replace(request, adapters=()), [VQVAE_PART])
        return cls(grove, recipe, model, request, listener)

    @cached_property
    def root_codes(self) -> dict[Level, Codes]:
        """Codes of the root, loaded once."""
        return codes_of_song(self.grove.root)

    def grow(self) -> Grown:
        """Sample the missing nodes, step by step, and decode them."""
        grove, sampled = self.grove, 0
        if grove.growing.begun:  # left by another run
            job = resumed(grove.growing, self.request, self.machine, self.listener)
            sampled += self._finish(self._with_rest(job, len(self._places_in_progress(job.recipe)[0])))
        for step in range(1, self.recipe.depth + 1):
            if missing := self._missing(step):
                nodes = "node" if len(missing) == 1 else "nodes"
                self.listener(Remark("tree", f"step {step} of {self.recipe.depth}: {len(missing)} {nodes}"))
                sampled += self._finish(self._with_rest(self._sow(missing), step))
            for level in self.request.preview:
                self._decode(level, self.recipe.places(step))
        last = self.recipe.step.levels[-1]
        decoded = self._decode(last, self.recipe.all_places())
        leaves = {name_of(place): grove.audio_path(place, last) for place in self.recipe.places(self.recipe.depth)}
        return Grown(grove.path, leaves, sampled, bool(sampled) or decoded)

    def estimate(
        self, *, root: Job | None = None, frames: Mapping[Level, int] | None = None, encoding: float = 0.0
    ) -> TreeEstimate:
        """Estimate what is missing: of a new tree everything, from the job of its root or the codes it will have."""
        saving = saving_seconds(self.grove.path)
        if root is None and frames is None:
            jobs, places = self._missing_jobs(), self._undecoded(self.recipe.step.levels[-1])
        else:
            jobs, places = self._new_jobs(root, frames), self.recipe.all_places()
        steps = []
        for number, job in jobs:
            _, levels = estimate_levels(job, saving)
            if levels:
                steps.append(StepEstimate(number, job.recipe.samples, levels))
        decoding = 0.0
        if places:
            level, seconds = self.recipe.step.levels[-1], len(places) * self.recipe.step.seconds
            decoding = decoding_time(self.model, level, self.machine, seconds=seconds) + len(places) * saving
        return TreeEstimate(
            tree=self.grove.path,
            model=self.model.card.name,
            device=str(self.machine.device),
            steps=tuple(steps),
            encoding_seconds=encoding,
            decoding_seconds=decoding,
            memory_free_bytes=available_memory(self.machine.device, self.request.max_memory),
        )

    def _with_rest(self, job: Job, step: int) -> Job:
        """Return the job of a step with the jobs of the steps after it, and the seconds to decode, for its ETA."""
        if not wants_progress(self.listener):
            return job
        later = tuple(one for number, one in self._missing_jobs() if number > step)
        places = self._undecoded(self.recipe.step.levels[-1])
        return replace(job, later=later, to_decode=len(places) * self.recipe.step.seconds)

    def _missing(self, step: int) -> list[Place]:
        return [place for place in self.recipe.places(step) if not is_grown(self.grove, self.recipe, place)]

    def _undecoded(self, level: Level) -> list[Place]:
        return [place for place in self.recipe.all_places() if not self.grove.audio_path(place, level).exists()]

    def _missing_jobs(self) -> Iterator[tuple[int, Job]]:
        """Yield the step and the job of each missing batch of a tree with a root, those in progress first."""
        in_progress: list[Place] = []
        if self.grove.growing.begun:
            job = resumed(self.grove.growing, self.request, self.machine, self.listener)
            in_progress = self._places_in_progress(job.recipe)
            if not all(is_grown(self.grove, self.recipe, place) for place in in_progress):
                yield len(in_progress[0]), job
        frames: Mapping[Level, int] = {level: codes.done for level, codes in self.root_codes.items()}
        for step in range(1, self.recipe.depth + 1):
            nodes = len([place for place in self._missing(step) if place not in in_progress])
            if nodes:
                yield step, self._stand_in(frames, nodes)
            frames = self._longer(frames)

    def _new_jobs(self, root: Job | None, frames: Mapping[Level, int] | None) -> Iterator[tuple[int, Job]]:
        """Yield the step and the job of each batch of a new tree, whose root has `frames` codes or a job."""
        if root is not None:
            yield 0, root
            frames = root.wanted
        assert frames is not None
        for step in range(1, self.recipe.depth + 1):
            yield step, self._stand_in(frames, len(self.recipe.places(step)))
            frames = self._longer(frames)

    def _longer(self, frames: Mapping[Level, int]) -> dict[Level, int]:
        """Return the numbers of codes of a node whose parent has `frames`."""
        return frames_wanted(self._after(frames), self.model.card.vqvae, {})

    def _after(self, frames: Mapping[Level, int]) -> Recipe:
        """Return the recipe of nodes whose parents have `frames` codes."""
        levels, prefix = self.recipe.step.levels, self.recipe.step.prefix
        assert prefix is not None
        frames = {level: frames[level] for level in levels}
        return replace(self.recipe.step, prefix=replace(prefix, frames=frames, sha256=dict.fromkeys(levels, "")))

    def _stand_in(self, frames: Mapping[Level, int], nodes: int) -> Job:
        """Return a job for `nodes` nodes whose parents have `frames` codes, with zeros in place of their codes."""
        recipe = replace(self._after(frames), samples=nodes, streams=(), made={})
        fingerprint = self.model.fingerprint(VQVAE_PART)
        codes = {}
        for level in recipe.levels:
            array = np.broadcast_to(np.uint16(0), (nodes, frames[level]))
            codes[level] = new_codes(self.model, level, array, prompt=frames[level], fingerprint=fingerprint)
        return self._job(recipe, codes)

    def _job(self, recipe: Recipe, codes: Codeset) -> Job:
        return Job(
            song=self.grove.growing,
            recipe=recipe,
            model=self.model,
            machine=self.machine,
            codes=codes,
            request=self.request,
            listener=self.listener,
        )

    def _sow(self, places: Sequence[Place]) -> Job:
        """Write the prefix of some nodes of a step, as samples of one song; return its job."""
        grove, recipe = self.grove, self.recipe
        parents = [self._codes_to(place[:-1]) for place in places]
        prefix = {
            level: replace(one, array=np.concatenate([parent[level].array for parent in parents]))
            for level, one in parents[0].items()
        }
        asked = replace(
            recipe.step,
            samples=len(places),
            streams=stored_streams([_stream(recipe, place) for place in places]),
            prefix=prefix_ref(grove.root.path, None, prefix),
            made={},
        )
        song = Song.create(grove.growing.path)
        with song.lock():
            _, start = begin(song, asked, _given(grove, asked, prefix), {}, overwrite=True)
            start.write(song)
        return resumed(song, self.request, self.machine, self.listener)

    def _finish(self, job: Job) -> int:
        """Sample the nodes in progress, save what each adds, and remove their folder; return the codes sampled."""
        grove, recipe, places = self.grove, self.recipe, self._places_in_progress(job.recipe)
        sampled = 0
        if not all(is_grown(grove, recipe, place) for place in places):
            levels = recipe.step.levels
            parts = {level: tuple(grove.audio_path(place, level) for place in places) for level in levels}
            with job.song.lock():
                job.start.write(job.song)
                grown = sample_codes(replace(job, parts=parts))
            assert grown.recipe.prefix is not None
            for paths in parts.values():  # previews of nodes in progress lack the music before them
                for path in paths:
                    path.unlink(missing_ok=True)
            # before the nodes, which once saved are not grown again
            self.recipe = replace(recipe, step=replace(recipe.step, made=grown.recipe.made))
            grove.write_recipe(self.recipe)
            for level, codes in grown.codes.items():
                sampled += codes.array.size - (job.codes[level].array.size if level in job.codes else 0)
                own = codes.array[:, grown.recipe.prefix.frames.get(level, 0) :]
                for row, place in enumerate(places):
                    grove.save_node(place, replace(codes, array=own[row : row + 1], prompt=0))
        remove_folder(job.song.path)
        return sampled

    def _places_in_progress(self, growing: Recipe) -> list[Place]:
        """Return the nodes in progress, in the order of their samples."""
        if growing.prefix is None:
            return []
        root = self.root_codes[Level.TOP]
        each = max(1, round(self.recipe.step.seconds * root.sample_rate) // root.hop)
        step = 1 + (growing.prefix.frames[Level.TOP] - root.done) // each
        return [_place(self.recipe, step, stream) for stream in streams_of(growing, growing.samples)]

    def _decode(self, level: Level, places: Sequence[Place]) -> bool:
        """Decode what some nodes add at a level, if its file is missing; return True if there was any."""
        missing = [place for place in places if not self.grove.audio_path(place, level).exists()]
        if not missing:
            return False
        vqvae = self.model.vqvae(self.machine.device, (level,))
        for number, place in enumerate(missing):
            self.listener(Progress(f"decoding {level.label}", number, len(missing)))
            codes = self._codes_to(place)[level]
            own = self.grove.node(place, level)
            assert own is not None
            margin = min(round(MARGIN_SECONDS * codes.sample_rate / codes.hop), codes.done - own.done)
            samples = waveform(vqvae, codes.array[0, codes.done - own.done - margin :], level, self.machine)
            path = self.grove.audio_path(place, level)
            make_folder(path.parent)
            io.save(path, samples[margin * codes.hop :], codes.sample_rate)
        self.listener(Progress(f"decoding {level.label}", len(missing), len(missing)))
        return True

    def _codes_to(self, place: Place) -> dict[Level, Codes]:
        return codes_to(self.grove, self.recipe, self.root_codes, place)


def _given(grove: Tree, recipe: Recipe, prefix: Codeset) -> Given:
    """Return what nodes of a tree begin with: prefix codes, and the root's prompt and notes."""
    prompt = prompt_of(grove.root, recipe.prompt)
    return Given(prompt=prompt, notes=notes_data(grove.root, recipe), prefix=prefix)


def _root_stream(root: Song) -> int:
    recipe = root.recipe()
    return streams_of(recipe, 1)[0] if recipe is not None else 0


def _stream(recipe: TreeRecipe, place: Place) -> int:
    """Return the random stream of a node."""
    stream = recipe.number
    for child in place:
        stream = child_stream(stream, child)
    return stream


def _place(recipe: TreeRecipe, step: int, stream: int) -> Place:
    """Return the node of a step that has a random stream."""
    rest = (stream - _stream(recipe, (0,) * step)) % (LARGEST_SEED + 1)
    return tuple(rest // MOST**digit % MOST for digit in reversed(range(step)))


def codes_to(grove: Tree, recipe: TreeRecipe, root: Codeset, place: Place) -> dict[Level, Codes]:
    """Return all codes (1, frames) from the root to a node's end, at the levels of the tree."""
    codes = {}
    for level in recipe.step.levels:
        parts = [root[level].array]
        for step in range(1, len(place) + 1):
            node = grove.node(place[:step], level)
            if node is None:
                lost = grove.node_path(place[:step], level).name
                raise NotASong(
                    f"{grove.path} has lost {lost}, which {name_of(place)} continues. Put it back, or grow it again "
                    f"with: jukectl tree {grove.path}"
                )
            parts.append(node.array)
        array = np.concatenate(parts, axis=1)
        codes[level] = replace(root[level], array=array, prompt=array.shape[1])
    return codes
