"""Changes to a trained prior that leave what it knows as it is."""

from dataclasses import replace

import torch
from torch import nn

from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import UNLABELLED


@torch.no_grad()
def grow_vocabulary(prior: Prior, *, artists: int, genres: int) -> None:
    """Give a prior ids for so many artists and genres in all, in place; ValueError for fewer than it has.

    Names it knows keep their ids and rows. A new row is a copy of the unlabelled one: until it has learned better, the
    prior takes a new name for none at all.
    """
    config = prior.config
    if artists < config.artists or genres < config.genres:
        raise ValueError(
            f"{artists} artists and {genres} genres are fewer than the {config.artists} and {config.genres} there are"
        )
    prior.artist_genre.artist = _grown(prior.artist_genre.artist, artists)
    prior.artist_genre.genre = _grown(prior.artist_genre.genre, genres)
    prior.config = replace(config, artists=artists, genres=genres)


def _grown(embedding: nn.Embedding, count: int) -> nn.Embedding:
    missing = count - embedding.num_embeddings
    if not missing:
        return embedding
    weight = embedding.weight
    grown = torch.cat([weight, weight[UNLABELLED].expand(missing, -1)])
    return nn.Embedding(count, embedding.embedding_dim, _weight=grown).requires_grad_(weight.requires_grad)
