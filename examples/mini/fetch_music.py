"""Fetch the music the built-in small model learns from: Debian packages in, tagged FLAC (44.1 kHz stereo) and MIDI out.

Needs Debian 12, requirements.txt, and for freedoom fluidsynth. Takes 20 minutes on one core, the recordings of naev and
sectoid one or two of them; run again to go on from where it stopped. The log goes to stderr, the list of songs kept for
validation to stdout:

    python examples/mini/fetch_music.py > examples/mini/held_out.txt
    python examples/mini/fetch_music.py build/ablations/music --sources naev sectoid
"""

import argparse
import hashlib
import io
import logging
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from mutagen.flac import FLAC

SAMPLE_RATE = 44_100  # Hz
LONGEST_RENDER = 148.0  # seconds of notes; the ring after them may take it to 150
TAIL = 2.0  # seconds left for the last notes to ring
SILENCE = 10 ** (-60 / 20)  # a render ends where it falls below this for good
FADE = SAMPLE_RATE // 20  # samples, so that a cut ring does not click
LOUDEST = 10 ** (-1 / 20)  # peak of what would have clipped
GAIN = "0.5"  # FluidSynth's; the same for every render, so loud songs stay louder than soft ones
DRUM_CHANNEL = 9
SOURCES = ("naev", "sectoid", "freedoom")  # a folder each
HELD_OUT_SHARE = 6  # one song in so many is kept for validation

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Package:
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}_all.deb"


NAEV = Package(
    name="naev-data", version="0.8.2-1", sha256="a98849cacdfc72779e03ceb68f32af03cb3c3f382ba8b82e3299ef87254b454d"
)
SECTOID = Package(
    name="fretsonfire-songs-sectoid",
    version="1.dfsg-3.1",
    sha256="14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4",
)
FREEDOOM = Package(
    name="freedoom", version="0.12.1-2", sha256="c5b7cf1aa6dde8c980271981ce75b9b4a9e7b634b9db93d471f54bab7a8e1290"
)
SOUNDFONT = Package(
    name="fluid-soundfont-gm",
    version="3.1-5.3",
    sha256="6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
)

# Of naev's 54 tracks, those under CC-BY-3.0 (Whallon's are offered under GPL-3 or CC-BY-3.0: taken under CC-BY-3.0)
NAEV_TRACKS = {
    ("Nikola Whallon", "Electronic"): """
        ambient1 ambient2 ambient2_5 ambient3 automat battlesomething1 battlesomething2 collective1 collective2 empire1
        empire2 flf_battle1 intrigue intro nebu_battle1 nebu_battle2 sirius1 tension upbeat zalek1 zalek2""",
    ("Zeropage", "Ambient"): "ambiphonic void_sensor",
}


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A way to play a MIDI file. `programs`: the new program of each General MIDI family of eight; None keeps them."""

    genre: str
    programs: tuple[int, ...] | None
    drums: bool


# Families: piano chromatic organ guitar bass strings ensemble brass reed pipe lead pad effects ethnic percussive sounds
RENDERINGS = (
    Rendering(genre="Game", programs=None, drums=True),
    Rendering(genre="Piano", programs=(0,) * 16, drums=False),
    Rendering(
        genre="Orchestral", programs=(46, 45, 60, 61, 43, 48, 48, 61, 48, 56, 56, 48, 60, 45, 47, 44), drums=False
    ),
    Rendering(genre="Chiptune", programs=(80, 80, 81, 81, 80, 81, 81, 81, 80, 80, 80, 81, 80, 80, 81, 81), drums=True),
)


@dataclass(frozen=True, kw_only=True)
class Tags:
    artist: str
    genre: str
    title: str
    license: str
    package: Package

    def write(self, path: Path) -> None:
        audio = FLAC(path)
        audio.update({"artist": self.artist, "genre": self.genre, "title": self.title, "license": self.license})
        audio["source"] = f"{self.package.name} {self.package.version}"
        audio.save()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name to write under, which becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_song(path: Path, wave: np.ndarray, tags: Tags) -> None:
    """Write samples (N, 2) as 16-bit FLAC, scaled down if they would clip."""
    peak = np.abs(wave).max()
    with written_whole(path) as part:
        soundfile.write(part, wave * LOUDEST / peak if peak > 1 else wave, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        tags.write(part)
    log.info("%s: %.0f s", path, len(wave) / SAMPLE_RATE)


def load(path: Path) -> np.ndarray:
    """Samples (N, 2) of a recording, float32."""
    wave, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if sample_rate != SAMPLE_RATE or wave.shape[1] != 2:
        raise ValueError(f"{path} is not {SAMPLE_RATE} Hz stereo")
    return wave


def unpack(package: Package, folder: Path) -> Path:
    """The folder that holds the package's files, downloaded and checked on first use."""
    root = folder / package.name
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            deb = download(package, Path(scratch))
            subprocess.run(["dpkg-deb", "-x", deb, Path(scratch, "files")], check=True)
            Path(scratch, "files").rename(root)
    return root


def download(package: Package, folder: Path) -> Path:
    subprocess.run(["apt-get", "-qq", "download", f"{package.name}={package.version}"], cwd=folder, check=True)
    deb = folder / package.file
    found = hashlib.sha256(deb.read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(
            f"{package.file} has SHA-256 {found}, not {package.sha256}. Get the right one: snapshot.debian.org"
        )
    return deb


def readable(stem: str) -> str:
    """A title from a file name: 'ambient2_5' -> 'Ambient 2.5', 'nebu_battle1' -> 'Nebu Battle 1'."""
    spaced = re.sub(r"(?<=[a-z])(?=\d)", " ", re.sub(r"(?<=\d)_(?=\d)", ".", stem))
    return spaced.replace("_", " ").title()


def make_naev(music: Path, packages: Path) -> None:
    recordings = unpack(NAEV, packages) / "usr/share/naev/dat/snd/music"
    for (artist, genre), stems in NAEV_TRACKS.items():
        for stem in stems.split():
            tags = Tags(artist=artist, genre=genre, title=readable(stem), license="CC-BY-3.0", package=NAEV)
            make_recording(music / "naev", [recordings / f"{stem}.ogg"], tags)


def make_sectoid(music: Path, packages: Path) -> None:
    songs = unpack(SECTOID, packages) / "usr/share/games/fretsonfire/data/songs/sectoid"
    for song in sorted(songs.glob("*/song.ogg")):
        tags = Tags(artist="Sectoid", genre="Metal", title=song.parent.name, license="MIT", package=SECTOID)
        make_recording(music / "sectoid", [song, song.with_name("guitar.ogg")], tags)


def make_recording(folder: Path, stems: list[Path], tags: Tags) -> None:
    path = folder / f"{tags.title}.flac"
    if not path.exists():
        save_song(path, add([load(stem) for stem in stems]), tags)


def add(waves: list[np.ndarray]) -> np.ndarray:
    """The sum of samples (N, 2), as long as the longest."""
    total = np.zeros((max(map(len, waves)), 2), np.float32)
    for wave in waves:
        total[: len(wave)] += wave
    return total


def midi_lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each MIDI file in a Doom WAD: a 12-byte header, a directory of offset, size, 8-byte name."""
    _, count, directory = struct.unpack_from("<4sII", wad)
    for entry in range(directory, directory + 16 * count, 16):
        offset, size, name = struct.unpack_from("<II8s", wad, entry)
        if wad.startswith(b"MThd", offset):
            yield name.rstrip(b"\0").decode().removeprefix("D_").replace("_", " "), wad[offset : offset + size]


def freedoom_songs(packages: Path) -> dict[str, bytes]:
    """MIDI files by title; a song that serves two maps is taken once."""
    wads = unpack(FREEDOOM, packages) / "usr/share/games/doom"
    titles: dict[bytes, str] = {}
    for wad in ("freedoom1.wad", "freedoom2.wad"):
        for title, midi in midi_lumps((wads / wad).read_bytes()):
            titles.setdefault(midi, title)
    return {title: midi for midi, title in titles.items()}


def make_freedoom(music: Path, packages: Path, rendering: Rendering) -> None:
    soundfont = unpack(SOUNDFONT, packages) / "usr/share/sounds/sf2/FluidR3_GM.sf2"
    for name, midi in freedoom_songs(packages).items():
        title = f"{name} ({rendering.genre})"
        tags = Tags(artist="Freedoom", genre=rendering.genre, title=title, license="BSD-3-Clause", package=FREEDOOM)
        path = music / "freedoom" / f"{title}.flac"
        if not path.exists():
            save_midi(path.with_suffix(".mid"), rearrange(midi, rendering))
            save_song(path, trim(render(path.with_suffix(".mid"), soundfont)), tags)


def save_midi(path: Path, midi: mido.MidiFile) -> None:
    with written_whole(path) as part:
        midi.save(part)


def rearrange(data: bytes, rendering: Rendering) -> mido.MidiFile:
    """The MIDI file as it is to be played: one track, its length limited, instruments replaced."""
    midi = mido.MidiFile(file=io.BytesIO(data))
    track = shorten(mido.merge_tracks(midi.tracks), midi.ticks_per_beat)
    if rendering.programs is not None:
        track = replace_programs(track, rendering.programs)
    if not rendering.drums:
        track = drop(track, lambda message: getattr(message, "channel", None) == DRUM_CHANNEL)
    if rendering.genre == "Piano":
        track = drop(track, lambda message: message.type == "pitchwheel")
    return mido.MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat, tracks=[without_lead_in(track)])


def shorten(track: Iterable[mido.Message], ticks_per_beat: int) -> mido.MidiTrack:
    """Stop after LONGEST_RENDER seconds, let go of the notes still held, and leave TAIL seconds for them to ring."""
    kept = mido.MidiTrack()
    held: set[tuple[int, int]] = set()  # (channel, note)
    tempo, seconds = 500_000, 0.0  # microseconds a beat, until the file says otherwise
    for message in track:
        seconds += mido.tick2second(message.time, ticks_per_beat, tempo)
        if seconds > LONGEST_RENDER or message.type == "end_of_track":
            break
        kept.append(message)
        if message.type == "set_tempo":
            tempo = message.tempo
        if message.type in ("note_on", "note_off"):
            start = message.type == "note_on" and message.velocity > 0
            (held.add if start else held.discard)((message.channel, message.note))
    kept.extend(mido.Message("note_off", channel=channel, note=note) for channel, note in sorted(held))
    kept.append(mido.MetaMessage("end_of_track", time=round(mido.second2tick(TAIL, ticks_per_beat, tempo))))
    return kept


def replace_programs(track: mido.MidiTrack, programs: tuple[int, ...]) -> mido.MidiTrack:
    """Give every part but the drums the program of its family; a part that names none is a piano by default."""
    changed = mido.MidiTrack(
        mido.Message("program_change", channel=channel, program=programs[0])
        for channel in range(16)
        if channel != DRUM_CHANNEL
    )
    for message in track:
        plays = message.type == "program_change" and message.channel != DRUM_CHANNEL
        changed.append(message.copy(program=programs[message.program // 8]) if plays else message)
    return changed


def drop(track: mido.MidiTrack, unwanted: Callable[[mido.Message], bool]) -> mido.MidiTrack:
    """Leave messages out; the next one waits for as long as they did."""
    kept, ticks = mido.MidiTrack(), 0
    for message in track:
        ticks += message.time
        if not unwanted(message):
            kept.append(message.copy(time=ticks))
            ticks = 0
    return kept


def without_lead_in(track: mido.MidiTrack) -> mido.MidiTrack:
    """Begin with the first note: without drums, a song may start with a long rest."""
    first = next(i for i, message in enumerate(track) if message.type == "note_on")
    return mido.MidiTrack([message.copy(time=0) for message in track[: first + 1]] + track[first + 1 :])


def render(midi: Path, soundfont: Path) -> np.ndarray:
    """Samples (N, 2) that FluidSynth plays; floats, so that loud passages are scaled and not clipped."""
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch, "render.wav")
        command = ["fluidsynth", "-ni", "-q", "-g", GAIN, "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav", "-F"]
        subprocess.run([*command, wav, soundfont, midi], check=True, capture_output=True)
        return load(wav)


def trim(wave: np.ndarray) -> np.ndarray:
    """Samples (N, 2) without the silence at the end, nor a ring longer than TAIL at the end of a shortened song."""
    wave = wave[: round((LONGEST_RENDER + TAIL) * SAMPLE_RATE)]
    loud = np.flatnonzero(np.abs(wave).max(axis=1) > SILENCE)
    trimmed = wave[: loud[-1] + FADE]
    trimmed[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)[:, None]
    return trimmed


def song_of(path: Path) -> str:
    """What the renderings of one song, or its versions ('Ambient 2.5'), have in common."""
    return re.sub(r" \(\w+\)$|\.\d+$", "", path.stem)


def held_out(folder: Path) -> list[str]:
    """The songs of a source kept for validation: by the hash of the name, so a new song hardly moves the others."""
    songs = sorted({song_of(path) for path in folder.glob("*.flac")})
    by_hash = sorted(songs, key=lambda song: hashlib.sha256(song.encode()).digest())
    return sorted(by_hash[: max(1, round(len(songs) / HELD_OUT_SHARE))])


def held_out_globs(music: Path, sources: Iterable[str]) -> list[str]:
    return [glob for source in sources for song in held_out(music / source) for glob in globs(music / source, song)]


def globs(folder: Path, song: str) -> list[str]:
    """The files of a song, relative to the music folder; its renderings as one glob."""
    names = [path.name for path in sorted(folder.glob("*.flac")) if song_of(path) == song]
    rendered = any(name.endswith(").flac") for name in names)
    return [f"{folder.name}/{name}" for name in ([f"{song} (*).flac"] if rendered else names)]


def write_sources(music: Path) -> None:
    """SOURCES.tsv: a line a file, from the tags."""
    lines = ["path\tseconds\tartist\tgenre\ttitle\tlicence\tpackage\tversion"]
    for path in sorted(music.glob("*/*.flac")):
        audio = FLAC(path)
        tags = [audio[name][0] for name in ("artist", "genre", "title", "license")]
        columns = [path.relative_to(music), f"{audio.info.length:.1f}", *tags, *audio["source"][0].split()]
        lines.append("\t".join(map(str, columns)))
    with written_whole(music / "SOURCES.tsv") as part:
        part.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", nargs="?", type=Path, default=Path("build/mini/music"), help="where the music goes")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES, help="only these; all by default")
    options = parser.parse_args()
    music: Path = options.music
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    packages = music.parent / "packages"  # beside the music, so that a scan of it does not meet the originals
    if "naev" in options.sources:
        make_naev(music, packages)
    if "sectoid" in options.sources:
        make_sectoid(music, packages)
    if "freedoom" in options.sources:
        for rendering in RENDERINGS:
            make_freedoom(music, packages, rendering)
    write_sources(music)

    print("# Songs kept for validation: a sixth of each source, by hash. Made by fetch_music.py")
    print(*held_out_globs(music, options.sources), sep="\n")


if __name__ == "__main__":
    main()
