"""How well songs follow the notes that they are told: note F1 of what is made, transcribed, against the MIDI files.

For each held-out song its beginning is sampled with its notes and without any, and the recording itself is heard whole
and through the codec's top level. What basic-pitch hears of each is compared with the notes of the song, and with those
of every other one. Needs mir_eval, and what `jukectl data transcribe` needs:

    python examples/midi/evaluate.py build/midi/model build/mini/music/freedoom --out build/midi/songs
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np

from jukectl import pipeline
from jukectl.audio import io, mix
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import SAMPLE_RATE, transcribe
from jukectl.pipeline.request import Request

SONGS = (
    "COUNT2 (Game)", "DDTBL2 (Piano)", "DM2TTL (Piano)", "E3M1 (Orchestral)",
    "E3M8 (Game)", "OPENIN (Chiptune)", "RUNNI2 (Orchestral)", "THEDA3 (Chiptune)",
)  # fmt: skip
"""Of the songs that were held out, two of each rendering."""


@dataclass(frozen=True)
class Song:
    """A held-out song: its recording, and its notes without drums up to some second."""

    name: str
    recording: Path
    notes: Notes


def main() -> None:
    """Make what is missing, hear it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("music", type=Path, help="the folder of NAME.flac and NAME.mid")
    parser.add_argument("--out", type=Path, required=True, help="where the songs go")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0])
    parser.add_argument("--temperature", type=float, default=0.95)
    parser.add_argument("--levels", choices=["top", "bottom"], default="top")
    parser.add_argument("--songs", nargs="+", default=SONGS)
    options = parser.parse_args()
    songs = [
        Song(name, options.music / f"{name}.flac", cut(read_midi(options.music / f"{name}.mid"), options.seconds))
        for name in options.songs
    ]

    def recording(song: Song) -> np.ndarray:
        audio = io.load(song.recording, seconds=options.seconds)
        return mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]

    def through_codec(song: Song) -> np.ndarray:
        folder = options.out / "codec" / song.name
        if not folder.exists():
            pipeline.encode(
                song.recording, folder, levels=(Level.TOP,), model=str(options.model), seconds=options.seconds
            )
            pipeline.decode(folder, level=Level.TOP)
        return heard(next((folder / "previews").glob("*.wav")), options.seconds)

    def sampled(song: Song, guidance: float, *, told: bool) -> np.ndarray:
        folder = options.out / f"{'notes' if told else 'free'}-{guidance:g}-{options.temperature:g}" / song.name
        request = Request(
            model=str(options.model),
            artist="Freedoom",
            genres=(song.name.partition("(")[2].rstrip(")"),),
            midi=song.recording.with_suffix(".mid") if told else None,
            seconds=options.seconds,
            song_seconds=150.0,
            seed=0,
            levels=TOP_DOWN if options.levels == "bottom" else (Level.TOP,),
            settings={"guidance": {Level.TOP: guidance}, "temperature": {Level.TOP: options.temperature}},
        )
        return heard(pipeline.sample(folder, request).audio[0], options.seconds)

    rows: list[tuple[str, Callable[[Song], np.ndarray]]] = [
        ("the recording", recording),
        ("the recording, top codes decoded", through_codec),
        ("sampled without notes", lambda song: sampled(song, 1.0, told=False)),
    ]
    for strength in options.guidance:
        rows.append(
            (f"sampled with notes, guidance {strength:g}", lambda song, s=strength: sampled(song, s, told=True))
        )
    results = []
    print("| what is heard | own notes | others' notes | notes heard |")
    print("| --- | --- | --- | --- |")
    for name, sound in rows:
        found = [transcribe(sound(song)) for song in songs]
        own = [f1(song.notes, notes) for song, notes in zip(songs, found, strict=True)]
        others = [
            [f1(other.notes, notes) for other in songs if other.name.split()[0] != song.name.split()[0]]
            for song, notes in zip(songs, found, strict=True)
        ]
        print(
            f"| {name} | {np.mean(own):.3f} | {np.mean(others):.3f} | {np.mean([*map(len, found)]):.0f} |", flush=True
        )
        results.append({"what": name, "own": own, "others": others, "songs": [song.name for song in songs]})
    (options.out / f"results-{options.levels}.json").write_text(json.dumps(results, indent=1))


def heard(path: Path, seconds: float) -> np.ndarray:
    """An audio file, mono, as the transcription wants it."""
    audio = io.load(path, seconds=seconds)
    return mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]


def cut(notes: Notes, seconds: float) -> Notes:
    """The notes that begin before `seconds`, without drums, which the transcription does not hear."""
    kept = np.flatnonzero((notes.starts < seconds) & ~notes.drums)
    return Notes.of([
        (float(notes.starts[at]), float(notes.stops[at]), int(notes.pitches[at]), 80, False) for at in kept
    ])  # fmt: skip


def f1(reference: Notes, found: Notes) -> float:
    """Share of notes that begin within 50 ms of one of the same pitch: F1 by mir_eval, whatever their length."""
    if not len(found) or not len(reference):
        return 0.0
    return float(
        mir_eval.transcription.precision_recall_f1_overlap(*pairs(reference), *pairs(found), offset_ratio=None)[2]
    )


def pairs(notes: Notes) -> Sequence[np.ndarray]:
    """Intervals (N, 2) in seconds and frequencies (N,) in Hz."""
    stops = np.maximum(notes.stops, notes.starts + 0.02)
    return np.stack([notes.starts, stops], axis=1), 440 * 2 ** ((notes.pitches.astype(float) - 69) / 12)


if __name__ == "__main__":
    main()
