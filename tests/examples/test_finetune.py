"""The worked example of fine-tuning: recipes that can be read, and two ways that differ in what learns alone."""

from dataclasses import replace
from pathlib import Path

from jukectl.prior.config import AdapterConfig
from jukectl.training.config import PriorRecipe, load_recipe

FOLDER = Path(__file__).parents[2] / "examples" / "finetune"


def test_the_recipes_start_from_the_embedded_model_and_stop_early():
    whole, adapter = (load_recipe(FOLDER / f"{name}.toml", PriorRecipe) for name in ("whole", "adapter"))
    assert whole.start == adapter.start == "mini"
    assert (whole.adapter, adapter.adapter) == (None, AdapterConfig(rank=8))
    assert whole.train.patience == adapter.train.patience > 0
    assert whole.data == adapter.data
    assert replace(whole.train, learning_rate=1.0) == replace(adapter.train, learning_rate=1.0)
