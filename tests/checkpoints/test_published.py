"""What is known of the published models without having them."""

import pytest
import torch

from jukectl.checkpoints.published import PUBLISHED, size
from jukectl.checkpoints.sizes import memory, parameters
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.prior.config import (
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
    in_one_sequence,
    with_encoder,
)
from jukectl.prior.model import Prior
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

V2 = {"artists": 4_111, "genres": 120, "genre_slots": 5}
V3 = {"artists": 7_898, "genres": 604}


def numbers(make, **shape):
    with torch.device("meta"):
        return sum(tensor.numel() for tensor in make(**shape).state_dict().values())


def prior_numbers(**shape):
    return numbers(lambda: Prior(PriorConfig(**shape)))


def top(context, width, depth, heads, blocks, **others):
    shape = {"level": Level.TOP, "hop": 128, "context": context, "width": width, "depth": depth, "heads": heads}
    return prior_numbers(**shape, blocks=blocks, **others)


def test_the_counts_are_those_of_the_published_shapes():
    codec = numbers(lambda: VQVAE(VQVAEConfig()))
    conditioner = ConditionerConfig(width=1_024, depth=16, downs=2, cycle=8)
    shape = {"context": 8_192, "width": 1_920, "depth": 72, "heads": 1, "blocks": 128, "conditioner": conditioner}
    upsampler = prior_numbers(level=Level.MIDDLE, hop=32, **shape, **V2)
    timing = TimingConfig(bins=128)
    encoder = EncoderConfig(width=1_280, depth=18, heads=4, blocks=32)
    lyrics = LyricsConfig(characters=512, alphabet=80, encoder=encoder)
    merged = LyricsConfig(characters=384, alphabet=79)
    tops = {
        "5b": top(8_192, 4_800, 72, 8, 128, timing=timing, **V2),
        "5b-lyrics": top(8_192, 4_800, 79, 8, 128, timing=timing, lyrics=lyrics, pattern=with_encoder(79), **V2),
        "1b-lyrics": top(
            6_144,
            2_048,
            72,
            2,
            64,
            timing=TimingConfig(bins=64),
            lyrics=merged,
            tied_head=False,
            pattern=in_one_sequence(72),
            **V3,
        ),
    }
    for name, model in PUBLISHED.items():
        found = {"vqvae": codec, "bottom": upsampler, "middle": upsampler, "top": tops[name]}
        assert dict(model.parameters) == found, name


def test_a_published_model_is_three_shared_files_and_one_of_its_own():
    files = [set(model.files) for model in PUBLISHED.values()]
    assert set.intersection(*files) == {"5b/vqvae.pth.tar", "5b/prior_level_0.pth.tar", "5b/prior_level_1.pth.tar"}
    assert {len(one) for one in files} == {4}
    assert len(set.union(*files)) == 6


def test_a_description_tells_the_numbers_that_are_in_the_files(tiny_model):
    folder = ModelFolder(tiny_model)
    parts = parameters(folder.card)
    assert set(parts) == {"vqvae", "top", "middle", "bottom"}
    assert sum(parts.values()) == folder.parameters()


def test_memory_is_that_of_the_largest_part_and_the_codec_stays_in_fp32():
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
def test_bytes_as_people_say_them(count, text):
    assert size(count) == text
