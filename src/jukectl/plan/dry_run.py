"""Estimates of --dry-run: time and memory of prepared jobs. Nothing is written, no folder is made, no lock is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jukectl.codes.level import Level
from jukectl.codes.song import audio_paths
from jukectl.plan.calibration import saving_seconds
from jukectl.plan.eta import LevelWork, Speed
from jukectl.plan.forecast import decoding_seconds, encoding_seconds, song_work, work_speed
from jukectl.plan.job import Job, Preparation
from jukectl.plan.memory import SongPlan, plan_song


@dataclass(frozen=True)
class LevelEstimate:
    """Work, time and memory of one level that is not finished. The names are those of the JSON."""

    windows: int
    codes: int  # to sample, of all samples
    known: int  # prefix codes to read, of all samples and windows
    seconds: float  # with loading
    memory_bytes: int
    precision: str
    rows: int  # samples, or all spans of all samples
    at_a_time: int  # rows of a batch
    chunk: int | None  # prefix codes that are read at a time; None: all of them
    ms_a_code: float  # sampled, for a whole batch
    ms_a_known_code: float  # read

    @classmethod
    def of(cls, work: LevelWork, speed: Speed, plan: SongPlan) -> "LevelEstimate":
        """Return the estimate of a level's work at a speed."""
        memory = plan.levels[work.level]
        return cls(
            windows=len(work.rounds),
            codes=work.new,
            known=work.prefix,
            seconds=speed.load + work.seconds(speed),
            memory_bytes=memory.bytes,
            precision=memory.precision,
            rows=work.rows,
            at_a_time=work.at_a_time,
            chunk=memory.batch.chunk,
            ms_a_code=1000 * speed.new,
            ms_a_known_code=1000 * speed.prefix,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON has it."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Estimate:
    """Time and memory that the rest of a song would take here."""

    song: Path
    model: str
    device: str
    samples: int
    levels: Mapping[Level, LevelEstimate]
    encoding_seconds: float  # of the prompt, if it is not encoded yet
    decoding_seconds: float  # of the audio
    memory_free_bytes: int  # available to models

    @property
    def seconds(self) -> float:
        """Seconds of all of it, without the start of the command."""
        return self.encoding_seconds + _seconds([self.levels]) + self.decoding_seconds

    @property
    def memory_bytes(self) -> int:
        """Peak memory of the models."""
        return _memory([self.levels])

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON has it."""
        return {
            "song": str(self.song),
            "model": self.model,
            "device": self.device,
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "memory_free_bytes": self.memory_free_bytes,
            "levels": {level.label: one.to_dict() for level, one in self.levels.items()},
            "encoding_seconds": round(self.encoding_seconds, 3),
            "decoding_seconds": round(self.decoding_seconds, 3),
        }


@dataclass(frozen=True)
class StepEstimate:
    """Work, time and memory of nodes of a tree that are sampled in one batch."""

    step: int  # from the root, which is 0
    nodes: int
    levels: Mapping[Level, LevelEstimate]

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON has it."""
        levels = {level.label: one.to_dict() for level, one in self.levels.items()}
        return {"step": self.step, "nodes": self.nodes, "levels": levels}


@dataclass(frozen=True)
class TreeEstimate:
    """Time and memory that the rest of a tree would take here."""

    tree: Path
    model: str
    device: str
    steps: tuple[StepEstimate, ...]  # in order; the root's if it lacks codes
    encoding_seconds: float  # of a recording
    decoding_seconds: float  # of what each node adds
    memory_free_bytes: int  # available to models

    @property
    def nodes(self) -> int:
        """Nodes to sample, without the root."""
        return sum(one.nodes for one in self.steps if one.step)

    @property
    def codes(self) -> int:
        """Codes to sample, of all nodes and levels."""
        return sum(level.codes for one in self.steps for level in one.levels.values())

    @property
    def seconds(self) -> float:
        """Seconds of all of it, without the start of the command."""
        return self.encoding_seconds + _seconds([one.levels for one in self.steps]) + self.decoding_seconds

    @property
    def memory_bytes(self) -> int:
        """Peak memory of the models."""
        return _memory([one.levels for one in self.steps])

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON has it."""
        return {
            "tree": str(self.tree),
            "model": self.model,
            "device": self.device,
            "nodes": self.nodes,
            "codes": self.codes,
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory_bytes,
            "memory_free_bytes": self.memory_free_bytes,
            "steps": [one.to_dict() for one in self.steps],
            "encoding_seconds": round(self.encoding_seconds, 3),
            "decoding_seconds": round(self.decoding_seconds, 3),
        }


def estimate(preparation: Preparation) -> Estimate:
    """Estimate a song that is prepared. Raises whatever making it would raise before its first code."""
    job = preparation.prepare()
    saving = saving_seconds(job.song.path)
    plan, levels = estimate_levels(job, saving)
    job = replace(job, machine=plan.machine)
    recipe, sample_rate = job.recipe, job.model.card.vqvae.sample_rate
    prompt = recipe.prompt.samples / sample_rate if recipe.prompt else 0.0
    return Estimate(
        song=job.song.path,
        model=job.model.card.name,
        device=str(plan.machine.device),
        samples=job.samples,
        levels=levels,
        encoding_seconds=encoding_seconds(job.model, plan.machine, job.to_encode, prompt),
        decoding_seconds=decoding_seconds(job, saving) if levels or _lacks_audio(job) else 0.0,
        memory_free_bytes=plan.memory,
    )


def estimate_levels(job: Job, saving: float) -> tuple[SongPlan, dict[Level, LevelEstimate]]:
    """Plan a job and estimate each level to sample, where writing a window takes `saving` seconds."""
    plan = plan_song(job)
    work = song_work(job, plan, saving)
    return plan, {one.level: LevelEstimate.of(one, work_speed(job, plan, one), plan) for one in work}


def _lacks_audio(job: Job) -> bool:
    """Return True if audio files that a recipe asks for do not exist."""
    if job.codes_only:
        return False
    paths = audio_paths(job.song, job.recipe.levels[-1], range(job.recipe.samples), job.request.suffix)
    return job.start.clear or not all(path.exists() for path in paths.values())


def _seconds(parts: Sequence[Mapping[Level, LevelEstimate]]) -> float:
    return sum(level.seconds for levels in parts for level in levels.values())


def _memory(parts: Sequence[Mapping[Level, LevelEstimate]]) -> int:
    return max((level.memory_bytes for levels in parts for level in levels.values()), default=0)
