"""Audio for a planned song: words of espeak-ng, sung through WORLD (Morise et al. 2016), over FluidSynth's chords."""

import io
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mido
import numpy as np
import soundfile
from song_plan import SECONDS, Chord, Note, Song, Word

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pyworld asks pkg_resources for its version
    import pyworld

SAMPLE_RATE = 22_050  # Hz
SAMPLES = round(SECONDS * SAMPLE_RATE)
FRAME = 0.005  # seconds
FRAMES = round(SECONDS / FRAME)
SPEAKERS = {"Ada": "en-us+f2", "Bruno": "en-us+m3", "Cleo": "en-us+f4"}  # espeak-ng's voices
WORDS_A_MINUTE = 130  # as it speaks, so that vowels are long enough to stretch
QUIET = 10 ** (-38 / 20)  # of a word's peak: what is under it at both ends is cut off
LOUDNESS = 0.08  # root mean square of a sung word
UNDER_VOICE = 10 ** (-16 / 20)  # loudness of the chords
VIBRATO = 0.25  # semitones each way, on long notes
VIBRATO_RATE = 5.5  # Hz
GLIDE = 9  # frames from note to note
PROGRAMS = {"Ballad": (0, 48), "Folk": (24,)}  # General MIDI: piano and strings; nylon guitar
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")


@dataclass(frozen=True)
class Spoken:
    """A spoken word, analysed by WORLD: F frames of B bands each."""

    spectrum: np.ndarray  # (F, B) power
    aperiodicity: np.ndarray  # (F, B) 0..1
    voiced: np.ndarray  # (F,) bool


@cache
def speak(artist: str, text: str) -> Spoken:
    """Speak a word in the artist's voice, trimmed and normalised in loudness."""
    command = ["espeak-ng", "-v", SPEAKERS[artist], "-s", str(WORDS_A_MINUTE), "--stdout", text]
    wave, rate = soundfile.read(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout))
    if rate != SAMPLE_RATE:
        raise SystemExit(f"espeak-ng speaks at {rate} Hz, not at {SAMPLE_RATE}")
    loud = np.flatnonzero(np.abs(wave) > QUIET * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1]
    wave = np.ascontiguousarray(wave * LOUDNESS / np.sqrt(np.mean(wave**2)))
    pitch, times = pyworld.dio(wave, rate, f0_floor=60.0, f0_ceil=600.0, frame_period=1000 * FRAME)
    pitch = pyworld.stonemask(wave, pitch, times, rate)
    aperiodicity = pyworld.d4c(wave, pitch, times, rate)
    voiced = (pitch > 0) & (aperiodicity[:, 0] < 0.999)
    return Spoken(pyworld.cheaptrick(wave, pitch, times, rate), aperiodicity, voiced)


def stretched(voiced: np.ndarray, frames: int) -> np.ndarray:
    """Return the place in a spoken word of F frames of each of `frames` sung ones, as a fraction of frames.

    A longer word is longer in its voiced part; its other consonants take no more than a fifth more time.
    """
    lengths = np.full(len(voiced), frames / len(voiced))
    rest = frames - 1.2 * np.count_nonzero(~voiced)
    if lengths[0] > 1.2 and voiced.any():
        lengths = np.where(voiced, rest / np.count_nonzero(voiced), 1.2)
    ends = np.cumsum(lengths)
    middles = ends - lengths / 2
    return np.interp(np.arange(frames) + 0.5, middles, np.arange(len(voiced)))


def pitch_of(notes: Sequence[Note], frames: int) -> np.ndarray:
    """Return the pitch (frames,) in Hz, with short glides between notes and vibrato on long ones."""
    start = notes[0].start
    times = (np.arange(frames) + 0.5) * FRAME + start
    index = np.clip(np.searchsorted([note.end for note in notes], times, side="right"), 0, len(notes) - 1)
    semitones = np.array([float(note.midi) for note in notes])[index]
    padded = np.pad(semitones, GLIDE // 2, mode="edge")
    semitones = np.convolve(padded, np.ones(GLIDE) / GLIDE, mode="valid")
    since = times - np.array([note.start for note in notes])[index]
    depth = VIBRATO * np.clip((since - 0.2) / 0.2, 0, 1)
    return 440 * 2 ** ((semitones + depth * np.sin(2 * np.pi * VIBRATO_RATE * since) - 69) / 12)


def sing(song: Song) -> np.ndarray:
    """Return the voice alone: samples (N,)."""
    bands = pyworld.get_cheaptrick_fft_size(SAMPLE_RATE) // 2 + 1
    spectrum = np.full((FRAMES, bands), 1e-14)
    aperiodicity = np.ones((FRAMES, bands))
    pitch = np.zeros(FRAMES)
    for word in song.words:
        spoken = speak(song.artist, word.text)
        span = frames_of(word)
        places = stretched(spoken.voiced, span.stop - span.start)
        spectrum[span] = between(spoken.spectrum, places)
        aperiodicity[span] = between(spoken.aperiodicity, places)
        voiced = spoken.voiced[np.rint(places).astype(int)]
        pitch[span] = np.where(voiced, pitch_of(word.notes, len(places)), 0)
    wave = pyworld.synthesize(pitch, spectrum, aperiodicity, SAMPLE_RATE, 1000 * FRAME)
    return np.pad(wave, (0, max(0, SAMPLES - len(wave))))[:SAMPLES]


def frames_of(word: Word) -> slice:
    return slice(round(word.start / FRAME), round(word.end / FRAME))


def between(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate rows at fractional indices."""
    below = np.minimum(places.astype(int), len(rows) - 1)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[:, None]
    return (1 - share) * rows[below] + share * rows[above]


def accompany(chords: Sequence[Chord], genre: str) -> np.ndarray:
    """Return the chords alone: samples (N,), mono."""
    with tempfile.TemporaryDirectory() as scratch:
        midi, wav = Path(scratch, "chords.mid"), Path(scratch, "chords.wav")
        chord_midi(chords, genre).save(midi)
        command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav"]
        subprocess.run([*command, "-F", wav, SOUNDFONT, midi], check=True, capture_output=True)
        wave = soundfile.read(wav, always_2d=True)[0].mean(axis=1)
    return np.pad(wave, (0, max(0, SAMPLES - len(wave))))[:SAMPLES]


def chord_midi(chords: Sequence[Chord], genre: str) -> mido.MidiFile:
    """Return held chords for a ballad, broken ones for folk."""
    events: list[tuple[float, mido.Message]] = []
    for channel, program in enumerate(PROGRAMS[genre]):
        events.append((0.0, mido.Message("program_change", channel=channel, program=program)))
        for chord in chords:
            for index, note in enumerate(chord.notes):
                delay = index * (chord.end - chord.start) / len(chord.notes) if genre == "Folk" else 0.0
                sounds = {"channel": channel, "note": note}
                events.append((chord.start + delay, mido.Message("note_on", velocity=64, **sounds)))
                events.append((chord.end - 0.02, mido.Message("note_off", velocity=0, **sounds)))
    midi = mido.MidiFile(ticks_per_beat=500)  # at 120 beats a minute: a tick is a thousandth of a second
    track = mido.MidiTrack()
    now = 0
    for seconds, message in sorted(events, key=lambda event: event[0]):
        tick = round(1000 * seconds)
        track.append(message.copy(time=tick - now))
        now = tick
    midi.tracks.append(track)
    return midi


def perform(song: Song) -> np.ndarray:
    """Return the whole song: samples (N,), peak below 1."""
    wave = sing(song)
    if song.chords:
        chords = accompany(song.chords, song.genre)
        wave = wave + chords * LOUDNESS * UNDER_VOICE / np.sqrt(np.mean(chords**2))
    return wave / max(1.0, np.abs(wave).max() / 0.95)
