from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.level import Level
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.prior import derangement, score, shuffle_labels
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.training.segments import Segments

K, T = 5, 16


def labels_of(artist: int, genre: int, offset: int = 0) -> LabelBatch:
    return LabelBatch.repeat(
        1, artist=artist, genres=(genre,), slots=2, total_length=999, offset=offset, sample_length=T
    )


def segment(artist: int, genre: int = 0, offset: int = 0, seed: int = 0) -> Segments:
    """A segment in which the artist's own code comes nine times out of ten."""
    generator = torch.Generator().manual_seed(seed)
    rare = torch.rand(1, T, generator=generator) < 0.1
    codes = torch.where(rare, torch.randint(K, (1, T), generator=generator), artist)
    return Segments(codes, None, labels_of(artist, genre, offset))


@pytest.fixture
def config() -> PriorConfig:
    return PriorConfig(
        level=Level.TOP,
        context=T,
        width=16,
        depth=3,
        heads=2,
        blocks=4,
        hop=4,
        codebook_size=K,
        artists=5,
        genres=5,
        genre_slots=2,
    )


def bigram_of(segments: list[Segments]) -> Bigram:
    return Bigram.fit([batch.codes[0].numpy() for batch in segments], K)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 3))
def test_shuffled_labels_are_never_the_true_ones(labels, seed):
    picks = derangement(labels, np.random.default_rng(seed))
    if len(set(labels)) == 1:
        assert picks is None
    else:
        assert picks is not None and all(labels[pick] != own for pick, own in zip(picks, labels, strict=True))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.integers(0, 3))
def test_unless_one_label_has_more_than_half_of_the_segments_each_is_given_as_often_as_it_is_true(labels, seed):
    picks = derangement(labels, np.random.default_rng(seed))
    if 2 * max(labels.count(label) for label in labels) <= len(labels):
        assert picks is not None and sorted(picks) == list(range(len(labels)))


def test_shuffling_changes_artist_and_genres_and_leaves_the_timing():
    batches = [labels_of(artist, genre, offset=10 * artist + genre) for artist in (1, 2) for genre in (1, 2, 3)]
    shuffled = shuffle_labels(batches)
    assert shuffled is not None
    for before, after in zip(batches, shuffled, strict=True):
        assert (int(before.artist), before.genres.tolist()) != (int(after.artist), after.genres.tolist())
        for name in ("total_length", "offset", "sample_length"):
            assert torch.equal(getattr(before, name), getattr(after, name))


def test_shuffling_knows_segments_within_a_batch():
    three = LabelBatch.repeat(3, artist=1)
    mixed = replace(three, artist=torch.tensor([1, 2, 3]))
    (shuffled,) = shuffle_labels([mixed]) or []
    assert sorted(shuffled.artist.tolist()) == [1, 2, 3]
    assert not (shuffled.artist == mixed.artist).any()


def test_bits_are_what_the_softmax_of_the_logits_says(config):
    prior = Prior(replace(config, init_scale=10.0)).eval()
    segments = [segment(artist, seed=artist) for artist in range(4)]
    result = score(prior, segments, bigram_of(segments), watch=lambda done: None)
    costs = []
    for batch in segments:
        chances = prior(batch.codes, batch.labels).detach().softmax(-1)[0]  # (T, K)
        costs += [-np.log2(float(chances[place, code])) for place, code in enumerate(batch.codes[0])]
    assert result.bits == pytest.approx(np.mean(costs), rel=1e-5)
    assert (result.codes, result.segments) == (4 * T, 4)


def test_a_prior_that_knows_nothing_costs_the_whole_of_a_code_whatever_its_labels(config):
    prior = Prior(config).eval()
    torch.nn.init.zeros_(prior.codes.weight)
    segments = [segment(artist) for artist in range(3)]
    result = score(prior, segments, bigram_of(segments), watch=lambda done: None)
    assert result.bits == result.shuffled_bits == pytest.approx(np.log2(K))


def test_the_baselines_are_scored_on_exactly_the_codes_of_the_segments(config):
    segments = [segment(artist, seed=artist) for artist in range(3)]
    bigram = bigram_of([segment(artist, seed=10 + artist) for artist in range(3)])
    result = score(Prior(config).eval(), segments, bigram, watch=lambda done: None)
    codes = torch.cat([batch.codes[0] for batch in segments]).numpy()
    assert result.unigram_bits == pytest.approx(bigram.unigram.bits(codes).mean())
    assert result.bigram_bits == pytest.approx(np.mean([bigram.bits(part) for part in np.split(codes, 3)]))


def test_a_prior_that_listens_to_its_labels_is_better_with_the_true_ones(config):
    prior = Prior(config)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    for step in range(60):
        batch = segment(step % 4, seed=step)
        optimizer.zero_grad()
        prior.loss(batch.codes, batch.labels).backward()
        optimizer.step()
    segments = [segment(artist, seed=1_000 + artist) for artist in range(4)]
    result = score(prior.eval(), segments, bigram_of(segments), watch=lambda done: None)
    assert result.shuffled_bits is not None
    assert result.bits < result.shuffled_bits


def test_segments_with_one_and_the_same_label_cannot_be_shuffled(config):
    segments = [segment(2, offset=offset) for offset in (0, 16)]
    assert score(Prior(config).eval(), segments, bigram_of(segments), watch=lambda done: None).shuffled_bits is None


def test_the_watcher_hears_of_every_batch(config):
    heard: list[int] = []
    segments = [segment(artist) for artist in range(3)]
    score(Prior(config).eval(), segments, bigram_of(segments), watch=heard.append)
    assert heard == [1, 2, 3]
