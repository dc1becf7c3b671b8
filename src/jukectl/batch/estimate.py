"""Estimate of a batch: time by a short measurement of each prior with full batches, and disk space."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukectl.batch.entries import Entry
from jukectl.batch.run import default_workers, shares
from jukectl.batch.together import AT_ONCE, Models
from jukectl.checkpoints.planned import PlannedModel
from jukectl.codes.level import Level
from jukectl.plan.calibration import QUICK, level_speed, saving_seconds
from jukectl.plan.eta import LevelWork
from jukectl.plan.forecast import decoding_seconds, song_work
from jukectl.plan.job import Job
from jukectl.plan.memory import SongPlan, plan_song, pooled_plan
from jukectl.progress import Listener, ignore
from jukectl.render.song import finished
from jukectl.sampling.footprint import BatchPlan

AUDIO_BYTES = {"wav": 2.0, "flac": 1.4, "ogg": 0.4, "mp3": 0.4}
"""Bytes of an audio sample in a file, at most on average."""

CODE_BYTES = 2  # of a code in an archive
SONG_BYTES = 10_000  # of a recipe and the headers of archives


@dataclass(frozen=True)
class BatchEstimate:
    """Time and disk space that the rest of a batch would take here."""

    songs: int
    unfinished: int
    workers: int
    seconds: float  # of all songs, without the start of the command
    disk_bytes: int
    disk_free_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON has it."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class _Song:
    job: Job
    plan: SongPlan
    work: Mapping[Level, LevelWork]


def estimate_batch(
    entries: Sequence[Entry], folder: Path, *, workers: int | None = None, listener: Listener = ignore
) -> BatchEstimate:
    """Estimate the songs of a batch that are not finished. Nothing is written."""
    saving, models, songs = saving_seconds(folder), Models(), []
    for entry in entries:
        job = entry.prepare(to_estimate=True, listener=listener).prepare()
        if finished(job) is None:
            plan = plan_song(job)
            songs.append(_Song(job, plan, {one.level: one for one in song_work(job, plan, saving)}))
    count = workers or default_workers(entries)
    count = min(count, max(1, len(songs)))
    groups: dict[Any, list[_Song]] = {}
    for song in songs:
        for level in song.work:
            model = song.job.model if isinstance(song.job.model, PlannedModel) else models.shared(song.job.model)
            key = model, level, song.plan.machine_at(level).precision, song.job.recipe.sampling[level].rows
            groups.setdefault(key, []).append(song)
    seconds = sum(_seconds(group, key[1], count) for key, group in groups.items())
    seconds += sum(decoding_seconds(song.job, saving, QUICK) for song in songs[:1]) * len(songs) / count
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return BatchEstimate(
        songs=len(entries),
        unfinished=len(songs),
        workers=len(shares(entries, count)),
        seconds=seconds,
        disk_bytes=sum(disk_bytes(song.job) for song in songs),
        disk_free_bytes=shutil.disk_usage(place).free,
    )


def _seconds(songs: Sequence[_Song], level: Level, workers: int) -> float:
    """Return the seconds of a level of songs of one model, of which each process has its share."""
    first = songs[0]
    at_once = songs[: max(1, min(AT_ONCE, -(-len(songs) // workers)))]
    batch = pooled_plan([(song.job, song.plan) for song in at_once], level)
    rows = min(batch.samples, sum(song.work[level].rows for song in at_once))
    settings, machine = first.job.recipe.sampling[level], first.plan.machine_at(level)
    speed = level_speed(
        first.job.model,
        level,
        machine,
        BatchPlan(rows, batch.chunk),
        settings,
        prefix=first.work[level].typical_prefix,
        effort=QUICK,
    )
    # the speed is that of a batch of `rows`: a song has its part of each
    each = sum(
        song.work[level].rows / rows * sum(speed.seconds(one) for one in song.work[level].rounds)
        + song.work[level].saving * len(song.work[level].rounds)
        for song in songs
    )
    return speed.load + speed.setup + each / workers


def disk_bytes(job: Job) -> int:
    """Return the bytes that a song takes on disk when it is finished."""
    config, recipe = job.model.card.vqvae, job.recipe
    codes = sum(job.wanted[level] * job.samples_at(level) for level in recipe.levels)
    lowest = recipe.levels[-1]
    audio = job.wanted[lowest] * config.hop(lowest) * job.samples_at(lowest)
    prompt = 4 * recipe.prompt.samples if recipe.prompt is not None else 0
    return round(SONG_BYTES + CODE_BYTES * codes + AUDIO_BYTES[job.request.format or "wav"] * audio + prompt)
