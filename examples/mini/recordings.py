"""Recordings from Debian packages: as they are, and again at other speeds, with their beats where they are clear."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from packages import KENTA_CHO, NAEV, OPENCLONK, SECTOID, Package, unpack
from rendering import SAMPLE_RATE, levelled, tilted
from songs import HELD_OUT, Tags, random_of, save_song, share

from jukectl.midi.beats import SUFFIX, BeatGrid
from jukectl.midi.tracking import track_beats

RECORDINGS = ("naev", "sectoid", "kenta-cho", "k-pone")
SHORTEST = 15.0  # seconds: shorter files are sounds of the games
HELD_OUT_SHARE = 1 / 12  # of the songs of Kenta Cho and K-Pone

# Held out by version 2 too, so that versions can be compared
HELD_OUT_TITLES = {"naev": ("Ambient 1", "Ambient 3", "Intro", "Upbeat"), "sectoid": ("War of freedom",)}
# Two of Kenta Cho's games are what examples/finetune teaches
HELD_OUT_GAMES = ("titanion", "torus-trooper")
SPEEDS = ((0.94, 0.985), (1.015, 1.06))  # of the other versions: pitch and tempo together

# Of naev's 54 tracks, those under CC-BY-3.0 (Whallon's are offered under GPL-3 or CC-BY-3.0: taken under CC-BY-3.0)
NAEV_TRACKS = {
    ("Nikola Whallon", "Electronic"): """
        ambient1 ambient2 ambient2_5 ambient3 automat battlesomething1 battlesomething2 collective1 collective2 empire1
        empire2 flf_battle1 intrigue intro nebu_battle1 nebu_battle2 sirius1 tension upbeat zalek1 zalek2""",
    ("Zeropage", "Ambient"): "ambiphonic void_sensor",
}
# OpenClonk's tracks that its authors.txt credits to K-Pone, under CC-BY-3.0 as it says
K_PONE_TRACKS = {
    "@CrushedIceCocktail": "Electronic",
    "IslandDreams": "Reggae",
    "LucidDream": "Ambient",
    "Motorway": "Rock",
    "Offshore": "Electronic",
    "TheSkylands": "Rock",
    "UrbanBolero": "Orchestral",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One song: the files whose sum it is, and what its tags say."""

    folder: str
    stems: tuple[Path, ...]
    tags: Tags

    @property
    def is_held_out(self) -> bool:
        """Return True if the song is held out for validation."""
        if self.folder in HELD_OUT_TITLES:
            return self.tags.title in HELD_OUT_TITLES[self.folder]
        if self.folder == "kenta-cho" and self.tags.title.startswith(HELD_OUT_GAMES):
            return True
        return share(f"{self.folder} {self.tags.title}") < HELD_OUT_SHARE

    def path(self, music: Path) -> Path:
        """Return where the song goes. The names of version 2 stay."""
        folder = music / self.folder
        if self.is_held_out and self.folder not in HELD_OUT_TITLES:
            folder /= HELD_OUT
        return folder / f"{self.tags.title}.flac"


def make_recordings(music: Path, packages: Path, sources: Sequence[str]) -> None:
    """Write the recordings of some sources, leaving out what is there already."""
    for source in sources:
        for recording in FINDERS[source](packages):
            make(recording, music)


def make(recording: Recording, music: Path) -> None:
    """Write one song, its beats, and its versions at other speeds unless it is held out."""
    path = recording.path(music)
    versions = [path.with_name(f"{path.stem} (speed {number}).flac") for number in (1, 2)]
    missing = [one for one in versions if not one.exists() and not recording.is_held_out]
    if path.exists() and not missing:
        return
    wave, rate = add([load(stem) for stem in recording.stems])
    mono = soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE)
    grid = track_beats(mono, SAMPLE_RATE)
    if not path.exists():
        _save_beats(grid, path)
        save_song(path, wave, rate, recording.tags)
        log.info("%s: %.0f s, %s", path, len(wave) / rate, f"{grid.tempo:.1f} bpm" if grid else "no clear beat")
    for version in missing:
        number = versions.index(version)
        random = random_of(f"version {path.parent.name}/{version.name}")
        speed = float(random.uniform(*SPEEDS[number]))
        left = float(random.uniform(0.3, 0.7))
        mixed = wave[:, 0] * left + wave[:, -1] * (1 - left)
        changed = soxr.resample(mixed, rate * speed, SAMPLE_RATE).astype(np.float32)
        changed = levelled(tilted(changed, float(random.uniform(-2, 2))), float(random.uniform(-21, -15)))
        if grid is not None:
            faster = BeatGrid(grid.beats / speed, grid.beats_per_bar, grid.first_downbeat, None, grid.meter)
            _save_beats(faster, version)
        save_song(version, changed, SAMPLE_RATE, recording.tags)


def _save_beats(grid: BeatGrid | None, path: Path) -> None:
    if grid is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        grid.save(path.with_suffix(SUFFIX))


def load(path: Path) -> tuple[np.ndarray, int]:
    """Return samples (N, channels) of a recording, float32, and their rate."""
    return soundfile.read(path, dtype="float32", always_2d=True)


def add(stems: Sequence[tuple[np.ndarray, int]]) -> tuple[np.ndarray, int]:
    """Return the sum of samples (N, channels), as long as the longest, and their rate."""
    rates = {rate for _, rate in stems}
    if len(rates) != 1:
        raise ValueError(f"stems at different rates: {sorted(rates)}")
    total = np.zeros((max(len(wave) for wave, _ in stems), stems[0][0].shape[1]), np.float32)
    for wave, _ in stems:
        total[: len(wave)] += wave
    return total, rates.pop()


def readable(stem: str) -> str:
    """Return a title for a file name: 'ambient2_5' -> 'Ambient 2.5', 'IslandDreams' -> 'Island Dreams'."""
    spaced = re.sub(r"(?<=\d)_(?=\d)", ".", stem.removeprefix("@"))
    spaced = re.sub(r"(?<=[a-z])(?=[\dA-Z])", " ", spaced)
    return spaced.replace("_", " ").title()


def source_of(package: Package) -> str:
    """Return a package as the tags name it."""
    return f"{package.name} {package.version}"


def _naev(packages: Path) -> Iterator[Recording]:
    folder = unpack(NAEV, packages) / "usr/share/naev/dat/snd/music"
    for (artist, genre), stems in NAEV_TRACKS.items():
        for stem in stems.split():
            tags = Tags(
                artist=artist, genres=(genre,), title=readable(stem), license="CC-BY-3.0", source=source_of(NAEV)
            )
            yield Recording("naev", (folder / f"{stem}.ogg",), tags)


def _sectoid(packages: Path) -> Iterator[Recording]:
    songs = unpack(SECTOID, packages) / "usr/share/games/fretsonfire/data/songs/sectoid"
    for song in sorted(songs.glob("*/song.ogg")):
        tags = Tags(
            artist="Sectoid", genres=("Metal",), title=song.parent.name, license="MIT", source=source_of(SECTOID)
        )
        yield Recording("sectoid", (song, song.with_name("guitar.ogg")), tags)


def _kenta_cho(packages: Path) -> Iterator[Recording]:
    for package in KENTA_CHO:
        game = package.name.removesuffix("-data")
        for path in sorted(unpack(package, packages).glob("usr/share/games/*/sounds/**/*.ogg")):
            title = f"{game} {path.stem}"
            tags = Tags(
                artist="Kenta Cho",
                genres=("Electronic",),
                title=title,
                license="BSD-2-Clause",
                source=source_of(package),
            )
            if soundfile.info(path).duration >= SHORTEST:
                yield Recording("kenta-cho", (path,), tags)


def _k_pone(packages: Path) -> Iterator[Recording]:
    folder = unpack(OPENCLONK, packages) / "usr/share/games/openclonk/Music.ocg"
    for stem, genre in K_PONE_TRACKS.items():
        tags = Tags(
            artist="K-Pone", genres=(genre,), title=readable(stem), license="CC-BY-3.0", source=source_of(OPENCLONK)
        )
        yield Recording("k-pone", (folder / f"{stem}.ogg",), tags)


FINDERS = {"naev": _naev, "sectoid": _sectoid, "kenta-cho": _kenta_cho, "k-pone": _k_pone}
