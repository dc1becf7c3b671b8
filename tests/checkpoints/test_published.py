"""Facts about the published models."""

from math import prod

import pytest

from jukectl.checkpoints.configurations import CODEC, published_priors
from jukectl.checkpoints.layout import shapes_of
from jukectl.checkpoints.published import PUBLISHED, memory, size


@pytest.mark.parametrize("name", PUBLISHED)
def test_stated_parameter_counts_are_those_of_the_configurations(name):
    configs = {"vqvae": CODEC, **{level.label: config for level, config in published_priors(name).items()}}
    found = {part: sum(map(prod, shapes_of(config).values())) for part, config in configs.items()}
    assert found == dict(PUBLISHED[name].parameters)


def test_a_published_model_has_three_shared_files_and_its_own_top():
    files = [set(model.files) for model in PUBLISHED.values()]
    assert set.intersection(*files) == {"5b/vqvae.pth.tar", "5b/prior_level_0.pth.tar", "5b/prior_level_1.pth.tar"}
    assert {len(one) for one in files} == {4}
    assert len(set.union(*files)) == 6


def test_stated_memory_is_that_of_the_largest_part_with_the_codec_in_fp32():
    assert memory({"vqvae": 10, "top": 100, "middle": 60}) == {"fp32": 400, "bf16": 200, "fp16": 200}
    assert memory({"vqvae": 60, "top": 100}) == {"fp32": 400, "bf16": 240, "fp16": 240}
    assert memory({"vqvae": 60}) == {"fp32": 240, "bf16": 240, "fp16": 240}
    assert {name: size(memory(model.parameters)["fp16"]) for name, model in PUBLISHED.items()} == {
        "1b-lyrics": "2.0 GB",
        "5b-lyrics": "11 GB",
        "5b": "10 GB",
    }


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "1 kB"), (12_345, "12 kB"), (1_000_000, "1 MB"), (999_400_000, "999 MB"), (999_600_000, "1.0 GB"),
     (9_949_000_000, "9.9 GB"), (9_951_000_000, "10 GB"), (30_380_000_000, "30 GB")],
)  # fmt: skip
def test_sizes_are_formatted_with_units(count, text):
    assert size(count) == text
