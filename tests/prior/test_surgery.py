"""A grown vocabulary: new names at the end, and what was known as it was."""

import pytest
import torch

from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior
from jukectl.prior.surgery import grow_vocabulary


def logits(prior, artist, genre):
    codes = torch.arange(2 * 24).view(2, 24) * 7 % 40
    ratio = prior.config.conditioner.ratio if prior.config.conditioner else 1
    upper = torch.arange(2 * 24 // ratio).view(2, -1) % 30
    labels = LabelBatch.repeat(2, artist=artist, genres=(genre,), slots=3, total_length=900, sample_length=192)
    with torch.no_grad():
        return prior(codes, labels, upper)


def test_known_labels_keep_their_logits_to_the_bit(unlike_prior):
    before = {(artist, genre): logits(unlike_prior, artist, genre) for artist in range(5) for genre in range(7)}
    grow_vocabulary(unlike_prior, artists=8, genres=9)
    assert all(torch.equal(logits(unlike_prior, *labels), were) for labels, were in before.items())


def test_new_names_start_as_copies_of_the_unlabelled_row(unlike_prior):
    grow_vocabulary(unlike_prior, artists=6, genres=9)
    assert torch.equal(logits(unlike_prior, 5, 8), logits(unlike_prior, 0, 0))
    assert not torch.equal(logits(unlike_prior, 5, 8), logits(unlike_prior, 1, 1))


def test_the_config_has_the_number_of_names_after_growing(top):
    prior = Prior(top)
    grow_vocabulary(prior, artists=6, genres=9)
    assert (prior.config.artists, prior.config.genres) == (6, 9)
    assert prior.artist_genre.artist.weight.shape == (6, 64)
    assert prior.artist_genre.genre.weight.shape == (9, 64)


def test_a_new_row_is_trained_separately_from_the_unlabelled_one(top):
    prior = Prior(top)
    grow_vocabulary(prior, artists=6, genres=7)
    prior.artist_genre.artist(torch.tensor([5])).sum().backward()
    assert prior.artist_genre.artist.weight.grad.any(dim=1).tolist() == [False] * 5 + [True]


def test_a_vocabulary_cannot_shrink(top):
    with pytest.raises(ValueError, match="fewer"):
        grow_vocabulary(Prior(top), artists=4, genres=7)
