"""The recipe of a song, `song.toml`: all it takes to render the song again, bit for bit, on the same machine."""

import math
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast, get_args

from jukectl.codes.beat import Beat
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.schedule import KEYS as CHANGE_KEYS
from jukectl.codes.schedule import Change, in_order
from jukectl.errors import BadInput, NotASong, need
from jukectl.lyrics.value import Lyrics, LyricsFormat

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Table

FORMAT = 1
"""Version of song.toml's layout; a reader refuses a higher one."""

LARGEST_SEED = 2**63 - 1  # what TOML can hold

Kind = Literal["sample", "continue", "encode", "upsample", "branch"]
"""The command that began the song."""

OFF = (("parallel", 1), ("guidance", 1.0), ("upper_frames", 0))
"""Settings that are not written down, so that recipes without them stay as they were."""

PARTS = ("vqvae", "top", "middle", "bottom")
"""The parts of a model that have a fingerprint."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """Which model: its name, its folder where it is none of the known ones, and a fingerprint a part (see PARTS)."""

    name: str
    path: str | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need(bool(self.name), "model.name", "the name of a model", self.name)
        unknown = [part for part in self.fingerprints if part not in PARTS]
        need(not unknown, "model.fingerprints", f"a fingerprint of {', '.join(PARTS)}", ", ".join(unknown))


@dataclass(frozen=True, kw_only=True)
class AdapterRef:
    """An adapter that a level's prior wears: where its file lay, what was in it, and how strongly it counts."""

    level: Level
    path: str  # absolute; what is no UTF-8 in it is replaced
    sha256: str  # hex, of the file
    strength: float = 1.0

    def __post_init__(self) -> None:
        _make_unicode(self, "path")
        _make_floats(self, "strength")
        need(math.isfinite(self.strength), "adapters.strength", "a number", self.strength)
        need(bool(self.sha256), "adapters.sha256", "the SHA-256 of the file", self.sha256)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What the song is conditioned on: artist, genres and lyrics, in the user's words."""

    artist: str | None = None
    genres: tuple[str, ...] = ()
    lyrics: Lyrics | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The recording that is continued: where it came from, and the hash of what the model heard of it (prompt.wav)."""

    source: str  # absolute path; what is no UTF-8 in it is replaced
    start: float  # seconds into the source
    seconds: float
    sha256: str  # hex, of prompt.wav's samples
    samples: int  # audio samples of prompt.wav

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "start", "seconds")
        need(math.isfinite(self.start) and self.start >= 0, "prompt.start", "0 seconds or more", self.start)
        need(math.isfinite(self.seconds) and self.seconds >= 0, "prompt.seconds", "0 seconds or more", self.seconds)
        need(self.samples >= 0, "prompt.samples", "0 or more", self.samples)


@dataclass(frozen=True, kw_only=True)
class Score:
    """The notes that the song follows: where they came from, and the hash of what is kept of them (notes.mid)."""

    source: str  # absolute path of a MIDI file, or of a recording; what is no UTF-8 in it is replaced
    sha256: str  # hex, of notes.mid
    start: float  # seconds of the song at which the file's time 0 is

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "start")
        need(math.isfinite(self.start), "midi.start", "a number of seconds", self.start)
        need(bool(self.sha256), "midi.sha256", "the SHA-256 of notes.mid", self.sha256)


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Codes that a song begins with, which another song had: kept beside its own, see `Song.trunk_path`."""

    source: str  # absolute path of the song they were taken from; what is no UTF-8 in it is replaced
    sample: int | None = None  # which of its samples; None: all of them
    seconds: float  # of music
    begins: int = 0  # top codes of that song before these
    frames: Mapping[Level, int]  # codes of each level that has any; the top has
    sha256: Mapping[Level, str]  # digest of each level's, see `Codes.digest`

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "seconds")
        need(math.isfinite(self.seconds) and self.seconds > 0, "trunk.seconds", "over 0 seconds", self.seconds)
        need(self.frames.get(Level.TOP, 0) > 0, "trunk.frames", "top codes, and those of other levels", self.frames)
        need(self.frames.keys() == self.sha256.keys(), "trunk.sha256", "a digest a level", self.sha256)
        need(self.begins >= 0, "trunk.begins", "0 or more top codes", self.begins)
        need(self.sample is None or self.sample >= 0, "trunk.sample", "0 or more", self.sample)


@dataclass(frozen=True, kw_only=True)
class LevelSampling:
    """How the codes of one level are drawn."""

    temperature: float = 1.0  # 0 takes the likeliest code
    top_k: int = 0  # 0 is off
    top_p: float = 1.0  # 1 is off
    advance: float = 0.5  # how far a window moves on, in contexts
    parallel: int = 1  # spans that the level is made in at once; not at the top
    guidance: float = 1.0  # how strongly labels count; 1 is as the model learned them

    def __post_init__(self) -> None:
        _make_floats(self, "temperature", "top_p", "advance", "guidance")
        warm = math.isfinite(self.temperature) and self.temperature >= 0
        need(warm, "temperature", "a number, 0 or more", self.temperature)
        need(self.top_k >= 0, "top_k", "0 (off) or more", self.top_k)
        need(0 < self.top_p <= 1, "top_p", "above 0 and up to 1 (off)", self.top_p)
        need(0 < self.advance <= 1, "advance", "a fraction of the context, above 0 and up to 1", self.advance)
        need(self.parallel >= 1, "parallel", "1 (off) or more", self.parallel)
        need(math.isfinite(self.guidance) and self.guidance >= 0, "guidance", "0 or more, 1 is off", self.guidance)

    @property
    def rows(self) -> int:
        """Rows of the model that a sample takes: with guidance one more, which is told no labels."""
        return 1 if self.guidance == 1 else 2


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a level was made on and from. It is a record, no part of what was asked."""

    device: str
    precision: str
    upper: str = ""  # digest of the codes of the level above that these were made from
    upper_frames: int = 0  # of the first so many of them, where there were no more yet; 0: of all
    samples: int = 0  # made at a time; 0: not known
    chunk: int = 0  # known codes read at a time; 0: all


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All of song.toml. BadInput, naming the key, where a value makes no sense."""

    kind: Kind
    version: str  # of the jukectl that began the song
    model: ModelRef
    seed: int
    samples: int
    seconds: float  # new music
    song_seconds: float  # total length told to the timing conditioner
    start_at: float = 0.0  # the second of that song at which this one begins
    levels: tuple[Level, ...] = TOP_DOWN  # in any order; kept top first
    labels: Labels = field(default_factory=Labels)
    prompt: Prompt | None = None
    midi: Score | None = None  # the notes that the top level is told
    beat: Beat | None = None  # that the top level is conditioned on; None: the model is free
    beat_off: bool = False  # it was asked to be free, whatever beat a prompt has
    trunk: Trunk | None = None  # what a branch goes on from; it includes the prompt
    sample_numbers: tuple[int, ...] = ()  # whose chance each sample has; without any, 0 and up
    adapters: tuple[AdapterRef, ...] = ()  # in the order in which they are put on
    sampling: Mapping[Level, LevelSampling] = field(default_factory=dict)
    schedule: tuple[Change, ...] = ()  # what changes on the way, first to last
    made: Mapping[Level, Made] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(level for level in TOP_DOWN if level in self.levels))
        object.__setattr__(self, "schedule", in_order(self.schedule))
        _make_floats(self, "seconds", "song_seconds", "start_at")
        need(self.kind in get_args(Kind), "kind", f"one of {', '.join(get_args(Kind))}", self.kind)
        need(0 <= self.seed <= LARGEST_SEED, "seed", f"0 to {LARGEST_SEED}", self.seed)
        need(self.samples >= 1, "samples", "1 or more", self.samples)
        for name in ("seconds", "song_seconds", "start_at"):
            value = getattr(self, name)
            need(math.isfinite(value) and value >= 0, name, "0 or more", value)
        numbered = not self.sample_numbers or len(self.sample_numbers) == self.samples
        need(numbered, "sample_numbers", f"a number for each of the {self.samples} samples", self.sample_numbers)
        in_range = all(0 <= number <= LARGEST_SEED for number in self.sample_numbers)
        need(in_range, "sample_numbers", f"0 to {LARGEST_SEED}", self.sample_numbers)
        need(self.beat is None or not self.beat_off, "beat.off", "left out where there is a tempo", True)
        need((self.kind == "branch") == (self.trunk is not None), "trunk", "what a branch has, and no other", self.kind)
        need(bool(self.levels), "levels", "a level or more of top, middle and bottom", "none")
        if self.kind != "encode":
            unset = ", ".join(level.label for level in self.levels if level not in self.sampling)
            need(not unset, "sampling", "settings for each of the recipe's levels", f"none for {unset}")
        for key, value in _flat(self).items():
            for text in value if isinstance(value, list) else [value]:
                need(not isinstance(text, str) or _is_unicode(text), key, "text that UTF-8 can hold", text)

    def with_made(self, level: Level, made: Made) -> Self:
        """This recipe with a record of what `level` was made on and from."""
        return replace(self, made={**self.made, level: made})

    def differences(self, asked: "Recipe") -> list[str]:
        """What `asked` wants otherwise than this recipe, a line a key: "seed: 3 here, 4 asked".

        Empty where both render the same song: `version` and `made` are only records; a model with the same fingerprints
        is the same model wherever it lies, and a prompt that sounds the same is the same prompt.
        """
        here, there = _flat(self), _flat(asked)
        if self.model.fingerprints and self.model.fingerprints == asked.model.fingerprints:
            here, there = (_without(flat, "model.name", "model.path") for flat in (here, there))
        if self.prompt and asked.prompt and self.prompt.sha256 == asked.prompt.sha256:
            here, there = (_without(flat, "prompt.source") for flat in (here, there))
        if self.midi and asked.midi and self.midi.sha256 == asked.midi.sha256:
            here, there = (_without(flat, "midi.source") for flat in (here, there))
        if self.trunk and asked.trunk and self.trunk.sha256 == asked.trunk.sha256:
            here, there = (_without(flat, "trunk.source") for flat in (here, there))
        if (self.prompt is None) != (asked.prompt is None):  # the source alone says it
            others = [f"prompt.{one.name}" for one in fields(Prompt) if one.name != "source"]
            here, there = (_without(flat, *others) for flat in (here, there))
        keys = (key for key in here | there if here.get(key) != there.get(key))
        return [_difference(key, here.get(key), there.get(key)) for key in keys]

    def to_toml(self) -> str:
        """The text of song.toml: equal recipes give equal texts, and from_toml gives the recipe back exactly."""
        return _written(self)

    @classmethod
    def from_toml(cls, text: str, where: str | Path) -> Self:
        """The recipe in `text`, which stands in the file `where`.

        Keys it does not know are passed over. NotASong, naming file and key, where the text cannot be a recipe.
        """
        try:
            root = _Table(tomllib.loads(text))
            version = root.whole("format")
            if version > FORMAT:
                raise NotASong(
                    f"{where} has recipe format {version}, and this jukectl knows formats up to {FORMAT}. "
                    "Upgrade with: pip install --upgrade jukectl"
                )
            need(version >= 1, "format", "1 or more", version)
            return cls(**_read(root))
        except NotASong:
            raise
        except (tomllib.TOMLDecodeError, BadInput) as error:
            raise NotASong(
                f"{where} is no recipe: {error}. Mend it, or begin the song again with --overwrite"
            ) from error


def _make_floats(config: object, *names: str) -> None:
    """Keep 20 as 20.0, so that equal recipes give equal texts."""
    for name in names:
        object.__setattr__(config, name, float(getattr(config, name)))


def _make_unicode(config: object, name: str) -> None:
    """Replace what is no UTF-8 in the path of a file, as stray bytes of a command line are not."""
    object.__setattr__(config, name, getattr(config, name).encode("utf-8", "replace").decode("utf-8"))


def _is_unicode(text: str) -> bool:
    """False for the halves of characters that stand for stray bytes of a command line."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _flat(recipe: Recipe) -> dict[str, Any]:
    """What was asked for, by dotted key as in song.toml; what is not set is not there."""
    flat: dict[str, Any] = {
        "kind": recipe.kind,
        "model.name": recipe.model.name,
        "model.path": recipe.model.path,
        **{f"model.fingerprints.{part}": recipe.model.fingerprints.get(part) for part in PARTS},
        "seed": recipe.seed,
        "samples": recipe.samples,
        "seconds": recipe.seconds,
        "song_seconds": recipe.song_seconds,
        "start_at": recipe.start_at or None,
        "levels": [level.label for level in recipe.levels],
        "labels.artist": recipe.labels.artist,
        "labels.genres": list(recipe.labels.genres),
        **{f"labels.{key}": value for key, value in _lyrics_table(recipe.labels.lyrics).items()},
    }
    if recipe.prompt:
        flat |= {f"prompt.{key}": value for key, value in asdict(recipe.prompt).items()}
    if recipe.midi:
        flat |= {f"midi.{key}": value for key, value in asdict(recipe.midi).items()}
    if recipe.beat_off:
        flat["beat.off"] = "true"
    if recipe.beat:
        flat |= {f"beat.{key}": value for key, value in asdict(recipe.beat).items()}
    if recipe.trunk:
        trunk = {"source": recipe.trunk.source, "sample": recipe.trunk.sample, "seconds": recipe.trunk.seconds}
        flat |= {f"trunk.{key}": value for key, value in trunk.items()}
        flat |= {"trunk.begins": recipe.trunk.begins} if recipe.trunk.begins else {}
        flat |= {f"trunk.{level.label}": digest[:12] for level, digest in recipe.trunk.sha256.items()}
    if recipe.sample_numbers:
        flat["sample_numbers"] = [str(number) for number in recipe.sample_numbers]
    for level in TOP_DOWN:
        worn = [f"{one.sha256[:12]} at {one.strength:g}" for one in recipe.adapters if one.level is level]
        flat |= {f"adapters.{level.label}": worn} if worn else {}
        if level in recipe.sampling:
            settings = asdict(recipe.sampling[level])
            flat |= {f"sampling.{level.label}.{key}": value for key, value in settings.items()}
    if recipe.schedule:
        flat["schedule"] = [str(change) for change in recipe.schedule]
    return {key: value for key, value in flat.items() if value is not None}


def _lyrics_table(lyrics: Lyrics | None) -> dict[str, str]:
    """What song.toml says of lyrics: their text, and their format where they are LRC."""
    if lyrics is None:
        return {}
    return {"lyrics": lyrics.source, **({} if lyrics.format == "text" else {"lyrics_format": lyrics.format})}


def _without(flat: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if key not in keys}


def _difference(key: str, here: Any, asked: Any) -> str:
    if key == "labels.lyrics" and here is not None and asked is not None:
        pairs = zip_longest(here.splitlines(keepends=True), asked.splitlines(keepends=True))
        line, (here, asked) = next((line, pair) for line, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        key = f"{key}, line {line}"
    return f"{key}: {_shown(here)} here, {_shown(asked)} asked"


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[0]}"


_HEAD = """\
The recipe of this song. It is all it takes to render it again, bit for bit, on the same machine:
jukectl reads it when the song is resumed. To make another song, take another folder."""

_REMARKS = {
    "version": "the jukectl that began this song",
    "seconds": "new music to make",
    "song_seconds": "total length told to the model",
    "start_at": "the second of it at which this song begins",
    "schedule.at": "seconds from the beginning of the audio",
    "model.path": "where the model lay",
    "adapters.path": "where the adapter lay",
    "adapters.sha256": "of the file",
    "prompt.start": "seconds into the source",
    "prompt.seconds": "how much of the source",
    "prompt.sha256": "of the samples in prompt.wav",
    "sample_numbers": "whose chance each sample has",
    "trunk.source": "the song that this one goes on from",
    "trunk.sample": "of that song",
    "trunk.seconds": "of that song",
    "trunk.begins": "top codes of that song before these",
    "midi.sha256": "of notes.mid",
    "beat.tempo": "beats a minute",
    "beat.off": "the model is free in its beat",
    "beat.first": "seconds of the audio at which a bar begins, or a beat without bars",
    "beat.bars": "false: the beats are known and the bars are not",
    "beat.start": "seconds of the audio before which no beat is given",
    "midi.start": "seconds of the song at which they begin",
    "sampling.top_k": "0 is off",
    "sampling.top_p": "1.0 is off",
    "sampling.advance": "how far a window moves on, in contexts",
    "sampling.parallel": "spans made at once",
    "sampling.guidance": "how strongly labels count, 1 is off",
    "made.upper": "digest of the codes above that these were made from",
    "made.upper_frames": "of the first so many of them",
    "made.samples": "made at a time",
    "made.chunk": "codes that a window knows, read at a time; 0 is all",
}


def _written(recipe: Recipe) -> str:
    import tomlkit  # here, since it is only needed to write

    def add(container: "TOMLDocument | Table", values: Mapping[str, Any], prefix: str = "") -> None:
        for key, value in values.items():
            if value is None:
                continue
            # a carriage return would be lost from a string over several lines
            lines = isinstance(value, str) and "\n" in value and "\r" not in value
            item = tomlkit.string(value, multiline=True) if lines else tomlkit.item(value)
            if prefix + key in _REMARKS:
                item.comment(_REMARKS[prefix + key])
            container.add(key, item)

    def table(name: str, values: Mapping[str, Any]) -> "Table":
        made = tomlkit.table()
        add(made, values, f"{name}.")
        return made

    def grown(trunk: Trunk) -> "Table":
        about = {"source": trunk.source, "sample": trunk.sample, "seconds": trunk.seconds}
        made = table("trunk", {**about, "begins": trunk.begins or None})
        for name, values in (("frames", trunk.frames), ("sha256", trunk.sha256)):
            made.add(name, table(name, {level.label: values[level] for level in TOP_DOWN if level in values}))
        return made

    def by_level(name: str, values: Mapping[Level, LevelSampling] | Mapping[Level, Made]) -> "Table":
        made = tomlkit.table(is_super_table=True)
        for level in TOP_DOWN:
            if level in values:
                one = asdict(values[level])
                made.add(
                    level.label, table(name, {key: value for key, value in one.items() if (key, value) not in OFF})
                )
        return made

    document = tomlkit.document()
    for line in _HEAD.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    add(document, {"format": FORMAT, "kind": recipe.kind, "version": recipe.version, "seed": recipe.seed})
    add(document, {"samples": recipe.samples, "seconds": recipe.seconds, "song_seconds": recipe.song_seconds})
    add(document, {"start_at": recipe.start_at or None, "levels": [level.label for level in recipe.levels]})
    add(document, {"sample_numbers": list(recipe.sample_numbers) or None})
    model = table("model", {"name": recipe.model.name, "path": recipe.model.path})
    prints = recipe.model.fingerprints
    model.add("fingerprints", table("fingerprints", {part: prints[part] for part in PARTS if part in prints}))
    document.add("model", model)
    labels = {"artist": recipe.labels.artist, "genres": list(recipe.labels.genres)}
    document.add("labels", table("labels", {**labels, **_lyrics_table(recipe.labels.lyrics)}))
    given: dict[str, Prompt | Score | None] = {"prompt": recipe.prompt, "midi": recipe.midi}
    for name, one in given.items():
        if one is not None:
            document.add(name, table(name, asdict(one)))
    if recipe.beat or recipe.beat_off:
        document.add("beat", table("beat", asdict(recipe.beat) if recipe.beat else {"off": True}))
    if recipe.trunk:
        document.add("trunk", grown(recipe.trunk))
    lists = {
        "adapters": [{**asdict(adapter), "level": adapter.level.label} for adapter in recipe.adapters],
        "schedule": [change.table() for change in recipe.schedule],
    }
    for name, listed in lists.items():
        if listed:
            tables = tomlkit.aot()
            for entry in listed:
                tables.append(table(name, entry))
            document.add(name, tables)
    if recipe.sampling:
        document.add("sampling", by_level("sampling", recipe.sampling))
    if recipe.made:
        document.add("made", by_level("made", recipe.made))
    return document.as_string()


class _Table:
    """A TOML table that is asked for keys of a type; BadInput, naming the key in full, where it has another."""

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self.name = name
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, key: str) -> str:
        return self._get(key, "a text", str)

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if key in self else None

    def texts(self, key: str) -> list[str]:
        values = self._get(key, "a list of texts", list)
        need(all(isinstance(value, str) for value in values), self._full(key), "a list of texts", values)
        return values

    def whole(self, key: str) -> int:
        return self._get(key, "a whole number", int)

    def wholes(self, key: str) -> list[int]:
        values = self._get(key, "a list of whole numbers", list)
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        need(whole, self._full(key), "a list of whole numbers", values)
        return values

    def truth(self, key: str) -> bool:
        value = self._values.get(key)
        need(isinstance(value, bool), self._full(key), "true or false", value)
        return bool(value)

    def number(self, key: str) -> float:
        value = self._values.get(key)
        return float(self.whole(key) if isinstance(value, int) else self._get(key, "a number", float))

    def table(self, key: str) -> "_Table":
        """The table called `key`; one without keys where it is not there."""
        values = self._get(key, "a table", dict) if key in self else {}
        return _Table(values, self._full(key))

    def tables(self, key: str) -> list["_Table"]:
        """The tables of the list called `key`; none where it is not there."""
        values = self._get(key, "a list of tables", list) if key in self else []
        need(all(isinstance(value, dict) for value in values), self._full(key), "a list of tables", values)
        return [_Table(value, self._full(key)) for value in values]

    def only(self, keys: Collection[str]) -> dict[str, Any]:
        """What it has of some keys, as it is."""
        return {key: value for key, value in self._values.items() if key in keys}

    def _full(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _get(self, key: str, expected: str, kind: type[_T]) -> _T:
        if key not in self:
            raise BadInput(f"{self._full(key)} is missing, it should be {expected}")
        value = self._values[key]
        # True is an int to Python, but no number to a user
        need(isinstance(value, kind) and not isinstance(value, bool), self._full(key), expected, value)
        return cast(_T, value)


def _read(root: _Table) -> dict[str, Any]:
    """The fields of a Recipe."""
    model, labels, prompt = root.table("model"), root.table("labels"), root.table("prompt")
    fingerprints = model.table("fingerprints")
    return {
        "kind": root.text("kind"),
        "version": root.text("version"),
        "seed": root.whole("seed"),
        "samples": root.whole("samples"),
        "seconds": root.number("seconds"),
        "song_seconds": root.number("song_seconds"),
        "start_at": root.number("start_at") if "start_at" in root else 0.0,
        "levels": tuple(Level.parse(name) for name in root.texts("levels")),
        "model": ModelRef(
            name=model.text("name"),
            path=model.text_or_none("path"),
            fingerprints={part: fingerprints.text(part) for part in PARTS if part in fingerprints},
        ),
        "labels": Labels(
            artist=labels.text_or_none("artist"),
            genres=tuple(labels.texts("genres")) if "genres" in labels else (),
            lyrics=_read_lyrics(labels),
        ),
        "prompt": _read_prompt(prompt) if "prompt" in root else None,
        "midi": _read_score(root.table("midi")) if "midi" in root else None,
        **_read_beat(root.table("beat")),
        "trunk": _read_trunk(root.table("trunk")) if "trunk" in root else None,
        "sample_numbers": tuple(root.wholes("sample_numbers")) if "sample_numbers" in root else (),
        "adapters": tuple(_read_adapter(table) for table in root.tables("adapters")),
        "sampling": _by_level(root.table("sampling"), _read_sampling),
        "schedule": tuple(Change.read(table.only(CHANGE_KEYS)) for table in root.tables("schedule")),
        "made": _by_level(root.table("made"), _read_made),
    }


def _by_level(table: _Table, read: Callable[[_Table], _T]) -> dict[Level, _T]:
    values = {}
    for level in TOP_DOWN:
        if level.label in table:
            try:
                values[level] = read(table.table(level.label))
            except BadInput as error:
                raise BadInput(f"{error} (in [{table.name}.{level.label}])") from error
    return values


def _read_lyrics(labels: _Table) -> Lyrics | None:
    source, format_ = labels.text_or_none("lyrics"), labels.text_or_none("lyrics_format") or "text"
    try:
        return None if source is None else Lyrics(source, cast(LyricsFormat, format_))
    except BadInput as error:
        raise BadInput(f"labels.lyrics: {error}") from error


def _read_adapter(table: _Table) -> AdapterRef:
    return AdapterRef(
        level=Level.parse(table.text("level")),
        path=table.text("path"),
        sha256=table.text("sha256"),
        strength=table.number("strength"),
    )


def _read_score(table: _Table) -> Score:
    return Score(source=table.text("source"), sha256=table.text("sha256"), start=table.number("start"))


def _read_beat(table: _Table) -> dict[str, Any]:
    """The fields of a Recipe that [beat] gives, none without that table."""
    if "off" in table and table.truth("off"):
        return {"beat_off": True}
    if not table:
        return {}
    beat = Beat(
        tempo=table.number("tempo"),
        meter=table.text_or_none("meter") or "4/4",
        first=table.number("first") if "first" in table else 0.0,
        bars=table.truth("bars") if "bars" in table else True,
        start=table.number("start") if "start" in table else 0.0,
    )
    return {"beat": beat}


def _read_prompt(table: _Table) -> Prompt:
    return Prompt(
        source=table.text("source"),
        start=table.number("start"),
        seconds=table.number("seconds"),
        sha256=table.text("sha256"),
        samples=table.whole("samples"),
    )


def _read_trunk(table: _Table) -> Trunk:
    frames, digests = table.table("frames"), table.table("sha256")
    return Trunk(
        source=table.text("source"),
        sample=table.whole("sample") if "sample" in table else None,
        seconds=table.number("seconds"),
        begins=table.whole("begins") if "begins" in table else 0,
        frames={level: frames.whole(level.label) for level in TOP_DOWN if level.label in frames},
        sha256={level: digests.text(level.label) for level in TOP_DOWN if level.label in digests},
    )


def _read_sampling(table: _Table) -> LevelSampling:
    return LevelSampling(
        temperature=table.number("temperature"),
        top_k=table.whole("top_k"),
        top_p=table.number("top_p"),
        advance=table.number("advance"),
        parallel=table.whole("parallel") if "parallel" in table else 1,
        guidance=table.number("guidance") if "guidance" in table else 1.0,
    )


def _read_made(table: _Table) -> Made:
    return Made(
        device=table.text("device"),
        precision=table.text("precision"),
        upper=table.text("upper"),
        upper_frames=table.whole("upper_frames") if "upper_frames" in table else 0,
        samples=table.whole("samples") if "samples" in table else 0,
        chunk=table.whole("chunk") if "chunk" in table else 0,
    )
