"""The released models, built by their configurations: every tensor has the name and shape that it has in the port."""

import gzip
import json

import pytest

from jukectl.checkpoints.configurations import CODEC, TOPS, published_priors
from jukectl.checkpoints.layout import shapes_of
from jukectl.checkpoints.names import port_of_prior, port_of_vqvae
from jukectl.codes.level import TOP_DOWN


@pytest.fixture(scope="module")
def released(request):
    """Shapes by the port's names, by model: scripts/parity/released.py wrote them down."""
    path = request.path.parents[1] / "golden" / "released.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def test_all_three_are_there(released):
    assert released.keys() == TOPS.keys()


@pytest.mark.parametrize("name", TOPS)
def test_the_codec(released, name):
    theirs = part_of(released[name], "vqvae.")
    translated = port_of_vqvae(CODEC)
    assert {translated(ours): list(shape) for ours, shape in shapes_of(CODEC).items()} == theirs


@pytest.mark.parametrize("name", TOPS)
@pytest.mark.parametrize("level", TOP_DOWN)
def test_the_priors(released, name, level):
    theirs = part_of(released[name], f"priors.{TOP_DOWN.index(level)}.")
    config = published_priors(name)[level]
    ours = {port_of_prior(ours): list(shape) for ours, shape in shapes_of(config).items()}
    assert len(ours) == len(shapes_of(config))
    if config.tied_head:  # the port lists it twice
        ours["prior.fc_proj_out.weight"] = ours["prior.embed_tokens.weight"]
    assert ours == theirs


def part_of(shapes, prefix):
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
