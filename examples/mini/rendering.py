"""Playing a score: MIDI events in seconds, excerpts, FluidSynth, and the notes and beats exactly as they sound."""

import io
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr
from scipy.signal import lfilter
from songs import Tags, save_song, written_whole

from jukectl.midi.beats import SUFFIX, BeatGrid

SAMPLE_RATE = 22_050  # Hz, that of the model
SYNTH_RATE = SAMPLE_RATE  # Hz; at twice the rate FluidSynth takes twice as long, for 2 to 4 dB less above 7 kHz
GAIN = "0.4"  # FluidSynth's
TAIL = 2.0  # seconds left for the last notes to ring
LEAD = 0.02  # seconds before the first beat of an excerpt
SILENCE = 10 ** (-50 / 20)  # of the peak; what is softer at both ends is cut
ATTACK = 0.005  # seconds kept before the first sample that is not silent
FADE = SAMPLE_RATE // 20  # samples, so that a cut ring does not click
LOUDNESS = -20.0  # dBFS, root mean square of what is not silent
DRUM_CHANNEL = 9
SLOWEST, FASTEST = 30.0, 240.0  # quarter notes a minute: momentary tempi of scores go from 2 to 2,400
TICKS_PER_BEAT, TEMPO = 480, 500_000  # of the MIDI files written here: 960 ticks a second
TICKS_PER_SECOND = TICKS_PER_BEAT * 1_000_000 / TEMPO
SHORTEST = 8.0  # seconds of a rendering that is worth keeping
STEADY = 0.6  # share of notes that must begin on quarters or thirds of a beat; of random times it is 0.4
NEAR = 0.03  # beats

Events = list[tuple[float, mido.Message]]  # seconds, message


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Instruments for a score. `programs`: the new program of each General MIDI family of eight; None keeps them."""

    genre: str = ""
    programs: tuple[int, ...] | None = None
    drums: bool = True
    voice: int | None = None  # the program of parts that are not played on a piano


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Settings of one rendering of a score."""

    arrangement: Arrangement
    font: str
    transpose: int  # semitones
    speed: float  # factor of the tempo
    longest: float  # seconds
    window: tuple[int, int] = (0, 1)  # which of how many excerpts
    pickup: float = 0.0  # quarter notes before the first downbeat
    reverb: float = 0.0  # FluidSynth's level; 0 is none
    left: float = 0.5  # weight of the left channel in the down-mix
    tilt: float = 0.0  # dB by which highs are louder than lows
    loudness: float = LOUDNESS
    is_free: bool = False  # played by a person: notes need not be on the grid


def clipped_tempo(microseconds: int, speed: float) -> int:
    """Return the microseconds of a quarter note played `speed` times as fast, from SLOWEST to FASTEST."""
    bpm = min(max(60e6 / microseconds * speed, SLOWEST), FASTEST)
    return round(60e6 / bpm)


def arranged(midi: mido.MidiFile, how: Performance) -> mido.MidiFile:
    """Return the score in one track with other instruments, transposed, at another tempo. Drums stay as they are."""
    track = mido.MidiTrack(_first_programs(how.arrangement))
    if not _names_tempo(midi):
        track.append(mido.MetaMessage("set_tempo", tempo=clipped_tempo(TEMPO, how.speed)))
    ticks = 0
    for message in mido.merge_tracks(midi.tracks):
        ticks += message.time
        changed = _changed(message, how)
        if changed is not None:
            track.append(changed.copy(skip_checks=True, time=ticks))
            ticks = 0
    return mido.MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat, tracks=[track])


def _names_tempo(midi: mido.MidiFile) -> bool:
    """Return whether a score begins with a tempo."""
    return any(
        message.type == "set_tempo" and not ticks for track in midi.tracks for ticks, message in _absolute(track)
    )


def _absolute(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
    """Yield the messages of a track with the ticks at which they come."""
    ticks = 0
    for message in track:
        ticks += message.time
        yield ticks, message


def _first_programs(arrangement: Arrangement) -> Iterable[mido.Message]:
    """Yield the instruments of parts that name none, which are pianos by default."""
    if arrangement.programs is not None:
        for channel in range(16):
            if channel != DRUM_CHANNEL:
                yield mido.Message("program_change", channel=channel, program=arrangement.programs[0])


def _changed(message: mido.Message, how: Performance) -> mido.Message | None:
    """Return one message as it is played; None where it is left out."""
    if message.type == "set_tempo":
        return message.copy(tempo=clipped_tempo(message.tempo, how.speed))
    if message.is_meta or message.type == "sysex":
        return message if message.type in ("time_signature", "end_of_track") else None
    if message.channel == DRUM_CHANNEL:
        return message if how.arrangement.drums else None
    return _changed_note(message, how) if message.type in ("note_on", "note_off") else _changed_sound(message, how)


def _changed_note(message: mido.Message, how: Performance) -> mido.Message | None:
    note = message.note + how.transpose
    return message.copy(note=note) if 0 <= note < 128 else None


def _changed_sound(message: mido.Message, how: Performance) -> mido.Message | None:
    arrangement = how.arrangement
    if message.type == "pitchwheel" and arrangement.genre == "Piano":
        return None
    if message.type != "program_change":
        return message
    program = message.program
    if arrangement.programs is not None:
        program = arrangement.programs[program // 8]
    elif arrangement.voice is not None and program >= 8:
        program = arrangement.voice
    return message.copy(program=program)


def in_seconds(midi: mido.MidiFile) -> Events:
    """Return the messages of a MIDI file of one track with the times at which they come."""
    events: Events = []
    seconds, tempo = 0.0, TEMPO
    for message in midi.tracks[0]:
        seconds += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        elif not message.is_meta:
            events.append((seconds, message))
    return events


def is_start(message: mido.Message) -> bool:
    """Return whether a note begins."""
    return message.type == "note_on" and message.velocity > 0


def excerpt(events: Events, start: float, longest: float) -> Events:
    """Return the events of an excerpt, from second 0 on.

    Instruments and controllers that were set before come first; notes that began before are left out, notes that
    are held at the end are let go.
    """
    settings: dict[tuple[object, ...], mido.Message] = {}
    kept: Events = []
    held: set[tuple[int, int]] = set()  # (channel, note)
    for seconds, message in events:
        if message.type in ("note_on", "note_off"):
            if start <= seconds < start + longest:
                kept.append((seconds - start, message))
                (held.add if is_start(message) else held.discard)((message.channel, message.note))
        elif seconds < start:
            settings[message.type, message.channel, getattr(message, "control", None)] = message
        elif seconds < start + longest:
            kept.append((seconds - start, message))
    # Bank and program changes in the order in which they came
    first = [(0.0, message) for message in settings.values()]
    end = min(longest, max((seconds for seconds, _ in kept), default=0.0))
    stops = [(end, mido.Message("note_off", channel=channel, note=note)) for channel, note in sorted(held)]
    return first + kept + stops


def moved(events: Events, seconds: float) -> Events:
    """Return the events so much later; those that would come before 0 come at 0."""
    return [(max(0.0, time + seconds), message) for time, message in events]


def midi_of(events: Events) -> bytes:
    """Return a MIDI file of events, exact to a millisecond, at 120 beats a minute whatever the music's tempo."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO)])
    last = 0
    for seconds, message in events:
        tick = max(last, round(seconds * TICKS_PER_SECOND))
        track.append(message.copy(skip_checks=True, time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track", time=round(TAIL * TICKS_PER_SECOND)))
    file = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(file=file)
    return file.getvalue()


def bytes_of(midi: mido.MidiFile) -> bytes:
    """Return the content of a MIDI file."""
    file = io.BytesIO()
    midi.save(file=file)
    return file.getvalue()


def is_steady(grid: BeatGrid, events: Events) -> bool:
    """Return whether notes begin where the grid divides its beats, as they do not in music played without a click."""
    starts = np.array([seconds for seconds, message in events if is_start(message)])
    position = grid.phase(starts)
    shares = [np.mean(np.abs(position * parts - np.round(position * parts)) < NEAR * parts) for parts in (4, 3, 6)]
    return bool(max(shares) >= STEADY)


def window_start(grid: BeatGrid, events: Events, how: Performance) -> float:
    """Return the second at which the excerpt begins: at the first note, or at a downbeat further on."""
    starts = [seconds for seconds, message in events if is_start(message)]
    number, count = how.window
    begin, end = starts[0], starts[-1]
    if number == 0:
        return begin - LEAD
    bar = np.ceil(grid.bars(np.array([begin + (end - begin) * number / count]))[0])
    downbeats = grid.beats[np.abs(grid.bars(grid.beats) - bar) < 1e-6]
    return float(downbeats[0] if len(downbeats) else begin + (end - begin) * number / count) - LEAD


def synthesize(midi: bytes, font: Path, reverb: float) -> np.ndarray:
    """Return samples (N, 2) that FluidSynth plays, at SYNTH_RATE."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as scratch:
        score, wav = Path(scratch, "score.mid"), Path(scratch, "render.wav")
        score.write_bytes(midi)
        command = ["fluidsynth", "-ni", "-q", "-g", GAIN, "-r", str(SYNTH_RATE), "-C", "0", "-R", str(int(reverb > 0))]
        command += ["-z", "4096", "-o", "synth.dynamic-sample-loading=1", "-o", f"synth.reverb.level={reverb:.2f}"]
        command += ["-O", "float", "-T", "wav", "-F"]
        subprocess.run([*command, wav, font, score], check=True, capture_output=True, timeout=600)
        wave, _ = soundfile.read(wav, dtype="float32", always_2d=True)
        return wave


def recorded(wave: np.ndarray, rate: int, how: Performance) -> np.ndarray:
    """Return samples (N,) at SAMPLE_RATE: down-mixed, with the tone and loudness that were asked for."""
    mono = wave[:, 0] * how.left + wave[:, -1] * (1 - how.left)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE).astype(np.float32)
    return levelled(tilted(mono, how.tilt), how.loudness)


def tilted(wave: np.ndarray, decibels: float) -> np.ndarray:
    """Return samples with what is above 1 kHz louder by so many decibels than what is below."""
    pole = np.exp(-2 * np.pi * 1_000 / SAMPLE_RATE)
    low = lfilter([1 - pole], [1, -pole], wave).astype(np.float32)
    gain = 10 ** (decibels / 40)
    return low / gain + (wave - low) * gain


def levelled(wave: np.ndarray, loudness: float) -> np.ndarray:
    """Return samples whose parts that are not silent have a root mean square of `loudness` dBFS."""
    power = np.square(wave[: len(wave) // 1_024 * 1_024].reshape(-1, 1_024)).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 1e-4]
    return wave * (10 ** (loudness / 20) / np.sqrt(loud.mean())) if len(loud) else wave


def trimmed(wave: np.ndarray, longest: float) -> tuple[np.ndarray, float]:
    """Return samples without silence at the ends, at most `longest` seconds, and the seconds cut from the beginning."""
    loud = np.flatnonzero(np.abs(wave) > SILENCE * np.abs(wave).max(initial=0.0))
    if not len(loud):
        return wave[:0], 0.0
    first = max(0, int(loud[0]) - round(ATTACK * SAMPLE_RATE))
    kept = wave[first : int(loud[-1]) + FADE][: round(longest * SAMPLE_RATE)].copy()
    fade = min(FADE, len(kept))
    kept[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return kept, first / SAMPLE_RATE


def perform(midi: mido.MidiFile, how: Performance, font: Path) -> tuple[np.ndarray, bytes, BeatGrid | None]:
    """Return samples (N,), the MIDI file of what sounds, and its beats, None where the score tells none.

    All three have the same time zero. Raises ValueError where the score gives too little sound.
    """
    whole = arranged(midi, how)
    events = in_seconds(whole)
    if not any(is_start(message) for _, message in events):
        raise ValueError("no notes are left")
    grid: BeatGrid | None = BeatGrid.from_midi(bytes_of(whole), Path("score"), pickup=how.pickup)
    assert grid is not None
    start = window_start(grid, events, how)
    played = excerpt(events, start, how.longest)
    grid = grid.moved(-start)
    if not (how.is_free or is_steady(grid, played)):
        grid = None
    wave = recorded(synthesize(midi_of(played), font, how.reverb), SYNTH_RATE, how)
    wave, cut = trimmed(wave, how.longest + TAIL)
    seconds = len(wave) / SAMPLE_RATE
    if seconds < SHORTEST:
        raise ValueError(f"only {seconds:.1f} s sound")
    if grid is not None:
        grid = grid.moved(-cut).between(0.0, seconds)
    return wave, midi_of(moved(played, -cut)), grid


def save_performance(path: Path, midi: mido.MidiFile, how: Performance, font: Path, tags: Tags) -> float:
    """Write the FLAC file `path` and its notes and beats beside it; return its seconds."""
    wave, notes, grid = perform(midi, how, font)
    with written_whole(path.with_suffix(".mid")) as part:
        part.write_bytes(notes)
    if grid is not None:
        grid.save(path.with_suffix(SUFFIX))
    save_song(path, wave, SAMPLE_RATE, tags)  # last: who finds it finds the others
    return len(wave) / SAMPLE_RATE


def find_pickup(midi: mido.MidiFile) -> float:
    """Return the quarter notes before the first downbeat, of a score whose first bar may be short without saying so.

    Where velocities mark the bars, as in files made from ABC notation, they tell. Elsewhere the place is taken at which
    long, low and many notes begin with the bars and beats.
    """
    signs = [message for message in mido.merge_tracks(midi.tracks) if message.type == "time_signature"]
    top, bottom = (signs[0].numerator, signs[0].denominator) if signs else (4, 4)
    bar = 4 * top / bottom
    notes = _notes(midi)
    if not len(notes):
        return 0.0
    marked = notes[notes[:, 3] == 105, 0]
    if len(marked) > len(notes) / 20 and set(notes[:, 3].tolist()) <= {105.0, 95.0, 80.0}:
        places, counts = np.unique(np.round(marked % bar * 12) / 12 % bar, return_counts=True)
        return float(places[counts.argmax()])
    return _likeliest_pickup(notes, bar, beat=(3 if bottom >= 8 and top % 3 == 0 else 1) * 4 / bottom)


def _notes(midi: mido.MidiFile) -> np.ndarray:
    """Return the start and length in quarter notes, pitch and velocity of the notes (N, 4) of a score."""
    ticks, rows = 0, []
    begun: dict[tuple[int, int], tuple[int, int]] = {}
    for message in mido.merge_tracks(midi.tracks):
        ticks += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key = message.channel, message.note
        if key in begun:
            start, velocity = begun.pop(key)
            rows.append((start / midi.ticks_per_beat, (ticks - start) / midi.ticks_per_beat, message.note, velocity))
        if is_start(message):
            begun[key] = ticks, message.velocity
    return np.array(sorted(rows)) if rows else np.zeros((0, 4))


def _likeliest_pickup(notes: np.ndarray, bar: float, beat: float) -> float:
    """Return the place in the bar at which accents fit best; 0 where no other is clearly better."""
    weight = np.minimum(notes[:, 1], bar) * (1 + np.clip((64 - notes[:, 2]) / 16, 0, 2)) * notes[:, 3]
    step = beat / 3 if beat in (1.5, 0.75, 3.0) else beat / 2
    places = np.arange(0, bar - 1e-6, step)
    scores = []
    for place in places:
        position = (notes[:, 0] - place) % bar
        on_bar = np.minimum(position, bar - position) < beat / 16
        on_beat = np.abs(position / beat - np.round(position / beat)) < 1 / 16
        scores.append(float(weight[on_bar].sum() + 0.5 * weight[on_beat].sum()))
    best = int(np.argmax(scores))
    return float(places[best]) if scores[best] > 1.08 * scores[0] else 0.0


def programs_of(midi: mido.MidiFile) -> Sequence[int]:
    """Return the instruments of a score, drums apart."""
    changes = [message for track in midi.tracks for message in track if message.type == "program_change"]
    return sorted({message.program for message in changes if message.channel != DRUM_CHANNEL})


def families(program: int) -> tuple[int, ...]:
    """Return an instrument map that plays everything on one program."""
    return (program,) * 16
