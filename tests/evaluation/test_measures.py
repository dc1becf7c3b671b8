from math import inf, isnan

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from jukectl.codes.archive import entropy_bits
from jukectl.evaluation.measures import multi_resolution_stft, note_f1, si_sdr_db
from jukectl.midi.notes import Notes

TIME = np.arange(4_000) / 4_000
SINE, COSINE = np.sin(2 * np.pi * 50 * TIME), np.cos(2 * np.pi * 50 * TIME)  # of equal power, and orthogonal


@pytest.mark.parametrize("ratio_db", [-30, -3, 0, 10.5, 40])
def test_the_si_sdr_of_a_mixture_is_the_ratio_of_its_powers(ratio_db):
    assert si_sdr_db(SINE, SINE + 10 ** (-ratio_db / 20) * COSINE) == pytest.approx(ratio_db, abs=1e-6)


@pytest.mark.parametrize(("volume", "offset"), [(0.01, 0), (-1, 0), (300, 0), (1, 5), (0.2, -3)])
def test_si_sdr_does_not_depend_on_volume_polarity_or_offset(volume, offset):
    mixture = SINE + 0.1 * COSINE
    assert si_sdr_db(SINE, volume * mixture + offset) == pytest.approx(20, abs=1e-6)


def test_si_sdr_agrees_with_least_squares_on_noise():
    target, predicted = np.random.default_rng(0).standard_normal((2, 1_000))
    predicted += target
    columns = np.stack([target, np.ones_like(target)], axis=1)
    (scale, _), residual, *_ = np.linalg.lstsq(columns, predicted)
    signal = np.square(scale * (target - target.mean())).sum()
    assert si_sdr_db(target, predicted) == pytest.approx(10 * np.log10(signal / residual[0]))


def test_si_sdr_is_infinite_for_equal_and_orthogonal_signals_and_nan_for_a_constant():
    assert si_sdr_db([1, -1, 1, -1], [2, -2, 2, -2]) == inf
    assert si_sdr_db(SINE, 0 * SINE) == -inf
    assert isnan(si_sdr_db(np.ones(10), np.arange(10)))


def test_si_sdr_refuses_signals_of_different_lengths():
    with pytest.raises(ValueError, match="one length"):
        si_sdr_db(np.ones(3), np.ones(4))


@pytest.mark.parametrize(
    ("counts", "bits"),
    [([7] * 8, 3), ([4, 2, 1, 1], 1.75), ([0, 4, 0, 2, 1, 1, 0], 1.75), ([0, 9, 0], 0), ([0, 0], 0), ([1] * 2048, 11)],
)
def test_the_entropy_of_known_histograms(counts, bits):
    assert entropy_bits(np.array(counts)) == pytest.approx(bits)


@given(st.lists(st.integers(0, 1_000), min_size=1).filter(any))
def test_entropy_agrees_with_scipy(counts):
    assert entropy_bits(np.array(counts)) == pytest.approx(float(entropy(counts, base=2)), abs=1e-9)


def scipy_distance(target: np.ndarray, predicted: np.ndarray) -> float:
    """Return the multi-resolution STFT distance by scipy's transform."""
    distances = []
    for n_fft, hop, window in ((2_048, 240, 1_200), (1_024, 120, 600), (512, 50, 240)):
        shape = np.zeros(n_fft)
        start = (n_fft - window) // 2
        shape[start : start + window] = scipy.signal.get_window("hann", window)
        transform = scipy.signal.ShortTimeFFT(shape, hop, fs=1)
        frames = 1 + len(target) // hop
        both = (
            np.abs(transform.stft(signal.astype(np.float64), p0=0, p1=frames, k_offset=0)).clip(min=1e-4)
            for signal in (target, predicted)
        )
        ours, theirs = both
        convergence = np.linalg.norm(ours - theirs) / np.linalg.norm(ours)
        distances.append(convergence + np.abs(np.log(ours) - np.log(theirs)).mean())
    return float(np.mean(distances))


@pytest.mark.parametrize("noise", [0.001, 0.1, 1.0])
def test_the_multi_resolution_stft_distance_agrees_with_scipy(noise):
    generator = np.random.default_rng(0)
    target = (np.sin(np.arange(9_000) * 0.05) * np.linspace(0, 1, 9_000)).astype(np.float32)
    predicted = target + (noise * generator.standard_normal(9_000)).astype(np.float32)
    assert multi_resolution_stft(target, predicted) == pytest.approx(scipy_distance(target, predicted), rel=1e-4)


def test_the_multi_resolution_stft_distance_is_zero_to_itself_and_nan_to_silence():
    signal = np.random.default_rng(0).standard_normal(5_000)
    assert multi_resolution_stft(signal, signal) == 0
    assert np.isnan(multi_resolution_stft(np.zeros(5_000), signal))


def test_a_long_signal_in_pieces_has_the_distance_of_the_whole(monkeypatch):
    signal, other = np.random.default_rng(0).standard_normal((2, 60_000))
    whole = multi_resolution_stft(signal, other)
    monkeypatch.setattr("jukectl.evaluation.measures.PIECE", 25_000)
    assert multi_resolution_stft(signal, other) == pytest.approx(whole, rel=0.02)


some_notes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(60, 62)).map(
        lambda one: (one[0] / 40, one[0] / 40 + 0.1, one[1], 80, False)
    ),
    max_size=20,
)


@given(some_notes, some_notes)
def test_note_f1_counts_the_largest_number_of_pairs(written, found):
    """The largest number of pairs is found by augmenting paths."""
    ours = note_f1(Notes.of(written), Notes.of(found))
    near = [[j for j, b in enumerate(found) if a[2] == b[2] and abs(a[0] - b[0]) < 0.0501] for a in written]
    taken: dict[int, int] = {}

    def pair(one: int, tried: set[int]) -> bool:
        for other in near[one]:
            if other not in tried:
                tried.add(other)
                if other not in taken or pair(taken[other], tried):
                    taken[other] = one
                    return True
        return False

    hits = sum(pair(one, set()) for one in range(len(written)))
    both = len(written) + len(found)
    assert ours == pytest.approx(2 * hits / both if written and found else 0.0)


def test_note_f1_equals_that_of_mir_eval():
    transcription = pytest.importorskip("mir_eval").transcription
    generator = np.random.default_rng(5)

    def notes(count):
        starts = generator.integers(0, 2_000, count) / 500
        return Notes.of(
            [
                (float(at), float(at) + 0.2, int(p), 80, False)
                for at, p in zip(starts, generator.integers(60, 64, count), strict=True)
            ]
        )

    def pairs(one):
        return np.stack([one.starts, one.stops], axis=1), 440 * 2 ** ((one.pitches.astype(float) - 69) / 12)

    for _ in range(20):
        written, found = notes(60), notes(80)
        theirs = transcription.precision_recall_f1_overlap(*pairs(written), *pairs(found), offset_ratio=None)[2]
        assert note_f1(written, found) == pytest.approx(theirs)
