import torch

from jukectl.prior.conditioning import ArtistGenre
from jukectl.prior.labels import LabelBatch


def test_the_start_is_the_artist_plus_the_genres_in_filled_slots() -> None:
    conditioner = ArtistGenre(5, 6, 8, std=1.0)
    labels = LabelBatch.repeat(2, artist=3, genres=(1, 4), slots=5)
    expected = conditioner.artist.weight[3] + conditioner.genre.weight[1] + conditioner.genre.weight[4]
    assert torch.allclose(conditioner(labels), expected.expand(2, 1, 8), atol=1e-6)


def test_unlabelled_is_a_genre_but_an_empty_slot_is_none() -> None:
    conditioner = ArtistGenre(5, 6, 8, std=1.0)
    unlabelled = conditioner(LabelBatch.repeat(1, genres=(0,), slots=2))
    empty = conditioner(LabelBatch.repeat(1, genres=(), slots=2))
    assert torch.allclose(unlabelled - empty, conditioner.genre.weight[0].expand(1, 1, 8), atol=1e-6)
