"""The Fréchet distance against closed formulas, and on music and noise."""

import numpy as np
import pytest
from music_signals import melody

from jukectl.evaluation.fd_mel import BANDS, CHANGE_FRAMES, HOP, Gaussian, fd_mel, frechet_distance, mel_frames

RATE = 22_050


def spd(seed, size=6):
    """Return a random covariance."""
    root = np.random.default_rng(seed).standard_normal((size, size))
    return root @ root.T


def test_the_distance_of_two_gaussians_in_one_dimension_is_that_of_means_and_deviations():
    first, second = Gaussian(np.array([1.0]), np.array([[4.0]])), Gaussian(np.array([4.0]), np.array([[25.0]]))
    assert frechet_distance(first, second) == pytest.approx((1 - 4) ** 2 + (2 - 5) ** 2)


def test_the_distance_equals_the_formula_with_the_matrix_square_root_of_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    a, b, mean = spd(0), spd(1), np.arange(6.0)
    expected = mean @ mean + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(Gaussian(np.zeros(6), a), Gaussian(mean, b)) == pytest.approx(expected)
    assert frechet_distance(Gaussian(mean, b), Gaussian(np.zeros(6), a)) == pytest.approx(expected)


def test_covariances_may_be_singular_and_equal_gaussians_are_at_no_distance():
    flat = np.diag([1.0, 0.0])
    assert frechet_distance(Gaussian(np.zeros(2), flat), Gaussian(np.zeros(2), np.diag([0.0, 9.0]))) == pytest.approx(
        10
    )
    assert frechet_distance(Gaussian(np.ones(6), spd(2)), Gaussian(np.ones(6), spd(2))) == pytest.approx(0, abs=1e-6)


def test_samples_of_gaussians_with_known_moments_have_the_distance_of_the_formula():
    generator = np.random.default_rng(0)
    roots = [np.linalg.cholesky(spd(seed)) for seed in (0, 1)]
    sets = [generator.standard_normal((3, 40_000, 6)) @ root.T + mean for mean, root in zip((0, 2), roots, strict=True)]
    exact = frechet_distance(Gaussian(np.zeros(6), spd(0)), Gaussian(np.full(6, 2.0), spd(1)))
    assert fd_mel(list(sets[0]), list(sets[1])) == pytest.approx(exact, rel=0.02)


def test_a_fit_of_several_sets_is_that_of_all_their_vectors():
    vectors = np.random.default_rng(1).standard_normal((50, 4)) + 3
    fitted = Gaussian.fit([vectors[:10], vectors[10:]])
    assert fitted.mean == pytest.approx(vectors.mean(axis=0))
    assert fitted.covariance == pytest.approx(np.cov(vectors.T))
    with pytest.raises(ValueError, match="two vectors"):
        Gaussian.fit([vectors[:1]])


def test_frames_hold_bands_and_their_change_and_loudness_does_not_matter():
    music = melody(3, 0)
    frames = mel_frames(music, RATE)
    assert frames.shape == (1 + len(music) // HOP - CHANGE_FRAMES, 2 * BANDS)
    assert frames[CHANGE_FRAMES:, BANDS:] == pytest.approx(
        frames[CHANGE_FRAMES:, :BANDS] - frames[:-CHANGE_FRAMES, :BANDS], abs=1e-4
    )
    assert mel_frames(music * np.float32(0.1), RATE) == pytest.approx(frames, abs=0.01)
    assert mel_frames(np.zeros(RATE, np.float32), RATE)[:, :BANDS] == pytest.approx(-60.0)


def test_other_melodies_are_nearer_than_noise_drones_and_silence():
    music = [mel_frames(melody(6, seed), RATE) for seed in range(8)]
    own = fd_mel(music[:4], music[4:])
    noise = 0.1 * np.random.default_rng(0).standard_normal(6 * RATE).astype(np.float32)
    drone = np.sin(2 * np.pi * 220 * np.arange(6 * RATE) / RATE).astype(np.float32)
    for other in (noise, drone, np.zeros(6 * RATE, np.float32)):
        assert fd_mel([mel_frames(other, RATE)], music[4:]) > 5 * own
