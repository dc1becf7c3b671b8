"""The recipes of priors that sing: they are read, start from one another, and can be grown as they ask."""

from pathlib import Path

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.prior.config import PriorConfig
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_lyrics
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.prior_task import with_characters

FOLDER = Path(__file__).parents[2] / "examples/singing"
CODES = {"level": "top", "hop": 256, "sample_rate": 22_050}
"""What the codes of mini's codec, and of one that started from it, say of themselves."""


@pytest.mark.parametrize("name", ["lyrics-encoder", "lyrics-stack"])
def test_the_base_can_be_grown_as_each_recipe_asks(name):
    base, grown = (load_recipe(FOLDER / f"{one}.toml", PriorRecipe) for one in ("base", name))
    assert grown.add_lyrics and grown.start == str(base.out) and grown.data == base.data
    recipe, vocabulary = with_characters(grown, Vocabulary())
    shape = {**base.model, **CODES}
    with torch.device("meta"):
        prior = Prior(PriorConfig.from_dict(shape))
        wanted = PriorConfig.from_dict({**shape, "pattern": ["encoder"], "lyrics": recipe.model["lyrics"]}).lyrics
        add_lyrics(prior, wanted, blocks=recipe.lyrics_blocks)
    assert prior.config.level is Level.TOP
    assert prior.config.depth == base.model["depth"] + recipe.lyrics_blocks
    assert (prior.config.lyrics.encoder is None) == (name == "lyrics-stack")
    words = (FOLDER / "words.txt").read_text() + (FOLDER / "held_out_words.txt").read_text()
    assert {character for character in words.lower() if character.isalpha()} <= set(vocabulary.characters)
