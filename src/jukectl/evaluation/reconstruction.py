"""How well one level of a codec renders a recording, and how it uses its codebook (SPEC 7, after the Jukebox paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan

import numpy as np
import torch
from numpy.typing import NDArray

from jukectl.audio import mix
from jukectl.audio.mel import log_mel_distance
from jukectl.audio.mix import Samples
from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.entropy import entropy_bits
from jukectl.codes.level import Level
from jukectl.evaluation.beat import SHORTEST_SECONDS, beat_strength
from jukectl.evaluation.measures import multi_resolution_stft, si_sdr_db
from jukectl.evaluation.notes import note_f1
from jukectl.evaluation.visqol import Rate
from jukectl.midi.notes import Notes
from jukectl.midi.transcribe import SAMPLE_RATE as TRANSCRIBED_RATE
from jukectl.midi.transcribe import transcribe
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

SHIFT_SECONDS = 0.0015  # an eighth of a code of 256 samples at 22,050 Hz


@dataclass(frozen=True, eq=False, kw_only=True)
class ReconstructionScore:
    """One level's reconstruction of one recording, or of several taken together."""

    spectral_convergence_db: float  # lower is better
    multi_resolution_stft: float  # lower is better
    si_sdr_db: float  # higher is better
    visqol_mos: float | None  # 1 to about 4.7, higher is better; None where it was not asked for
    log_mel: float = nan  # mean distance of log mel bands, lower is better
    stable: float = nan  # share of codes that stay the same when the recording is shifted by SHIFT_SECONDS
    beat: float = nan  # see `beat_strength`; nan of less than a few seconds
    beat_recorded: float = nan  # the same of the recording
    note_f1: float | None = (
        None  # of transcribed notes by those of a MIDI file; None where there is none to compare with
    )
    note_f1_recorded: float | None = None  # the same of the recording
    counts: NDArray[np.int64]  # (codebook_size,) how often each code came

    @property
    def entropy_bits(self) -> float:
        """Entropy of the codes; an evenly used codebook has log2(codebook_size)."""
        return entropy_bits(self.counts)

    @property
    def used_codes(self) -> int:
        """How many of the codebook's codes came at all."""
        return int(np.count_nonzero(self.counts))

    @property
    def beat_share(self) -> float:
        """The beat as a share of the recording's."""
        return self.beat / self.beat_recorded if self.beat_recorded else nan

    @property
    def note_f1_share(self) -> float | None:
        """The note F1 as a share of the recording's."""
        if self.note_f1 is None or self.note_f1_recorded is None:
            return None
        return self.note_f1 / self.note_f1_recorded if self.note_f1_recorded else nan


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording to be rendered, and what can be heard of its notes and its beat."""

    samples: Samples  # (N,)
    sample_rate: int  # Hz
    notes: Notes | None = None  # that are written, without drums; None where they are not known or cannot be heard

    @cached_property
    def beat(self) -> float:
        """The beat of the recording itself."""
        return _beat(self.samples, self.sample_rate)

    @cached_property
    def note_f1(self) -> float | None:
        """The note F1 of the recording itself."""
        return self.note_f1_of(self.samples)

    def note_f1_of(self, samples: Samples) -> float | None:
        """Return how well the notes that are heard in samples (N,) agree with those that are written."""
        if self.notes is None:
            return None
        heard = mix.resample(samples[None], self.sample_rate, TRANSCRIBED_RATE)[0]
        return note_f1(self.notes, transcribe(heard))


def score(
    vqvae: VQVAE, recording: Recording | Samples, level: Level, *, rate: Rate | None = None
) -> ReconstructionScore:
    """Encode and decode a recording (N,), N a multiple of the level's hop, and compare.

    `rate` gives ViSQOL's opinion.
    """
    if not isinstance(recording, Recording):
        recording = Recording(recording, vqvae.config.sample_rate)
    audio, rate_hz = recording.samples, recording.sample_rate
    codes, predicted = render(vqvae, audio, level)
    return ReconstructionScore(
        spectral_convergence_db=spectral_convergence_db(audio, predicted),
        multi_resolution_stft=multi_resolution_stft(audio, predicted),
        si_sdr_db=si_sdr_db(audio, predicted),
        visqol_mos=rate(audio, predicted, vqvae.config.sample_rate) if rate else None,
        log_mel=float(
            log_mel_distance(*torch.from_numpy(np.stack([predicted, audio]))[:, None], recording.sample_rate)
        ),
        stable=stable_share(vqvae, audio, codes, level),
        beat=_beat(predicted, rate_hz),
        beat_recorded=recording.beat,
        note_f1=recording.note_f1_of(predicted),
        note_f1_recorded=recording.note_f1,
        counts=np.bincount(codes, minlength=vqvae.config.codebook_size),
    )


def stable_share(vqvae: VQVAE, audio: Samples, codes: NDArray[np.int64], level: Level) -> float:
    """Return the share of codes (T,) of audio (N,) that stay the same when it begins SHIFT_SECONDS later."""
    shifted = audio[round(SHIFT_SECONDS * vqvae.config.sample_rate) :]
    again = chunks.encode(vqvae, torch.from_numpy(np.ascontiguousarray(shifted))[None], level)[0].numpy()
    return float((again == codes[: len(again)]).mean()) if len(again) else nan


def _beat(samples: Samples, sample_rate: int) -> float:
    return beat_strength(samples, sample_rate) if len(samples) >= SHORTEST_SECONDS * sample_rate else nan


def render(vqvae: VQVAE, audio: Samples, level: Level) -> tuple[NDArray[np.int64], Samples]:
    """The codes (T,) of audio (N,), N a multiple of the level's hop, and their audio (N,). Long audio in chunks."""
    codes = chunks.encode(vqvae, torch.from_numpy(audio)[None], level)  # (1, T)
    predicted = torch.cat([piece[0] for piece in chunks.decode(vqvae, codes, level)])  # (N,)
    return codes[0].numpy(), predicted.numpy()


def together(scores: Sequence[ReconstructionScore]) -> ReconstructionScore:
    """Several recordings as one: the mean of their figures, the silent ones' left out, and the codes of all."""
    noted = any(one.note_f1 is not None for one in scores)
    rated = any(one.visqol_mos is not None for one in scores)
    return ReconstructionScore(
        spectral_convergence_db=_mean([one.spectral_convergence_db for one in scores]),
        multi_resolution_stft=_mean([one.multi_resolution_stft for one in scores]),
        si_sdr_db=_mean([one.si_sdr_db for one in scores]),
        visqol_mos=_mean([one.visqol_mos for one in scores if one.visqol_mos is not None]) if rated else None,
        log_mel=_mean([one.log_mel for one in scores]),
        stable=_mean([one.stable for one in scores]),
        beat=_mean([one.beat for one in scores]),
        beat_recorded=_mean([one.beat_recorded for one in scores]),
        note_f1=_mean([one.note_f1 for one in scores if one.note_f1 is not None]) if noted else None,
        note_f1_recorded=_mean([one.note_f1_recorded for one in scores if one.note_f1_recorded is not None])
        if noted
        else None,
        counts=np.sum([one.counts for one in scores], axis=0),
    )


def kbit_per_second(config: VQVAEConfig, level: Level) -> float:
    """What a level's codes take at log2(codebook_size) bits each."""
    return config.codes_per_second(level) * float(np.log2(config.codebook_size)) / 1_000


def _mean(values: Sequence[float]) -> float:
    """The mean of those that are finite; nan where none is."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else nan
