"""`jukectl eval`: models and songs judged."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli import tables
from jukectl.cli.console import progress, show_facts
from jukectl.cli.options import Model, parse_levels
from jukectl.cli.requests import build_request
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


@app.command()
def midi(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model whose top prior follows notes, by name or folder.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE.mid...", help="MIDI files, best of songs that it did not learn."),
    ],
    seconds: Annotated[float, typer.Option("--seconds", help="How much of each is made and judged.")] = 20.0,
    guidance: Annotated[
        list[float] | None,
        typer.Option("--guidance", help="How strongly notes and labels count; may be repeated. [default: 1]"),
    ] = None,
    artist: Annotated[
        str | None,
        typer.Option("--artist", help="In whose style. [default: by a recording's tags, if beside FILE.mid]"),
    ] = None,
    genre: Annotated[
        list[str] | None, typer.Option("--genre", help="In which genre; may be repeated. [default: likewise]")
    ] = None,
    song_seconds: Annotated[
        float | None,
        typer.Option("--song-seconds", help="Length of the song that the model is told. [default: that of the file]"),
    ] = None,
    temperature: o.Temperature = None,
    levels: Annotated[
        str, typer.Option("--levels", help="How far down it is made before it is heard: top, or top,middle,bottom.")
    ] = "top",
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same songs.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Keep the songs in this folder; those that are there are not made again."),
    ] = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    max_memory: o.MaxMemory = None,
) -> None:
    """Measure how well a model follows notes: what it makes of MIDI files, transcribed, against what is in them.

    Note F1: of notes that begin within 50 ms of one of the same pitch, drums aside; higher is better. "Others' notes"
    are those of the other files, so what is no more than them is chance. Without notes it is made once more. Where a
    recording lies beside each file, FILE.flac or such, it is heard too, itself and its top codes: the ceiling of that
    level. It needs what jukectl data transcribe needs.

    Example: jukectl eval midi build/midi/model tune.mid other.mid --seconds 10 --guidance 1 --guidance 3
    """
    from jukectl.evaluation.notes_followed import evaluate_midi

    request = build_request(
        seconds=seconds,
        artist=artist,
        genre=genre,
        song_seconds=song_seconds,
        temperature=temperature,
        levels=levels,
        seed=seed,
        device=device,
        precision=precision,
        max_memory=max_memory,
    )
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
