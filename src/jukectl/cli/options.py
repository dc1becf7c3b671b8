"""Options that several commands share, and `SamplingOptions`, which holds those of every command that samples."""

import inspect
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from jukectl.cli import complete
from jukectl.cli.console import ProgressStyle
from jukectl.cli.defaults import origins
from jukectl.cli.outputs import STREAM
from jukectl.cli.values import parse_adapter, parse_levels, parse_memory, parse_parallel, parse_per_level, read_schedule
from jukectl.codes.level import Level
from jukectl.errors import BadInput

if TYPE_CHECKING:
    from jukectl.plan.request import Request

ALL_LEVELS = "top,middle,bottom"
LEVELS = "top[,middle[,bottom]]"  # for the help of options that take several levels
ANY_LEVELS = "LEVEL[,LEVEL…]"
LEVEL = "top|middle|bottom"
FORMATS = "wav|flac|ogg|mp3"


def option(name: str, value: str, text: str, *, default: str | None = None, **checks: Any) -> Any:
    """Return an option. `value` stands for its value in the help, `default` for a default that is not a constant."""
    completion = checks.pop("autocompletion", None) or _fixed_choices(value)
    return typer.Option(
        name, metavar=value, help=text, show_default=default or True, autocompletion=completion, **checks
    )


def song_argument(text: str, metavar: str | None = None) -> Any:
    """Return an argument that is the path of a song, which the shell completes."""
    return typer.Argument(help=text, metavar=metavar, autocompletion=complete.songs)


def _fixed_choices(value: str) -> complete.Completer | None:
    """Return the completion of "wav|flac|ogg" or "top[,middle]"; None for values of another kind, in capitals."""
    if value != value.lower() or not any(mark in value for mark in "|["):
        return None
    if "[" not in value:
        return complete.choices(*value.split("|"))
    parts = value.rstrip("]").split("[")  # top, then ",middle", then ",bottom"
    return complete.choices(*("".join(parts[: number + 1]) for number in range(len(parts))))


def flag(name: str, text: str) -> Any:
    """Return an option without a value. Its metavar is empty, since typer would show "<bool>" in the help."""
    return typer.Option(name, metavar="", help=text)


def per_level(name: str, text: str, *, example: str, default: str) -> Any:
    """Return an option that takes one value, or some for levels, such as the example, together or one by one."""
    return option(name, f"X|{example}", text, default=f"the model's, or {default}")


def no_stream(out: Path | None) -> Path | None:
    """Refuse - as a folder: only audio goes to stdout."""
    if out == STREAM:
        raise BadInput("--out is a folder here. For audio on stdout: jukectl decode SONG --out -")
    return out


Model = Annotated[
    str | None,
    option(
        "--model",
        "NAME|FOLDER",
        "Model: a name from jukectl models list, or a folder.",
        default="mini",
        autocompletion=complete.models,
    ),
]
Adapter = Annotated[
    list[str] | None,
    option(
        "--adapter",
        "FILE[:STRENGTH]",
        "Adapter from jukectl train prior --adapter-rank; :0.5 halves its strength. Repeat to add several.",
        default="none",
    ),
]
OUT = "Song folder to write, or - for audio on stdout. A folder from an earlier run is resumed."
NewSong = Annotated[
    Path | None, option("--out", "FOLDER|-", OUT, default="song-0001, song-0002 … in the working folder")
]
Continued = Annotated[
    Path | None, option("--out", "FOLDER|-", OUT, default="next to AUDIO: riff-continued, riff-continued-2 …")
]
ResumeLast = Annotated[
    bool, flag("--resume-last", "Resume the last song that was made without --out, if there is one.")
]
Format = Annotated[str | None, option("--format", FORMATS, "Format of the audio files.", default="the song's, or wav")]
OutBeside = Annotated[
    Path | None,
    option("--out", "FOLDER", "New song folder.", default="next to the song, named after it", callback=no_stream),
]
Device = Annotated[
    str,
    option("--device", "auto|cpu|cuda|mps", "Device to compute on; cuda:1 is the second GPU."),
]
Precision = Annotated[
    str,
    option("--precision", "auto|fp32|bf16|fp16|int8", "Number format of the priors; int8 is for CPUs only."),
]
Threads = Annotated[
    int | None,
    option(
        "--threads",
        "N",
        "Threads that sample on a CPU. The codes are the same with any number.",
        default="1 to the number of cores, as is fastest",
    ),
]
MaxMemory = Annotated[
    str | None,
    option(
        "--max-memory",
        "SIZE",
        "Plan with at most this much device memory: 8GB, 7.5GiB, 800MB; 8 means 8GB.",
        default="all free memory",
    ),
]
Artist = Annotated[
    str | None,
    option(
        "--artist",
        "NAME",
        "Artist to sound like; jukectl models show lists them. A:0.6+B:0.4 mixes two, A:0.5 halves the effect.",
        default="none",
        autocompletion=complete.artists,
    ),
]
Genre = Annotated[
    list[str] | None,
    option(
        "--genre",
        "NAME",
        "Genre, or a mix such as A:0.7+B:0.3. Repeat it for models that take several.",
        default="none",
        autocompletion=complete.genres,
    ),
]
Lyrics = Annotated[
    Path | None,
    option(
        "--lyrics",
        "FILE",
        "Lyrics, for models that sing: a text file, or an .lrc file, whose times are followed.",
        default="none",
    ),
]
Midi = Annotated[
    Path | None,
    option(
        "--midi",
        "FILE",
        "Notes to follow, for models trained on notes: a MIDI file, or a recording to transcribe.",
        default="none",
    ),
]
MidiAt = Annotated[
    float,
    option("--midi-at", "SECONDS", "Time in the new music at which the notes begin; -2 skips the first 2 s."),
]
Tempo = Annotated[
    float | None,
    typer.Option(
        "--tempo",
        metavar="BPM",
        help="Beats a minute of the new music, for models trained with beats.",
        show_default="the recording's, or free",
    ),
]
Meter = Annotated[
    str | None,
    typer.Option(
        "--meter", metavar="N/N", help="Time signature, such as 3/4 or 6/8.", show_default="4/4, if there is a tempo"
    ),
]
NoBeat = Annotated[bool, flag("--no-beat", "Do not follow the recording's beat.")]
Schedule = Annotated[
    Path | None,
    option(
        "--schedule",
        "FILE.toml",
        "Changes of artist, genre, temperature or lyrics at given times; see docs/steer.md.",
        default="none",
    ),
]
Seconds = Annotated[
    float | None,
    option("--seconds", "SECONDS", "Length of the new music.", default="20, or the length of the notes of --midi"),
]
SongSeconds = Annotated[
    float | None,
    option(
        "--song-seconds",
        "SECONDS",
        "Length of the whole song that the model is conditioned on.",
        default="prompt and new music",
    ),
]
StartAt = Annotated[
    float | None,
    option("--start-at", "SECONDS", "Time in the whole song at which this music begins.", default="0"),
]
Ending = Annotated[
    bool, flag("--ending", "Make the end of the whole song: this music and the song end at the same time.")
]
Samples = Annotated[int, option("--samples", "N", "Number of different songs to make.")]
Keep = Annotated[
    int | None,
    option(
        "--keep",
        "N",
        "Make only the best N of --samples down to audio, chosen by their top level: not silent, no loop, loud enough, "
        "likely.",
        default="all",
    ),
]
Seed = Annotated[
    int | None,
    option("--seed", "N", "Random seed; the same seed makes the same song.", default="random, and kept in song.toml"),
]
MAKE_LEVELS = "Levels to make, coarse to fine; top alone is a quick draft."
Levels = Annotated[str | None, option("--levels", LEVELS, MAKE_LEVELS)]
SongLevels = Annotated[str | None, option("--levels", LEVELS, MAKE_LEVELS, default="the song's, or all")]
Temperature = Annotated[
    list[str] | None,
    per_level(
        "--temperature",
        "Randomness: lower is safer, higher is wilder, 0 takes the likeliest code. One value, or some for levels, such "
        "as top=0.99,bottom=0.9.",
        example="top=0.9",
        default="0.98",
    ),
]
Guidance = Annotated[
    list[str] | None,
    per_level(
        "--guidance",
        "Strength of artist, genre and notes (classifier-free guidance); any value but 1 takes twice the work.",
        example="top=3",
        default="1",
    ),
]
TopP = Annotated[
    list[str] | None,
    per_level(
        "--top-p",
        "Sample from the likeliest codes that add up to this probability.",
        example="top=0.95",
        default="1, all codes",
    ),
]
TopK = Annotated[
    list[str] | None,
    per_level("--top-k", "Sample from this many likeliest codes; 0 is all.", example="top=50", default="0"),
]
Expected = Annotated[
    list[str] | None,
    per_level(
        "--expected",
        "1 takes the code nearest to the expected one and draws none: clearer, where a level has several codes for the "
        "same time.",
        example="bottom=1",
        default="0",
    ),
]
Advance = Annotated[
    list[str] | None,
    per_level(
        "--advance",
        "Step from window to window, as a fraction of the context; less is slower and smoother.",
        example="top=0.25",
        default="0.5",
    ),
]
Parallel = Annotated[
    str | None,
    option(
        "--parallel",
        "N|auto",
        "Sample the middle and bottom levels in N spans at once: faster; the codes differ. auto: as many as pay here.",
        default="the model's, or 1",
    ),
]
Preview = Annotated[
    str,
    option("--preview", LEVELS, "Levels to decode to previews/ after every window, such as top.", default="none"),
]
Plots = Annotated[
    bool,
    flag("--plots", "Find when each word of --lyrics is sung: a plot and karaoke files (.lrc, .vtt) in plots/."),
]
Loudness = Annotated[
    float | None,
    option("--loudness", "LUFS", "Bring the audio files to this loudness, such as -16.", default="as generated"),
]
Separator = Annotated[
    str | None,
    option(
        "--separator",
        "PATH|NAME",
        "Weights of demucs: a file, a folder, or a name on the hub.",
        default="htdemucs, from the hub",
    ),
]
MatchLoudness = Annotated[
    bool,
    flag(
        "--match-loudness/--no-match-loudness",
        "Begin the new music as loud as the prompt ends, with a gain that fades over 6 s.",
    ),
]
Fade = Annotated[float, option("--fade", "SECONDS", "Length of a fade-out at the end of the audio.")]
PromptSeconds = Annotated[
    float,
    option("--prompt-seconds", "SECONDS", "Length of the recording to begin with; all of it, if shorter."),
]
Start = Annotated[float, option("--start", "SECONDS", "Time in the recording at which that part begins.")]
Open = Annotated[bool, flag("--open", "Open the result with the program that the system has for it.")]
Overwrite = Annotated[bool, flag("--overwrite", "Start over if the folder holds another song.")]
Force = Annotated[bool, flag("--force", "Accept codes and weights that were made with another model.")]
DryRun = Annotated[bool, flag("--dry-run", "Estimate time and memory on this machine, and make nothing.")]
ShowProgress = Annotated[
    ProgressStyle,
    typer.Option(
        "--progress", help="Progress on stderr; json is for scripts, and prints one object for each saved window."
    ),
]


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingOptions:
    """Options of the commands that sample. A command with another default or help text has a subclass."""

    artist: Artist = None
    genre: Genre = None
    lyrics: Lyrics = None
    midi: Midi = None
    midi_at: MidiAt = 0.0
    tempo: Tempo = None
    meter: Meter = None
    no_beat: NoBeat = False
    schedule: Schedule = None
    model: Model = None
    adapter: Adapter = None
    seconds: Seconds = None
    song_seconds: SongSeconds = None
    start_at: StartAt = None
    ending: Ending = False
    samples: Samples = 1
    keep: Keep = None
    seed: Seed = None
    levels: Levels = ALL_LEVELS
    temperature: Temperature = None
    guidance: Guidance = None
    top_p: TopP = None
    top_k: TopK = None
    expected: Expected = None
    advance: Advance = None
    parallel: Parallel = None
    preview: Preview = ""
    plots: Plots = False
    loudness: Loudness = None
    fade: Fade = 0.0
    match_loudness: MatchLoudness = True
    format: Format = None
    open: Open = False
    overwrite: Overwrite = False
    force: Force = False
    device: Device = "auto"
    precision: Precision = "auto"
    threads: Threads = None
    max_memory: MaxMemory = None
    dry_run: DryRun = False
    show: ShowProgress = ProgressStyle.AUTO
    origins: Mapping[str, str] = field(default_factory=dict)  # of values that are settings; no option

    def request(self, *, until: float | None = None) -> "Request":
        """Return the request that these options make. Raise BadInput, which names the option that is wrong."""
        from jukectl.lyrics.value import Lyrics
        from jukectl.plan.request import AdapterChoice, Request

        return Request(
            model=self.model,
            adapters=tuple(AdapterChoice(*parse_adapter(text)) for text in self.adapter or ()),
            artist=self.artist,
            genres=tuple(self.genre or ()),
            lyrics=None if self.lyrics is None else Lyrics.read(self.lyrics),
            midi=self.midi,
            midi_at=self.midi_at,
            tempo=self.tempo,
            meter=self.meter,
            no_beat=self.no_beat,
            seconds=self.seconds,
            song_seconds=self.song_seconds,
            start_at=self.start_at,
            ending=self.ending,
            schedule=() if self.schedule is None else read_schedule(self.schedule),
            samples=self.samples,
            keep=self.keep,
            seed=self.seed,
            levels=None if self.levels is None else parse_levels(self.levels),
            until=until,
            settings=self._settings(),
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            max_memory=parse_memory(self.max_memory),
            preview=parse_levels(self.preview),
            plots=self.plots,
            loudness=self.loudness,
            fade=self.fade,
            match_loudness=self.match_loudness,
            format=self.format,
            overwrite=self.overwrite,
            force=self.force,
            origins=self.origins,
        )

    def _settings(self) -> dict[str, dict[Level, float]]:
        """Return the settings of the levels, by name."""
        names = ("temperature", "top_p", "top_k", "expected", "advance", "guidance")
        settings = {name: parse_per_level("--" + name.replace("_", "-"), getattr(self, name)) for name in names}
        if self.parallel is not None:
            settings["parallel"] = dict.fromkeys(Level, parse_parallel(self.parallel))  # the top level stays whole
        return settings


PANELS = {
    "Style": (
        "artist",
        "genre",
        "lyrics",
        "midi",
        "midi_at",
        "tempo",
        "meter",
        "no_beat",
        "schedule",
        "model",
        "adapter",
    ),
    "Length": ("seconds", "prompt_seconds", "start", "song_seconds", "start_at", "ending"),
    "Sampling": (
        *(
            "samples",
            "keep",
            "seed",
            "levels",
            "temperature",
            "guidance",
            "top_p",
            "top_k",
            "expected",
            "advance",
            "parallel",
        ),
    ),
    "Files": ("preview", "plots", "format", "open", "loudness", "match_loudness", "fade", "overwrite", "force"),
    "Machine": ("device", "precision", "threads", "max_memory", "dry_run", "show"),
}
"""Panels of the help, and the parameters in each, in order. All other options stand before them, in no panel."""

PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
PLACE_OF = {name: place for place, name in enumerate(PANEL_OF)}

THE_SONGS = dict.fromkeys(
    (
        *("artist", "genre", "lyrics", "schedule", "model", "adapter", "song_seconds"),
        *("temperature", "guidance", "top_p", "top_k", "expected", "advance", "parallel"),
    ),
    "the song's",
)
"""Defaults, as the help shows them, of commands that start from a song."""

Command = Callable[..., Any]


def sampling_command(
    *, only: Collection[str] = (), without: Collection[str] = (), shown: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options of a dataclass, as parameters that typer sees.

    The command has a parameter `options`, annotated with SamplingOptions or a subclass. Its fields take the place of
    that parameter: all of them, `only` those named, or all `without` those named, which keep their defaults. `shown`
    has the texts of defaults that the help shows in place of those of the fields. Parameters are sorted by PANELS.
    """

    def decorate(command: Command) -> Command:
        own = dict(inspect.signature(command).parameters)
        options = own.pop("options").annotation
        unknown = {*only, *without} - {field.name for field in fields(options)}
        assert not unknown, f"{options.__name__} has no {unknown}"
        hints = get_type_hints(options, include_extras=True)
        shared = {
            field.name: inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(options)
            if (field.name in only if only else field.name not in without) and field.name != "origins"
        }

        @wraps(command)
        def expanded(**given: Any) -> Any:
            context = given.get("context")
            chosen = options(
                **{name: given.pop(name) for name in shared}, origins=origins(context) if context is not None else {}
            )
            return command(**given, options=chosen)

        parameters = sorted((own | shared).values(), key=_place)
        signature = inspect.Signature([_for_the_help(one, (shown or {}).get(one.name)) for one in parameters])
        expanded.__signature__ = signature  # type: ignore[attr-defined]
        expanded.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        return expanded

    return decorate


def _info(parameter: inspect.Parameter) -> Any:
    """Return the description of a parameter for typer, or None."""
    return get_args(parameter.annotation)[1] if get_origin(parameter.annotation) is Annotated else None


def _place(parameter: inspect.Parameter) -> int:
    """Return the place of an option among those of PANELS; all others come first, and arguments keep their order."""
    return PLACE_OF.get(parameter.name, -1) if isinstance(_info(parameter), OptionInfo) else -1


def _for_the_help(parameter: inspect.Parameter, shown: str | None) -> inspect.Parameter:
    """Return a parameter with its panel and the text of its default."""
    if isinstance(info := _info(parameter), OptionInfo):
        info = copy(info)  # other commands use the same one without a panel
        info.rich_help_panel = PANEL_OF.get(parameter.name)
        info.show_default = shown or info.show_default
        parameter = parameter.replace(annotation=Annotated[get_args(parameter.annotation)[0], info])
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)  # so that one without a default may come last
