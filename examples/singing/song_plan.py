"""Plans of synthetic songs: words, notes, chords, and the files that describe them. No audio here."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 24.0  # of every song: a context of 2,048 codes at hop 256 and 22,050 Hz fits in
ARTISTS = {"Ada": 67, "Bruno": 52, "Cleo": 62}  # and the MIDI note in the middle of the voice
GENRES = ("A cappella", "Ballad", "Folk")
RANGE = 8  # semitones about the middle
SHORTEST, LONGEST = 0.18, 0.8  # seconds of a note
FEWEST, MOST = 3, 7  # words in a line
INTRO = (0.5, 5.0)  # seconds before the first word
REST = (0.3, 3.0)  # seconds between lines
SUNG_UNTIL = (14.0, 23.4)  # seconds
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Steps of the scale
PROGRESSIONS = (
    (0, 4, 5, 3),
    (0, 5, 3, 4),
    (5, 3, 0, 4),
    (0, 3, 4, 3),
    (0, 3, 0, 4),
    (1, 4, 0, 0),
)


@dataclass(frozen=True)
class Note:
    """A sung syllable. Seconds."""

    start: float
    end: float
    midi: int


@dataclass(frozen=True)
class Word:
    """A sung word, a note for each syllable."""

    text: str
    notes: tuple[Note, ...]

    @property
    def start(self) -> float:
        return self.notes[0].start

    @property
    def end(self) -> float:
        return self.notes[-1].end


@dataclass(frozen=True)
class Chord:
    """Three notes and a bass, and when they sound. Seconds."""

    start: float
    end: float
    notes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Song:
    """A planned song."""

    title: str
    artist: str
    genre: str
    lines: tuple[tuple[Word, ...], ...]
    chords: tuple[Chord, ...]  # none for a cappella

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines for word in line)


def read_words(path: Path) -> list[tuple[str, int]]:
    """Read a list of words with their numbers of syllables; lines that start with # are comments."""
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [(word.replace("-", ""), word.count("-") + 1) for line in lines for word in line.split()]


def plan_song(seed: str, words: Sequence[tuple[str, int]], rare: Sequence[tuple[str, int]] = ()) -> Song:
    """Return the song of a `seed`; about half of its words are from `rare`, if there are any."""
    draw = random.Random(seed)
    artist = draw.choice(tuple(ARTISTS))
    genre = draw.choice(GENRES)
    tonic, scale = draw.randrange(12), draw.choice((MAJOR, MINOR))
    melody = _Melody(draw, tonic, scale, ARTISTS[artist])
    lines = []
    until = draw.uniform(*SUNG_UNTIL)
    now = draw.uniform(*INTRO)
    while line := _line(draw, melody, _words_of_line(draw, words, rare), now, until):
        lines.append(line)
        now = line[-1].end + _skewed(draw, *REST)
    first = lines[0]
    return Song(
        title=f"{first[0].text} {first[1].text} {first[2].text}".capitalize(),
        artist=artist,
        genre=genre,
        lines=tuple(lines),
        chords=() if genre == "A cappella" else _chords(draw, tonic, scale),
    )


def _words_of_line(
    draw: random.Random, words: Sequence[tuple[str, int]], rare: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    lists = [draw.choice((words, rare)) if rare else words for _ in range(draw.randint(FEWEST, MOST))]
    return [draw.choice(one) for one in lists]


def _line(
    draw: random.Random, melody: "_Melody", words: Sequence[tuple[str, int]], start: float, until: float
) -> tuple[Word, ...]:
    """Return words one after another from `start`, as many as end before `until`; none if those are too few."""
    pace = draw.uniform(0.22, 0.5)  # seconds a note, about: each line has its own
    sung: list[Word] = []
    now = start
    for index, (text, syllables) in enumerate(words):
        notes = []
        for syllable in range(syllables):
            longer = draw.uniform(1, 2) if index == len(words) - 1 and syllable == syllables - 1 else 1.0
            length = min(max(pace * longer * draw.lognormvariate(0, 0.3), SHORTEST), LONGEST)
            notes.append(Note(round(now, 3), round(now + length, 3), melody.following()))
            now += length
        if now > until:
            break
        sung.append(Word(text, tuple(notes)))
        now += draw.choice((0.0, 0.0, draw.uniform(0.02, 0.1)))
    return tuple(sung) if len(sung) >= FEWEST else ()


def _skewed(draw: random.Random, low: float, high: float) -> float:
    """Return a random length, short ones being more frequent."""
    return low + (high - low) * draw.random() ** 2


class _Melody:
    """A random walk over the notes of a scale in the range of a voice."""

    def __init__(self, draw: random.Random, tonic: int, scale: Sequence[int], middle: int) -> None:
        self._draw = draw
        self._notes = [note for note in range(middle - RANGE, middle + RANGE + 1) if (note - tonic) % 12 in scale]
        self._place = len(self._notes) // 2

    def following(self) -> int:
        step = self._draw.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3))
        if not 0 <= self._place + step < len(self._notes):
            step = -step
        self._place += step
        return self._notes[self._place]


def _chords(draw: random.Random, tonic: int, scale: Sequence[int]) -> tuple[Chord, ...]:
    """Return a progression, repeated until the song ends."""
    progression, length = draw.choice(PROGRESSIONS), draw.uniform(1.4, 2.8)
    chords = []
    for index in range(int(SECONDS / length) + 1):
        steps = [progression[index % len(progression)] + third for third in (0, 2, 4)]
        pitches = [48 + tonic % 12 + scale[step % 7] + 12 * (step // 7) for step in steps]
        start = index * length
        if start < SECONDS - 0.5:
            chords.append(Chord(start, min(start + length, SECONDS), (pitches[0] - 12, *pitches)))
    return tuple(chords)


def lrc(song: Song) -> str:
    """Return enhanced LRC: the time of each line, and of each word before it."""
    lines = (
        f"[{_stamp(line[0].start)}]" + " ".join(f"<{_stamp(word.start)}>{word.text}" for word in line)
        for line in song.lines
    )
    return "\n".join(lines) + "\n"


def _stamp(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    return f"{thousandths // 60_000:02}:{thousandths // 1000 % 60:02}.{thousandths % 1000:03}"


def word_times(song: Song) -> str:
    """Return JSON: each word with its start and end in seconds, and its notes."""
    words = (
        {"word": word.text, "start": word.start, "end": word.end, "midi": [note.midi for note in word.notes]}
        for word in song.words
    )
    return "[\n" + ",\n".join(map(json.dumps, words)) + "\n]\n"


def tags(song: Song) -> str:
    """Return the TOML sidecar of a song for `jukectl data scan`."""
    return f'artist = "{song.artist}"\ngenres = ["{song.genre}"]\ntitle = "{song.title}"\nlicence = "CC0-1.0"\n'
