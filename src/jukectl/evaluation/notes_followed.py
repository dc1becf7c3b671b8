"""How well a model follows notes: what it makes of MIDI files, transcribed, against what is written in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.data.scan import read_overrides, read_tags
from jukectl.errors import BadInput
from jukectl.evaluation.inputs import rounded
from jukectl.midi.notes import SUFFIXES as MIDI_FILES
from jukectl.midi.notes import Notes, read_midi
from jukectl.midi.transcribe import SAMPLE_RATE, check_installed, transcribe
from jukectl.plan.conditioning import check_notes
from jukectl.plan.request import Request
from jukectl.progress import Listener, Progress, ignore
from jukectl.render.decode import decode
from jukectl.render.encode import encode
from jukectl.render.song import sample

RECORDINGS = (".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a")
"""Files that may lie beside a MIDI file, the music itself."""

DIGITS = 6  # of F1, so that a table's are rounded once

Hearer = Callable[[NDArray[np.float32]], Notes]
"""The notes of samples (n,), mono at the transcription's rate."""


@dataclass(frozen=True, eq=False)
class Tune:
    """A MIDI file, and the recording beside it, whose tags say how it is to sound."""

    name: str
    path: Path
    notes: Notes  # without drums, those that begin in the seconds that are judged
    seconds: float  # of the whole file
    recording: Path | None
    artist: str | None
    genres: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, seconds: float) -> "Tune":
        """A MIDI file and what lies beside it. BadInput where its first `seconds` have no notes but drums."""
        notes = read_midi(path)
        kept = np.flatnonzero((notes.starts < seconds) & ~notes.drums)
        if not len(kept):
            raise BadInput(f"{path} has no notes in its first {seconds:g} s but drums, which are not transcribed")
        within = Notes.of(
            [(float(notes.starts[at]), float(notes.stops[at]), int(notes.pitches[at]), 80, False) for at in kept]
        )
        recording = next((one for end in RECORDINGS if (one := path.with_suffix(end)).is_file()), None)
        artist, genres = _style(recording) if recording is not None else (None, ())
        return cls(path.stem, path, within, notes.seconds, recording, artist, genres)

    def plays_as(self, other: "Tune") -> bool:
        """Whether another file has the same notes: one tune in two renderings."""
        return np.array_equal(self.notes.starts, other.notes.starts) and np.array_equal(
            self.notes.pitches, other.notes.pitches
        )


def evaluate_midi(
    model: str,
    files: Sequence[Path],
    request: Request,
    *,
    guidance: Sequence[float] = (1.0,),
    out: Path | None = None,
    hear: Hearer | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Note F1 of what a model makes of the beginnings of MIDI files, by their own notes and by those of the others.

    Beside it stands what it makes without notes, and where a recording lies beside each file, what is heard of that
    and of its top codes: no more can be reached at that level. `request` says how long the beginnings are and how all
    is made; artist and genre that it leaves open are those of the recording's tags. Songs go to `out`, where those that
    are there are taken as they are, or nowhere. MissingTool without a transcription. BadInput where the model follows
    no notes.
    """
    if not files:
        raise BadInput("give MIDI files whose notes are to be followed")
    if wrong := [path for path in files if path.suffix.lower() not in MIDI_FILES]:
        raise BadInput(f"{wrong[0]} is no MIDI file by its name: what is to be followed must be known exactly")
    folder = catalogue.find(model)
    check_notes(folder.card)
    if hear is None:
        check_installed()
        hear = transcribe
    tunes = [Tune.read(path, request.seconds) for path in files]
    if len({tune.name for tune in tunes}) < len(tunes):
        raise BadInput("two of the files have the same name: they go by their names")
    made = _Songs(replace(request, model=model), listener)
    ways: list[tuple[str, float | None, Callable[[Tune, Path], Path]]] = []
    if all(tune.recording is not None for tune in tunes):
        ways += [("recording", None, _recording), ("codec", None, made.through_codec)]
    ways.append(("free", None, made.free))
    ways += [("notes", strength, made.following(strength)) for strength in guidance]
    rows = []
    with _kept_in(out) as place:
        for number, (what, strength, way) in enumerate(ways):
            found = []
            for index, tune in enumerate(tunes):
                listener(Progress("following notes", number * len(tunes) + index, len(ways) * len(tunes)))
                found.append(hear(_heard(way(tune, place), request.seconds)))
            rows.append({"what": what, "guidance": strength, **_figures(tunes, found)})
    listener(Progress("following notes", len(ways) * len(tunes), len(ways) * len(tunes)))
    return {
        "model": folder.card.name,
        "seconds": request.seconds,
        "seed": request.seed,
        "levels": [level.label for level in request.levels],
        "files": [str(path) for path in files],
        "rows": rows,
        "out": None if out is None else str(out),
    }


@dataclass(frozen=True)
class _Songs:
    """What a model makes of tunes, each in a folder of its own, and which file it is heard from."""

    request: Request
    listener: Listener

    def free(self, tune: Tune, place: Path) -> Path:
        """Made without notes."""
        return self._made(tune, place / "free" / tune.name, self.request)

    def following(self, guidance: float) -> Callable[[Tune, Path], Path]:
        """Made by the tune's notes, which count so strongly."""

        def made(tune: Tune, place: Path) -> Path:
            settings = {**self.request.settings, "guidance": {Level.TOP: guidance}}
            asked = replace(self.request, midi=tune.path, settings=settings)
            return self._made(tune, place / f"notes-{guidance:g}" / tune.name, asked)

        return made

    def through_codec(self, tune: Tune, place: Path) -> Path:
        """The tune's recording, encoded at the top level and decoded."""
        assert tune.recording is not None
        folder = place / "codec" / tune.name
        file, request = Song(folder).preview_path(Level.TOP, 0), self.request
        if not file.exists():
            model = request.model or catalogue.EMBEDDED
            encode(
                tune.recording, folder, levels=(Level.TOP,), model=model, seconds=request.seconds, device=request.device
            )
            decode(folder, level=Level.TOP, model=model, device=request.device)
        return file

    def _made(self, tune: Tune, folder: Path, request: Request) -> Path:
        styled = replace(
            request,
            artist=tune.artist if request.artist is None else request.artist,
            genres=request.genres or tune.genres,
            song_seconds=max(tune.seconds, request.seconds) if request.song_seconds is None else request.song_seconds,
        )
        return sample(folder, styled, listener=self.listener).audio[0]


def _recording(tune: Tune, place: Path) -> Path:
    assert tune.recording is not None
    return tune.recording


@contextmanager
def _kept_in(out: Path | None) -> Iterator[Path]:
    """The folder that songs go to; one that is gone afterwards where none is named."""
    if out is not None:
        yield out
        return
    with TemporaryDirectory(prefix="jukectl-midi-") as name:
        yield Path(name)


def _heard(path: Path, seconds: float) -> NDArray[np.float32]:
    """The beginning of an audio file, mono, as the transcription wants it."""
    audio = io.load(path, seconds=seconds)
    heard: NDArray[np.float32] = mix.resample(mix.to_mono(audio.samples)[None], audio.sample_rate, SAMPLE_RATE)[0]
    return heard


def _style(recording: Path) -> tuple[str | None, tuple[str, ...]]:
    """Artist and genres of a recording, by its tags and the corrections beside it."""
    tags, (corrected, _) = read_tags(recording), read_overrides(recording)
    artist = corrected.artist if corrected.artist is not None else next(iter(tags.get("artist", ())), "")
    return artist or None, corrected.genres if corrected.genres is not None else tags.get("genre", ())


def _figures(tunes: Sequence[Tune], found: Sequence[Notes]) -> Mapping[str, Any]:
    """F1 of what is heard of each tune against its own notes and the others', and means of both."""
    own = [note_f1(tune.notes, notes) for tune, notes in zip(tunes, found, strict=True)]
    others = [
        [note_f1(other.notes, notes) for other in tunes if not tune.plays_as(other)]
        for tune, notes in zip(tunes, found, strict=True)
    ]
    strangers = [float(np.mean(one)) for one in others if one]
    return {
        "own": rounded(float(np.mean(own)), DIGITS),
        "others": rounded(float(np.mean(strangers)), DIGITS) if strangers else None,
        "notes": rounded(float(np.mean([len(notes) for notes in found])), 1),
        "songs": [
            {
                "name": tune.name,
                "own": rounded(own[index], DIGITS),
                "others": rounded(float(np.mean(others[index])), DIGITS) if others[index] else None,
                "notes": len(found[index]),
            }
            for index, tune in enumerate(tunes)
        ],
    }


NEAR = 0.05
"""Seconds by which a beginning may be off, the custom of note transcription."""

TIME_DIGITS = 4  # of seconds, beyond which beginnings are the same; as mir_eval has it


def note_f1(reference: Notes, found: Notes) -> float:
    """F1 of notes that begin within 50 ms of one of the same pitch, whatever their length; each counts once at most.

    0 where either has none. The figure of mir_eval's precision_recall_f1_overlap without offsets.
    """
    if not len(reference) or not len(found):
        return 0.0
    hits = sum(
        _matches(*(sorted(one.starts[one.pitches == pitch].tolist()) for one in (reference, found)))
        for pitch in set(reference.pitches.tolist())
    )
    return 2 * hits / (len(reference) + len(found))


def _matches(written: list[float], heard: list[float]) -> int:
    """The most pairs of beginnings, in order, that are near each other: the earliest of both is paired, or in vain."""
    count = first = second = 0
    while first < len(written) and second < len(heard):
        apart = round(written[first] - heard[second], TIME_DIGITS)
        if abs(apart) <= NEAR:
            count, first, second = count + 1, first + 1, second + 1
        elif apart < 0:
            first += 1
        else:
            second += 1
    return count
