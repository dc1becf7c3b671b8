"""Training recipes: their keys, and messages about errors in them."""

from pathlib import Path

import pytest

from jukectl.errors import BadRecipe
from jukectl.tables import build
from jukectl.training.config import AudioData, CodeData, PriorRecipe, TrainConfig, VQVAERecipe, load_recipe
from jukectl.vqvae.config import VQVAEConfig

EXAMPLES = Path(__file__).parents[2] / "examples"

CODEC = """
out = "runs/codec"
levels = ["top"]
[model]
downs = [1, 1, 1]
[data]
manifest = "music/manifest.jsonl"
held_out = ["b/*.flac"]
[train]
steps = 500
batch = 4
learning_rate = 1
"""

PRIOR = """
out = "runs/top"
[data]
codes = "codes"
[train]
steps = 10
batch = 2
"""


@pytest.fixture
def codec(tmp_path):
    path = tmp_path / "codec.toml"
    path.write_text(CODEC)
    return path


@pytest.fixture
def prior(tmp_path):
    path = tmp_path / "prior.toml"
    path.write_text(PRIOR)
    return path


def test_a_recipe_becomes_typed_values_and_defaults(codec):
    recipe = load_recipe(codec, VQVAERecipe)
    assert recipe == VQVAERecipe(
        out=Path("runs/codec"),
        levels=("top",),
        model={"downs": [1, 1, 1]},
        data=AudioData(manifest=Path("music/manifest.jsonl"), held_out=("b/*.flac",)),
        train=TrainConfig(steps=500, batch=4, learning_rate=1.0),
    )
    assert isinstance(recipe.train.learning_rate, float)


def test_a_prior_recipe_is_for_the_top_unless_it_says_otherwise(prior):
    assert load_recipe(prior, PriorRecipe) == PriorRecipe(
        out=Path("runs/top"), level="top", data=CodeData(codes=Path("codes")), train=TrainConfig(steps=10, batch=2)
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("mini/vqvae-*.toml")), ids=lambda path: path.stem)
def test_the_codec_recipes_of_mini_can_be_read(path):
    recipe = load_recipe(path, VQVAERecipe)
    assert build(VQVAEConfig, recipe.model, str(path), inside="model").sample_rate == 22_050


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("train.steps=7", lambda recipe: recipe.train.steps == 7),
        ("train.learning_rate=3e-4", lambda recipe: recipe.train.learning_rate == 3e-4),
        ("train.precision=bf16", lambda recipe: recipe.train.precision == "bf16"),
        ('train.precision="bf16"', lambda recipe: recipe.train.precision == "bf16"),
        ("out=runs/other place", lambda recipe: recipe.out == Path("runs/other place")),
        ('levels=["top", "middle"]', lambda recipe: recipe.levels == ("top", "middle")),
        ("model.audio_head=false", lambda recipe: recipe.model == {"downs": [1, 1, 1], "audio_head": False}),
        ("codebook.start_step=3", lambda recipe: recipe.codebook.start_step == 3),
        (" train.seed = 5", lambda recipe: recipe.train.seed == 5),
        ("train.threads=2", lambda recipe: recipe.train.threads == 2),
    ],
)
def test_set_overrides_a_value_of_the_recipe(codec, override, read):
    assert read(load_recipe(codec, VQVAERecipe, [override]))


def test_the_last_of_two_overrides_of_a_key_wins(codec):
    assert load_recipe(codec, VQVAERecipe, ["train.steps=7", "train.steps=9"]).train.steps == 9


MISTAKES = [
    ("train.step=5", "train.step"),
    ("trains.steps=5", "trains"),
    ("train.steps=0", "train.steps"),
    ("train.steps=2.5", "train.steps"),
    ("train.steps=true", "train.steps"),
    ("train.steps=many", "train.steps"),
    ("train.batch=-1", "train.batch"),
    ("train.log_every=0", "train.log_every"),
    ("train.evaluate_every=0", "train.evaluate_every"),
    ("train.checkpoint_every=0", "train.checkpoint_every"),
    ("train.threads=0", "train.threads"),
    ("train.seed=-1", "train.seed"),
    ("train.warmup=-1", "train.warmup"),
    ("train.learning_rate=0", "train.learning_rate"),
    ("train.learning_rate=nan", "train.learning_rate"),
    ("train.learning_rate=fast", "train.learning_rate"),
    ("train.weight_decay=-0.1", "train.weight_decay"),
    ("train.clip_norm=0", "train.clip_norm"),
    ("train.average=1", "train.average"),
    ("train.betas=[0.9]", "train.betas"),
    ("train.betas=[0.9, 1.5]", "train.betas"),
    ("train.betas=0.9", "train.betas"),
    ("train.schedule=linear", "train.schedule"),
    ("train.precision=fp8", "train.precision"),
    ("train=5", "train"),
    ("out=5", "out"),
    ("model=5", "model"),
    ("levels=[]", "levels"),
    ('levels=["top", "top"]', "levels"),
    ('levels=["attic"]', "levels"),
    ("levels=top", "levels"),
    ("data.held_out=[1]", "data.held_out[0]"),
    ("data.clip_samples=0", "data.clip_samples"),
    ("data.validation_seconds=0", "data.validation_seconds"),
    ("data.validation_songs=0", "data.validation_songs"),
    ("loss.spectral=-1", "loss.spectral"),
    ("loss.worst_samples=0", "loss.worst_samples"),
    ("codebook.decay=1", "codebook.decay"),
    ("codebook.threshold=-1", "codebook.threshold"),
]


@pytest.mark.parametrize(("override", "key"), MISTAKES)
def test_an_error_in_a_recipe_names_the_file_and_the_key(codec, override, key):
    with pytest.raises(BadRecipe) as caught:
        load_recipe(codec, VQVAERecipe, [override])
    assert str(caught.value).startswith(f"{codec}: {key} ")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("level=attic", "level"),
        ("label_dropout=1.1", "label_dropout"),
        ("data.validation_segments=0", "data.validation_segments"),
        ("data.codes=1", "data.codes"),
        ("levels=1", "levels"),
    ],
)
def test_an_error_in_a_prior_recipe_names_the_file_and_the_key(prior, override, key):
    with pytest.raises(BadRecipe) as caught:
        load_recipe(prior, PriorRecipe, [override])
    assert str(caught.value).startswith(f"{prior}: {key} ")


def test_an_unknown_key_is_refused_with_a_list_of_known_ones(codec):
    with pytest.raises(BadRecipe, match=r"known are .*\bsteps\b"):
        load_recipe(codec, VQVAERecipe, ["train.step=5"])


@pytest.mark.parametrize(("line", "key"), [("steps = 500", "train.steps"), ('out = "runs/codec"', "out")])
def test_a_missing_key_is_named(codec, line, key):
    codec.write_text(CODEC.replace(line, ""))
    with pytest.raises(BadRecipe, match=f"{key} is missing"):
        load_recipe(codec, VQVAERecipe)


@pytest.mark.parametrize("override", ["train.steps", "steps", ""])
def test_an_override_without_a_value_is_refused_with_an_example(codec, override):
    with pytest.raises(BadRecipe, match=r"--set takes key=value, such as train.steps=100"):
        load_recipe(codec, VQVAERecipe, [override])


def test_an_override_of_a_part_of_a_value_is_refused(codec):
    with pytest.raises(BadRecipe, match="out is a value, not a table"):
        load_recipe(codec, VQVAERecipe, ["out.name=5"])


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe"])
def test_a_recipe_that_is_not_toml_is_named(codec, content):
    codec.write_bytes(content)
    with pytest.raises(BadRecipe, match=r"codec\.toml is not (a TOML recipe|UTF-8)"):
        load_recipe(codec, VQVAERecipe)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(BadRecipe, match=r"none.toml: No such file"):
        load_recipe(tmp_path / "none.toml", VQVAERecipe)


def test_an_error_in_the_model_table_names_the_key():
    with pytest.raises(BadRecipe, match=r"^r.toml: model.downs needs 3"):
        build(VQVAEConfig, {"downs": [1]}, "r.toml", inside="model")
    with pytest.raises(BadRecipe, match=r"^r.toml: model.depth is not known"):
        build(VQVAEConfig, {"depth": 3}, "r.toml", inside="model")
