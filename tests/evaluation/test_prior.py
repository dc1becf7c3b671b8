"""Scores of priors, and `jukectl eval prior` from the command line to the figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from music_fixtures import SONGS, is_picture

from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.shard import read_shard, write_shard
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.segments import Segments, SegmentSet
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.prior import PriorScore, beginnings, derangement, score, shuffle_labels
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary

K, T = 5, 16


def labels_of(artist: int, genre: int, offset: int = 0) -> LabelBatch:
    return LabelBatch.repeat(
        1, artist=artist, genres=(genre,), slots=2, total_length=999, offset=offset, sample_length=T
    )


def segment(artist: int, genre: int = 0, offset: int = 0, seed: int = 0) -> Segments:
    """A segment in which nine codes of ten are the artist's number."""
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


def score_all(prior: Prior, segments: list[Segments], bigram: Bigram | None = None) -> PriorScore:
    """Score segments of as many songs, with true, wrong and no labels."""
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
def test_each_label_is_given_as_often_as_it_is_true_unless_one_has_more_than_half(labels, seed):
    picks = derangement(labels, np.random.default_rng(seed))
    if 2 * max(labels.count(label) for label in labels) <= len(labels):
        assert picks is not None and sorted(picks) == list(range(len(labels)))


def test_shuffling_changes_artist_and_genres_but_not_the_timing():
    batches = [labels_of(artist, genre, offset=10 * artist + genre) for artist in (1, 2) for genre in (1, 2, 3)]
    shuffled = shuffle_labels(batches)
    assert shuffled is not None
    for before, after in zip(batches, shuffled, strict=True):
        assert (int(before.artist), before.genres.tolist()) != (int(after.artist), after.genres.tolist())
        for name in ("total_length", "offset", "sample_length"):
            assert torch.equal(getattr(before, name), getattr(after, name))


def test_shuffling_mixes_segments_within_a_batch():
    three = LabelBatch.repeat(3, artist=1)
    mixed = replace(three, artist=torch.tensor([1, 2, 3]))
    (shuffled,) = shuffle_labels([mixed]) or []
    assert sorted(shuffled.artist.tolist()) == [1, 2, 3]
    assert not (shuffled.artist == mixed.artist).any()


def test_bits_follow_from_the_softmax_of_the_logits(config):
    prior = Prior(replace(config, init_scale=10.0)).eval()
    segments = [segment(artist, seed=artist) for artist in range(4)]
    result = score_all(prior, segments)
    costs = []
    for batch in segments:
        probabilities = prior(batch.codes, batch.labels).detach().softmax(-1)[0]  # (T, K)
        costs += [-np.log2(float(probabilities[place, code])) for place, code in enumerate(batch.codes[0])]
    assert result.true.ravel() == pytest.approx(costs, rel=1e-4)


def test_a_uniform_prior_costs_log2_of_the_codebook_size_with_any_labels(config):
    prior = Prior(config).eval()
    torch.nn.init.zeros_(prior.codes.weight)
    segments = [segment(artist) for artist in range(3)]
    result = score_all(prior, segments)
    assert result.true == pytest.approx(np.log2(K))
    assert result.other["shuffled"] == pytest.approx(np.log2(K))
    assert result.other["unlabelled"] == pytest.approx(np.log2(K))


def test_the_baselines_are_scored_on_the_codes_of_the_segments(config):
    segments = [segment(artist, seed=artist) for artist in range(3)]
    bigram = bigram_of([segment(artist, seed=10 + artist) for artist in range(3)])
    result = score_all(Prior(config), segments, bigram)
    codes = torch.cat([batch.codes[0] for batch in segments]).numpy()
    assert result.unigram.ravel() == pytest.approx(bigram.unigram.bits(codes))
    assert result.bigram == pytest.approx(np.stack([bigram.bits(part) for part in np.split(codes, 3)]))


def test_a_prior_that_uses_its_labels_is_better_with_the_true_ones(config):
    prior = Prior(config)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    for step in range(60):
        batch = segment(step % 4, seed=step)
        optimizer.zero_grad()
        prior.loss(batch.codes, batch.labels).backward()
        optimizer.step()
    segments = [segment(number % 4, seed=1_000 + number) for number in range(24)]
    result = score_all(prior, segments)
    for name in ("shuffled", "unlabelled"):
        gain = result.gain(name)
        assert gain is not None and gain.low is not None
        assert gain.bits > gain.low > 0
        first, last = result.gain(name, 1), (result.other[name] - result.true)[:, -1].mean()
        assert first is not None and first.bits > last  # later the style can be read from the music


def test_segments_with_one_and_the_same_label_cannot_be_shuffled(config):
    segments = [segment(2, offset=offset) for offset in (0, 16)]
    result = score_all(Prior(config), segments)
    assert set(result.other) == {"unlabelled"}
    assert result.gain("shuffled") is None


def test_scoring_reports_every_batch(config):
    done: list[int] = []
    segments = [segment(artist) for artist in range(3)]
    score(Prior(config).eval(), segments, bigram_of(segments), songs=range(3), other={}, watch=done.append)
    assert done == [1, 2, 3]


def costs_of(true: np.ndarray, other: np.ndarray, songs: list[int]) -> PriorScore:
    return PriorScore(true=true, unigram=true, bigram=true, other={"none": other}, songs=np.array(songs))


def test_a_gain_is_paired_and_its_interval_agrees_with_students_t_over_songs():
    generator = np.random.default_rng(0)
    true = generator.normal(8, 3, (60, T))  # segments differ far more than labels save
    saved = generator.normal(0.05, 0.2, 60)
    gain = costs_of(true, true + saved[:, None], list(range(60))).gain("none")
    assert gain is not None and gain.low is not None and gain.high is not None
    expected = scipy.stats.t.interval(0.95, 59, saved.mean(), scipy.stats.sem(saved))
    assert (gain.low, gain.high) == pytest.approx(expected, abs=0.01)
    assert gain.bits == pytest.approx(saved.mean())


def test_segments_of_one_song_count_as_one_in_the_interval():
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
def test_each_label_can_be_shuffled_alone(names):
    batches = [labels_of(artist, genre, offset=10 * artist + genre) for artist in (1, 2) for genre in (1, 2, 3)]
    shuffled = shuffle_labels(batches, names)
    assert shuffled is not None
    for before, after in zip(batches, shuffled, strict=True):
        missing = {name for name, value in vars(before).items() if value is None}
        assert all(getattr(after, name) is None for name in missing)
        changed = {
            name
            for name in vars(before).keys() - missing
            if not torch.equal(getattr(before, name), getattr(after, name))
        }
        assert changed and changed <= set(names)


def test_beginnings_cost_as_much_as_the_same_codes_in_whole_segments(config):
    prior = Prior(replace(config, init_scale=10.0))
    segments = [segment(artist, seed=artist) for artist in range(5)]
    whole = score_all(prior, segments)
    short = beginnings(segments, 6, batch=2)
    assert [tuple(batch.codes.shape) for batch in short] == [(2, 6), (2, 6), (1, 6)]
    result = score(prior, short, bigram_of(segments), songs=range(5), other={}, watch=lambda done: None)
    assert result.true == pytest.approx(whole.true[:, :6], abs=1e-4)


def test_unlabelled_segments_keep_their_place_in_the_song():
    labels = labels_of(2, 3, offset=40).unlabelled()
    assert (int(labels.artist), labels.genres.tolist(), int(labels.offset)) == (0, [[0, -1]], 40)


def test_eval_prior_scores_prior_baselines_and_wrong_labels_on_the_same_codes(run, codes, held_out, tiny_model):
    facts = json.loads(
        run("--json", "eval", "prior", codes, "--held-out", held_out, "--segments", "6", "--model", tiny_model)
    )
    assert facts["songs"] == 2
    assert list(facts["levels"]) == ["top", "middle", "bottom"]
    for level in facts["levels"].values():
        assert (level["segments"], level["codes"]) == (6, 6 * 64)
        assert level["shuffled_bits"] != level["bits"]

    # the top level again, by hand
    def of(song: str) -> np.ndarray:
        return CodeFolder(codes).find(f"{song}.wav", Level.TOP)[:]

    bigram = Bigram.fit([of(song) for song in SONGS[:4]], 32)
    prior = ModelFolder(tiny_model).prior(Level.TOP, torch.device("cpu"))
    songs = EncodedSongs(codes)
    segments = SegmentSet.load(
        songs, songs.manifest.tracks[4:], Level.TOP, Vocabulary(), context=64, ratio=1, slots=2
    ).spread(6)
    names = ((1, (1,)), (2, (2, 1)))  # Ada plays Jazz, Björk B. Ambient and Jazz
    own, wrong, unigram_bits, bigram_bits = [], [], [], []
    for index, batch in enumerate(segments):
        song = index // 3  # three of each
        segment = batch.codes[0].numpy()
        start = int(batch.labels.offset) // 256
        assert segment.tolist() == of(SONGS[4 + song])[start : start + 64].tolist()
        unigram_bits.append(bigram.unigram.bits(segment))
        bigram_bits.append(bigram.bits(segment))
        for costs, (artist, genres) in ((own, names[song]), (wrong, names[1 - song])):
            labels = LabelBatch.repeat(
                1,
                artist=artist,
                genres=genres,
                slots=2,
                total_length=len(of(SONGS[4 + song])) * 256,
                offset=start * 256,
                sample_length=64 * 256,
            )
            costs.append(float(prior.loss(batch.codes, labels)))
    found = facts["levels"]["top"]
    assert found["bits"] == pytest.approx(np.mean(own), abs=1e-3)
    assert found["shuffled_bits"] == pytest.approx(np.mean(wrong), abs=1e-3)
    assert found["unigram_bits"] == pytest.approx(np.mean(unigram_bits), abs=1e-3)
    assert found["bigram_bits"] == pytest.approx(np.mean(bigram_bits), abs=1e-3)


def test_eval_prior_measures_the_gain_of_labels_over_the_first_codes(run, codes, held_out, tiny_model):
    arguments = ("eval", "prior", codes, "--held-out", held_out, "--segments", "4", "--model", tiny_model)
    facts = json.loads(run("--json", *arguments))
    for name, level in facts["levels"].items():
        assert list(level["by_length"]) == ["16", "all"]
        first, whole = level["by_length"].values()
        assert (first["segments"], whole["segments"]) == (8, 4)
        assert first["gains"]["artist"]["low"] <= first["gains"]["artist"]["bits"] <= first["gains"]["artist"]["high"]
        assert (first["gains"]["timing"] is None) == (name != "top")
        saved = level["shuffled_bits"] - level["bits"]
        assert whole["gains"]["shuffled"]["bits"] == pytest.approx(saved, abs=2e-4)
        assert whole["most_gain"] == pytest.approx(1 / 64, abs=1e-4)  # two styles, 64 codes
    assert "vs. no labels" in run("--quiet", *arguments)


def test_eval_prior_without_held_out_warns_that_the_baselines_contain_the_songs(codes, tiny_model, capsys):
    assert main(["eval", "prior", str(codes), "--segments", "2", "--model", str(tiny_model)]) == 0
    output = capsys.readouterr()
    assert "warning: without --held-out" in output.err
    assert "wrong labels" in output.out and "| top" in output.out


def test_eval_prior_warns_of_a_label_that_the_model_does_not_have(codes, held_out, tiny_model, capsys):
    manifest = codes / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("Jazz", "Polka"))
    arguments = ["eval", "prior", str(codes), "--held-out", str(held_out), "--segments", "2"]
    assert main([*arguments, "--model", str(tiny_model)]) == 0
    assert "has no label for Polka" in capsys.readouterr().err


def test_eval_prior_refuses_codes_of_another_codec(run, codes, held_out, tiny_model):
    (path,) = codes.glob("shards/top-*.npz")
    songs = read_shard(path).items()
    write_shard(
        path, [(name, replace(one, archive=replace(one.archive, vqvae="0123456789abcdef"))) for name, one in songs]
    )
    message = run("eval", "prior", codes, "--held-out", held_out, "--model", tiny_model, status=2)
    assert str(path) in message and "0123456789ab" in message


def test_eval_prior_names_a_glob_that_matches_no_song(run, codes, tmp_path, tiny_model):
    (tmp_path / "globs").write_text("nobody/*.flac\n")
    message = run("eval", "prior", codes, "--held-out", tmp_path / "globs", "--model", tiny_model, status=2)
    assert "nobody/*.flac" in message


def test_eval_prior_draws_its_picture(run, codes, held_out, tiny_model, tmp_path):
    options = ("--held-out", held_out, "--model", tiny_model, "--segments", "2", "--plots", tmp_path / "plots")
    facts = json.loads(run("--json", "eval", "prior", codes, *options))
    assert facts["plots"] == [str(tmp_path / "plots" / "prior.png")]
    assert is_picture(*facts["plots"])
