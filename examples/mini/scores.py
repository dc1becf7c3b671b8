"""A folder of scores: what is played of it, in which ways, and in which order.

The folder has a manifest.tsv and a folder of MIDI files for each collection. Every choice depends on the name of what
is chosen alone, and the order is such that the first hours of any length have the same mix as all of them.
"""

import csv
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import symusic
from rendering import Arrangement, Performance, families, find_pickup
from songs import HELD_OUT, Tags, digest, random_of, share

HELD_OUT_SHARE = 1 / 20  # of tunes

# Hours in a hundred; the recordings take the rest
SHARES: Mapping[str, float] = {
    "band-irish": 20,
    "band-songs": 15,
    "freedoom": 12,
    "blasphemer": 1.5,
    "mutopia": 12,
    "irish-cre": 4,
    "openscore-lieder": 14,
    "openscore-quartets": 10,
    "groove": 5,
}
LONGEST: Mapping[str, float] = {"openscore-quartets": 120, "openscore-lieder": 110, "groove": 60}
LONGEST_OTHER = 148.0  # seconds of notes; the ring after them may take it to 150

# Families: piano chromatic organ guitar bass strings ensemble brass reed pipe lead pad effects ethnic percussive sounds
PIANO = Arrangement(genre="Piano", programs=families(0), drums=False)
ORCHESTRAL = Arrangement(
    genre="Orchestral", programs=(46, 45, 60, 61, 43, 48, 48, 61, 48, 56, 56, 48, 60, 45, 47, 44), drums=False
)
CHIPTUNE = Arrangement(genre="Chiptune", programs=(80, 80, 81, 81, 80, 81, 81, 81, 80, 80, 80, 81, 80, 80, 81, 81))
AS_WRITTEN = Arrangement()

LEADS = (40, 41, 42, 52, 53, 56, 60, 65, 66, 68, 69, 70, 71, 73, 74, 22, 11, 40, 73, 71)  # in place of a voice
KEYBOARDS = (3, 4, 6, 7, 11, 12, 15, 21, 24, 25, 26, 46, 16, 45)  # in place of a piano
SOLOISTS = (40, 40, 73, 74, 21, 22, 105, 107, 109, 24, 25, 0, 68, 71, 110)  # for a tune without accompaniment

GROOVE_GENRES = {
    **{"rock": "Rock", "punk": "Rock", "blues": "Rock", "pop": "Pop", "jazz": "Jazz", "soul": "Soul", "gospel": "Soul"},
    **{"funk": "Funk", "neworleans": "Funk", "afrobeat": "Funk", "highlife": "Funk", "hiphop": "Hip Hop"},
    **{"dance": "Electronic", "latin": "Latin", "afrocuban": "Latin", "middleeastern": "Latin"},
    **{"reggae": "Reggae", "country": "Country"},
}
COLLECTION_GENRES = {
    "freedoom": "Game",
    "blasphemer": "Game",
    "openscore-lieder": "Art Song",
    "openscore-quartets": "Chamber",
}
MUTOPIA_COMPOSERS = {"JoplinS": "Scott Joplin", "SousaJP": "John Philip Sousa", "Traditional": "Traditional"}
COLLECTORS = {  # the artist of music whose composers have little of it
    "openscore-lieder": "OpenScore",
    "openscore-quartets": "OpenScore",
    "band-songs": "Songbook",
    "mutopia": "Mutopia",
    "groove": "Groove",
    "freedoom": "Freedoom",
    "blasphemer": "Blasphemer",
    "irish-cre": "Traditional Irish",
    "band-irish": "Traditional Irish",
}
LEAST_HOURS = 0.7  # of a composer's music, to be an artist

# Held out by version 2 too, so that versions can be compared; DM10, MAP14, MAP15 and MAP16 are later names of OPENIN,
# DDTBL2, RUNNI2 and DEAD2
FREEDOOM_HELD_OUT = {
    *("COUNT2", "DDTBL2", "DEAD2", "DM10", "DM2TTL", "E3M1", "E3M5", "E3M8"),
    *("INTROA", "MAP14", "MAP15", "MAP16", "OPENIN", "RUNNI2", "THEDA3"),
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One line of manifest.tsv."""

    collection: str
    file: str
    composer: str
    title: str
    genre: str
    seconds: float
    bpm: float
    licence: str
    repository: str
    commit: str
    source: str  # path in the repository

    @property
    def name(self) -> str:
        """Name of the collection and the file."""
        return f"{self.collection}/{self.file}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A score to be played in one way."""

    score: Score
    variant: str  # part of the file's name
    arrangement: Arrangement
    window: tuple[int, int] = (0, 1)

    @property
    def name(self) -> str:
        """Return the text that seeds the random choices."""
        return f"{self.score.name} {self.variant}"

    @property
    def longest(self) -> float:
        """Seconds of notes that are played at most."""
        return LONGEST.get(self.score.collection, LONGEST_OTHER)

    @property
    def seconds(self) -> float:
        """Expected length in seconds."""
        return min(self.score.seconds / self.window[1] / speed(self), self.longest)


def read_scores(folder: Path) -> list[Score]:
    """Return the scores of a folder that has a manifest.tsv."""
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Score(
            collection=row["collection"],
            file=row["file"],
            composer=row["composer"].strip(),
            title=row["title"].strip(),
            genre=row["genre"].strip(),
            seconds=float(row["seconds"]),
            bpm=float(row["bpm"] or 120),
            licence=row["licence"],
            repository=row["source_repo"],
            commit=row["commit"],
            source=row["source_path"],
        )
        for row in rows
        if row["collection"] in SHARES
    ]


# Tunes


KINDS = re.compile(r"(reel|jig|hornpipe|polka|slide|the|setdance|march|air|version|first|second|original)+$")


def plain(text: str) -> str:
    """Return the letters and digits of a name, without case and accents."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in folded if one.isalnum())


def tune_of(score: Score) -> str:
    """Return what all arrangements of one tune have in common, in all collections.

    Irish tunes go by their name without the kind of dance and the number of the setting, other tunes by their title,
    classical music by composer and title.
    """
    if score.collection in ("irish-cre", "band-irish"):
        name = re.sub(r"\d+", "", plain(Path(score.source).stem))
        return KINDS.sub("", name) or name
    if score.collection in ("band-songs", "mutopia"):
        title = re.sub(r"^(the|a)\s+", "", score.title.casefold())
        return plain(title)
    if score.collection in ("openscore-lieder", "openscore-quartets"):
        return plain(score.composer + score.title)
    if score.collection == "freedoom":
        return plain(lump(score))
    return plain(Path(score.file).stem)


def lump(score: Score) -> str:
    """Return the name of a Freedoom song as in its WAD file: 'd_e1m1.mid' -> 'E1M1'."""
    return Path(score.file).stem.removeprefix("d_").replace("_", " ").upper()


def held_out_tunes(scores: Iterable[Score], folder: Path | None = None) -> set[str]:
    """Return the tunes kept for validation: one in twenty of each kind, by the hash of the tune's name.

    With `folder`, tunes that share their melody with one of them are kept too.
    """
    tunes: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        tunes[tune_of(score)].append(score)
    held = {tune for tune, of in tunes.items() if is_held_out(tune, of)}
    if folder is not None:
        lines = [score for score in scores if score.collection == "irish-cre"]
        held |= same_melody({score: melody(folder / score.name) for score in lines}, held)
    return held


def is_held_out(tune: str, scores: Sequence[Score]) -> bool:
    """Return whether a tune is kept for validation. Freedoom's are those of version 2."""
    freedoom = [score for score in scores if score.collection == "freedoom"]
    if freedoom:
        return any(lump(score) in FREEDOOM_HELD_OUT for score in freedoom)
    return share(f"tune {tune}") < HELD_OUT_SHARE


def melody(path: Path) -> tuple[int, ...]:
    """Return the intervals, in semitones, of a tune of one voice."""
    score = symusic.Score(path)  # mido takes a hundred times as long
    notes = sorted((note.time, number, note.pitch) for track in score.tracks for number, note in enumerate(track.notes))
    return tuple(np.diff([pitch for *_, pitch in notes]).tolist())


def same_melody(melodies: Mapping[Score, tuple[int, ...]], held: set[str], length: int = 10) -> set[str]:
    """Return the tunes of which a fifth of the runs of intervals are in one tune of `held`."""
    runs = {score: {line[i : i + length] for i in range(len(line) - length + 1)} for score, line in melodies.items()}
    kept = [own for score, own in runs.items() if tune_of(score) in held and own]
    return {tune_of(score) for score, own in runs.items() if own and any(len(own & one) > len(own) / 5 for one in kept)}


# Ways to play


def tasks_of(score: Score) -> list[Task]:
    """Return the ways in which a score is played."""
    if score.collection in ("freedoom", "blasphemer"):
        ways = {
            "Game": AS_WRITTEN,
            "Piano": PIANO,
            "Orchestral": ORCHESTRAL,
            "Chiptune": CHIPTUNE,
            "Game 2": AS_WRITTEN,
        }
        return [Task(score=score, variant=name, arrangement=way) for name, way in ways.items()]
    if score.collection == "mutopia":
        keyboard = Arrangement(programs=_on_keyboards(score))
        ways = {"1": AS_WRITTEN, "2": AS_WRITTEN, "keys": keyboard, "orchestral": ORCHESTRAL, "chiptune": CHIPTUNE}
        return [Task(score=score, variant=name, arrangement=way) for name, way in ways.items()]
    if score.collection == "openscore-quartets":
        count = max(1, int(score.seconds // LONGEST[score.collection]))
        return [_classical(score, f"{number}", (number, count)) for number in range(count)]
    if score.collection == "openscore-lieder":
        count = max(1, int(score.seconds // LONGEST[score.collection]))
        return [_classical(score, "1", (digest(score.name) % count, count))]
    if score.collection == "irish-cre":
        program = SOLOISTS[digest(f"solo {score.name}") % len(SOLOISTS)]
        return [Task(score=score, variant="solo", arrangement=Arrangement(programs=families(program)))]
    count = max(1, int(score.seconds // 120)) if score.collection == "groove" else 1
    return [
        Task(score=score, variant=f"{number}", arrangement=AS_WRITTEN, window=(number, count))
        for number in range(count)
    ]


def _on_keyboards(score: Score) -> tuple[int, ...]:
    """Return an instrument map with another instrument in place of the piano."""
    program = KEYBOARDS[digest(f"keys {score.name}") % len(KEYBOARDS)]
    return (program, *(8 * family for family in range(1, 16)))


def _classical(score: Score, variant: str, window: tuple[int, int]) -> Task:
    """Return a task for a song or a quartet: one in five on other instruments."""
    place = share(f"arrangement {score.name} {variant}")
    voice = None
    if score.collection == "openscore-lieder":
        voice = LEADS[digest(f"voice {score.name}") % len(LEADS)]
    way = Arrangement(voice=voice)
    for other, limit in ((PIANO, 0.07), (ORCHESTRAL, 0.14), (CHIPTUNE, 0.2)):
        if place < limit:
            way, variant = other, f"{variant}-{other.genre.lower()}"
            break
    return Task(score=score, variant=variant, arrangement=way, window=window)


def speed(task: Task) -> float:
    """Return the factor of the tempo, 0.85 to 1.2: of two random ones that which is nearer to 108 beats a minute."""
    two = 0.85 * (1.2 / 0.85) ** random_of(f"speed {task.name}").random(2)
    return round(float(min(two, key=lambda one: abs(np.log(task.score.bpm * one / 108)))), 3)


def performance(task: Task, midi: mido.MidiFile) -> Performance:
    """Return how a task is played, by the hash of its name."""
    random = random_of(f"performance {task.name}")
    score = task.score
    transpose = int(random.integers(-5, 7)) if random.random() < 0.8 else 0
    return Performance(
        arrangement=task.arrangement,
        font=("fluid", "musescore")[(digest(score.name) + ord(task.variant[-1])) % 2],
        transpose=0 if score.collection == "groove" else transpose,
        speed=speed(task),
        longest=task.longest,
        window=task.window,
        pickup=find_pickup(midi) if score.collection in ("irish-cre", "mutopia") else 0.0,
        reverb=float(random.uniform(0.1, 0.5)) if random.random() < 0.8 else 0.0,
        left=float(random.uniform(0.35, 0.65)),
        tilt=float(random.uniform(-2, 2)),
        loudness=float(random.uniform(-23, -17)),
        is_free=score.collection in ("groove", "band-irish", "band-songs"),
    )


# Names


def artists(scores: Iterable[Score]) -> Mapping[str, str]:
    """Return the artist of each score: the composer, or the collection where a composer has little music."""
    hours: Counter[str] = Counter()
    scores = list(scores)
    for score in scores:
        hours[composer(score)] += score.seconds / 3600 * (0.4 if score.collection == "openscore-lieder" else 1)
    return {score.name: _artist(score, hours) for score in scores}


def composer(score: Score) -> str:
    """Return the composer in one spelling for all collections."""
    if score.collection in ("freedoom", "blasphemer", "groove"):
        return ""
    if score.collection == "mutopia":
        return MUTOPIA_COMPOSERS.get(score.composer, "")
    if score.composer in ("", "Traditional (Irish)"):
        return "Traditional Irish" if score.collection in ("irish-cre", "band-irish") else ""
    return score.composer


def _artist(score: Score, hours: Mapping[str, float]) -> str:
    name = composer(score)
    known = name and (hours[name] >= LEAST_HOURS or name in MUTOPIA_COMPOSERS.values())
    return name if known else COLLECTORS[score.collection]


def genres(task: Task) -> tuple[str, ...]:
    """Return the genres of a task: that of its arrangement, or else of its score."""
    return (task.arrangement.genre,) if task.arrangement.genre else _score_genres(task.score)


def _score_genres(score: Score) -> tuple[str, ...]:
    if score.collection == "groove":
        return ("Drums", GROOVE_GENRES[score.genre])
    if score.collection in ("band-irish", "band-songs"):
        return (score.genre.split(" / ")[0],)
    if score.collection == "irish-cre":
        return ("Jig",) if re.search(r"jig|slide", score.source.casefold()) else ("Folk",)
    if score.collection == "mutopia":
        styles = {"March": "March", "Folk": "Folk"}
        return ("Ragtime",) if score.composer == "JoplinS" else (styles.get(score.genre, "Chamber"),)
    return (COLLECTION_GENRES[score.collection],)


def slug(text: str) -> str:
    """Return a part of a file name: letters, digits and underscores."""
    plain_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain_text).strip("_")


def path_of(task: Task, is_held: bool) -> Path:
    """Return where a task's FLAC file goes, relative to the music folder."""
    score = task.score
    name = f"{slug(Path(score.file).stem)}--{task.variant.replace(' ', '-')}.flac"
    if score.collection == "freedoom":  # as in version 2
        name = f"{lump(score)} ({task.variant}).flac"
    return Path(score.collection, HELD_OUT, name) if is_held else Path(score.collection, name)


def tags(task: Task, artist: str) -> Tags:
    """Return the tags of a task's FLAC file."""
    score = task.score
    title = lump(score) if score.collection == "freedoom" else score.title or Path(score.file).stem
    return Tags(
        artist=artist,
        genres=genres(task),
        title=f"{title} ({task.variant})",
        license=score.licence,
        source=f"{score.collection} {score.repository.split(' ')[0]} {score.commit[:7]}",
    )


# Order


def balanced(tasks: Iterable[Task], hours: float, shares: Mapping[str, float] = SHARES) -> list[Task]:
    """Return tasks in an order of which every beginning has the mix of SHARES, until `hours` are full.

    Within a collection the order is random, with music of 90 to 130 beats a minute rather early.
    """
    queues: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        queues[task.score.collection].append(task)
    placed: list[tuple[float, str, Task]] = []
    for collection, queue in queues.items():
        total = 0.0
        for task in sorted(queue, key=_place):
            if total >= hours * 3600 * shares[collection] / 100:
                break
            placed.append((total / shares[collection], task.name, task))
            total += task.seconds
    return [task for _, _, task in sorted(placed, key=lambda one: one[:2])]


def _place(task: Task) -> float:
    tempo = task.score.bpm * speed(task)
    return share(f"order {task.name}") + (0.0 if 85 <= tempo <= 135 else 0.3)


def summary(tasks: Sequence[Task]) -> Iterator[str]:
    """Yield a line for each collection: how much of it is to be played."""
    for collection in SHARES:
        some = [task.seconds for task in tasks if task.score.collection == collection]
        yield f"{collection}: {len(some)} renderings, {sum(some) / 3600:.1f} h"
