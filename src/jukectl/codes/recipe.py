"""The recipe of a song: everything needed to render it again, bit for bit, on the same machine.

It is kept in `song.toml`, which recipe_toml.py reads and writes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import zip_longest
from math import isfinite
from typing import Any, Literal, Self, get_args

from jukectl.codes.beat import Beat
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.schedule import LONGEST, Change, check_seconds, in_order
from jukectl.errors import BadInput, need
from jukectl.lyrics.value import Lyrics

LARGEST_SEED = 2**63 - 1  # what TOML can hold
MOST_SECONDS = 36_000  # of new music: planning more takes minutes
MOST_SAMPLES = 100_000
MOST_SPANS = 100_000

Kind = Literal["sample", "continue", "encode", "upsample", "branch"]
"""The command that began the song."""

PARTS = ("vqvae", "top", "middle", "bottom")
"""The parts of a model that have a fingerprint."""


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """Reference to a model: its name, its folder if it is not an installed one, and the fingerprints of its parts."""

    name: str
    path: str | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need(bool(self.name), "name", "the name of a model", self.name)
        unknown = [part for part in self.fingerprints if part not in PARTS]
        need(not unknown, "fingerprints", f"one for each of {', '.join(PARTS)}", ", ".join(unknown))


@dataclass(frozen=True, kw_only=True)
class AdapterRef:
    """Reference to an adapter of a level's prior: its file, the hash of that, and the strength it is applied with."""

    level: Level
    path: str  # absolute; bytes that are not UTF-8 are replaced
    sha256: str  # hex, of the file
    strength: float = 1.0

    def __post_init__(self) -> None:
        _make_unicode(self, "path")
        _make_floats(self, "strength")
        need(isfinite(self.strength), "strength", "a number", self.strength)
        need(bool(self.sha256), "sha256", "the SHA-256 of the file", self.sha256)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Artist, genres and lyrics that the song is conditioned on, in the user's words."""

    artist: str | None = None
    genres: tuple[str, ...] = ()
    lyrics: Lyrics | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The recording that the song continues: its source, and the hash of the part that was encoded (prompt.wav)."""

    source: str  # absolute path; bytes that are not UTF-8 are replaced
    start: float  # seconds into the source
    seconds: float
    sha256: str  # hex, of prompt.wav's samples
    samples: int  # audio samples of prompt.wav

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "start", "seconds")
        check_seconds("start", self.start)
        check_seconds("seconds", self.seconds)
        need(0 <= self.samples <= LARGEST_SEED, "samples", "0 or more", self.samples)


@dataclass(frozen=True, kw_only=True)
class Score:
    """The notes that the song follows: their source, and the hash of the notes that were kept (notes.mid)."""

    source: str  # absolute path of a MIDI file or a recording; bytes that are not UTF-8 are replaced
    sha256: str  # hex, of notes.mid
    start: float  # second of the song at which the file's time 0 is

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "start")
        need(abs(self.start) <= LONGEST, "midi.start", f"a number of seconds, {LONGEST:g} at most", self.start)
        need(bool(self.sha256), "sha256", "the SHA-256 of notes.mid", self.sha256)


@dataclass(frozen=True, kw_only=True)
class PrefixRef:
    """Prefix codes that a song takes over from another song, kept in its own folder (see `Song.prefix_path`)."""

    source: str  # absolute path of the other song; bytes that are not UTF-8 are replaced
    sample: int | None = None  # which of its samples; None: all of them
    seconds: float  # of music
    begins: int = 0  # top codes of that song before these
    frames: Mapping[Level, int]  # codes of each level that has any; the top has
    sha256: Mapping[Level, str]  # digest of each level's codes, see `Codes.digest`

    def __post_init__(self) -> None:
        _make_unicode(self, "source")
        _make_floats(self, "seconds")
        check_seconds("seconds", self.seconds)
        need(self.seconds > 0, "seconds", "over 0", self.seconds)
        need(self.frames.get(Level.TOP, 0) > 0, "frames", "top codes, and those of other levels", dict(self.frames))
        need(self.frames.keys() == self.sha256.keys(), "sha256", "a digest for each level", dict(self.sha256))
        need(self.begins >= 0, "begins", "0 or more top codes", self.begins)
        need(self.sample is None or self.sample >= 0, "sample", "0 or more", self.sample)


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Choice of the best samples by their top codes, whose lower levels alone are made."""

    best: int  # samples that are kept
    of: int  # samples whose top codes are made
    chosen: tuple[int, ...] = ()  # samples that were kept, in order; empty before the choice

    def __post_init__(self) -> None:
        need(1 <= self.best < self.of, "keep.best", f"1 to {self.of - 1}, of {self.of} samples", self.best)
        need(len(self.chosen) in (0, self.best), "keep.chosen", f"{self.best} samples", list(self.chosen))
        inside = all(0 <= one < self.of for one in self.chosen) and list(self.chosen) == sorted(set(self.chosen))
        need(inside, "keep.chosen", f"samples from 0 to {self.of - 1}, in order", list(self.chosen))


@dataclass(frozen=True, kw_only=True)
class LevelSampling:
    """Sampling settings of one level."""

    temperature: float = 1.0  # 0 takes the most probable code
    top_k: int = 0  # 0 is off
    top_p: float = 1.0  # 1 is off
    advance: float = 0.5  # new codes per window, as a fraction of the context
    parallel: int = 1  # spans that are sampled in parallel; not at the top
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is off
    expected: bool = False  # the code nearest to the expected vector, not a draw; for several quantizer stages alone

    def __post_init__(self) -> None:
        _make_floats(self, "temperature", "top_p", "advance", "guidance")
        cool = isfinite(self.temperature) and self.temperature >= 0
        need(cool, "temperature", "a number, 0 or more", self.temperature)
        need(self.top_k >= 0, "top_k", "0 (off) or more", self.top_k)
        need(0 < self.top_p <= 1, "top_p", "above 0 and up to 1 (off)", self.top_p)
        need(0 < self.advance <= 1, "advance", "a fraction of the context, above 0 and up to 1", self.advance)
        need(1 <= self.parallel <= MOST_SPANS, "parallel", f"1 (off) to {MOST_SPANS}", self.parallel)
        need(isfinite(self.guidance) and self.guidance >= 0, "guidance", "0 or more, 1 is off", self.guidance)

    @property
    def rows(self) -> int:
        """Rows of the model per sample: with guidance a second one, which is not conditioned on labels."""
        return 1 if self.guidance == 1 else 2


@dataclass(frozen=True, kw_only=True)
class Made:
    """Record of the machine and the codes that a level was sampled on and from; not part of what was asked for."""

    device: str
    precision: str
    upper: str = ""  # digest of the codes of the level above
    upper_frames: int = 0  # how many of those codes, if the level above was unfinished; 0: all
    samples: int = 0  # samples per batch; 0: unknown
    chunk: int = 0  # codes of the prefix read at a time; 0: all


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a song is rendered from. BadInput, naming the key, for values that make no sense."""

    kind: Kind
    version: str  # of the jukectl that began the song
    model: ModelRef
    seed: int
    samples: int
    seconds: float  # new music
    song_seconds: float  # total song length for the timing conditioner
    start_at: float = 0.0  # second of that song at which this piece starts
    levels: tuple[Level, ...] = TOP_DOWN  # in any order; kept top first
    labels: Labels = field(default_factory=Labels)
    prompt: Prompt | None = None
    midi: Score | None = None  # notes that the top level is conditioned on
    beat: Beat | None = None  # that the top level is conditioned on; None: the model is free
    beat_off: bool = False  # the beat of a prompt is not to be followed either
    prefix: PrefixRef | None = None  # what a branch continues from; it includes the prompt
    streams: tuple[int, ...] = ()  # random stream of each sample; default 0, 1, 2 ...
    adapters: tuple[AdapterRef, ...] = ()  # in the order in which they are applied
    sampling: Mapping[Level, LevelSampling] = field(default_factory=dict)
    schedule: tuple[Change, ...] = ()  # first to last
    made: Mapping[Level, Made] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)  # settings that the style comes from
    keep: Keep | None = None  # before the choice `samples` are all samples, after it those that were kept

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(level for level in TOP_DOWN if level in self.levels))
        object.__setattr__(self, "schedule", in_order(self.schedule))
        _make_floats(self, "seconds", "song_seconds", "start_at")
        need(self.kind in get_args(Kind), "kind", f"one of {', '.join(get_args(Kind))}", self.kind)
        need(0 <= self.seed <= LARGEST_SEED, "seed", f"0 to {LARGEST_SEED}", self.seed)
        need(1 <= self.samples <= MOST_SAMPLES, "samples", f"1 to {MOST_SAMPLES}", self.samples)
        for name in ("seconds", "song_seconds", "start_at"):
            check_seconds(name, getattr(self, name))
        need(self.seconds <= MOST_SECONDS, "seconds", f"at most {MOST_SECONDS}", self.seconds)
        self._check_samples()
        need(self.beat is None or not self.beat_off, "beat.off", "left out beside a tempo", True)
        if (self.kind == "branch") != (self.prefix is not None):
            raise BadInput("a recipe of kind branch has a table trunk, and no other recipe has one")
        need(bool(self.levels), "levels", "one or more of top, middle and bottom", "none")
        if self.kind != "encode":
            unset = ", ".join(level.label for level in self.levels if level not in self.sampling)
            need(not unset, "sampling", "settings for each of the recipe's levels", f"none for {unset}")
        for key, value in _flat(self).items():
            for text in value if isinstance(value, list) else [value]:
                need(not isinstance(text, str) or _is_unicode(text), key, "text that UTF-8 can hold", text)

    def _check_samples(self) -> None:
        """Raise BadInput unless there is no list of random streams, or a stream for each sample."""
        streams = self.streams
        need(len(streams) in (0, self.samples), "sample_numbers", f"one for each of {self.samples} samples", streams)
        in_range = all(0 <= stream <= LARGEST_SEED for stream in streams)
        need(in_range, "sample_numbers", f"0 to {LARGEST_SEED}", streams)

    def with_chosen(self, chosen: tuple[int, ...]) -> Self:
        """Return the recipe of the chosen samples alone, each with the random stream that it had."""
        assert self.keep is not None
        before = self.streams or tuple(range(self.samples))
        streams = tuple(before[sample] for sample in chosen)
        return replace(self, samples=len(chosen), streams=streams, keep=replace(self.keep, chosen=chosen))

    def before_choice(self) -> Self:
        """Return the recipe as it was asked for, with all samples of which the best were kept."""
        if self.keep is None or not self.keep.chosen:
            return self
        return replace(self, samples=self.keep.of, streams=(), keep=replace(self.keep, chosen=()))

    def with_made(self, level: Level, made: Made) -> Self:
        """Return this recipe with a record of what `level` was sampled on and from."""
        return replace(self, made={**self.made, level: made})

    def differences(self, asked: "Recipe") -> list[str]:
        """Return what `asked` wants otherwise than this recipe, a line for each key: "seed: 3 here, 4 asked".

        Empty if both render the same song: `version` and `made` are only records, a model with the same fingerprints is
        the same model in any folder, and a prompt with the same samples is the same prompt.
        """
        here, there = _flat(self), _flat(asked)
        if self.model.fingerprints and self.model.fingerprints == asked.model.fingerprints:
            here, there = (_without(flat, "model.name", "model.path") for flat in (here, there))
        if self.prompt and asked.prompt and self.prompt.sha256 == asked.prompt.sha256:
            here, there = (_without(flat, "prompt.source") for flat in (here, there))
        if self.midi and asked.midi and self.midi.sha256 == asked.midi.sha256:
            here, there = (_without(flat, "midi.source") for flat in (here, there))
        if self.prefix and asked.prefix and self.prefix.sha256 == asked.prefix.sha256:
            here, there = (_without(flat, "trunk.source", "trunk.seconds") for flat in (here, there))
        if (self.prompt is None) != (asked.prompt is None):  # the source alone says it
            others = [f"prompt.{one.name}" for one in fields(Prompt) if one.name != "source"]
            here, there = (_without(flat, *others) for flat in (here, there))
        keys = (key for key in here | there if here.get(key) != there.get(key))
        return [_difference(key, here.get(key), there.get(key)) for key in keys]


def _make_floats(config: object, *names: str) -> None:
    """Keep 20 as 20.0, so that equal recipes give equal texts."""
    for name in names:
        object.__setattr__(config, name, float(getattr(config, name)))


def _make_unicode(config: object, name: str) -> None:
    """Replace bytes of a path that are not UTF-8, as a command line may have them."""
    object.__setattr__(config, name, getattr(config, name).encode("utf-8", "replace").decode("utf-8"))


def _is_unicode(text: str) -> bool:
    """Return False for text with lone surrogates, by which Python stands for bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Return what was asked for, by dotted key as in song.toml, without what is not set.

    `differences` compares these keys alone: a setting without a key could change when a song is resumed.
    """
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
        **{f"labels.{key}": value for key, value in lyrics_table(recipe.labels.lyrics).items()},
    }
    if recipe.prompt:
        flat |= {f"prompt.{key}": value for key, value in asdict(recipe.prompt).items()}
    if recipe.midi:
        flat |= {f"midi.{key}": value for key, value in asdict(recipe.midi).items()}
    if recipe.beat_off:
        flat["beat.off"] = "true"
    if recipe.beat:
        flat |= {f"beat.{key}": value for key, value in asdict(recipe.beat).items()}
    if recipe.prefix:
        prefix = {"source": recipe.prefix.source, "sample": recipe.prefix.sample, "seconds": recipe.prefix.seconds}
        flat |= {f"trunk.{key}": value for key, value in prefix.items()}
        flat |= {"trunk.begins": recipe.prefix.begins} if recipe.prefix.begins else {}
        flat |= {f"trunk.{level.label}": digest[:12] for level, digest in recipe.prefix.sha256.items()}
    if recipe.keep:
        flat["keep"] = recipe.keep.best
    if recipe.streams:
        flat["sample_numbers"] = [str(number) for number in recipe.streams]
    for level in TOP_DOWN:
        applied = [f"{one.sha256[:12]} at {one.strength:g}" for one in recipe.adapters if one.level is level]
        flat |= {f"adapters.{level.label}": applied} if applied else {}
        if level in recipe.sampling:
            settings = asdict(recipe.sampling[level])
            flat |= {f"sampling.{level.label}.{key}": value for key, value in settings.items()}
    if recipe.schedule:
        flat["schedule"] = [str(change) for change in recipe.schedule]
    return {key: value for key, value in flat.items() if value is not None}


def lyrics_table(lyrics: Lyrics | None) -> dict[str, str]:
    """Return the keys of lyrics in song.toml: their source, and their format if it is not plain text."""
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
