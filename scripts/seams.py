"""Measure whether seams of `--parallel N` are audible: a recording is continued in 1, 4 and 8 spans per level.

    python scripts/seams.py examples/riff.wav --work build/seams    # some minutes; finished songs are kept

All songs have the same top codes. In the audio, at the seams of the bottom level and everywhere else:

- change: how far the spectrum (23 ms) after a place is from the one before it, in dB, and the rank of that among all
  other places: 50 % is a place like any other;
- click: how much louder the upper half of the spectrum (6 ms) is at a place than beside it, and its rank;
- worst: the share of seams that change more than 95 of 100 other places: 5 % by chance.

In the codes of each level: bits per code right after a seam, given the codes before it, and halfway between seams; and
the share of codes on which the last quarter of the warm-up codes and the span to the left agree.

"1" is one span, measured at the seams that 8 would have; "own" are 8 spans whose warm-up codes are sampled from a
random stream of their own, not that of the span to the left; "cut" are 8 pieces without warm-up codes.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from seam_measures import Seams, measure_seams

from jukectl.api import Request, continue_
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.codes.archive import Codes, SpanCodes
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.prior.labels import LabelBatch
from jukectl.render import level as filling
from jukectl.sampling import level as levels
from jukectl.sampling.draw import uniforms
from jukectl.sampling.level import LevelJob, OnProgress, Steps, filling_spans
from jukectl.sampling.level import filling as level_filling
from jukectl.sampling.spans import Spans, spans_of

AFTER = 64  # codes after a seam whose bits are counted
BELOW = (Level.MIDDLE, Level.BOTTOM)

agreement: dict[tuple[str, Level], float] = {}
"""Share of equal codes of warm-ups and the spans to their left, by name of the song and level."""


def make(name: str, recording: Path, work: Path, options: argparse.Namespace) -> Song:
    """Make a song with a number of spans per level, or the variant "own" or "cut"."""
    spans = int(name) if name.isdigit() else 8
    request = Request(
        model=options.model,
        seconds=options.seconds,
        samples=options.samples,
        seed=7,
        settings={"parallel": dict.fromkeys(BELOW, spans)},
    )

    whole: dict[Level, tuple[Spans, np.ndarray]] = {}

    def watched(
        job: LevelJob,
        codes: Codes,
        spans: Spans,
        unfinished: SpanCodes,
        on_progress: OnProgress,
        on_codes: Callable[[Codes, SpanCodes], None],
    ) -> Steps[None]:
        def own(seed: int, kind: Level, sample: int, start: int, stop: int) -> np.ndarray:
            warmup = name == "own" and stop in spans.starts[1:] and stop - start == spans.warmup
            return uniforms(seed + warmup, kind, sample, start, stop)

        def keep(codes: Codes, made: SpanCodes) -> None:
            if made.array.size:  # the last codes of the spans are the whole ones
                whole[job.level] = spans, made.array
            on_codes(codes, made)

        with mock.patch.object(levels, "uniforms", own):
            yield from filling_spans(job, codes, spans, unfinished, on_progress, keep)

    way = mock.patch.object(filling, "filling_spans", cut if name == "cut" else watched) if spans > 1 else nullcontext()
    with way:
        continue_(recording, work / name, request, prompt_seconds=options.prompt_seconds)
    agreement.update({(name, level): agreed(*one) for level, one in whole.items()})
    return Song(work / name)


def cut(
    job: LevelJob,
    codes: Codes,
    spans: Spans,
    unfinished: SpanCodes,
    on_progress: OnProgress,
    on_codes: Callable[[Codes, SpanCodes], None],
) -> Steps[None]:
    """Sample each span as a separate level, with nothing before it."""
    for number, (start, stop) in enumerate(spans.kept()):
        first = 0 if number == 0 else start - start % job.ratio
        upper = job.upper[:, first // job.ratio : -(-stop // job.ratio)]
        piece = replace(job, total=upper.shape[1] * job.ratio, upper=upper, seed=job.seed + number)
        made = [codes if number == 0 else codes.cut(0)]
        yield from level_filling(piece, made[0], lambda done: None, made.append)
        codes = codes.append(made[-1].array[:, codes.done - first : stop - first])
    on_codes(codes, unfinished)


def agreed(spans: Spans, rows: np.ndarray) -> float:
    """Return the share of codes on which the last quarter of the warm-ups and the spans to their left agree."""
    same = []
    for left, right, start, before in zip(rows, rows[1:], spans.starts[1:], spans.starts, strict=False):
        quarter = spans.warmup // 4
        end = start - before + spans.warmup
        same.append(left[:, end - quarter : end] == right[:, spans.warmup - quarter : spans.warmup])
    return float(np.mean(same))


@torch.inference_mode()
def bits(song: Song, model: str, level: Level, places: list[int]) -> float:
    """Return the mean bits per code after places, given the codes before them."""
    prior = catalogue.find(model).prior(level, torch.device("cpu"), torch.float32)
    config, codes, upper = prior.config, song.codes(level), song.codes(level.above)
    lead, ratio, found = config.context // 2, config.conditioner.ratio, []
    for place in places:
        start = min(place - lead, codes.done - config.context) // ratio * ratio
        seen = torch.from_numpy(codes.array[:, start : start + config.context].astype(np.int64))
        above = torch.from_numpy(upper.array[:, start // ratio : (start + config.context) // ratio].astype(np.int64))
        labels = LabelBatch.repeat(len(seen), slots=config.genre_slots)
        loss = torch.nn.functional.cross_entropy(prior(seen, labels, above).mT, seen, reduction="none") / np.log(2)
        found.append(loss[:, place - start : place - start + AFTER].mean().item())
    return float(np.mean(found))


def audible(song: Song, places: list[int]) -> Seams:
    """Measure the audio at places of all samples of a song."""
    recordings = [io.load(song.audio_path(sample)).samples[0] for sample in range(song.codes(Level.BOTTOM).samples)]
    return measure_seams(recordings, [places] * len(recordings))


def main() -> None:
    """Make the songs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the songs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--prompt-seconds", type=float, default=12.0)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--spans", nargs="*", default=["1", "4", "8", "own", "cut"])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    card = catalogue.find(options.model).card

    print("| spans | seams | change, dB | elsewhere | rank | click, dB | elsewhere | rank | worst |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    codes_rows = []
    for name in options.spans:
        song = make(name, options.recording, options.work, options)
        count = int(name) if name.isdigit() and name != "1" else 8
        cuts = {}
        for level in BELOW:
            codes, settings = song.codes(level), replace(song.recipe().sampling[level], parallel=count)
            cuts[level] = spans_of(card.priors[level], settings, codes.done, codes.prompt)
        one = audible(song, [start * card.vqvae.hop(Level.BOTTOM) for start, _ in cuts[Level.BOTTOM].kept()[1:]])
        print(
            f"| {name} | {one.count} | {one.change:.2f} | {one.change_elsewhere:.2f} | {one.rank:.0%} "
            f"| {one.click:.2f} | {one.click_elsewhere:.2f} | {one.rank_click:.0%} | {one.worst:.0%} |",
            flush=True,
        )
        for level, spans in cuts.items():
            seams = [start for start, _ in spans.kept()[1:]]
            between = [place - spans.length // 2 for place in seams]
            share = f"{agreement[name, level]:.0%}" if (name, level) in agreement else ""
            here, there = (bits(song, options.model, level, places) for places in (seams, between))
            codes_rows.append(f"| {name} | {level.label} | {here:.2f} | {there:.2f} | {share} |")
    print("\n| spans | level | bits per code after a seam | between seams | warm-ups agree |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(codes_rows))


if __name__ == "__main__":
    main()
