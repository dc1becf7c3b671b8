"""Musical figures of one stretch of audio, and of new music compared with the prompt that it continues."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import Any, Self

import numpy as np

from jukectl.audio import mix
from jukectl.audio.mix import Samples
from jukectl.errors import MissingTool
from jukectl.evaluation.beat import SHORTEST_SECONDS, beat, onset_strength
from jukectl.evaluation.dynamics import attack_contrast, dynamic_range, loudness_step, nearly_silent
from jukectl.evaluation.inputs import rounded
from jukectl.evaluation.likeness import Likeness, Portrait
from jukectl.evaluation.tones import code_tones_db, low_share
from jukectl.midi.notes import Notes
from jukectl.midi.transcribe import SAMPLE_RATE as TRANSCRIBED_RATE
from jukectl.midi.transcribe import check_installed, transcribe

LEAST_BEAT = 0.2  # beat strength from which music keeps a beat; of 40 stretches of noise, 10 s each, the highest is 0.1
SAME_TEMPO = 4.0  # percent
NEAR_KEY = 1  # steps on the circle of fifths: the same key, its relative, a fifth away

Transcriber = Callable[[Samples], Notes]
"""A function of samples (N,), mono at the rate of the transcription, to notes."""


def find_transcriber() -> Transcriber | None:
    """Return the transcription by basic-pitch, None if it is not installed."""
    try:
        check_installed()
    except MissingTool:
        return None
    return transcribe


def note_density(notes: Notes, seconds: float) -> float:
    """Return the number of notes that begin in a second."""
    return len(notes) / seconds


def rest_share(notes: Notes, seconds: float) -> float:
    """Return the share, 0 to 1, of the first `seconds` in which no note sounds."""
    sounding, reached = 0.0, 0.0
    for start, stop in zip(notes.starts, np.minimum(notes.stops, seconds), strict=True):  # in the order of starts
        sounding += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return float(1 - sounding / seconds)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """Figures of one stretch of music. nan if a figure is not defined, or was not measured."""

    beat: float  # see `beat.beat_strength`, 0 to 1; nan for less than 3.15 s
    attack_contrast: float  # dB, see `dynamics.attack_contrast`; nan likewise
    dynamic_range: float  # dB, see `dynamics.dynamic_range`
    low_share: float  # share of the power under 150 Hz
    code_tones: float  # dB, see `tones.code_tones_db`
    notes_per_second: float  # of a transcription; nan without one
    rests: float  # share of the time without a note, likewise
    nearly_silent: bool

    @classmethod
    def of(
        cls, samples: Samples, sample_rate: int, *, code_rate: float, transcriber: Transcriber | None = None
    ) -> Self:
        """Measure samples (N,). `code_rate` is the rate of the bottom codes in Hz."""
        seconds = len(samples) / sample_rate
        onsets = onset_strength(samples, sample_rate) if seconds >= SHORTEST_SECONDS else None
        notes = transcriber(mix.resample(samples, sample_rate, TRANSCRIBED_RATE)) if transcriber else None
        return cls(
            beat=nan if onsets is None else beat(onsets)[0],
            attack_contrast=nan if onsets is None else attack_contrast(onsets),
            dynamic_range=dynamic_range(samples, sample_rate),
            low_share=low_share(samples, sample_rate),
            code_tones=code_tones_db(samples, sample_rate, code_rate),
            notes_per_second=nan if notes is None else note_density(notes, seconds),
            rests=nan if notes is None else rest_share(notes, seconds),
            nearly_silent=nearly_silent(samples, sample_rate),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Stretch:
    """A stretch of music with all that is measured of it."""

    samples: Samples  # (N,) mono
    sample_rate: int  # Hz
    portrait: Portrait
    traits: Traits

    @classmethod
    def measure(
        cls, samples: Samples, sample_rate: int, *, code_rate: float, transcriber: Transcriber | None = None
    ) -> Self:
        """Measure samples (N,), at least `likeness.SHORTEST` seconds."""
        return cls(
            samples=samples,
            sample_rate=sample_rate,
            portrait=Portrait.of(samples, sample_rate),
            traits=Traits.of(samples, sample_rate, code_rate=code_rate, transcriber=transcriber),
        )

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """New music beside its prompt, and beside the recording's own continuation. nan or None if not defined."""

    beat_of_original: float  # beat strength as a share of the original's; nan if that has less than LEAST_BEAT
    tempo_kept: bool | None  # within 4 % of the prompt's, its half or double; None if that has less than LEAST_BEAT
    key_kept: bool | None  # the prompt's, its relative or a fifth away
    attack_of_prompt: float  # attack contrast as a share of the prompt's
    range_of_prompt: float  # dynamic range as a share of the prompt's
    notes_of_prompt: float  # notes per second as a share of the prompt's
    rests: float  # share of the time without a note, less that of the prompt
    seam: float  # LU, from the end of the prompt to the beginning of the new music

    @classmethod
    def between(cls, prompt: Stretch, new: Stretch, original_beat: float = nan) -> Self:
        """Compare new music with its prompt. `original_beat` is that of the recording's own continuation."""
        likeness = Likeness.between(prompt.portrait, new.portrait)
        before, after = prompt.traits, new.traits
        return cls(
            beat_of_original=after.beat / original_beat if original_beat >= LEAST_BEAT else nan,
            tempo_kept=_tempo_kept(likeness) if before.beat >= LEAST_BEAT else None,
            key_kept=None if prompt.portrait.key is None else likeness.key_fifths <= NEAR_KEY,
            attack_of_prompt=_share(after.attack_contrast, before.attack_contrast),
            range_of_prompt=_share(after.dynamic_range, before.dynamic_range),
            notes_of_prompt=_share(after.notes_per_second, before.notes_per_second),
            rests=after.rests - before.rests,
            seam=loudness_step(prompt.samples, new.samples, prompt.sample_rate),
        )


def _tempo_kept(likeness: Likeness) -> bool:
    """Return whether the tempi agree; those of music without onsets, which has none, do not."""
    return likeness.tempo_percent <= SAME_TEMPO


def _share(value: float, whole: float) -> float:
    """Return a share, nan of nothing."""
    return value / whole if whole > 0 else nan


def facts_of(figures: Traits | Comparison) -> dict[str, Any]:
    """Return figures for JSON, None for those that are not defined."""
    return {name: value if isinstance(value, bool) else rounded(value) for name, value in asdict(figures).items()}


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the median of each number in rows for JSON, and the share of rows in which a truth value holds.

    Values that are not defined (None) are left out, and so are texts.
    """
    summary: dict[str, float | None] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows if row[name] is not None]
        if any(isinstance(value, str) for value in values):
            continue
        shares = all(isinstance(value, bool) for value in values)
        summary[name] = (rounded(float((np.mean if shares else np.median)(values)))) if values else None
    return summary
