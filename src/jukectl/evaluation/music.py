"""Measures of songs that need no prompt, by genre, beside those of recordings."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadAudio, BadInput
from jukectl.evaluation.fd_mel import Frames, fd_mel, mel_frames
from jukectl.evaluation.genre import GenreClassifier, balanced_accuracy
from jukectl.evaluation.inputs import middle, read_globs, rounded
from jukectl.evaluation.likeness import SHORTEST
from jukectl.evaluation.songs import SampleAudio, load_song
from jukectl.evaluation.traits import Stretch, Transcriber, facts_of, find_transcriber, medians
from jukectl.progress import Listener, Progress, ignore, warn

SECONDS = 20.0  # of each recording, from its middle
MOST_OF_A_GENRE = 24  # recordings that the classifier learns a genre from
LEAST_OF_A_GENRE = 3
MOST_HELD_OUT = 100  # recordings that songs are compared with

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Measured:
    """A song or a recording, measured."""

    about: Mapping[str, Any]  # what it is, for JSON
    figures: Mapping[str, Any]  # numbers and truth values, for JSON
    genres: tuple[str, ...]
    code_rate: float  # Hz
    frames: Frames


@dataclass(frozen=True, eq=False, kw_only=True)
class _Recordings:
    """Recordings that songs are compared with, and those of a genre that the classifier learns from."""

    held_out: Sequence[_Measured]
    held_in: Sequence[tuple[str, Frames]]
    skipped: Sequence[str]


def evaluate_music(
    songs: Sequence[Path],
    *,
    against: Path | None = None,
    held_out: Path | None = None,
    transcriber: Transcriber | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Measure songs (folders or audio files): each, the medians of each genre, and those of all.

    Prompts are left out. `against` is a manifest. Songs are compared with those of its recordings that `held_out`
    chooses, a file of globs, or else the scan; a classifier of genre learns from the others. `transcriber` is by
    default basic-pitch, if it is installed. Raises BadInput for songs that are too short and for manifests without
    recordings to compare with.
    """
    if not songs:
        raise BadInput("give songs to measure: folders, or audio files")
    if against is None and held_out is not None:
        raise BadInput("--held-out chooses songs of a manifest: give one with --against")
    split = None if against is None else _split(against, held_out)
    measure = _Measure(transcriber or find_transcriber())
    measured: list[_Measured] = []
    for number, path in enumerate(songs):
        listener(Progress("analysing songs", number, len(songs), path.name))
        measured += [measure.song(one) for one in load_song(path)]
    listener(Progress("analysing songs", len(songs), len(songs)))
    compared = None
    if against is not None and split is not None:
        compared = _measure_recordings(against.parent, *split, measured[0].code_rate, measure, listener)
    return _facts(measured, compared)


@dataclass(frozen=True)
class _Measure:
    """Settings of the measurement of songs and recordings."""

    transcriber: Transcriber | None

    def song(self, song: SampleAudio) -> _Measured:
        """Measure the new music of a song. Raises BadInput if it is too short."""
        if len(song.new) < SHORTEST * song.sample_rate:
            raise BadInput(
                f"{song.path} has {len(song.new) / song.sample_rate:.2f} s of new music, and {SHORTEST:g} s are needed"
            )
        about = {"name": song.name, "path": str(song.path), "sample": song.sample}
        return self._measure(song.new, song.sample_rate, song.code_rate, song.genres, about)

    def recording(self, path: Path, track: Track, code_rate: float) -> _Measured:
        """Measure the middle of a recording. Raises BadAudio if it cannot be read or is too short."""
        samples, sample_rate = _middle(path)
        return self._measure(samples, sample_rate, code_rate, track.genres, {})

    def _measure(
        self,
        samples: Samples,
        sample_rate: int,
        code_rate: float,
        genres: tuple[str, ...],
        about: Mapping[str, Any],
    ) -> _Measured:
        """Measure samples (N,)."""
        stretch = Stretch.measure(samples, sample_rate, code_rate=code_rate, transcriber=self.transcriber)
        portrait = stretch.portrait
        named = {
            "seconds": rounded(stretch.seconds, 3),
            "genre": ", ".join(genres) or None,
            "key": None if portrait.key is None else str(portrait.key),
        }
        figures = {
            "bpm": rounded(portrait.bpm, 1),
            "lufs": rounded(portrait.lufs, 2),
            "loops": rounded(portrait.repetition),
            "silence": rounded(portrait.silence),
            **facts_of(stretch.traits),
        }
        return _Measured(
            about={**about, **named},
            figures=figures,
            genres=genres,
            code_rate=code_rate,
            frames=mel_frames(samples, sample_rate),
        )


def _middle(path: Path) -> tuple[Samples, int]:
    """Load the middle SECONDS of a recording (N,), and its sample rate. Raises BadAudio if it is damaged or short."""
    start, seconds = middle(path, SECONDS)
    audio = io.load(path, start=start, seconds=seconds)
    if audio.seconds < SHORTEST:
        raise BadAudio(f"{path} is too short: {audio.seconds:.2f} s, and {SHORTEST:g} s are needed")
    return mix.to_mono(audio.samples), audio.sample_rate


def _split(manifest: Path, held_out: Path | None) -> tuple[list[Track], list[Track]]:
    """Return recordings to learn genres from, and at most MOST_HELD_OUT to compare with, spread over the manifest."""
    learned, compared = Manifest.load(manifest).split(read_globs(held_out) if held_out else ())
    if not compared:
        raise BadInput(f"{manifest} has no songs held out to compare with: name some with --held-out FILE")
    by_genre = defaultdict(list)
    for track in learned:
        if track.genres:
            by_genre[track.genres[0]].append(track)
    kept = [
        track
        for tracks in by_genre.values()
        if len(tracks) >= LEAST_OF_A_GENRE
        for track in _spread(tracks, MOST_OF_A_GENRE)
    ]
    return kept, _spread(compared, MOST_HELD_OUT)


def _spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, evenly spread."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def _measure_recordings(
    folder: Path,
    learned: Sequence[Track],
    compared: Sequence[Track],
    code_rate: float,
    measure: _Measure,
    listener: Listener,
) -> _Recordings:
    """Measure the recordings to compare with, and load those to learn from. Skip what cannot be read."""
    skipped: list[str] = []

    def each(stage: str, tracks: Sequence[Track], work: Callable[[Path, Track], T]) -> list[T]:
        """Do the work on those recordings that can be read."""
        done = []
        for number, track in enumerate(tracks):
            listener(Progress(stage, number, len(tracks), track.path))
            try:
                done.append(work(folder / track.path, track))
            except BadAudio as error:
                skipped.append(str(error))
                warn(listener, f"skipped: {error}")
        listener(Progress(stage, len(tracks), len(tracks)))
        return done

    held_out = each("analysing recordings", compared, lambda path, track: measure.recording(path, track, code_rate))
    held_in = each("learning genres", learned, lambda path, track: (track.genres[0], mel_frames(*_middle(path))))
    if not held_out:
        raise BadAudio(f"none of the {len(compared)} recordings to compare with can be used: {skipped[0]}")
    return _Recordings(held_out=held_out, held_in=held_in, skipped=skipped)


def _facts(measured: Sequence[_Measured], recordings: _Recordings | None) -> dict[str, Any]:
    """Return the figures of songs and of recordings for JSON."""
    classifier = _train(recordings.held_in) if recordings else None
    rows = [{**one.figures, **_genre_facts(one, classifier)} for one in measured]
    by_genre = defaultdict(list)
    for one, row in zip(measured, rows, strict=True):
        by_genre[one.about["genre"] or "no genre"].append(row)
    facts: dict[str, Any] = {
        "songs": [{**one.about, **row} for one, row in zip(measured, rows, strict=True)],
        "genres": {name: _summary(by_genre[name]) for name in sorted(by_genre)},
        "all": _summary(rows),
        "recordings": None,
        "fd_mel": None,
        "fd_mel_recordings": None,
        "genre_accuracy": None,
        "genre_chance": None,
        "genres_learned": [] if classifier is None else list(classifier.genres),
        "skipped": [] if recordings is None else list(recordings.skipped),
    }
    if recordings is None:
        return facts
    usual = [{**one.figures, **_genre_facts(one, classifier)} for one in recordings.held_out]
    frames = [one.frames for one in recordings.held_out]
    length = int(np.median([len(one.frames) for one in measured]))
    others = [one[:length] for _, one in _spread(recordings.held_in, len(measured))]
    facts |= {
        "recordings": _summary(usual),
        "fd_mel": rounded(fd_mel([one.frames for one in measured], frames), 1),
        "fd_mel_recordings": rounded(fd_mel(others, frames), 1) if others else None,
    }
    if classifier is not None:
        known = [
            (row["recognised"], one.genres[0])
            for one, row in zip(recordings.held_out, usual, strict=True)
            if one.genres and one.genres[0] in classifier.genres
        ]
        if known:
            facts["genre_accuracy"] = rounded(balanced_accuracy(*zip(*known, strict=True)))
        facts["genre_chance"] = rounded(1 / len(classifier.genres))
    return facts


def _train(held_in: Sequence[tuple[str, Frames]]) -> GenreClassifier | None:
    """Train the classifier of genre; None if there are fewer than two genres."""
    genres = [genre for genre, _ in held_in]
    return GenreClassifier.train([frames for _, frames in held_in], genres) if len(set(genres)) > 1 else None


def _genre_facts(measured: _Measured, classifier: GenreClassifier | None) -> dict[str, Any]:
    """Return the genre that a song sounds like, and whether it is one of its own; None if those were not learned."""
    if classifier is None:
        return {"recognised": None, "genre_recognised": None}
    found = classifier.classify(measured.frames)
    own = {genre.casefold() for genre in measured.genres}
    learned = own & {genre.casefold() for genre in classifier.genres}
    return {"recognised": found, "genre_recognised": found.casefold() in own if learned else None}


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the number of songs, how many are nearly silent, the medians, and the share whose genre was recognised."""
    silent = sum(row["nearly_silent"] for row in rows)
    return {"songs": len(rows), **medians(rows), "nearly_silent": silent}
