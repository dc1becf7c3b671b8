"""Options that several commands share, and how their texts are read."""

import re
from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import Watching
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.schedule import Change, parse_schedule
from jukectl.errors import BadInput

LONGEST_SCHEDULE = 2**20  # bytes

Model = Annotated[
    str | None, typer.Option("--model", help="A model's name (jukectl models list) or its folder. [default: mini]")
]
Adapter = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="FILE[:STRENGTH]",
        help="Put on what jukectl train prior --adapter-rank has learned, with :0.5 at half its strength. "
        "May be repeated: they add up.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The song folder. One that was begun before is resumed.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps …")]
Precision = Annotated[
    str, typer.Option("--precision", help="auto, fp32, bf16, fp16 or, on processors, int8: of the priors.")
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Plan as if the device had no more memory than this for models: 8GB, 7.5GiB, 800MB; a bare 8 is 8GB. "
        "[default: all that is free]",
    ),
]
Artist = Annotated[
    str | None,
    typer.Option(
        "--artist",
        help="In whose style; see jukectl models show. A:0.6+B:0.4 is between two, A:0.5 half as strong. "
        "[default: nobody's]",
    ),
]
Genre = Annotated[
    list[str] | None,
    typer.Option(
        "--genre",
        help="In which genre, or A:0.7+B:0.3; may be repeated where the model takes several. [default: none]",
    ),
]
Lyrics = Annotated[
    Path | None,
    typer.Option(
        "--lyrics",
        help="A file of what is to be sung, for models that sing: plain text, or .lrc, whose times are followed. "
        "[default: nothing]",
    ),
]
Midi = Annotated[
    Path | None,
    typer.Option(
        "--midi",
        metavar="FILE",
        help="Follow the notes of a MIDI file, or of a recording, which is transcribed: for models that were trained "
        "to. [default: none]",
    ),
]
MidiAt = Annotated[
    float, typer.Option("--midi-at", help="Where in the new music the notes begin, in seconds; -2 skips two of theirs.")
]
SecondsOrNotes = Annotated[
    float | None, typer.Option("--seconds", help="Seconds of new music. [default: 20, or those of --midi]")
]
Seconds = Annotated[float, typer.Option("--seconds", help="Seconds of new music.")]
SongSeconds = Annotated[
    float | None,
    typer.Option(
        "--song-seconds", help="Length of the whole song that the model is told. [default: prompt and new music]"
    ),
]
StartAt = Annotated[
    float | None,
    typer.Option("--start-at", help="The second of that song at which this music begins. [default: 0]"),
]
Ending = Annotated[
    bool, typer.Option("--ending", help="Make the end of that song: begin so that both are over at once.")
]
Schedule = Annotated[
    Path | None,
    typer.Option(
        "--schedule",
        metavar="FILE.toml",
        help="What changes at which second: artist, genre, temperature, lyrics; see docs/CONTROL.md. "
        "[default: nothing]",
    ),
]
Samples = Annotated[int, typer.Option("--samples", help="How many different songs to make.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="The same seed makes the same song. [default: drawn, and kept in song.toml]"),
]
PerLevel = "One value, or one a level: top=0.99,bottom=0.9."
Temperature = Annotated[
    str | None, typer.Option("--temperature", help=f"Below 1 safer, above 1 wilder, 0 always the likeliest. {PerLevel}")
]
TopP = Annotated[
    str | None,
    typer.Option("--top-p", help=f"Draw from the likeliest codes that hold this much probability. {PerLevel}"),
]
TopK = Annotated[str | None, typer.Option("--top-k", help=f"Draw from so many likeliest codes; 0 from all. {PerLevel}")]
Guidance = Annotated[
    str | None,
    typer.Option(
        "--guidance",
        help=f"How strongly artist and genre count: 1 as learned, 1.5 or 2 more, at twice the work. {PerLevel}",
    ),
]
Advance = Annotated[
    str | None,
    typer.Option("--advance", help=f"How far a window moves on, in contexts; less is slower and smoother. {PerLevel}"),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        metavar="N",
        help="Cut the middle and the bottom level into N spans and make them at once: sooner done, and other codes. "
        "[default: 1, off]",
    ),
]
Levels = Annotated[str, typer.Option("--levels", help="Stop after these: top is the quick draft, then top,middle.")]
Preview = Annotated[
    str, typer.Option("--preview", help="Levels to decode to previews/ after every window, such as top.")
]
Plots = Annotated[
    bool,
    typer.Option(
        "--plots",
        help="With --lyrics, tell when each word is sung: a picture of what the model attends to, and karaoke files "
        "(.lrc, .vtt), in the song's plots/.",
    ),
]
Loudness = Annotated[
    float | None, typer.Option("--loudness", help="Bring the audio files to this loudness in LUFS, such as -16.")
]
Fade = Annotated[float, typer.Option("--fade", help="Seconds over which the audio files fade out at their end.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Begin anew where the folder holds another song.")]
Force = Annotated[
    bool, typer.Option("--force", help="Use codes and weights although they were made with another model.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Tell the time and the memory that it would take here, and begin nothing.")
]
ShowProgress = Annotated[
    Watching,
    typer.Option("--progress", help="auto; json: an object a window, on stderr, for scripts; or none."),
]


def parse_levels(text: str) -> tuple[Level, ...]:
    """Levels named in "top,middle", top first; BadInput or UnknownName otherwise."""
    named = {Level.parse(name) for name in text.split(",") if name.strip()}
    return tuple(level for level in TOP_DOWN if level in named)


def parse_per_level(option: str, text: str | None) -> dict[Level, float]:
    """Values of "0.98" (all levels) or "top=0.99,bottom=0.9" (those)."""
    if text is None:
        return {}
    if "=" not in text:
        return dict.fromkeys(Level, _number(option, text))
    values = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"{option} takes one value, or one a level such as top=0.99,bottom=0.9; got {text!r}")
        values[Level.parse(name)] = _number(option, value)
    return values


def parse_memory(text: str | None) -> int | None:
    """The bytes of "8GB" (thousands), "8GiB" (1024s), "800MB" or "8" (GB), in any case; BadInput otherwise."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(?:([kmgt])(i?)b?)?", text.strip().lower())
    if not found or not float(found[1]):
        raise BadInput(f"--max-memory is a size over 0 such as 8GB, 7.5GiB or 800MB; got {text!r}")
    steps = "kmgt".index(found[2] or "g") + 1
    size: float = float(found[1]) * (1024 if found[3] else 1000) ** steps
    return max(1, round(size))


def parse_adapter(text: str) -> tuple[Path, float | None]:
    """The file and the strength of "FILE" or "FILE:STRENGTH"."""
    path, colon, strength = text.rpartition(":")
    try:
        return (Path(path), float(strength)) if colon and not Path(text).exists() else (Path(text), None)
    except ValueError:  # a colon of the path itself, as in C:\\adapters
        return Path(text), None


def read_schedule(path: Path) -> tuple[Change, ...]:
    """The changes in a schedule's file; BadInput where it has none."""
    try:
        if not path.is_file():
            raise BadInput(f"--schedule takes a TOML file, and {path} is {'none' if path.exists() else 'not there'}")
        if path.stat().st_size > LONGEST_SCHEDULE:
            raise BadInput(f"{path} is no schedule: it has {path.stat().st_size} bytes")
        return parse_schedule(path.read_text(encoding="utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 (byte {error.start}): save the schedule as UTF-8 text") from error
    except OSError as error:
        raise BadInput(f"cannot read the schedule {path}: {error.strerror or error}") from error


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{option} takes a number, or one a level such as top=0.99,bottom=0.9; got {text!r}") from None
