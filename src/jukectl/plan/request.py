"""`Request`: the options of a song as the user gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from jukectl.codes.beat import check_meter, check_tempo
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import LevelSampling
from jukectl.codes.schedule import Change
from jukectl.codes.song import FORMATS
from jukectl.errors import BadInput
from jukectl.lyrics.value import Lyrics

LARGEST_SEED = 2**63 - 1
FALLBACK = LevelSampling(temperature=0.98, advance=0.5)
"""Settings of a level if neither the user nor the model names any."""

DEFAULT_SECONDS = 20.0
"""Length of new music without any request."""


@dataclass(frozen=True)
class AdapterChoice:
    """An adapter file and its strength; None: as in the song's recipe, or else as it was trained."""

    path: Path
    strength: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.strength is not None and not isfinite(self.strength):
            raise BadInput(f"--adapter takes FILE or FILE:STRENGTH with a number, got {self.path}:{self.strength}")


KINDS: Mapping[str, type] = {
    "model": str,
    "artist": str,
    "genres": str,
    "adapters": AdapterChoice,
    "lyrics": Lyrics,
    "midi": Path,
    "preview": Level,
    "meter": str,
    "format": str,
    "device": str,
    "precision": str,
}
"""Types of a request's values that are not numbers; of those that take several, of each one."""

AUTO = inf
"""Number of parallel spans that stands for auto; `with_parallel` replaces it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Options of all commands that make a song. The model or the song folder decides what is None."""

    model: str | None = None
    adapters: tuple[AdapterChoice, ...] = ()
    artist: str | None = None
    genres: tuple[str, ...] = ()
    lyrics: Lyrics | None = None  # their times, if any, are followed; None: an instrumental
    midi: Path | None = None  # a MIDI file whose notes are followed, or a recording that is transcribed
    midi_at: float = 0.0  # seconds into the new music at which its time 0 is
    tempo: float | None = None  # beats a minute of the new music; None: the prompt's, or free
    meter: str | None = None  # time signature
    no_beat: bool = False  # leave the beat free, also if a prompt has one
    seconds: float | None = None  # of new music; None: as its notes last, or a branched song after the cut, or 20
    song_seconds: float | None = None  # total length for the timing conditioner
    start_at: float | None = None  # second of that song at which the piece begins
    ending: bool = False  # the piece is the end of its song, however long that is
    schedule: tuple[Change, ...] = ()  # scheduled changes of labels and settings
    samples: int = 1
    keep: int | None = None  # make the lower levels of the best samples alone; None: of all
    seed: int | None = None  # None draws one, or takes the folder's
    levels: tuple[Level, ...] | None = None  # None: all, or those of the song
    until: float | None = None  # seconds of the song up to which its lower levels are made; None: to the end
    settings: Mapping[str, Mapping[Level, float]] = field(default_factory=dict)  # temperature, top_k … by level
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None  # of the compiled step; None: as many as are fastest
    max_memory: int | None = None  # bytes; None: all that is free
    preview: tuple[Level, ...] = ()
    plots: bool = False  # find out when the words of the lyrics are sung, and draw it
    loudness: float | None = None  # LUFS of the audio files
    fade: float = 0.0  # seconds over which they fade out
    match_loudness: bool = True  # after a prompt, in the final audio
    format: str | None = None  # of the audio files; None: that of existing ones, or wav
    overwrite: bool = False
    force: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)  # settings that values come from, by name

    def __post_init__(self) -> None:
        self._check_types()
        if self.samples < 1:
            raise BadInput(f"--samples must be at least 1, got {self.samples}")
        if self.keep is not None and not 1 <= self.keep <= self.samples:
            raise BadInput(f"--keep is how many of --samples are kept, 1 to {self.samples} of them; got {self.keep}")
        if self.seconds is not None and not 0 < self.seconds <= 36_000:
            raise BadInput(f"--seconds must be over 0 and at most 36000, got {self.seconds:g}")
        if self.until is not None and not 0 < self.until < inf:
            raise BadInput(f"--to is a time over 0 seconds, got {self.until:g}")
        if self.seed is not None and not 0 <= self.seed <= LARGEST_SEED:
            raise BadInput(f"--seed must be from 0 to {LARGEST_SEED}, got {self.seed}")
        if self.levels is not None and (not self.levels or tuple(self.levels) != TOP_DOWN[: len(self.levels)]):
            named = ",".join(level.label for level in self.levels)
            raise BadInput(
                f"--levels is top, or top,middle, or top,middle,bottom: each is made from the one above; got {named!r}"
            )
        check_loudness(self.loudness)
        check_fade(self.fade)
        check_format(self.format)
        _check_place(self.start_at, ending=self.ending)
        if self.max_memory is not None and self.max_memory < 1:
            raise BadInput(f"--max-memory must be over 0, got {self.max_memory}")
        if self.threads is not None and self.threads < 1:
            raise BadInput(f"--threads is the number of threads that sample, 1 or more; got {self.threads}")
        self._check_midi()
        self._check_beat()
        if self.lyrics is not None and self.lyrics.is_empty:
            empty = "are empty" if self.lyrics.timed is None else "have times but no words"
            raise BadInput(f"the lyrics {empty}: give some, or leave --lyrics out")
        self._check_settings()

    def _check_midi(self) -> None:
        """Raise BadInput for a place of notes that is no number, or without notes."""
        if not isfinite(self.midi_at):
            raise BadInput(f"--midi-at is a number of seconds, got {self.midi_at}")
        if self.midi_at and self.midi is None:
            raise BadInput("--midi-at says when notes begin, and there are none: give them with --midi")

    def _check_settings(self) -> None:
        """Raise BadInput for settings that are no whole numbers."""
        if any(top_k % 1 for top_k in self.settings.get("top_k", {}).values()):
            raise BadInput("--top-k is a whole number of codes, or 0 for all of them")
        if set(self.settings.get("expected", {}).values()) - {0, 1}:
            raise BadInput("--expected is 1, or 0 to draw each code")
        spans = set(self.settings.get("parallel", {}).values()) - {AUTO}
        if any(count < 1 or count % 1 for count in spans):
            raise BadInput("--parallel is the number of spans of a level that are sampled at once, 1 or more; or auto")

    def _check_types(self) -> None:
        """Take text for a path, one genre for several, and whole numbers as integers. BadInput for other types."""
        given: Mapping[str, Any] = vars(self)  # whatever a caller passed, types of the fields aside
        if isinstance(given["genres"], str):
            object.__setattr__(self, "genres", (given["genres"],))
        if isinstance(given["midi"], str):
            object.__setattr__(self, "midi", Path(given["midi"]))
        if isinstance(given["model"], Path):
            object.__setattr__(self, "model", str(given["model"]))
        for name in ("genres", "adapters", "schedule", "preview", "levels"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("samples", "seed", "keep", "threads", "max_memory"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise BadInput(f"--{name.replace('_', '-')} is a whole number, got {value!r}")
            object.__setattr__(self, name, None if value is None else int(value))
        for name in ("seconds", "song_seconds", "start_at", "until", "midi_at", "tempo", "loudness", "fade"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                option = "to" if name == "until" else name.replace("_", "-")
                raise BadInput(f"--{option} is a number, got {value!r}")
        for name, kinds in KINDS.items():
            for value in getattr(self, name) if name in ("genres", "adapters", "preview") else [getattr(self, name)]:
                if value is not None and not isinstance(value, kinds):
                    raise BadInput(f"{name} of a request takes {kinds.__name__}, got {value!r}")

    def _check_beat(self) -> None:
        """Raise BadInput for a tempo or a meter that cannot be, or that goes with --no-beat."""
        if self.no_beat and (self.tempo is not None or self.meter is not None):
            raise BadInput("--no-beat leaves the beat free: give it, or --tempo and --meter")
        if self.tempo is not None:
            check_tempo("--tempo", self.tempo)
        if self.meter is not None:
            check_meter("--meter", self.meter)

    @property
    def suffix(self) -> str | None:
        """Suffix of the audio files; None: that of existing ones, or .wav."""
        return None if self.format is None else f".{self.format}"

    def sampling(self, level: Level, defaults: Mapping[str, Mapping[str, float]]) -> LevelSampling:
        """Return the settings of a level: the user's, or else the defaults, or else the general ones."""
        preferred = defaults.get(level.label, {})

        def value(name: str, fallback: float) -> float:
            asked = self.settings.get(name, {}).get(level)
            return asked if asked is not None else preferred.get(name, fallback)

        if level is not Level.TOP and value("parallel", FALLBACK.parallel) == AUTO:
            raise BadInput("--parallel auto is for sample, continue and upsample: give a number here")
        return LevelSampling(
            temperature=value("temperature", FALLBACK.temperature),
            top_k=int(value("top_k", FALLBACK.top_k)),
            top_p=value("top_p", FALLBACK.top_p),
            advance=value("advance", FALLBACK.advance),
            parallel=1 if level is Level.TOP else int(value("parallel", FALLBACK.parallel)),
            expected=bool(value("expected", FALLBACK.expected)),
            guidance=value("guidance", FALLBACK.guidance),
        )


def check_loudness(lufs: float | None) -> None:
    """Raise BadInput for a loudness that no audio file can have."""
    if lufs is not None and not -70 <= lufs <= 0:
        raise BadInput(f"--loudness is from -70 to 0 LUFS, got {lufs:g}")


def _check_place(start_at: float | None, *, ending: bool) -> None:
    """Raise BadInput for an impossible place in a song, or for two places."""
    if start_at is not None and not 0 <= start_at <= 36_000:
        raise BadInput(f"--start-at must be from 0 to 36000 seconds, got {start_at:g}")
    if start_at is not None and ending:
        raise BadInput("--start-at and --ending both say where in its song the music lies: leave one of them out")


def check_fade(seconds: float) -> None:
    """Raise BadInput for a fade that is no number of seconds."""
    if not 0 <= seconds <= 36_000:
        raise BadInput(f"--fade is from 0 to 36000 seconds, got {seconds:g}")


def check_format(name: str | None) -> None:
    """Raise BadInput for an audio format that jukectl does not write."""
    if name is not None and name not in FORMATS:
        raise BadInput(f"--format is one of {', '.join(FORMATS)}; got {name!r}")
