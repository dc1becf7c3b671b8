"""Learning a prior or an upsampler: next-code prediction on segments of encoded songs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.prior.conditioners.upper_codes import UpperCodes
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.config import PriorRecipe
from jukectl.training.distributed import ALONE, Ranks
from jukectl.training.drawing import ALL_ROWS
from jukectl.training.encoded import EncodedSongs
from jukectl.training.prefetch import moved
from jukectl.training.encoded import EncodedSongs
from jukectl.training.segments import Segments, SegmentSet, vocabulary_of


class PriorTask:
    """Trains one level's prior; the vocabulary is all artists and genres of the code folder."""

    objective = "bits"

    unit = "codes"
    def __init__(self, recipe: PriorRecipe) -> None:
        self.recipe = recipe
        songs = EncodedSongs(*recipe.data.folders)
        self.vocabulary = vocabulary_of(songs.manifest.tracks)
        self.config = prior_config(recipe, self.vocabulary, songs)
        torch.manual_seed(recipe.train.seed)
        self.prior = Prior(self.config)
        if recipe.codec is not None:
            start_from_codebooks(self.prior, recipe.codec)
        self.model: nn.Module = self.prior
        self.parts: Sequence[nn.Module] = [self.prior]
        self.state: nn.Module = nn.Module()
        self.units = recipe.train.batch * self.config.context
        self.ranks = ALONE
        kept, held = songs.manifest.split(recipe.data.held_out)
        level = self.config.level
        ratio = self.config.conditioner.ratio if self.config.conditioner else 1
        shape = {"context": self.config.context, "ratio": ratio, "slots": self.config.genre_slots}
        self.training = SegmentSet.load(songs, kept, level, self.vocabulary, **shape)
        held_out = SegmentSet.load(songs, held or kept, level, self.vocabulary, **shape)
        self.validation = held_out.spread(recipe.data.validation_segments)

    def distribute(self, ranks: Ranks) -> None:
        """Shard the prior over the ranks, block by block."""
        self.ranks = ranks
        train, blocks = self.recipe.train, list(self.prior.transformer.blocks)
        prepare_blocks(blocks, train)
        ranks.shard(self.prior, blocks, half=train.precision == "bf16")

    def batch(self, step: int, rows: slice = ALL_ROWS) -> Segments:
        """Rows of a step's segments."""
        generator = np.random.default_rng((self.recipe.train.seed, step))
        return self.training.draw(self.recipe.train.batch, self.recipe.label_dropout, generator, rows)

    def before_step(self, step: int) -> None:
        """Nothing is due."""

    def loss(self, batch: Segments) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Mean bits a code."""
        return self.prior.loss(batch.codes, batch.labels, batch.upper), {}

    def after_step(self) -> Mapping[str, float]:
        """Nothing moves but the weights."""
        return {}

    def evaluate(self) -> Mapping[str, float]:
        """Mean bits a code over held-out segments."""
        return {self.objective: float(self.ranks.map(self._bits, self.validation).mean())}

    def _bits(self, batch: Segments) -> Tensor:
        return self.loss(moved(batch, self.ranks.device))[0]


def prior_config(recipe: PriorRecipe, vocabulary: Vocabulary, songs: EncodedSongs) -> PriorConfig:
    """The recipe's [model] table, completed with what the codes and their labels say; BadRecipe where they disagree."""
    level = Level.parse(recipe.level)
    first = songs.manifest.tracks[0]
    codes = songs.find(first, level).archive
    facts: dict[str, Any] = {
        "level": level.label,
        "sample_rate": codes.sample_rate,
        "codebook_size": codes.codebook_size,
        "hop": codes.hop,
    }
    for name, fact in facts.items():
        if recipe.model.get(name, fact) != fact:
            raise BadRecipe(f"model.{name} is {recipe.model[name]}, but {fact} in the codes of {codes.path}")
    labels = {"artists": len(vocabulary.artists), "genres": len(vocabulary.genres)}
    try:
        config = PriorConfig.from_dict({**labels, **recipe.model, **facts})
    except (ValueError, TypeError) as error:
        raise BadRecipe(f"model: {error}") from error
    if config.artists < labels["artists"] or config.genres < labels["genres"]:
        raise BadRecipe(f"model.artists and model.genres must be at least {labels['artists']} and {labels['genres']}")
    if config.conditioner is None:
        return config
    upper = songs.find(first, level.above).archive
    if upper.hop != codes.hop * config.conditioner.ratio:
        raise BadRecipe(
            f"model.conditioner brings {config.conditioner.ratio} codes for one, "
            f"but the hops are {codes.hop} and {upper.hop}"
        )
    return replace(config, conditioner=replace(config.conditioner, codebook_size=upper.codebook_size))


@torch.no_grad()
def start_from_codebooks(prior: Prior, codec: Path) -> None:
    """Make the embeddings of codes, this level's and the one above's, images of the codebook vectors of a model folder.

    Codes that sound alike then begin alike, which saves a small model much of the music it would need to find that out.
    Each embedding keeps the scale that it was drawn with. BadRecipe where the folder has no such codebook.
    """
    level = prior.config.level
    _start_embedding(prior.codes, codec, level)
    if isinstance(prior.place, UpperCodes):
        _start_embedding(prior.place.codes, codec, level.above)


def _start_embedding(embedding: nn.Embedding, codec: Path, level: Level) -> None:
    try:
        with safe_open(codec / "vqvae.safetensors", framework="pt") as file:
            vectors: Tensor = file.get_tensor(f"levels.{level.label}.codebook.vectors").float()
    except (OSError, SafetensorError) as error:
        raise BadRecipe(f"codec: {codec} holds no codebook of the {level.label} level: {error}") from error
    if len(vectors) != len(embedding.weight):
        raise BadRecipe(f"codec: {len(vectors)} vectors at the {level.label} level, {len(embedding.weight)} codes")
    centred = vectors - vectors.mean(0)
    image = centred @ torch.randn(vectors.shape[1], embedding.embedding_dim)  # distances are kept, near enough
    embedding.weight.copy_(image * (embedding.weight.std() / image.std()))
