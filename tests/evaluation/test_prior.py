from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.level import Level
from jukectl.data.segments import Segments
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.prior import PriorScore, beginnings, derangement, score, shuffle_labels
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior

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


def judge(prior: Prior, segments: list[Segments], bigram: Bigram | None = None) -> PriorScore:
    """A score of segments, one a song, beside wrong labels and none."""
    labels = [batch.labels for batch in segments]
    return score(
        prior.eval(),
        segments,
        bigram or bigram_of(segments),
        songs=range(len(segments)),
        other={"shuffled": shuffle_labels(labels), "unlabelled": [batch.unlabelled() for batch in labels]},
        watch=lambda done: None,
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
    result = judge(prior, segments)
    costs = []
    for batch in segments:
        chances = prior(batch.codes, batch.labels).detach().softmax(-1)[0]  # (T, K)
        costs += [-np.log2(float(chances[place, code])) for place, code in enumerate(batch.codes[0])]
    assert result.true.ravel() == pytest.approx(costs, rel=1e-4)


def test_a_prior_that_knows_nothing_costs_the_whole_of_a_code_whatever_its_labels(config):
    prior = Prior(config).eval()
    torch.nn.init.zeros_(prior.codes.weight)
    segments = [segment(artist) for artist in range(3)]
    result = judge(prior, segments)
    assert result.true == pytest.approx(np.log2(K))
    assert result.other["shuffled"] == pytest.approx(np.log2(K))
    assert result.other["unlabelled"] == pytest.approx(np.log2(K))


def test_the_baselines_are_scored_on_exactly_the_codes_of_the_segments(config):
    segments = [segment(artist, seed=artist) for artist in range(3)]
    bigram = bigram_of([segment(artist, seed=10 + artist) for artist in range(3)])
    result = judge(Prior(config), segments, bigram)
    codes = torch.cat([batch.codes[0] for batch in segments]).numpy()
    assert result.unigram.ravel() == pytest.approx(bigram.unigram.bits(codes))
    assert result.bigram == pytest.approx(np.stack([bigram.bits(part) for part in np.split(codes, 3)]))


def test_a_prior_that_listens_to_its_labels_is_better_with_the_true_ones(config):
    prior = Prior(config)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    for step in range(60):
        batch = segment(step % 4, seed=step)
        optimizer.zero_grad()
        prior.loss(batch.codes, batch.labels).backward()
        optimizer.step()
    segments = [segment(number % 4, seed=1_000 + number) for number in range(24)]
    result = judge(prior, segments)
    for name in ("shuffled", "unlabelled"):
        gain = result.gain(name)
        assert gain is not None and gain.low is not None
        assert gain.bits > gain.low > 0
        first, last = result.gain(name, 1), (result.other[name] - result.true)[:, -1].mean()
        assert first is not None and first.bits > last  # later the music itself tells its style


def test_segments_with_one_and_the_same_label_cannot_be_shuffled(config):
    segments = [segment(2, offset=offset) for offset in (0, 16)]
    result = judge(Prior(config), segments)
    assert set(result.other) == {"unlabelled"}
    assert result.gain("shuffled") is None


def test_the_watcher_hears_of_every_batch(config):
    heard: list[int] = []
    segments = [segment(artist) for artist in range(3)]
    score(Prior(config).eval(), segments, bigram_of(segments), songs=range(3), other={}, watch=heard.append)
    assert heard == [1, 2, 3]


def costs_of(true: np.ndarray, other: np.ndarray, songs: list[int]) -> PriorScore:
    return PriorScore(true=true, unigram=true, bigram=true, other={"none": other}, songs=np.array(songs))


def test_a_gain_is_paired_and_its_interval_is_that_of_student_over_songs():
    generator = np.random.default_rng(0)
    true = generator.normal(8, 3, (60, T))  # segments differ far more than what labels save
    saved = generator.normal(0.05, 0.2, 60)
    gain = costs_of(true, true + saved[:, None], list(range(60))).gain("none")
    assert gain is not None and gain.low is not None and gain.high is not None
    expected = scipy.stats.t.interval(0.95, 59, saved.mean(), scipy.stats.sem(saved))
    assert (gain.low, gain.high) == pytest.approx(expected, abs=0.01)
    assert gain.bits == pytest.approx(saved.mean())


def test_segments_of_one_song_count_as_one():
    generator = np.random.default_rng(0)
    true, saved = np.zeros((40, T)), np.repeat(generator.normal(0, 1, 4), 10)
    few = costs_of(true, true + saved[:, None], [place // 10 for place in range(40)]).gain("none")
    many = costs_of(true, true + saved[:, None], list(range(40))).gain("none")
    assert few is not None and many is not None and None not in (few.low, few.high, many.low, many.high)
    assert few.high - few.low > 2 * (many.high - many.low)
    alone = costs_of(true, true + saved[:, None], [0] * 40).gain("none")
    assert alone is not None and alone.low is None


def test_a_gain_over_the_first_codes_leaves_out_the_rest():
    true = np.zeros((3, T))
    other = true.copy()
    other[:, :4] = 1
    result = costs_of(true, other, [0, 1, 2])
    assert [result.gain("none", length).bits for length in (1, 4, 8, None)] == [1, 1, 0.5, 4 / T]


@pytest.mark.parametrize("names", [("artist",), ("genres",), ("total_length", "offset")])
def test_each_label_can_be_shuffled_apart(names):
    batches = [labels_of(artist, genre, offset=10 * artist + genre) for artist in (1, 2) for genre in (1, 2, 3)]
    shuffled = shuffle_labels(batches, names)
    assert shuffled is not None
    for before, after in zip(batches, shuffled, strict=True):
        untold = {name for name, value in vars(before).items() if value is None}
        assert all(getattr(after, name) is None for name in untold)
        told = vars(before).keys() - untold
        changed = {name for name in told if not torch.equal(getattr(before, name), getattr(after, name))}
        assert changed and changed <= set(names)


def test_beginnings_cost_what_the_same_codes_cost_in_their_segments(config):
    prior = Prior(replace(config, init_scale=10.0))
    segments = [segment(artist, seed=artist) for artist in range(5)]
    whole = judge(prior, segments)
    short = beginnings(segments, 6, batch=2)
    assert [tuple(batch.codes.shape) for batch in short] == [(2, 6), (2, 6), (1, 6)]
    result = score(prior, short, bigram_of(segments), songs=range(5), other={}, watch=lambda done: None)
    assert result.true == pytest.approx(whole.true[:, :6], abs=1e-4)


def test_without_labels_the_place_in_the_song_is_still_told():
    labels = labels_of(2, 3, offset=40).unlabelled()
    assert (int(labels.artist), labels.genres.tolist(), int(labels.offset)) == (0, [[0, -1]], 40)
