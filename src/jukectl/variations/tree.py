"""Trees of songs: from a beginning several continuations, from each of them several more; shared codes are made once.

A step's nodes are the samples of one branch, so they are made side by side. What a node is follows from the tree's seed
and the way there, whatever else grows: it is what a chain of `branch` with that seed makes of the same root.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe, Trunk
from jukectl.codes.song import Song
from jukectl.codes.tree import Place, Tree, TreeRecipe, check_shape, is_tree, name_of
from jukectl.codes.trunk import beside, codes_of_song, sample_of, top_frames, trunk_of
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.files import make_folder
from jukectl.plan.beats import with_beat
from jukectl.plan.device import Machine, choose
from jukectl.plan.notes import carry_notes
from jukectl.plan.prompt import hear
from jukectl.plan.recipes import dressed, recipe_of, recipe_of_song
from jukectl.plan.request import LARGEST_SEED, Request
from jukectl.progress import Listener, Progress, Remark, ignore
from jukectl.render.decode import Preview, waveform
from jukectl.render.encode import encode
from jukectl.render.song import make_codes
from jukectl.variations.branch import MOST, check_end, child_number, prepared
from jukectl.variations.pick import Taken, begin, cut, given_prompt, numbers_of, plain

MARGIN_SECONDS = 2.0
"""Of music before a node that is decoded with it, so that one goes over into the other without a seam."""


@dataclass(frozen=True)
class Growth:
    """How a tree is to grow."""

    every: float = 60.0  # seconds of music a step
    branches: int = 4  # from each node
    depth: int = 2  # steps
    leaf: Place = ()  # only what leads to this leaf


@dataclass(frozen=True)
class Beginning:
    """What a tree begins with, of a recording or a song."""

    start: float = 0.0  # seconds into a recording
    prompt_seconds: float | None = None  # of a recording; None: as much as a step
    at: float | None = None  # seconds of a song; None: all of it
    sample: int = 0  # of a song


@dataclass(frozen=True)
class Grown:
    """A tree as far as it was to grow."""

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
    levels: tuple[Level, ...] | None = None,
    listener: Listener = ignore,
) -> Grown:
    """Grow a tree from a recording or a song, in the folder `out`; resumed, or grown deeper, where it was begun before.

    `request.seed` is drawn where it is None; `levels` are the song's, or all of a recording. BadInput where the growth
    makes no sense, RecipeDiffers where the folder holds another tree.
    """
    place = place_of(source, out, growth, beginning)
    if request.overwrite or not is_tree(place):
        first_step(source, growth, beginning, request, levels)  # what is wrong is found before anything is touched
    grove = Tree(Song.create(place).path)
    with grove.lock():
        if request.overwrite:
            _clear(grove)
        existing = grove.recipe()
        _plant(source, grove, growth, beginning, request, levels, listener)
        asked = recipe_to_grow(grove, growth, request, levels, existing)
        if asked != existing:
            grove.write_recipe(asked)
        return _grow(grove, asked, request, listener)


def regrow(path: Path, request: Request, *, depth: int | None = None, listener: Listener = ignore) -> Grown:
    """Go on with a tree where it stopped, or grow it to another depth."""
    grove = Tree.open(path)
    with grove.lock():
        recipe = recipe_to_regrow(grove, depth)
        if recipe != grove.recipe():
            grove.write_recipe(recipe)
        return _grow(grove, recipe, request, listener)


def place_of(source: Path, out: Path | None, growth: Growth, beginning: Beginning) -> Path:
    """The folder of a tree that is to grow from a recording or a song. BadInput where it cannot, or not there."""
    if not 0 < growth.every <= 36_000:
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
    if (place / "song.toml").exists():
        raise BadInput(f"{place} is a song, and a tree needs a folder of its own: give another --out")
    return place


def pick_place(path: Path, place: Place, out: Path | None = None, *, overwrite: bool = False) -> Taken:
    """A node of a tree as a song of its own, all the way from the root, in `out` or beside the tree.

    It is the song that a chain of branches would have made; what it lacks below its levels can be upsampled.
    """
    grove = Tree.open(path)
    recipe = recipe_of_tree(grove)
    if not place or len(place) > recipe.depth or max(place) >= recipe.branches:
        last = name_of((recipe.branches - 1,) * recipe.depth)
        raise BadInput(f"{path} has the nodes 0 to {last}; got {name_of(place)}")
    levels = recipe.step.levels
    missing = [level for level in levels if grove.node(place, level) is None]
    if missing:
        raise NotASong(f"{path} has not grown {name_of(place)} yet. Go on with: jukectl tree {path}")
    codes, trunk = _codes_to(grove, recipe, place), _codes_to(grove, recipe, place[:-1])
    made = {
        level: replace(one, samples=min(one.samples, 1), upper=codes[level.above].digest() if level < Level.TOP else "")
        for level, one in recipe.step.made.items()
    }
    asked = replace(
        recipe.step,
        samples=1,
        sample_numbers=plain([_number(recipe, place)]),
        trunk=trunk_of(grove.root.path, None, trunk),
        made=made,
    )
    target = Song.create(out or beside(path, name_of(place)))
    with target.lock():
        new = begin(target, asked, given_prompt(grove.root, asked.prompt), trunk, overwrite=overwrite)
        carry_notes(grove.root, target, asked)
        for level, one in codes.items():
            if not target.codes_path(level).exists():
                target.save(replace(one, prompt=trunk[level].done))
                new = True
    return Taken(target.path, new)


def describe_tree(path: Path) -> dict[str, Any]:
    """Facts of a tree: its recipe, and of each node what is there of it."""
    grove = Tree.open(path)
    recipe = recipe_of_tree(grove)
    step, trunk = recipe.step, recipe.step.trunk
    assert trunk is not None
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
        "root": {"song": str(grove.root.path), "seconds": round(trunk.seconds, 3), "source": _source(grove)},
        "nodes": nodes,
        "unfinished": [name for name, node in nodes.items() if len(node["levels"]) < len(step.levels)],
    }


def _source(grove: Tree) -> str:
    """The recording or the song that a tree has grown from."""
    rooted = grove.root.recipe()
    if rooted is None:
        return str(grove.root.path)
    return rooted.trunk.source if rooted.trunk else rooted.prompt.source if rooted.prompt else str(grove.root.path)


def _plant(
    source: Path,
    grove: Tree,
    growth: Growth,
    beginning: Beginning,
    request: Request,
    levels: tuple[Level, ...] | None,
    listener: Listener,
) -> None:
    """Make the root where it is not there: a recording in codes, or a song's beginning, at all levels asked for.

    RecipeDiffers where the tree has grown from another one.
    """
    root, fresh = grove.root, replace(request, adapters=(), overwrite=False)
    if not source.is_dir():
        encode(
            source,
            root.path,
            levels=levels or TOP_DOWN,
            start=beginning.start,
            seconds=growth.every if beginning.prompt_seconds is None else beginning.prompt_seconds,
            model=request.model or catalogue.EMBEDDED,
            device=request.device,
            listener=listener,
        )
        return
    if grove.recipe() is not None:
        check_root(source, grove, beginning)
        return
    song = Song.open(source)
    found = codes_of_song(song)
    frames = top_frames(song, found, beginning.at)
    top = found[Level.TOP]
    cut(source, frames * top.hop / top.sample_rate, root.path, sample=beginning.sample, request=fresh)
    folder, recipe = recipe_of_song(root, fresh)
    levels = levels or TOP_DOWN[: 3 - min(recipe.levels)]
    settings = {level: request.sampling(level, folder.card.sampling) for level in levels}
    wanted = replace(recipe, levels=levels, sampling={**settings, **recipe.sampling})
    if wanted != recipe:
        root.write_recipe(wanted)
    make_codes(root.path, fresh, listener=listener)


def first_step(
    source: Path, growth: Growth, beginning: Beginning, request: Request, levels: tuple[Level, ...] | None
) -> tuple[ModelFolder, Recipe, dict[Level, Codes]]:
    """The recipe of the first step of a tree that has no root yet, its model, and the codes that are there of the root.

    Of a recording there are none yet. Raises what is wrong with the request, before anything is written.
    """
    if source.is_dir():
        song = Song.open(source)
        found = codes_of_song(song)
        folder, rooted = recipe_of_song(song, request)
        length = found[Level.TOP].cut(top_frames(song, found, beginning.at)).seconds
        asked = _first_request(growth, request, length)
        levels = levels or TOP_DOWN[: 3 - min(rooted.levels)]
        begun = prepared(song, beginning.at, asked, sample=beginning.sample, seconds=growth.every, levels=levels)
        recipe, given = begun.recipe, begun.trunk
    else:
        folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
        seconds = growth.every if beginning.prompt_seconds is None else beginning.prompt_seconds
        samples, prompt = hear(source, folder, start=beginning.start, seconds=seconds)
        config, given = folder.card.vqvae, {}
        length = prompt.samples / config.sample_rate
        asked = replace(_first_request(growth, request, length), seconds=growth.every, levels=levels or TOP_DOWN)
        asked, beat = with_beat(asked, folder.card, samples, ignore)
        recipe = recipe_of(folder, asked, prompt, beat=beat)
        frames = {level: prompt.samples // config.hop(level) for level in recipe.levels}
        trunk = Trunk(source=prompt.source, seconds=length, frames=frames, sha256=dict.fromkeys(frames, ""))
        recipe = replace(recipe, kind="branch", trunk=trunk)
    check_end(replace(recipe, seconds=growth.depth * growth.every), folder)
    return folder, recipe, given


def _first_request(growth: Growth, request: Request, length: float) -> Request:
    """What a step of a tree is asked for whose root lasts so many seconds."""
    whole = length + growth.depth * growth.every if request.song_seconds is None else request.song_seconds
    return replace(request, samples=growth.branches, song_seconds=whole)


def check_root(source: Path, grove: Tree, beginning: Beginning) -> None:
    """RecipeDiffers where a tree has grown from something else than this song."""
    song = Song.open(source)
    frames = top_frames(song, codes_of_song(song), beginning.at)
    before = grove.root.recipe()
    trunk = before.trunk if before else None
    same = trunk is not None and (trunk.source, trunk.sample) == (str(source.absolute()), beginning.sample)
    if trunk is None or not same or (beginning.at is not None and frames != trunk.frames[Level.TOP]):
        raise RecipeDiffers(f"{grove.path} has grown from something else: give another --out, or --overwrite")


def recipe_to_grow(
    grove: Tree, growth: Growth, request: Request, levels: tuple[Level, ...] | None, existing: TreeRecipe | None
) -> TreeRecipe:
    """The recipe that a tree is grown by; that which is there, grown deeper or wider, where there is one."""
    root = grove.root
    found = codes_of_song(root)
    length = found[Level.TOP].seconds + growth.depth * growth.every
    asked = replace(
        request,
        samples=growth.branches,
        song_seconds=(existing.step.song_seconds if existing else length)
        if request.song_seconds is None
        else request.song_seconds,
    )
    folder, rooted = recipe_of_song(root, request)
    seed = existing.step.seed if existing else None
    begun = prepared(root, None, asked, sample=0, seconds=growth.every, levels=levels, seed=seed)
    number = numbers_of(rooted, 1)[0]
    recipe = TreeRecipe(step=begun.recipe, depth=growth.depth, number=number, leaf=growth.leaf)
    check_end(replace(begun.recipe, seconds=growth.depth * growth.every), folder)
    if existing is None:
        return recipe
    wider = replace(existing.step, samples=recipe.branches, sample_numbers=recipe.step.sample_numbers)
    if differences := wider.differences(recipe.step):
        raise RecipeDiffers(
            f"{grove.path} was begun with another recipe ({'; '.join(differences)}). "
            "Give the same options, another --out, or --overwrite"
        )
    return replace(recipe, step=wider)


def recipe_to_regrow(grove: Tree, depth: int | None) -> TreeRecipe:
    """The recipe that a tree goes on with, grown to a depth where that is deeper than it was to be."""
    recipe = recipe_of_tree(grove)
    if depth is None or depth == recipe.depth:
        return recipe
    return replace(recipe, depth=max(depth, recipe.depth), leaf=())


def _grow(grove: Tree, recipe: TreeRecipe, request: Request, listener: Listener) -> Grown:
    """Make the nodes that are missing, step by step, and decode them."""
    plain_request = Request(
        model=request.model,
        device=request.device,
        precision=request.precision,
        max_memory=request.max_memory,
        force=request.force,
        preview=tuple(level for level in request.preview if level in recipe.step.levels),
    )
    sampled = 0
    if grove.growing.begun:  # what another run was at
        recipe, made = _finish(grove, recipe, plain_request, listener)
        sampled += made
    for step in range(1, recipe.depth + 1):
        missing = [place for place in recipe.places(step) if not is_grown(grove, recipe, place)]
        if missing:
            nodes = "node" if len(missing) == 1 else "nodes"
            listener(Remark("tree", f"step {step} of {recipe.depth}: {len(missing)} {nodes}"))
            _sow(grove, recipe, missing)
            recipe, made = _finish(grove, recipe, plain_request, listener)
            sampled += made
        for level in plain_request.preview:
            _decode(grove, recipe, level, recipe.places(step), plain_request, listener)
    last = recipe.step.levels[-1]
    decoded = _decode(grove, recipe, last, recipe.all_places(), plain_request, listener)
    leaves = {name_of(place): grove.audio_path(place, last) for place in recipe.places(recipe.depth)}
    return Grown(grove.path, leaves, sampled, bool(sampled) or decoded)


def recipe_of_tree(grove: Tree) -> TreeRecipe:
    """The recipe of a tree that is there."""
    recipe = grove.recipe()
    if recipe is None:
        raise NotASong(f"{grove.path} is no tree: it has no tree.toml")
    return recipe


def is_grown(grove: Tree, recipe: TreeRecipe, place: Place) -> bool:
    """Whether all codes are there that a node adds."""
    return all(grove.node_path(place, level).exists() for level in recipe.step.levels)


def _sow(grove: Tree, recipe: TreeRecipe, places: Sequence[Place]) -> None:
    """Begin some nodes of one step: the samples of a branch, each of which goes on from its own parent."""
    parents = [_codes_to(grove, recipe, place[:-1]) for place in places]
    trunk = {
        level: replace(one, array=np.concatenate([parent[level].array for parent in parents]))
        for level, one in parents[0].items()
    }
    asked = replace(
        recipe.step,
        samples=len(places),
        sample_numbers=plain([_number(recipe, place) for place in places]),
        trunk=trunk_of(grove.root.path, None, trunk),
        made={},
    )
    song = Song.create(grove.growing.path)
    with song.lock():
        begin(song, asked, given_prompt(grove.root, asked.prompt), trunk, overwrite=True)
        carry_notes(grove.root, song, asked)


def _finish(grove: Tree, recipe: TreeRecipe, request: Request, listener: Listener) -> tuple[TreeRecipe, int]:
    """Make the nodes that are in progress, and keep what each adds; the recipe with a record, and the codes sampled."""
    song, places = grove.growing, places_in_progress(grove, recipe)
    sampled = 0
    if not all(is_grown(grove, recipe, place) for place in places):
        before = {level: codes.array.size for level, codes in codes_of_song(song).items()}
        growing = make_codes(song.path, request, _own_parts(grove, places), listener=listener)
        assert growing.trunk is not None
        for place in places:  # while a node was made, some of it may have been decoded
            for level in recipe.step.levels:
                grove.audio_path(place, level).unlink(missing_ok=True)
        for level, codes in codes_of_song(song).items():
            given = growing.trunk.frames.get(level, 0)
            sampled += codes.array.size - before.get(level, given * codes.samples)
            for row, place in enumerate(places):
                own = codes.array[row : row + 1, given:]
                grove.save_node(place, replace(codes, array=own, prompt=0))
        recipe = replace(recipe, step=replace(recipe.step, made=growing.made))
        grove.write_recipe(recipe)
    shutil.rmtree(song.path)
    return recipe, sampled


def places_in_progress(grove: Tree, recipe: TreeRecipe) -> list[Place]:
    """The nodes that another run was at, in the order of the samples of `grove.growing`."""
    growing = grove.growing.recipe()
    if growing is None or growing.trunk is None:
        return []
    step = _step_of(recipe, growing, codes_of_song(grove.root)[Level.TOP])
    return [_place(recipe, step, number) for number in numbers_of(growing, growing.samples)]


def _own_parts(grove: Tree, places: Sequence[Place]) -> Callable[..., Preview]:
    """Where the nodes in progress are heard while they are made: what each adds, at the place where that stays."""

    def preview(song: Song, folder: ModelFolder, machine: Machine, level: Level) -> Preview:
        recipe = song.recipe()
        assert recipe is not None and recipe.trunk is not None
        files = [grove.audio_path(place, level) for place in places]
        return Preview(song, folder, machine, level, files=files, first=recipe.trunk.frames.get(level, 0))

    return preview


def _number(recipe: TreeRecipe, place: Place) -> int:
    """The number that a node's chance follows from."""
    number = recipe.number
    for child in place:
        number = child_number(number, child)
    return number


def _place(recipe: TreeRecipe, step: int, number: int) -> Place:
    """The node so many steps from the root that has a number."""
    rest = (number - _number(recipe, (0,) * step)) % (LARGEST_SEED + 1)
    return tuple(rest // MOST**digit % MOST for digit in reversed(range(step)))


def _step_of(recipe: TreeRecipe, growing: Recipe, root: Codes) -> int:
    """How far from the root nodes in progress are, of a tree with these top codes at its root."""
    assert growing.trunk is not None
    each = max(1, round(recipe.step.seconds * root.sample_rate) // root.hop)
    return 1 + (growing.trunk.frames[Level.TOP] - root.done) // each


def _codes_to(grove: Tree, recipe: TreeRecipe, place: Place) -> dict[Level, Codes]:
    """All codes (1, frames) from the root to a node's end, at the levels that the tree is grown at."""
    found = codes_of_song(grove.root)
    codes = {}
    for level in recipe.step.levels:
        parts = [found[level].array]
        for step in range(1, len(place) + 1):
            node = grove.node(place[:step], level)
            if node is None:
                lost = grove.node_path(place[:step], level).name
                raise NotASong(
                    f"{grove.path} has lost {lost}, which {name_of(place)} goes on from. Put it back, or grow it again "
                    f"with: jukectl tree {grove.path}"
                )
            parts.append(node.array)
        array = np.concatenate(parts, axis=1)
        codes[level] = replace(found[level], array=array, prompt=array.shape[1])
    return codes


def _decode(
    grove: Tree, recipe: TreeRecipe, level: Level, places: Sequence[Place], request: Request, listener: Listener
) -> bool:
    """Decode what some nodes add at a level, where that was not done; whether there was any to do."""
    missing = [place for place in places if not grove.audio_path(place, level).exists()]
    if not missing:
        return False
    folder, _ = recipe_of_song(grove.root, request)
    machine = choose(request.device)
    vqvae = folder.vqvae(machine.device, (level,))
    for number, place in enumerate(missing):
        listener(Progress(f"decoding {level.label}", number, len(missing)))
        codes = _codes_to(grove, recipe, place)[level]
        own = grove.node(place, level)
        assert own is not None
        margin = min(round(MARGIN_SECONDS * codes.sample_rate / codes.hop), codes.done - own.done)
        samples = waveform(vqvae, codes.array[0, codes.done - own.done - margin :], level, machine)
        path = grove.audio_path(place, level)
        make_folder(path.parent)
        io.save(path, samples[margin * codes.hop :], codes.sample_rate)
    listener(Progress(f"decoding {level.label}", len(missing), len(missing)))
    return True


def _clear(grove: Tree) -> None:
    """Remove what a tree has; other files in its folder stay. The recipe goes last."""
    for folder in (grove.growing.path, grove.path / "nodes", grove.root.path):
        if folder.is_dir():
            shutil.rmtree(folder)
    for name in ("audio", "previews"):
        for path in (grove.path / name).glob("*.wav"):
            path.unlink()
    grove.toml_path.unlink(missing_ok=True)
    make_folder(grove.path / "nodes")
