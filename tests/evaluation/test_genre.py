"""The classifier of genre, on music whose kinds are known."""

import numpy as np
import pytest
from music_signals import RATE, clicks, melody

from jukectl.evaluation.fd_mel import BANDS, mel_frames
from jukectl.evaluation.genre import STEP, WINDOW, GenreClassifier, balanced_accuracy, features


def song(genre, seed):
    """Return the frames of a song of 6 s: a melody, clicks, or noise that swells and fades."""
    generator = np.random.default_rng(seed)
    samples = {
        "melody": melody(6, seed),
        "clicks": clicks(generator.uniform(80, 140), 6),
        "swells": 0.1 * generator.standard_normal(6 * RATE) * np.sin(np.arange(6 * RATE) / RATE) ** 2,
    }[genre]
    quiet = 1e-3 * generator.standard_normal(len(samples))
    return mel_frames((samples + quiet).astype(np.float32), RATE)


GENRES = ("melody", "clicks", "swells")


@pytest.fixture(scope="module")
def classifier():
    genres = [genre for genre in GENRES for _ in range(4)] + ["melody"] * 4
    return GenreClassifier.train([song(genre, seed) for seed, genre in enumerate(genres)], genres)


@pytest.mark.parametrize("genre", GENRES)
def test_the_genre_of_songs_it_has_not_learned_from_is_recognised(classifier, genre):
    assert [classifier.classify(song(genre, seed)) for seed in (100, 101, 102)] == [genre] * 3


def test_training_again_gives_the_same_weights(classifier):
    genres = [genre for genre in GENRES for _ in range(4)] + ["melody"] * 4
    again = GenreClassifier.train([song(genre, seed) for seed, genre in enumerate(genres)], genres)
    assert again.weights == pytest.approx(classifier.weights, abs=1e-4)


def test_labels_that_say_nothing_are_not_recognised_better_than_by_chance():
    generator = np.random.default_rng(0)
    songs = [song("melody", seed) for seed in range(24)]
    genres = [str(one) for one in generator.permutation(["a", "b"] * 12)]
    trained = GenreClassifier.train(songs[:16], genres[:16])
    assert sum(trained.classify(one) == own for one, own in zip(songs[16:], genres[16:], strict=True)) <= 6


def test_features_are_mean_deviation_and_change_of_each_window():
    frames = np.random.default_rng(0).standard_normal((WINDOW + STEP, 2 * BANDS)).astype(np.float32)
    found = features(frames)
    assert found.shape == (2, 3 * BANDS)
    second = frames[STEP : STEP + WINDOW]
    assert found[1] == pytest.approx(
        np.concatenate([second[:, :BANDS].mean(0), second[:, :BANDS].std(0), np.abs(second[:, BANDS:]).mean(0)])
    )
    assert features(frames[:10]).shape == (1, 3 * BANDS)


def test_accuracy_counts_every_genre_the_same():
    assert balanced_accuracy(["a", "a", "a", "a"], ["a", "a", "a", "b"]) == pytest.approx(0.5)
    assert balanced_accuracy(["a", "b"], ["a", "b"]) == 1


def test_a_classifier_needs_two_genres():
    with pytest.raises(ValueError, match="two genres"):
        GenreClassifier.train([song("melody", 0)], ["melody"])
