"""`jukectl eval`: measures of models and of songs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from jukectl.cli import options as o
from jukectl.cli import tables
from jukectl.cli.app import App
from jukectl.cli.console import progress, show_facts
from jukectl.cli.options import Model, SamplingOptions, sampling_command
from jukectl.cli.values import parse_levels
from jukectl.codes.level import Level

app = App(help="Measure a model on held-out music, and songs against their prompts and the training data.")


def held_out_songs(default: str) -> Any:
    """Return the option --held-out of a measure with its own default."""
    return o.option(
        "--held-out",
        "FILE",
        "Songs held out from training: a file of glob patterns for paths of the manifest, one per line.",
        default=default,
    )


HeldOut = Annotated[Path | None, held_out_songs("all songs")]
Songs = Annotated[list[Path], typer.Argument(help="Song folders.")]
Plots = Annotated[
    Path | None,
    o.option("--plots", "FOLDER", "Draw plots into this folder.", default="none", file_okay=False),
]


@app.command()
def reconstruction(
    context: typer.Context,
    audio: Annotated[list[Path], typer.Argument(help="Audio files, or a manifest.jsonl from jukectl data scan.")],
    model: Model = None,
    held_out: HeldOut = None,
    seconds: Annotated[
        float | None,
        o.option("--seconds", "SECONDS", "Longest part of each file, from its middle.", default="all"),
    ] = None,
    levels: Annotated[str, typer.Option("--levels", help="Which levels.")] = "top,middle,bottom",
    visqol: Annotated[
        bool,
        o.flag(
            "--visqol", "Add ViSQOL, a predicted listener rating: slow, needs pip install 'visqol-python\\[accel]'."
        ),
    ] = False,
    plots: Plots = None,
) -> None:
    """Encode and decode recordings, and measure how close each level comes to the original.

    Spectral convergence, multi-resolution STFT and log-mel distances: lower is better. SI-SDR and ViSQOL: higher is
    better. Beat: mean autocorrelation of the onset strength at one and two beats. Note F1: transcribed notes against a
    MIDI file next to the recording, if basic-pitch is installed. Stable codes: the share that stays the same if the
    recording begins 1.5 ms later. Entropy: of the codes of all recordings together.

    Example: jukectl eval reconstruction riff.wav --seconds 10
    """
    from jukectl.evaluation.reconstruction import evaluate_reconstruction

    with progress(context) as listener:
        facts = evaluate_reconstruction(
            audio,
            model=model or "mini",
            held_out=held_out,
            seconds=seconds,
            among=parse_levels(levels),
            with_visqol=visqol,
            plots=plots,
            listener=listener,
        )
    show_facts(context, facts, tables.reconstruction(facts))


@app.command()
def prior(
    context: typer.Context,
    codes: Annotated[Path, typer.Argument(help="Folder of codes from jukectl data encode.")],
    model: Model = None,
    held_out: HeldOut = None,
    segments: Annotated[
        int,
        o.option("--segments", "N", "Segments to measure each level on, spread over the songs.", min=1),
    ] = 48,
    levels: Annotated[str, o.option("--levels", o.ANY_LEVELS, "Levels whose priors are measured.")] = o.ALL_LEVELS,
    plots: Plots = None,
) -> None:
    """Measure the bits per code of each prior, against n-gram baselines and against wrong labels or none.

    Lower is better. Unigrams and bigrams are counted in the songs that are not held out. The second table has the bits
    per code that the true labels save, over the first codes of a segment and over all of it, with a 95 % confidence
    interval of the mean over songs. The last column is the most that labels can save against the best prior without
    them, since the music itself soon shows its style.

    Example: jukectl eval prior codes --held-out examples/mini/held_out.txt
    """
    from jukectl.evaluation.prior import evaluate_prior

    with progress(context) as listener:
        facts = evaluate_prior(
            codes,
            model=model or "mini",
            held_out=held_out,
            among=parse_levels(levels),
            segments=segments,
            plots=plots,
            listener=listener,
        )
    show_facts(context, facts, tables.prior(facts))


@app.command()
def lyrics(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="Model whose top prior reads lyrics: its name, folder, or training run.")
    ],
    codes: Annotated[
        Path,
        o.option("--codes", "FOLDER", "Folder of codes with lyrics, from jukectl data encode."),
    ],
    held_out: Annotated[Path | None, held_out_songs("the validation songs of jukectl data scan")] = None,
    segments: Annotated[
        int,
        o.option("--segments", "N", "Segments to measure, spread over the held-out songs.", min=1),
    ] = 48,
    plots: Plots = None,
) -> None:
    """Measure the bits per code that lyrics save a top prior, and how well its attention finds the onsets of words.

    The right lyrics are compared with as many characters of another held-out song, with a 95 % confidence interval of
    the mean over songs. Word onsets need .lrc lyrics with times of words. The layer and head of the attention are
    chosen on songs that are not held out.

    Example: jukectl eval lyrics build/singing/runs/lyrics-encoder --codes build/singing/codes
    """
    from jukectl.evaluation.lyrics import evaluate_lyrics

    with progress(context) as listener:
        facts = evaluate_lyrics(model, codes, held_out=held_out, segments=segments, plots=plots, listener=listener)
    show_facts(context, facts, tables.lyrics(facts))


@dataclass(frozen=True, kw_only=True, eq=False)
class NotesOptions(SamplingOptions):
    """Options of the songs that are made to measure how notes are followed."""

    seconds: o.Seconds = 20.0
    seed: o.Seed = 0
    levels: o.Levels = "top"


@app.command()
@sampling_command(
    only=(
        *("artist", "genre", "seconds", "song_seconds", "seed", "levels", "temperature"),
        *("device", "precision", "max_memory"),
    ),
    shown={
        **dict.fromkeys(("artist", "genre"), "by the tags of a recording next to FILE.mid, if any"),
        **{"seconds": "20", "song_seconds": "the length of the file", "seed": "0"},
    },
)
def midi(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Model whose top prior follows notes: its name or folder.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.mid...", help="MIDI files, best of songs outside the training data.")
    ],
    options: NotesOptions,
    guidance: Annotated[
        list[float] | None,
        o.option("--guidance", "X", "Guidance to measure at; repeat for several.", default="1"),
    ] = None,
    out: Annotated[
        Path | None,
        o.option(
            "--out",
            "FOLDER",
            "Keep the songs in this folder; songs that are already there are not made again.",
            default="not kept",
        ),
    ] = None,
) -> None:
    """Measure how well a model follows notes: songs made from MIDI files are transcribed and compared with the files.

    The measure is note F1: a note counts if one of the same pitch begins within 50 ms of it; drums are left out; higher
    is better. The F1 against the notes of the other files is the level of chance. Each song is also made without notes.
    If a recording lies next to each file, such as FILE.flac, it is transcribed too, and so are its decoded top codes,
    which are the most that this level can reach. It needs the packages of jukectl data transcribe.

    Example: jukectl eval midi build/midi/model tune.mid other.mid --seconds 10 --guidance 1 --guidance 3
    """
    from jukectl.evaluation.notes_followed import evaluate_midi

    request = options.request()
    with progress(context) as listener:
        facts = evaluate_midi(model, files, request, guidance=guidance or [1.0], out=out, listener=listener)
    show_facts(context, facts, tables.midi(facts))


@app.command()
def continuation(
    context: typer.Context,
    songs: Songs,
    reference: Annotated[
        list[Path] | None,
        o.option(
            "--reference", "FILE", "Recording or manifest.jsonl to compare with; repeat for several.", default="none"
        ),
    ] = None,
    held_out: HeldOut = None,
    plots: Plots = None,
) -> None:
    """Measure how much the new part of a song differs from its prompt.

    Key: steps on the circle of fifths. Tempo: percent, ignoring double and half time. Chroma: cosine distance. Timbre:
    distance of mean MFCCs. Loudness: LU. The last columns are the shares of half seconds that repeat or are silent.
    The second table has what the new part keeps: its beat as a share of that of the recording's own continuation; tempo
    and key; attacks, dynamic range and notes as shares of the prompt's; and the step of loudness at the seam.
    With --reference, recordings are measured over as many seconds, continued by themselves and by another recording.

    Example: jukectl eval continuation my-song --reference build/mini/music/manifest.jsonl
    """
    from jukectl.evaluation.continuation import evaluate_continuation

    with progress(context) as listener:
        facts = evaluate_continuation(
            songs, reference=reference or (), held_out=held_out, plots=plots, listener=listener
        )
    show_facts(context, facts, tables.continuation(facts))


@app.command()
def music(
    context: typer.Context,
    songs: Annotated[list[Path], typer.Argument(help="Song folders, or audio files with a genre in their tags.")],
    against: Annotated[
        Path | None,
        o.option(
            "--against",
            "MANIFEST",
            "Compare with the held-out recordings of a manifest.jsonl; its others teach a classifier of genre.",
            default="none",
        ),
    ] = None,
    held_out: Annotated[Path | None, held_out_songs("the validation songs of jukectl data scan")] = None,
) -> None:
    """Measure songs without their prompts: beat, dynamics, spectrum, notes and genre, as medians of each genre.

    Beat: 0.3 to 0.8 is clear, noise has 0.06. Attacks, range and code tones: dB. Under 150 Hz: share of the power.
    Notes and rests: of a transcription, if basic-pitch is installed. With --against, the last row has the recordings,
    and FD-mel is the distance of log-mel spectra from theirs. The genre is recognised by a small classifier, whose own
    accuracy on held-out recordings is printed beside chance. With --json: one object, figures of every song.

    Example: jukectl eval music songs/* --against build/mini/music/manifest.jsonl
    """
    from jukectl.evaluation.music import evaluate_music

    with progress(context) as listener:
        facts = evaluate_music(songs, against=against, held_out=held_out, listener=listener)
    show_facts(context, facts, tables.music(facts))


@app.command()
def originality(
    context: typer.Context,
    songs: Songs,
    codes: Annotated[Path, o.option("--codes", "FOLDER", "Folder of the codes that the model was trained on.")],
    held_out: Annotated[Path | None, held_out_songs("none to compare with")] = None,
    level: Annotated[str, o.option("--level", o.LEVEL, "Level of the codes to compare.")] = "top",
    plots: Plots = None,
) -> None:
    """Find the longest runs of codes that new music shares with the training songs, and their sources.

    A near copy is a run in which four of five codes are equal. Prompts are left out. The last columns have the same for
    held-out songs, which were not in the training data, over as many seconds, and the percentile of the song among
    them: 50 is normal, and near 100 the music looks copied.

    Example: jukectl eval originality my-song --codes codes --held-out examples/mini/held_out.txt
    """
    from jukectl.evaluation.originality import evaluate_originality

    with progress(context) as listener:
        facts = evaluate_originality(
            songs, codes, held_out=held_out, level=Level.parse(level), plots=plots, listener=listener
        )
    show_facts(context, facts, tables.originality(facts))
