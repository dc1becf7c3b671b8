"""Song folders to a site on which they are heard, seen and compared: `jukectl explore`."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import FORMAT, Recipe
from jukectl.codes.song import Song
from jukectl.codes.tree import FORMAT as TREE_FORMAT
from jukectl.codes.tree import Tree, TreeRecipe, is_tree, name_of
from jukectl.errors import BadInput, JukectlError, NotASong
from jukectl.explorer.detail import Hearing, LyricsDetail, NodeDetail, SampleDetail, SongDetail, WordDetail
from jukectl.explorer.index import LEVEL_LETTERS
from jukectl.explorer.site import Site, inside, song_id
from jukectl.explorer.summary import KINDS, Kind, SongSummary, kind_of
from jukectl.lyrics import lrc
from jukectl.pipeline.about import describe_path
from jukectl.pipeline.commanding import command_of
from jukectl.pipeline.exhibiting import Exhibitor, Taking
from jukectl.pipeline.karaoke import karaoke_paths
from jukectl.pipeline.machine import choose
from jukectl.pipeline.singing import lyrics_text, timed_lyrics
from jukectl.pipeline.trunks import codes_of_song
from jukectl.progress import Progress, Report, Warn, silent, unheard

ABOUT = "about.toml"  # beside song.toml: what its maker says of a song, title and kind
LONGEST_TITLE = 10_000  # characters


@dataclass(frozen=True)
class Explored:
    """A site, and what is on it."""

    site: Path
    songs: int
    made: int  # of them made anew, since they had changed
    troubled: int  # broken, or of a newer version


def explore(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "Songs",
    taking: Taking | None = None,
    device: str = "auto",
    report: Report = silent,
    warn: Warn = unheard,
) -> Explored:
    """Make a site of all songs and trees in some folders, or bring one up to date. BadInput where there are none.

    A song that cannot be read is on the site as what it is. Audio that is there is taken as `taking` says.
    """
    taking = taking or Taking()
    found = list(find_songs(folders, out))
    if not found:
        raise BadInput(
            f"there are no songs in {', '.join(map(str, folders))}. "
            f"Make one with: jukectl sample --out {folders[0] / 'my-song'}"
        )
    site = Site(out)
    site.begin()
    shown = Exhibitor(site, taking, choose(device), warn)
    summaries, made = [], 0
    for number, (place, path) in enumerate(found):
        report(Progress("songs", number, len(found), path.name))
        name, stamp = song_id(place, path.name), _stamp(path, taking)
        summary = _known(site, name, stamp)
        if summary is None:
            detail = _detail(path, name, shown, warn)
            site.write_song(detail, stamp)
            summary, made = detail.summary, made + 1
        summaries.append(summary)
    report(Progress("songs", len(found), len(found)))
    site.forget(one.id for one in summaries)
    site.write_index(summaries, title=title)
    site.write_page()
    return Explored(out, len(summaries), made, sum(one.state in ("broken", "newer") for one in summaries))


def find_songs(folders: Sequence[Path], out: Path) -> Iterator[tuple[str, Path]]:
    """Songs and trees in folders, at any depth, in order: where each lies as seen from the folder given, and its path.

    A folder may be a song itself. What lies in a song is its own, what lies in `out` the site's; links to folders are
    not followed. BadInput for a folder that is not there.
    """
    seen = {out.resolve()}
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"there is no folder {folder}")
        for path in _below(folder, out.resolve()):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield (Path(folder.resolve().name) / path.relative_to(folder)).as_posix(), path


def _below(folder: Path, out: Path) -> Iterator[Path]:
    if is_tree(folder) or Song(folder).begun:
        yield folder
        return
    with suppress(PermissionError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path.resolve() != out:
                yield from _below(path, out)


def _detail(path: Path, name: str, shown: Exhibitor, warn: Warn) -> SongDetail:
    """All that is shown of a song or a tree; of one that cannot be read, why."""
    basics = SongSummary(id=name, title=_title(path.name), made=_made(path))
    try:
        return _tree(path, basics, shown) if is_tree(path) else _song(path, basics, shown)
    except (JukectlError, OSError) as error:
        problem = " ".join(str(error).replace(str(path), path.name).split())
        warn(f"{path} cannot be shown: {error}")
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
    text = _published(recipe) if recipe else ""
    return SongDetail(
        summary=summary,
        seed=recipe.seed if recipe else None,
        command=command_of(recipe, path.name) if recipe else None,
        recipe=text,
        samples=tuple(SampleDetail(number=sample, levels=_by_level(heard, sample)) for sample in range(count)),
        lyrics=_lyrics(song, recipe),
        alignment=tuple(_alignment(song, basics.id, count, shown)),
        changes=_changes(recipe),
        downloads=tuple(shown.downloads(song, basics.id, text)),
    )


def _tree(path: Path, basics: SongSummary, shown: Exhibitor) -> SongDetail:
    tree = Tree.open(path)
    recipe = tree.recipe()
    if recipe is None or recipe.step.trunk is None:
        raise NotASong(f"{path} has no readable tree.toml")
    begin, every = recipe.step.trunk.seconds, recipe.step.seconds
    root = _by_level(shown.samples(tree.root, codes_of_song(tree.root), basics.id), 0)
    nodes = [NodeDetail(path="", parent=None, start=0.0, stop=begin, state="whole", levels=root)]
    nodes += _branches(tree, recipe, basics.id, shown)
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
        summary=summary, seed=recipe.step.seed, recipe=_published(recipe.step), every=every, nodes=tuple(nodes)
    )


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


def _published(recipe: Recipe) -> str:
    """The text of a recipe for others: folders of its maker's machine are left out of it."""
    model = replace(recipe.model, path=None)
    prompt = replace(recipe.prompt, source=Path(recipe.prompt.source).name) if recipe.prompt else None
    midi = replace(recipe.midi, source=Path(recipe.midi.source).name) if recipe.midi else None
    trunk = replace(recipe.trunk, source=Path(recipe.trunk.source).name) if recipe.trunk else None
    adapters = tuple(replace(one, path=Path(one.path).name) for one in recipe.adapters)
    return replace(recipe, model=model, prompt=prompt, midi=midi, trunk=trunk, adapters=adapters).to_toml()


def _lyrics(song: Song, recipe: Recipe | None) -> LyricsDetail | None:
    """The lyrics; their times are the user's own, or those that the model's attention told for sample 0."""
    if recipe is None or recipe.labels.lyrics is None:
        return None
    timed = timed_lyrics(recipe.labels)
    heard = karaoke_paths(song, 0)[1]
    if timed is None and inside(song.path, heard):
        with suppress(JukectlError, OSError, UnicodeDecodeError):
            timed = lrc.parse(heard.read_text(encoding="utf-8"))
    if timed is None:
        return LyricsDetail(text=lyrics_text(recipe.labels) or "")
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
    changes = recipe.schedule if recipe else ()
    return tuple(
        (change.at, ", ".join(filter(None, (change.artist, *(change.genres or ()), *change.settings))) or "lyrics")
        for change in changes
    )


def _about(path: Path) -> dict[str, Any]:
    """What about.toml says; nothing where there is none, or none that can be read."""
    file = path / ABOUT
    if not inside(path, file):
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _title(text: str) -> str:
    return text[:LONGEST_TITLE]


def _made(path: Path) -> str:
    """When a song was last worked on."""
    times = [file.stat().st_mtime for file in _own_files(path)] or [path.stat().st_mtime]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _own_files(path: Path) -> list[Path]:
    """What a song's folder holds and the site shows, in order."""
    shown = [*path.glob("*.npz"), *path.glob("*.toml"), *path.glob("notes.mid"), *path.glob("nodes/*.npz")]
    shown += [file for name in ("audio", "previews", "plots", "root") for file in path.glob(f"{name}/*")]
    return sorted(file for file in shown if inside(path, file) and not file.name.startswith("."))


def _stamp(path: Path, taking: Taking) -> str:
    """What a song's part of a site follows from: its files, by size and time, and how they are taken."""
    rows: list[Any] = [asdict(taking)]
    for file in _own_files(path):
        about = file.stat()
        rows.append([file.relative_to(path).as_posix(), about.st_size, about.st_mtime_ns])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _known(site: Site, name: str, stamp: str) -> SongSummary | None:
    """The summary of a song that is on the site already, as it is now; None of any other."""
    try:
        values = json.loads(site.song_path(name).read_text(encoding="utf-8"))
        if values["source"] != stamp:
            return None
        return SongSummary(
            id=name,
            **{key: values[key] for key in ("title", "artist", "model", "kind", "state", "seconds", "made")},
            samples=values["count"],
            genres=tuple(values["genres"]),
            levels=values["heard"],
            lyrics=values["lyrics"] is not None,
            prompt=values["prompt"],
        )
    except (OSError, ValueError, KeyError):
        return None


def _is_newer(path: Path) -> bool:
    """Whether a folder's recipe is of a version that this jukectl does not know yet."""
    for name in ("tree.toml", "song.toml"):
        with suppress(OSError, ValueError, AttributeError, TypeError):
            values = tomllib.loads((path / name).read_text(encoding="utf-8-sig"))
            if values.get("format", 0) > FORMAT or values.get("tree", {}).get("format", 0) > TREE_FORMAT:
                return True
    return False
