from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pytest
import torch

from jukectl.codes.level import Level
from jukectl.evaluation.reconstruction import SHIFT_SECONDS, ReconstructionScore, kbit_per_second, score, together
from jukectl.vqvae.config import VQVAEConfig

from .conftest import music


def a_score(convergence: float, si_sdr: float, counts: list[int]) -> ReconstructionScore:
    return ReconstructionScore(
        spectral_convergence_db=convergence,
        multi_resolution_stft=0.5,
        si_sdr_db=si_sdr,
        visqol_mos=None,
        counts=np.array(counts),
    )


def spectra(samples: np.ndarray) -> np.ndarray:
    """Magnitudes by FFTs of frames: 2048 points, a Hann window of 1536, one frame every 256 samples."""
    window = np.zeros(2_048)
    window[256:-256] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1_536) / 1_536)
    padded = np.pad(samples.astype(np.float64), 1_024)
    starts = range(0, len(padded) - 2_048 + 1, 256)
    return np.array([np.abs(np.fft.rfft(padded[start : start + 2_048] * window)) for start in starts])


@pytest.mark.parametrize("level", Level)
def test_a_score_is_that_of_the_whole_recording_passed_through_the_codec_at_once(codec, level):
    audio = music(9.0, seed=5)  # longer than a chunk
    hop = codec.config.hop(level)
    audio = audio[: len(audio) // hop * hop]
    result = score(codec, audio, level)

    codes = codec.encode(torch.from_numpy(audio)[None], level)
    predicted = codec.decode(codes, level)[0].numpy()
    target, decoded = spectra(audio), spectra(predicted)
    convergence = 20 * np.log10(np.linalg.norm(target - decoded) / np.linalg.norm(target))
    assert result.spectral_convergence_db == pytest.approx(convergence, abs=1e-3)
    numbers, times = np.unique(codes.numpy(), return_counts=True)
    assert result.counts[numbers].tolist() == times.tolist()
    assert result.counts.sum() == codes.numel()
    assert result.used_codes == len(numbers)
    centred = [signal - signal.mean(dtype=np.float64) for signal in (audio, predicted)]
    cosine = centred[0] @ centred[1] / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    assert result.si_sdr_db == pytest.approx(10 * np.log10(cosine**2 / (1 - cosine**2)), abs=1e-2)


def test_several_recordings_have_the_mean_of_their_decibels_and_the_entropy_of_all_their_codes():
    both = together([a_score(-10, 4, [4, 0, 0, 0]), a_score(-20, 8, [0, 2, 2, 0])])
    assert (both.spectral_convergence_db, both.si_sdr_db) == (-15, 6)
    assert both.used_codes == 3
    assert both.entropy_bits == pytest.approx(1.5)


def test_silent_recordings_do_not_count_towards_the_mean():
    both = together([a_score(-10, 4, [1, 0]), a_score(inf, nan, [0, 1])])
    assert (both.spectral_convergence_db, both.si_sdr_db, both.used_codes) == (-10, 4, 2)
    assert isnan(together([a_score(inf, nan, [0, 1])]).spectral_convergence_db)


@pytest.mark.parametrize(
    ("config", "level", "kbit"),
    [
        (VQVAEConfig(), Level.BOTTOM, 60.6375),
        (VQVAEConfig(sample_rate=22_050, downs=(1, 1, 1), strides=(16, 4, 4)), Level.BOTTOM, 15.159),
        (VQVAEConfig(sample_rate=22_050, downs=(1, 1, 1), strides=(16, 4, 4)), Level.TOP, 0.947),
    ],
)
def test_a_level_takes_eleven_bits_a_code_with_2048_codes(config, level, kbit):
    assert kbit_per_second(config, level) == pytest.approx(kbit, abs=1e-3)


def test_the_share_of_stable_codes_is_that_of_codes_that_a_shift_leaves(codec):
    level, shift = Level.MIDDLE, round(SHIFT_SECONDS * codec.config.sample_rate)
    audio = music(4.0, seed=2)
    audio = audio[: len(audio) // codec.config.hop(level) * codec.config.hop(level)]
    codes = codec.encode(torch.from_numpy(audio)[None], level)[0].numpy()
    rest = audio[shift:]
    again = codec.encode(
        torch.from_numpy(rest[: len(rest) // codec.config.hop(level) * codec.config.hop(level)])[None], level
    )
    equal = (again[0].numpy() == codes[: again.shape[1]]).mean()
    assert score(codec, audio, level).stable == pytest.approx(equal)


def test_beat_and_notes_are_given_as_shares_of_the_recordings_own():
    one = replace(a_score(-10, 4, [1, 0]), beat=0.3, beat_recorded=0.6, note_f1=0.2, note_f1_recorded=0.8)
    other = replace(one, beat=0.1, note_f1=None, note_f1_recorded=None)  # no MIDI file beside it
    both = together([one, other])
    assert (one.beat_share, one.note_f1_share) == (pytest.approx(0.5), pytest.approx(0.25))
    assert (both.beat_share, both.note_f1_share) == (pytest.approx(0.2 / 0.6), pytest.approx(0.25))
    assert together([other]).note_f1_share is None
