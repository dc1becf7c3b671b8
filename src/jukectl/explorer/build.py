"""Song folders to a site on which they are heard, seen and compared: `jukectl explore`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jukectl.codes import recipe_toml
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import codes_of_song
from jukectl.codes.recipe import Recipe
from jukectl.codes.recipe_toml import FORMAT
from jukectl.codes.schedule import Change
from jukectl.codes.song import Song
from jukectl.codes.tree import FORMAT as TREE_FORMAT
from jukectl.codes.tree import Tree, TreeRecipe, is_tree, name_of
from jukectl.errors import BadInput, JukectlError, NotASong
from jukectl.explorer.contract import (
    KINDS,
    LEVEL_LETTERS,
    Download,
    Hearing,
    Kind,
    LyricsDetail,
    NodeDetail,
    SampleDetail,
    SongDetail,
    SongSummary,
    WordDetail,
    kind_of,
)
from jukectl.explorer.media import Exhibitor
from jukectl.explorer.site import Site, inside
from jukectl.explorer.update import Explored, Maker, Taking, keep_up, own_files
from jukectl.inspect.info import describe_path
from jukectl.lyrics import lrc
from jukectl.plan.command import command_of, files_of, tree_command
from jukectl.plan.conditioning import sung_by_schedule
from jukectl.plan.device import choose
from jukectl.progress import Listener, ignore, warn
from jukectl.render.karaoke import karaoke_paths
from jukectl.tables import parse_toml, read_text

ABOUT = "about.toml"  # beside song.toml: what its maker says of a song, title and kind
LONGEST_TITLE = 10_000  # characters


def explore(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "Songs",
    taking: Taking | None = None,
    device: str = "auto",
    listener: Listener = ignore,
) -> Explored:
    """Make a site of all songs and trees in some folders, or bring one up to date. BadInput where there are none.

    A song that cannot be read is on the site as what it is. Audio that is there is taken as `taking` says.
    """
    return keep_up(
        folders, out, partial(maker, device=device, listener=listener), title=title, taking=taking, listener=listener
    )


def maker(site: Site, taking: Taking, *, device: str, listener: Listener) -> Maker:
    """What brings songs into a site, one after another."""
    return partial(_detail, shown=Exhibitor(site, taking, choose(device), listener), listener=listener)


def _detail(path: Path, name: str, *, shown: Exhibitor, listener: Listener) -> SongDetail:
    """All that is shown of a song or a tree; of one that cannot be read, why."""
    basics = SongSummary(id=name, title=_title(path.name), made=_made(path))
    try:
        return _tree(path, basics, shown) if is_tree(path) else _song(path, basics, shown)
    except (JukectlError, OSError) as error:
        problem = " ".join(str(error).replace(str(path), path.name).split())
        warn(listener, f"{path} cannot be shown: {error}")
        return SongDetail(summary=replace(basics, state="newer" if _is_newer(path) else "broken"), problem=problem)


def _song(path: Path, basics: SongSummary, shown: Exhibitor) -> SongDetail:
    song = Song.open(path)
    recipe, facts = song.recipe(), describe_path(path)
    found = codes_of_song(song)
    heard, codes = shown.samples(song, found, basics.id), found.values()
    count = max((one.samples for one in codes), default=0)
    summary = replace(
        _labelled(basics, path, recipe),
        state="in progress" if facts["unfinished"] else "whole",
        seconds=max((one.seconds for one in codes), default=0.0),
        samples=count,
        levels=_letters(level.label for level in heard if heard[level]),
        prompt=max((one.prompt * one.hop / one.sample_rate for one in codes), default=0.0),
    )
    text = recipe_toml.dumps(_published(recipe)) if recipe else ""
    archives = [(file, file.name) for file in (*map(song.codes_path, TOP_DOWN), song.notes_path)]
    return SongDetail(
        summary=summary,
        seed=recipe.seed if recipe else None,
        command=command_of(recipe, path.name, sample_rate=_sample_rate(codes)) if recipe else None,
        recipe=text,
        samples=tuple(SampleDetail(number=sample, levels=_by_level(heard, sample)) for sample in range(count)),
        lyrics=_lyrics(song, recipe),
        alignment=tuple(_alignment(song, basics.id, count, shown)),
        changes=_changes(recipe),
        downloads=(
            *((shown.text(text, basics.id, song.toml_path.name),) if text else ()),
            *_asked(recipe, basics.id, shown),
            *shown.files(path, archives, basics.id),
        ),
    )


def _asked(recipe: Recipe | None, name: str, shown: Exhibitor) -> Iterator[Download]:
    """The files that a song's command names, as far as its recipe has them."""
    if recipe is not None:
        yield from (shown.text(text, name, kept) for kept, text in files_of(recipe))


def _sample_rate(codes: Iterable[Codes]) -> int | None:
    """Hz of a song's codes; None where there are none."""
    return next((one.sample_rate for one in codes), None)


def _tree(path: Path, basics: SongSummary, shown: Exhibitor) -> SongDetail:
    tree = Tree.open(path)
    recipe = tree.recipe()
    if recipe is None or recipe.step.trunk is None:
        raise NotASong(f"{path} has no readable tree.toml")
    begin, every = recipe.step.trunk.seconds, recipe.step.seconds
    rooted = tree.root.recipe()
    root = NodeDetail(
        path="",
        parent=None,
        start=0.0,
        stop=begin,
        state="whole",
        levels=_by_level(shown.samples(tree.root, codes_of_song(tree.root), basics.id), 0),
        downloads=tuple(_archives(tree, map(tree.root.codes_path, TOP_DOWN), basics.id, shown)),
    )
    nodes = [root, *_branches(tree, recipe, basics.id, shown)]
    text = replace(recipe, step=_published(recipe.step)).to_toml()
    summary = replace(
        _labelled(basics, path, recipe.step),
        kind="tree",
        state="whole" if all(node.state == "whole" for node in nodes) else "in progress",
        seconds=begin + recipe.depth * every,
        samples=len(recipe.places(recipe.depth)),
        levels=_letters(name for node in nodes for name in node.levels),
        prompt=begin,
    )
    return SongDetail(
        summary=summary,
        seed=recipe.step.seed,
        command=tree_command(recipe, rooted, path.name) if rooted else None,
        recipe=text,
        lyrics=_lyrics(tree.root, recipe.step),
        changes=_changes(recipe.step),
        downloads=(
            shown.text(text, basics.id, tree.toml_path.name),
            *_asked(recipe.step, basics.id, shown),
            *shown.files(path, [(tree.root.notes_path, tree.root.notes_path.name)], basics.id),
        ),
        every=every,
        nodes=tuple(nodes),
    )


def _archives(tree: Tree, paths: Iterable[Path], name: str, shown: Exhibitor) -> Iterable[Download]:
    """The codes of a node, top first, each called after its level."""
    named = [(path, f"{level.label}{path.suffix}") for level, path in zip(TOP_DOWN, paths, strict=True)]
    return shown.files(tree.path, named, name)


def _branches(tree: Tree, recipe: TreeRecipe, name: str, shown: Exhibitor) -> Iterator[NodeDetail]:
    """The nodes of a tree but its root."""
    assert recipe.step.trunk is not None
    for step in range(1, recipe.depth + 1):
        start = recipe.step.trunk.seconds + (step - 1) * recipe.step.seconds
        for place in recipe.places(step):
            files = {level: tree.audio_path(place, level) for level in TOP_DOWN}
            heard = {
                level.label: hearing
                for level, path in files.items()
                if (hearing := shown.file(tree.path, path, name, f"{level.label}-{name_of(place)}")) is not None
            }
            yield NodeDetail(
                path=name_of(place),
                parent=name_of(place[:-1]) if step > 1 else "",
                start=start,
                stop=start + recipe.step.seconds,
                state="whole" if heard else "in progress",
                levels=heard,
                downloads=tuple(_archives(tree, (tree.node_path(place, one) for one in TOP_DOWN), name, shown)),
            )


def _labelled(basics: SongSummary, path: Path, recipe: Recipe | None) -> SongSummary:
    """What a recipe and its maker say of a song."""
    about = _about(path)
    title = _title(str(about.get("title") or path.name))
    if recipe is None:
        return replace(basics, title=title)
    kind: Kind = about["kind"] if about.get("kind") in KINDS else kind_of(recipe)
    return replace(
        basics,
        title=title,
        artist=recipe.labels.artist,
        genres=recipe.labels.genres,
        model=recipe.model.name,
        kind=kind,
        lyrics=recipe.labels.lyrics is not None,
    )


def _by_level(heard: dict[Level, dict[int, Hearing]], sample: int) -> dict[str, Hearing]:
    return {level.label: by_sample[sample] for level, by_sample in heard.items() if sample in by_sample}


def _letters(heard: Iterable[str]) -> str:
    """The letters of the levels that can be heard, top first."""
    names = set(heard)
    return "".join(letter for name, letter in LEVEL_LETTERS.items() if name in names)


def _published(recipe: Recipe) -> Recipe:
    """A recipe for others: folders of its maker's machine are left out of it."""
    model = replace(recipe.model, path=None)
    prompt = replace(recipe.prompt, source=Path(recipe.prompt.source).name) if recipe.prompt else None
    midi = replace(recipe.midi, source=Path(recipe.midi.source).name) if recipe.midi else None
    trunk = replace(recipe.trunk, source=Path(recipe.trunk.source).name) if recipe.trunk else None
    adapters = tuple(replace(one, path=Path(one.path).name) for one in recipe.adapters)
    return replace(recipe, model=model, prompt=prompt, midi=midi, trunk=trunk, adapters=adapters)


def _lyrics(song: Song, recipe: Recipe | None) -> LyricsDetail | None:
    """The lyrics; their times are the user's own, or those that the model's attention told for sample 0."""
    if recipe is None or recipe.labels.lyrics is None:
        return None
    timed = sung_by_schedule(recipe)
    heard = karaoke_paths(song, 0)[1]
    if timed is None and inside(song.path, heard):
        with suppress(JukectlError, OSError, UnicodeDecodeError):
            timed = lrc.parse(heard.read_text(encoding="utf-8"))
    if timed is None:
        return LyricsDetail(text=recipe.labels.lyrics.text)
    words = tuple(
        WordDetail(text=word.text, first=word.first, last=word.stop, start=word.start, end=end)
        for word, end in zip(timed.words, timed.ends(), strict=True)
    )
    return LyricsDetail(text=timed.text, words=words)


def _alignment(song: Song, name: str, samples: int, shown: Exhibitor) -> Iterator[tuple[int, str]]:
    for sample in range(samples):
        if (url := shown.picture(song.path, karaoke_paths(song, sample)[0], name)) is not None:
            yield sample, url


def _changes(recipe: Recipe | None) -> tuple[tuple[float, str], ...]:
    """When a schedule changes what, in words."""
    return tuple((change.at, ", ".join(_told(change))) for change in (recipe.schedule if recipe else ()))


def _told(change: Change) -> Iterator[str]:
    if change.artist is not None:
        yield change.artist or "no artist"
    if change.genres is not None:
        yield from change.genres or ("no genre",)
    for name, values in change.settings.items():
        setting = name.replace("_", "-")
        alike = len(values) == len(TOP_DOWN) and len(set(values.values())) == 1
        shown = [("", values[Level.TOP])] if alike else [(f" {level.label}", one) for level, one in values.items()]
        yield setting + " and".join(f"{level} {value:g}" for level, value in shown)
    if change.lyrics_at is not None:
        yield f"lyrics of {change.lyrics_at:g} s"
    if change.lyrics_line is not None:
        yield f"lyrics from line {change.lyrics_line}"


def _about(path: Path) -> dict[str, Any]:
    """What about.toml says; nothing where there is none, or none that can be read."""
    file = path / ABOUT
    if not inside(path, file):
        return {}
    try:
        return parse_toml(read_text(file, BadInput))
    except (BadInput, ValueError):
        return {}


def _title(text: str) -> str:
    return text[:LONGEST_TITLE]


def _made(path: Path) -> str:
    """When a song was last worked on."""
    times = [file.stat().st_mtime for file in own_files(path)] or [path.stat().st_mtime]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_newer(path: Path) -> bool:
    """Whether a folder's recipe is of a version that this jukectl does not know yet."""
    for name in ("tree.toml", "song.toml"):
        with suppress(BadInput, ValueError, AttributeError, TypeError):
            values = parse_toml(read_text(path / name, BadInput))
            if values.get("format", 0) > FORMAT or values.get("tree", {}).get("format", 0) > TREE_FORMAT:
                return True
    return False
