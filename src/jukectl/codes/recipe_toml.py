"""Read and write `song.toml`, the file that holds a recipe. Its keys are a format: older files stay readable."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukectl.codes.beat import Beat
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import (
    PARTS,
    AdapterRef,
    Keep,
    Kind,
    Labels,
    LevelSampling,
    Made,
    ModelRef,
    PrefixRef,
    Prompt,
    Recipe,
    Score,
    lyrics_table,
)
from jukectl.codes.schedule import Change, ChangeForm
from jukectl.errors import BadInput, NotASong
from jukectl.lyrics.value import Lyrics, LyricsFormat
from jukectl.tables import Form, check_format, parse_toml, structure

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import AoT, Table

FORMAT = 1
"""Version of the layout of song.toml. A reader refuses higher versions; a file without one is of version 1."""

OFF = {"parallel": 1, "guidance": 1.0, "expected": False, "upper_frames": 0}
"""Settings that are left out of the file at these values, so that files of before they existed stay as they were."""


@dataclass(frozen=True, kw_only=True)
class LabelsForm:
    """Layout of [labels]: lyrics as their source and its format."""

    artist: str | None = None
    genres: tuple[str, ...] = ()
    lyrics: str | None = None
    lyrics_format: LyricsFormat = "text"

    def value(self) -> Labels:
        """Return the labels, with the lyrics parsed."""
        try:
            lyrics = None if self.lyrics is None else Lyrics(self.lyrics, self.lyrics_format)
        except BadInput as error:
            raise BadInput(f"lyrics: {error}") from error
        return Labels(artist=self.artist, genres=self.genres, lyrics=lyrics)


@dataclass(frozen=True, kw_only=True)
class SamplingForm:
    """Layout of [sampling.LEVEL]: settings of the first version are never left out."""

    temperature: float
    top_k: int
    top_p: float
    advance: float
    parallel: int = 1
    guidance: float = 1.0
    expected: bool = False

    def value(self) -> LevelSampling:
        """Return the settings."""
        return LevelSampling(**vars(self))


@dataclass(frozen=True, kw_only=True)
class BeatForm:
    """Layout of [beat]: a beat, or `off` alone."""

    off: bool = False
    tempo: float | None = None
    meter: str = "4/4"
    first: float = 0.0
    bars: bool = True
    start: float = 0.0

    def beat(self) -> Beat | None:
        """Return the beat, None if there is none."""
        if self.off or self == BeatForm():
            return None
        if self.tempo is None:
            raise BadInput("beat.tempo is missing")
        return Beat(tempo=self.tempo, meter=self.meter, first=self.first, bars=self.bars, start=self.start)


@dataclass(frozen=True, kw_only=True)
class RecipeForm:
    """Layout of song.toml."""

    kind: Kind
    version: str
    seed: int
    samples: int
    seconds: float
    song_seconds: float
    start_at: float = 0.0
    levels: tuple[Level, ...]
    sample_numbers: tuple[int, ...] = ()
    model: ModelRef
    labels: Labels = field(default_factory=Labels)
    prompt: Prompt | None = None
    midi: Score | None = None
    beat: BeatForm = field(default_factory=BeatForm)
    trunk: PrefixRef | None = None
    keep: Keep | None = None
    adapters: tuple[AdapterRef, ...] = ()
    schedule: tuple[Change, ...] = ()
    sampling: Mapping[Level, LevelSampling] = field(default_factory=dict)
    made: Mapping[Level, Made] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def value(self) -> Recipe:
        """Return the recipe; BadInput where values do not go together."""
        # the keys of the file stay as they were in earlier versions
        given = {"beat": self.beat.beat(), "prefix": self.trunk, "streams": self.sample_numbers}
        values = {name: one for name, one in vars(self).items() if name not in ("trunk", "sample_numbers")}
        return Recipe(**{**values, **given}, beat_off=self.beat.off)


FORMS: Mapping[type, type[Form]] = {
    Recipe: RecipeForm,
    Labels: LabelsForm,
    LevelSampling: SamplingForm,
    Change: ChangeForm,
}


def loads(text: str, where: str | Path) -> Recipe:
    """Return the recipe in the text of a file. NotASong, naming file and key, if it is none.

    Unknown keys are ignored: a later version may add some without a new format.
    """
    try:
        table = parse_toml(text)
        check_format(table.get("format", 1), FORMAT, f"{where} has recipe format", error=NotASong)
        return structure(Recipe, table, forms=FORMS, strict=False)
    except ValueError as error:
        raise NotASong(f"{where} is no recipe: {error}. Mend it, or begin the song again with --overwrite") from error


HEAD = """\
The recipe of this song: all it takes to render it again, bit for bit, on the same machine.
jukectl reads this file when the song is resumed. For another song, use another folder."""

REMARKS = {
    "version": "of the jukectl that began this song",
    "seconds": "of new music",
    "song_seconds": "total length of the song that the model is conditioned on",
    "start_at": "second of that song at which this piece starts",
    "sample_numbers": "random stream of each sample",
    "schedule.at": "seconds from the start of the audio",
    "model.path": "folder of the model",
    "adapters.path": "file of the adapter",
    "adapters.sha256": "of that file",
    "prompt.start": "seconds into the source",
    "prompt.seconds": "length of the part of the source that was used",
    "prompt.sha256": "of the samples in prompt.wav",
    "trunk.source": "song whose codes this one continues from",
    "trunk.sample": "sample of that song",
    "trunk.seconds": "of that song",
    "trunk.begins": "top codes of that song before those that were taken",
    "midi.sha256": "of notes.mid",
    "beat.tempo": "beats a minute",
    "beat.off": "no beat is given",
    "beat.first": "seconds of the audio at which a bar begins, or a beat without bars",
    "beat.bars": "false: the beats are known and the bars are not",
    "beat.start": "seconds of the audio before which no beat is given",
    "midi.start": "second of the song at which the notes start",
    "sampling.top_k": "0 is off",
    "sampling.expected": "true: the code nearest to the expected vector, not a draw",
    "sampling.top_p": "1.0 is off",
    "sampling.advance": "new codes per window, as a fraction of the context",
    "sampling.parallel": "spans sampled in parallel",
    "sampling.guidance": "strength of classifier-free guidance, 1.0 is off",
    "keep.best": "samples, whose lower levels are made",
    "keep.of": "samples, whose top codes were made",
    "keep.chosen": "samples that were kept, counted from 0",
    "origins.model": "setting that the model comes from",
    "origins.artist": "setting that the artist comes from",
    "origins.genre": "setting that the genre comes from",
    "made.upper": "digest of the codes of the level above",
    "made.upper_frames": "how many of those codes, where the level above was unfinished",
    "made.samples": "samples per batch",
    "made.chunk": "codes of the prefix read at a time, 0 is all",
}


def dumps(recipe: Recipe) -> str:
    """Return the text of song.toml: equal recipes give equal texts, and `loads` gives the recipe back exactly."""
    import tomlkit  # here, since only writing needs it

    document = tomlkit.document()
    for line in HEAD.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    _add(document, {"format": FORMAT, **_plain_values(recipe)})
    for name, table in _tables(recipe).items():
        document.add(name, table)
    return document.as_string()


def _plain_values(recipe: Recipe) -> dict[str, Any]:
    """Values at the head of the file, in order; None for what is not set."""
    return {
        "kind": recipe.kind,
        "version": recipe.version,
        "seed": recipe.seed,
        "samples": recipe.samples,
        "seconds": recipe.seconds,
        "song_seconds": recipe.song_seconds,
        "start_at": recipe.start_at or None,
        "levels": [level.label for level in recipe.levels],
        "sample_numbers": list(recipe.streams) or None,
    }


def _tables(recipe: Recipe) -> "dict[str, Table | AoT]":
    """Tables of the file, in order."""
    prints = recipe.model.fingerprints
    model = _table("model", {"name": recipe.model.name, "path": recipe.model.path})
    model.add("fingerprints", _table("fingerprints", {part: prints[part] for part in PARTS if part in prints}))
    labels = {"artist": recipe.labels.artist, "genres": list(recipe.labels.genres)}
    tables: dict[str, Table | AoT] = {
        "model": model,
        "labels": _table("labels", {**labels, **lyrics_table(recipe.labels.lyrics)}),
    }
    if recipe.prompt is not None:
        tables["prompt"] = _table("prompt", asdict(recipe.prompt))
    if recipe.midi is not None:
        tables["midi"] = _table("midi", asdict(recipe.midi))
    if recipe.beat is not None or recipe.beat_off:
        tables["beat"] = _table("beat", asdict(recipe.beat) if recipe.beat else {"off": True})
    if recipe.prefix is not None:
        tables["trunk"] = _prefix_table(recipe.prefix)
    if recipe.keep is not None:
        tables["keep"] = _table("keep", {**asdict(recipe.keep), "chosen": list(recipe.keep.chosen) or None})
    if recipe.adapters:
        adapters = [{**asdict(one), "level": one.level.label} for one in recipe.adapters]
        tables["adapters"] = _list_of_tables("adapters", adapters)
    if recipe.schedule:
        tables["schedule"] = _list_of_tables("schedule", [change.table() for change in recipe.schedule])
    if recipe.sampling:
        tables["sampling"] = _by_level("sampling", recipe.sampling)
    if recipe.origins:
        tables["origins"] = _table("origins", recipe.origins)
    if recipe.made:
        tables["made"] = _by_level("made", recipe.made)
    return tables


def _add(container: "TOMLDocument | Table", values: Mapping[str, Any], prefix: str = "") -> None:
    """Add values with their remarks; those that are None are left out."""
    import tomlkit

    for key, value in values.items():
        if value is None:
            continue
        # a carriage return would be lost from a string over several lines
        lines = isinstance(value, str) and "\n" in value and "\r" not in value
        item = tomlkit.string(value, multiline=True) if lines else tomlkit.item(value)
        if prefix + key in REMARKS:
            item.comment(REMARKS[prefix + key])
        container.add(key, item)


def _table(name: str, values: Mapping[str, Any]) -> "Table":
    import tomlkit

    table = tomlkit.table()
    _add(table, values, f"{name}.")
    return table


def _list_of_tables(name: str, entries: Sequence[Mapping[str, Any]]) -> "AoT":
    import tomlkit

    tables = tomlkit.aot()
    for entry in entries:
        tables.append(_table(name, entry))
    return tables


def _prefix_table(prefix: PrefixRef) -> "Table":
    about = {"source": prefix.source, "sample": prefix.sample, "seconds": prefix.seconds}
    table = _table("trunk", {**about, "begins": prefix.begins or None})
    for name, values in (("frames", prefix.frames), ("sha256", prefix.sha256)):
        table.add(name, _table(name, {level.label: values[level] for level in TOP_DOWN if level in values}))
    return table


def _by_level(name: str, values: Mapping[Level, LevelSampling] | Mapping[Level, Made]) -> "Table":
    """Return a table with one table per level."""
    import tomlkit

    table = tomlkit.table(is_super_table=True)
    for level in TOP_DOWN:
        if level in values:
            kept = {key: one for key, one in asdict(values[level]).items() if key not in OFF or one != OFF[key]}
            table.add(level.label, _table(name, kept))
    return table
