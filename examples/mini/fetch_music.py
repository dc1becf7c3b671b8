"""Make the music the built-in small model learns from: tagged FLAC, and beside it the notes and beats that are known.

Recordings and sound fonts come from Debian packages, scores from a folder (--scores) that has a manifest.tsv and MIDI
files. Without one, of the scores only Freedoom's are played, which come from Debian too. Needs Debian 12,
requirements.txt and fluidsynth. A hundred hours take two hours on one core. The order is such that the first hours
have the mix of all; run again to go on from where it stopped. The log goes to stderr, the list of songs kept for
validation to stdout:

    python examples/mini/fetch_music.py build/mini/music --scores scores --hours 100 > examples/mini/held_out.txt
    python examples/mini/fetch_music.py build/ablations/music --sources naev sectoid
"""

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import mido
import scores as playing
from fonts import fonts
from mutagen.flac import FLAC
from recordings import HELD_OUT_TITLES, RECORDINGS, make_recordings
from rendering import save_performance
from scores import Task
from songs import HELD_OUT, written_whole
from wad import freedoom_scores

SOURCES = (*RECORDINGS, "scores")  # all

log = logging.getLogger(__name__)


def play(tasks: Sequence[Task], folder: Path, music: Path, packages: Path) -> None:
    """Play scores from `folder` into the music folder, leaving out what is there already."""
    every = playing.read_scores(folder)
    artist_of = playing.artists(every)
    held = playing.held_out_tunes(every, folder)
    font = fonts(packages)
    seconds, begun = 0.0, time.monotonic()
    for number, task in enumerate(tasks, 1):
        path = music / playing.path_of(task, playing.tune_of(task.score) in held)
        if path.exists():
            continue
        try:
            midi = mido.MidiFile(folder / task.score.name, clip=True)
            how = playing.performance(task, midi)
            seconds += save_performance(path, midi, how, font[how.font], playing.tags(task, artist_of[task.score.name]))
        except (ValueError, OSError, EOFError, KeyError) as error:
            log.warning("%s is left out: %s", task.name, error)
            continue
        rate = seconds / (time.monotonic() - begun)
        log.info(
            "%d of %d: %s, %.2f h since the start, %.0f times real time", number, len(tasks), path, seconds / 3600, rate
        )


def held_out_globs(music: Path) -> list[str]:
    """Return the songs kept for validation: recordings that version 2 held out by name, all others by their folder."""
    globs = [f"{folder}/{title}.flac" for folder, titles in HELD_OUT_TITLES.items() for title in titles]
    globs.append(f"*/{HELD_OUT}/*.flac")
    return [glob for glob in globs if any(music.glob(glob))]


def write_sources(music: Path) -> None:
    """Write SOURCES.tsv: a line a file, from the tags."""
    lines = ["path\tseconds\tartist\tgenre\ttitle\tlicence\tsource"]
    for path in sorted(music.rglob("*.flac")):
        if path.name.startswith("."):
            continue
        audio = FLAC(path)
        tags = [", ".join(audio[name]) for name in ("artist", "genre", "title", "license", "source")]
        lines.append("\t".join([str(path.relative_to(music)), f"{audio.info.length:.1f}", *tags]))
    with written_whole(music / "SOURCES.tsv") as part:
        part.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", nargs="?", type=Path, default=Path("build/mini/music"), help="where the music goes")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES, help="only these; all by default")
    parser.add_argument("--scores", type=Path, help="folder of scores with a manifest.tsv")
    parser.add_argument("--hours", type=float, default=100.0, help="music to make, 100 by default")
    parser.add_argument("--part", default="0/1", help="1/2 makes every other rendering from the second on")
    options = parser.parse_args()
    music: Path = options.music
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    packages = music.parent / "packages"  # beside the music, so that a scan of it does not meet the originals
    make_recordings(music, packages, [source for source in options.sources if source in RECORDINGS])
    if "scores" in options.sources:
        folder: Path = options.scores or freedoom_scores(packages)
        every = playing.read_scores(folder)
        tasks = playing.balanced((task for score in every for task in playing.tasks_of(score)), options.hours)
        for line in playing.summary(tasks):
            log.info("%s", line)
        part, parts = map(int, options.part.split("/"))
        play(tasks[part::parts], folder, music, packages)
    write_sources(music)

    print("# Songs kept for validation: one tune in twenty, by hash, in all its renderings. Made by fetch_music.py")
    print(*held_out_globs(music), sep="\n")


if __name__ == "__main__":
    main()
