"""Build a site from song folders, to listen to, look at and compare: `jukectl explore`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

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
from jukectl.errors import BadInput, CannotWrite, JukectlError, NotASong
from jukectl.explorer.about import About
from jukectl.explorer.contract import (
    LEVEL_LETTERS,
    AudioDetail,
    Download,
    LyricsDetail,
    NodeDetail,
    SampleDetail,
    SongDetail,
    SongSummary,
    WordDetail,
    kind_of,
)
from jukectl.explorer.media import MediaWriter
from jukectl.explorer.outline import outline_of
from jukectl.explorer.preview import Preview
from jukectl.explorer.site import Site, inside
from jukectl.explorer.update import AddSong, MediaOptions, SiteUpdate, last_change, update_site
from jukectl.inspect.info import describe_path
from jukectl.lyrics import lrc
from jukectl.plan.command import command_of, files_of, node_commands, tree_command
from jukectl.plan.conditioning import sung_by_schedule
from jukectl.plan.device import choose
from jukectl.progress import Listener, ignore, warn
from jukectl.render.karaoke import karaoke_paths
from jukectl.tables import parse_toml, read_text


def explore(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "Songs",
    description: str = "",
    url: str = "",
    options: MediaOptions | None = None,
    device: str = "auto",
    listener: Listener = ignore,
) -> SiteUpdate:
    """Create or update a site of all songs and trees in some folders. Raises BadInput if there are none.

    A song that cannot be read is listed with its error. `description` is the text of previews of links to the site, and
    `url` the address at which it is published, which previews need.
    """
    preview = Preview(title=title, description=description, url=url)
    begin = partial(song_adder, device=device, listener=listener)
    return update_site(folders, out, begin, preview=preview, options=options, listener=listener)


def song_adder(site: Site, options: MediaOptions, *, device: str, listener: Listener) -> AddSong:
    """Return a function that brings songs into a site, one after another."""
    return partial(_detail, media=MediaWriter(site, options, choose(device), listener), listener=listener)


def _detail(path: Path, name: str, *, media: MediaWriter, listener: Listener) -> SongDetail:
    """Return the details of a song or a tree; of one that cannot be read, the error."""
    about = About.read(path, listener)
    basics = SongSummary(id=name, title=about.title or path.name, star=about.star, made=last_change(path))
    try:
        detail = _tree_detail(path, basics, media) if is_tree(path) else _song_detail(path, basics, media)
        kind = "tree" if detail.nodes else about.kind or detail.summary.kind
        summary = replace(detail.summary, kind=kind)
        return replace(detail, summary=summary, notes=about.notes)
    except CannotWrite:
        raise  # the song is not broken: the site keeps what it had of it, and the next update brings the rest
    except (JukectlError, OSError) as error:
        problem = " ".join(str(error).replace(str(path), path.name).split())
        warn(listener, f"{path} cannot be shown: {error}")
        summary = replace(basics, state="newer" if _is_newer(path) else "broken")
        return SongDetail(summary=summary, problem=problem, notes=about.notes)


def _is_newer(path: Path) -> bool:
    """Return whether a folder's recipe is of a version unknown to this jukectl."""
    for name in ("tree.toml", "song.toml"):
        with suppress(BadInput, ValueError, AttributeError, TypeError):
            values = parse_toml(read_text(path / name, BadInput))
            if values.get("format", 0) > FORMAT or values.get("tree", {}).get("format", 0) > TREE_FORMAT:
                return True
    return False


# Songs


def _song_detail(path: Path, basics: SongSummary, media: MediaWriter) -> SongDetail:
    """Write the media of a song and return its details."""
    song = Song.open(path)
    recipe, facts = song.recipe(), describe_path(path)
    found = codes_of_song(song)
    audio, codes = media.samples(song, found, basics.id), found.values()
    count = max((one.samples for one in codes), default=0)
    summary = replace(
        _labelled(basics, recipe),
        state="in progress" if facts["unfinished"] else "whole",
        seconds=max((one.seconds for one in codes), default=0.0),
        samples=count,
        levels=_letters(level.label for level in audio if audio[level]),
        prompt=max((one.prompt * one.hop / one.sample_rate for one in codes), default=0.0),
        outline=outline_of(_lowest(_by_level(audio, 0))),
        quiet=_all_quiet(_lowest(_by_level(audio, sample)) for sample in range(count)),
    )
    text = recipe_toml.dumps(_published(recipe)) if recipe else ""
    archives = [(file, file.name) for file in (*map(song.codes_path, TOP_DOWN), song.notes_path)]
    return SongDetail(
        summary=summary,
        seed=recipe.seed if recipe else None,
        command=command_of(recipe, path.name, sample_rate=_sample_rate(codes)) if recipe else None,
        recipe=text,
        samples=tuple(SampleDetail(number=sample, levels=_by_level(audio, sample)) for sample in range(count)),
        lyrics=_lyrics(song, recipe),
        alignment=tuple(_alignments(song, basics.id, count, media)),
        changes=_changes(recipe),
        downloads=(
            *((media.text(text, basics.id, song.toml_path.name),) if text else ()),
            *_command_files(recipe, basics.id, media),
            *media.files(path, archives, basics.id),
        ),
    )


def _sample_rate(codes: Iterable[Codes]) -> int | None:
    """Return the sample rate of a song's codes in Hz; None without codes."""
    return next((one.sample_rate for one in codes), None)


def _alignments(song: Song, name: str, samples: int, media: MediaWriter) -> Iterator[tuple[int, str]]:
    """Write the pictures of lyrics alignments. Yields sample and URL."""
    for sample in range(samples):
        if (url := media.picture(song.path, karaoke_paths(song, sample)[0], name)) is not None:
            yield sample, url


# Trees


def _tree_detail(path: Path, basics: SongSummary, media: MediaWriter) -> SongDetail:
    """Write the media of a tree and return its details."""
    tree = Tree.open(path)
    recipe = tree.recipe()
    if recipe is None or recipe.step.prefix is None:
        raise NotASong(f"{path} has no readable tree.toml")
    root_recipe = tree.root.recipe()
    nodes = [_root(tree, recipe.step.prefix.seconds, basics.id, media), *_branches(tree, recipe, basics.id, media)]
    text = replace(recipe, step=_published(recipe.step)).to_toml()
    summary = replace(
        _labelled(basics, recipe.step),
        kind="tree",
        state="whole" if all(node.state == "whole" for node in nodes) else "in progress",
        seconds=recipe.step.prefix.seconds + recipe.depth * recipe.step.seconds,
        samples=len(recipe.places(recipe.depth)),
        levels=_letters(name for node in nodes for name in node.levels),
        prompt=recipe.step.prefix.seconds,
        outline=outline_of([audio for node in _first_path(nodes) for audio in _lowest(node.levels)]),
        quiet=_all_quiet(_lowest(node.levels) for node in nodes),
    )
    return SongDetail(
        summary=summary,
        seed=recipe.step.seed,
        command=tree_command(recipe, root_recipe, path.name) if root_recipe else None,
        recipe=text,
        lyrics=_lyrics(tree.root, recipe.step),
        changes=_changes(recipe.step),
        downloads=(
            media.text(text, basics.id, tree.toml_path.name),
            *_command_files(recipe.step, basics.id, media),
            *media.files(path, [(tree.root.notes_path, tree.root.notes_path.name)], basics.id),
        ),
        every=recipe.step.seconds,
        nodes=tuple(nodes),
    )


def _root(tree: Tree, seconds: float, name: str, media: MediaWriter) -> NodeDetail:
    """Write the media of a tree's root, the song that it branches from."""
    return NodeDetail(
        path="",
        parent=None,
        start=0.0,
        stop=seconds,
        state="whole",
        levels=_by_level(media.samples(tree.root, codes_of_song(tree.root), name), 0),
        downloads=tuple(_archives(tree, map(tree.root.codes_path, TOP_DOWN), name, media)),
        commands=node_commands(tree.path.name, ()),
    )


def _branches(tree: Tree, recipe: TreeRecipe, name: str, media: MediaWriter) -> Iterator[NodeDetail]:
    """Write the media of the nodes of a tree except its root."""
    assert recipe.step.prefix is not None
    for step in range(1, recipe.depth + 1):
        start = recipe.step.prefix.seconds + (step - 1) * recipe.step.seconds
        for place in recipe.places(step):
            files = {level: tree.audio_path(place, level) for level in TOP_DOWN}
            levels = {
                level.label: audio
                for level, path in files.items()
                if (audio := media.file(tree.path, path, name, f"{level.label}-{name_of(place)}")) is not None
            }
            yield NodeDetail(
                path=name_of(place),
                parent=name_of(place[:-1]) if step > 1 else "",
                start=start,
                stop=start + recipe.step.seconds,
                state="whole" if levels else "in progress",
                levels=levels,
                downloads=tuple(_archives(tree, (tree.node_path(place, one) for one in TOP_DOWN), name, media)),
                commands=node_commands(tree.path.name, place),
            )


def _archives(tree: Tree, paths: Iterable[Path], name: str, media: MediaWriter) -> Iterable[Download]:
    """Write the codes of a node, top first, each labelled by its level."""
    named = [(path, f"{level.label}{path.suffix}") for level, path in zip(TOP_DOWN, paths, strict=True)]
    return media.files(tree.path, named, name)


# Parts that songs and trees share


def _labelled(basics: SongSummary, recipe: Recipe | None) -> SongSummary:
    """Add the labels, model and kind of a recipe."""
    if recipe is None:
        return basics
    return replace(
        basics,
        artist=recipe.labels.artist,
        genres=recipe.labels.genres,
        model=recipe.model.name,
        kind=kind_of(recipe),
        lyrics=recipe.labels.lyrics is not None,
    )


def _lowest(levels: Mapping[str, AudioDetail]) -> list[AudioDetail]:
    """Return the audio of the lowest level that has any, in a list."""
    return [levels[level.label] for level in reversed(TOP_DOWN) if level.label in levels][:1]


def _all_quiet(samples: Iterable[Sequence[AudioDetail]]) -> bool:
    """Return True if there is audio, and all of it is nearly silent."""
    audio = [one.quiet for sample in samples for one in sample]
    return bool(audio) and all(audio)


def _first_path(nodes: Sequence[NodeDetail]) -> Iterator[NodeDetail]:
    """Yield the nodes from the root along the first branches, as far as they have audio."""
    node = next((one for one in nodes if one.parent is None and one.levels), None)
    while node is not None:
        yield node
        path = node.path
        node = next((one for one in nodes if one.parent == path and one.levels), None)


def _by_level(audio: Mapping[Level, Mapping[int, AudioDetail]], sample: int) -> dict[str, AudioDetail]:
    """Return the levels of a sample that have audio."""
    return {level.label: by_sample[sample] for level, by_sample in audio.items() if sample in by_sample}


def _letters(levels: Iterable[str]) -> str:
    """Return the letters of levels, top first."""
    names = set(levels)
    return "".join(letter for name, letter in LEVEL_LETTERS.items() if name in names)


def _published(recipe: Recipe) -> Recipe:
    """Return a recipe without the paths of this machine."""
    model = replace(recipe.model, path=None)
    prompt = replace(recipe.prompt, source=Path(recipe.prompt.source).name) if recipe.prompt else None
    midi = replace(recipe.midi, source=Path(recipe.midi.source).name) if recipe.midi else None
    prefix = replace(recipe.prefix, source=Path(recipe.prefix.source).name) if recipe.prefix else None
    adapters = tuple(replace(one, path=Path(one.path).name) for one in recipe.adapters)
    return replace(recipe, model=model, prompt=prompt, midi=midi, prefix=prefix, adapters=adapters)


def _command_files(recipe: Recipe | None, name: str, media: MediaWriter) -> Iterator[Download]:
    """Write the files that a song's command names, as far as they follow from its recipe."""
    if recipe is not None:
        yield from (media.text(text, name, kept) for kept, text in files_of(recipe))


def _lyrics(song: Song, recipe: Recipe | None) -> LyricsDetail | None:
    """Return the lyrics with the user's times, or else those found by the model's attention for sample 0."""
    if recipe is None or recipe.labels.lyrics is None:
        return None
    timed = sung_by_schedule(recipe)
    by_attention = karaoke_paths(song, 0)[1]
    if timed is None and inside(song.path, by_attention):
        with suppress(JukectlError):
            timed = lrc.parse(read_text(by_attention, BadInput))
    if timed is None:
        return LyricsDetail(text=recipe.labels.lyrics.text)
    words = tuple(
        WordDetail(text=word.text, first=word.first, last=word.stop, start=word.start, end=end)
        for word, end in zip(timed.words, timed.ends(), strict=True)
    )
    return LyricsDetail(text=timed.text, words=words)


def _changes(recipe: Recipe | None) -> tuple[tuple[float, str], ...]:
    """Return the seconds of a schedule's changes, and each change in words."""
    return tuple((change.at, ", ".join(_in_words(change))) for change in (recipe.schedule if recipe else ()))


def _in_words(change: Change) -> Iterator[str]:
    """Yield the parts of a change."""
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
