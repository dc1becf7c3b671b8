import pytest
import torch

from jukectl.prior.labels import LabelBatch, fill_slots


def test_a_repeated_label_is_the_same_in_every_row() -> None:
    labels = LabelBatch.repeat(3, artist=4, genres=(2, 5), slots=4, total_length=900, offset=10, sample_length=100)
    assert len(labels) == 3
    assert labels.artist.tolist() == [4, 4, 4]
    assert labels.genres.tolist() == [[2, 5, -1, -1]] * 3
    assert labels.total_length.dtype is torch.int64
    assert (labels.offset.tolist(), labels.sample_length.tolist()) == ([10] * 3, [100] * 3)


def test_a_row_is_a_batch_of_one() -> None:
    labels = LabelBatch(
        artist=torch.arange(3),
        genres=torch.arange(6).view(3, 2),
        total_length=torch.arange(3),
        offset=torch.arange(3),
        sample_length=torch.arange(3),
    )
    assert labels.row(1).genres.tolist() == [[2, 3]]
    assert len(labels.row(2).to("cpu")) == 1


def test_more_genres_than_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="3 genres do not fit in 2 slots"):
        fill_slots([1, 2, 3], 2)
