"""`jukectl eval`: models and songs judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli import tables
from jukectl.cli.console import progress, show_facts
from jukectl.cli.options import Model, SamplingOptions, sampling_command
from jukectl.cli.values import parse_levels
from jukectl.codes.level import Level

app = typer.Typer(help="Judge a model on music it has not heard, and songs on the music around them.")

HeldOut = Annotated[
    Path | None,
    typer.Option("--held-out", metavar="FILE", help="Which songs: a file of globs over the manifest, one a line."),
]
Songs = Annotated[list[Path], typer.Argument(help="Song folders.")]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", file_okay=False, help="Draw pictures into this folder.")
]


@app.command()
def reconstruction(
    context: typer.Context,
    audio: Annotated[
        list[Path], typer.Argument(help="Audio files, or a manifest.jsonl as jukectl data scan makes it.")
    ],
    model: Model = None,
    held_out: HeldOut = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="At most this much of each file, from its middle. [default: all]")
    ] = None,
    levels: Annotated[str, typer.Option("--levels", help="Which levels.")] = "top,middle,bottom",
    visqol: Annotated[
        bool,
        typer.Option(
            "--visqol",
            help="Add ViSQOL, how listeners would rate it: slow, and it needs pip install 'visqol-python[accel]'.",
        ),
    ] = False,
    plots: Plots = None,
) -> None:
    """Encode recordings, decode them again, and measure what is left of them at each level.

    Spectral convergence, multi-resolution STFT and log-mel distance: lower is better. SI-SDR and ViSQOL: higher is
    better. Beat: mean autocorrelation of onset strength at the beat and twice it. Note F1: transcribed notes against
    those of a MIDI file beside the recording, with basic-pitch installed. Stable codes: the share that stay the same
    when the recording begins 1.5 ms later. Entropy: of the codes of all recordings together.

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
    codes: Annotated[Path, typer.Argument(help="A folder of codes, as jukectl data encode makes it.")],
    model: Model = None,
    held_out: HeldOut = None,
    segments: Annotated[
        int, typer.Option("--segments", min=1, help="Segments to score a level on, spread over the songs.")
    ] = 48,
    levels: Annotated[str, typer.Option("--levels", help="Which priors.")] = "top,middle,bottom",
    plots: Plots = None,
) -> None:
    """Measure what a code costs each prior in bits, beside baselines and the prior with wrong labels or none.

    Less is better. Unigram and bigram are counted in the songs that are not held out. The second table tells what
    true labels save, in bits a code over the first codes of a segment and over all, with an interval that holds the
    mean over songs 95 times in 100. Over the best prior without labels it is no more than the last column: later the
    music itself tells its style.

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
        str, typer.Argument(help="A model whose top prior is told lyrics, by name or folder, or a training run.")
    ],
    codes: Annotated[
        Path, typer.Option("--codes", help="A folder of codes with lyrics, as jukectl data encode makes it.")
    ],
    held_out: HeldOut = None,
    segments: Annotated[
        int, typer.Option("--segments", min=1, help="Segments to score, spread over the held-out songs.")
    ] = 48,
    plots: Plots = None,
) -> None:
    """Measure what lyrics save a top prior in bits a code, and how near its attention comes to when words are sung.

    Other lyrics are those of another held-out song, as many characters; the interval holds the mean over songs 95 times
    in 100. Word onsets need songs with .lrc lyrics that have times for words. The layer and the head that are looked at
    are chosen on songs that are not held out. Without --held-out the scan's validation songs are.

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
        typer.Option("--guidance", metavar="X", help="Guidance to measure at; repeat for several.", show_default="1"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Keep the songs in this folder; songs that are already there are not made again.",
            show_default="not kept",
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
        typer.Option("--reference", help="Recordings or a manifest.jsonl to compare with. May be given several times."),
    ] = None,
    held_out: HeldOut = None,
    plots: Plots = None,
) -> None:
    """Measure how far the new part of songs is from their prompts.

    Key: steps between signatures on the circle of fifths. Tempo: percent, doubled or halved time aside. Chroma: one
    less the cosine. Timbre: distance of mean MFCC. Loudness: LU. Then the share of half seconds that come again, and of
    silence, in the new music. With --reference the same is measured in recordings, for as many seconds: how they go on
    themselves, and how a stranger would go on.

    Example: jukectl eval continuation my-song --reference build/mini/music/manifest.jsonl
    """
    from jukectl.evaluation.continuation import evaluate_continuation

    with progress(context) as listener:
        facts = evaluate_continuation(
            songs, reference=reference or (), held_out=held_out, plots=plots, listener=listener
        )
    show_facts(context, facts, tables.continuation(facts))


@app.command()
def originality(
    context: typer.Context,
    songs: Songs,
    codes: Annotated[Path, typer.Option("--codes", help="The code folder that the song's model learned from.")],
    held_out: HeldOut = None,
    level: Annotated[str, typer.Option("--level", help="The codes to compare: top, middle or bottom.")] = "top",
    plots: Plots = None,
) -> None:
    """Find the longest runs of codes that new music shares with the training songs, and where they come from.

    A near copy is a stretch in which four codes of five are equal. Prompts take no part. The columns behind them tell
    what held-out songs, which nobody learned from, share with the training songs in as many seconds, and the
    percentile of the song among them: 50 is as usual, near 100 looks copied.

    Example: jukectl eval originality my-song --codes codes --held-out examples/mini/held_out.txt
    """
    from jukectl.evaluation.originality import evaluate_originality

    with progress(context) as listener:
        facts = evaluate_originality(
            songs, codes, held_out=held_out, level=Level.parse(level), plots=plots, listener=listener
        )
    show_facts(context, facts, tables.originality(facts))
