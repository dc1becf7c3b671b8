"""Attention to the lyrics over a whole song, compared with its single windows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from level_jobs import level_job
from tiny_priors import tiny_config

from jukectl.codes.recipe import LevelSampling
from jukectl.lyrics.tokens import LyricTokens
from jukectl.prior.config import FACTORED, AttentionKind, LyricsConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.lyric_attention import attention_of
from jukectl.prior.model import Prior
from jukectl.sampling import attention
from jukectl.sampling.attention import song_attention
from jukectl.sampling.level import LevelJob

CONFIG = tiny_config(
    context=24,
    depth=5,
    hop=8,  # a code is 0.008 s
    codebook_size=40,
    timing=TimingConfig(bins=16, max_seconds=9.0),
    pattern=(*FACTORED, AttentionKind.ENCODER, AttentionKind.ROW),
    lyrics=LyricsConfig(characters=10, alphabet=11, apart=True),
)
SUNG = tuple(number % 10 + 1 for number in range(37))


@pytest.fixture
def job() -> LevelJob:
    torch.manual_seed(1)
    prior = Prior(CONFIG).eval().requires_grad_(False)
    sampling = LevelSampling(advance=0.5)
    return level_job(prior=prior, total=60, seed=0, sampling=sampling, song_samples=480, lyrics=SUNG)


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 40, 60).astype(np.uint16)


def by_hand(job: LevelJob, codes: np.ndarray, start: int, prefix: int, lyrics_from: int) -> np.ndarray:
    """Return the attention of a window's new codes to ten characters from `lyrics_from` on."""
    labels = LabelBatch.repeat(1, total_length=480, offset=start * 8, sample_length=192)
    sung = torch.tensor([SUNG[lyrics_from : lyrics_from + 10]])
    window = torch.from_numpy(codes[start : start + 24].astype(np.int64))[None]
    return attention_of(job.prior, window, replace(labels, lyrics=sung), 3, 1)[0, prefix:].numpy()


def test_attention_of_a_code_is_that_in_the_window_that_added_it(job, codes, monkeypatch):
    monkeypatch.setattr(attention, "SHORTEST_ROW", 0.0)
    found = song_attention(job, codes, 0, layer=3, head=1)
    assert found.weights.shape == (60, 37)
    assert found.seconds_a_row == pytest.approx(0.008)
    assert found.seconds == pytest.approx(0.48)
    # the middle of a window of 24 codes lies at 12, 24, 36 and 48 of 60 codes: the character there is the sixth of ten
    expected = np.zeros((60, 37), dtype=np.float32)
    for start, prefix, middle in ((0, 0, 7), (12, 12, 14), (24, 12, 22), (36, 12, 29)):
        first = min(max(middle - 5, 0), 27)
        expected[start + prefix : start + 24, first : first + 10] = by_hand(job, codes, start, prefix, first)
    np.testing.assert_allclose(found.weights, expected, atol=1e-5)


def test_attention_rows_average_codes_of_short_hops_and_long_songs(job, codes, monkeypatch):
    monkeypatch.setattr(attention, "SHORTEST_ROW", 0.0)
    each = song_attention(job, codes, 0, layer=3, head=1)
    monkeypatch.setattr(attention, "SHORTEST_ROW", 0.033)
    four = song_attention(job, codes, 0, layer=3, head=1)
    assert four.seconds_a_row == pytest.approx(0.032)
    np.testing.assert_allclose(four.weights, each.weights.reshape(15, 4, 37).mean(axis=1), atol=1e-6)
    monkeypatch.setattr(attention, "LARGEST", 37 * 9)
    assert song_attention(job, codes, 0, layer=3, head=1).weights.shape == (9, 37)


def test_attention_of_unfinished_songs_and_short_lyrics(job, codes):
    short = replace(job, conditioning=replace(job.conditioning, lyrics=LyricTokens(SUNG[:7])))
    found = song_attention(short, codes[:31], 1, layer=3, head=0)
    assert found.weights.shape == (16, 7)  # of two codes each
    assert np.all((found.weights.sum(axis=1) > 0) & (found.weights.sum(axis=1) < 1))
