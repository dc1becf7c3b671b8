"""Make synthetic singing with known words: 24-second FLAC, and beside each its words with times, notes and tags.

Needs espeak-ng, fluidsynth and fluid-soundfont-gm (Debian), and requirements.txt. About a second a song on one core;
the same seed makes the same songs. Run it again to resume. The songs in held-out/ are for
validation: half of their words are in no training song.

    python examples/singing/make_singing.py build/singing/music --songs 1000 --validation 60 --seed 1 --jobs 2
"""

import argparse
import logging
import os
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import soundfile
from song_plan import lrc, plan_song, read_words, tags, word_times

HERE = Path(__file__).parent
SIDES = ("train", "held-out")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A song to make."""

    folder: Path
    side: str
    index: int
    seed: int

    @property
    def path(self) -> Path:
        return self.folder / self.side / f"{self.side}-{self.index:04}.flac"


def make(task: Task) -> None:
    """Write the song's words and tags first and its audio last, so that a song with audio is complete."""
    if task.path.exists():
        return
    from voices import SAMPLE_RATE, perform

    rare = read_words(HERE / "held_out_words.txt") if task.side == "held-out" else []
    song = plan_song(f"{task.seed} {task.side} {task.index}", read_words(HERE / "words.txt"), rare)
    wave = perform(song)
    task.path.with_suffix(".lrc").write_text(lrc(song), encoding="utf-8")
    task.path.with_suffix(".json").write_text(word_times(song), encoding="utf-8")
    task.path.with_suffix(".toml").write_text(tags(song), encoding="utf-8")
    part = task.path.with_name(f".{task.path.name}.part")
    soundfile.write(part, wave, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    part.replace(task.path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="where the songs go")
    parser.add_argument("--songs", type=int, default=1000, help="to train on")
    parser.add_argument("--validation", type=int, default=60, help="to measure on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    counts = dict(zip(SIDES, (options.songs, options.validation), strict=True))
    for side in SIDES:
        (options.out / side).mkdir(parents=True, exist_ok=True)
    tasks = [Task(options.out, side, index, options.seed) for side in reversed(SIDES) for index in range(counts[side])]
    with Pool(options.jobs) as pool:
        for done, _ in enumerate(pool.imap_unordered(make, tasks), 1):
            if done % 50 == 0 or done == len(tasks):
                log.info("%d of %d songs", done, len(tasks))


if __name__ == "__main__":
    main()
