"""Learning a prior or an upsampler: next-code prediction on segments of encoded songs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.errors import BadRecipe
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.config import PriorRecipe
from jukectl.training.segments import SegmentSet, code_path, load_manifest, vocabulary_of


class PriorTask:
    """Trains one level's prior; the vocabulary is all artists and genres of the code folder."""

    objective = "bits"

    def __init__(self, recipe: PriorRecipe) -> None:
        self.recipe = recipe
        manifest = load_manifest(recipe.data.codes)
        self.vocabulary = vocabulary_of(manifest.tracks)
        self.config = prior_config(recipe, self.vocabulary)
        torch.manual_seed(recipe.train.seed)
        self.prior = Prior(self.config)
        self.model: nn.Module = self.prior
        self.state: nn.Module = nn.Module()
        kept, held = manifest.split(recipe.data.held_out)
        level = self.config.level
        ratio = self.config.conditioner.ratio if self.config.conditioner else 1
        shape = {"context": self.config.context, "ratio": ratio, "slots": self.config.genre_slots}
        self.training = SegmentSet.load(recipe.data.codes, kept, level, self.vocabulary, **shape)
        held_out = SegmentSet.load(recipe.data.codes, held or kept, level, self.vocabulary, **shape)
        self.validation = held_out.spread(recipe.data.validation_segments)

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """Mean bits a code over a step's segments."""
        generator = np.random.default_rng((self.recipe.train.seed, step))
        batch = self.training.draw(self.recipe.train.batch, self.recipe.label_dropout, generator)
        bits = self.prior.loss(batch.codes, batch.labels, batch.upper)
        return bits, {}

    def after_step(self) -> Mapping[str, float]:
        """Nothing moves but the weights."""
        return {}

    def evaluate(self) -> Mapping[str, float]:
        """Mean bits a code over held-out segments."""
        bits = [float(self.prior.loss(batch.codes, batch.labels, batch.upper)) for batch in self.validation]
        return {self.objective: float(np.mean(bits))}


def prior_config(recipe: PriorRecipe, vocabulary: Vocabulary) -> PriorConfig:
    """The recipe's [model] table, completed with what the codes and their labels say."""
    level = Level.parse(recipe.level)
    manifest = load_manifest(recipe.data.codes)
    codes = Codes.load(code_path(recipe.data.codes, manifest.tracks[0], level))
    given = {
        "sample_rate": codes.sample_rate,
        "codebook_size": codes.codebook_size,
        "hop": codes.hop,
        "artists": len(vocabulary.artists),
        "genres": len(vocabulary.genres),
        **recipe.model,
        "level": level.label,
    }
    try:
        config = PriorConfig.from_dict(given)
    except (ValueError, TypeError) as error:
        raise BadRecipe(f"[model] of the {level.label} recipe: {error}") from error
    if config.conditioner is not None:
        upper = Codes.load(code_path(recipe.data.codes, manifest.tracks[0], level.above))
        if upper.hop != codes.hop * config.conditioner.ratio:
            raise BadRecipe(
                f"the conditioner brings {config.conditioner.ratio} codes for one, but hops are {codes.hop} and {upper.hop}"
            )
        config = replace(config, conditioner=replace(config.conditioner, codebook_size=upper.codebook_size))
    return config
