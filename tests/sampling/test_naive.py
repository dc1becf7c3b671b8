"""The naive decoder samples the same codes as the eager one, so that their speeds can be compared."""

from typing import Any

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.inspect.naive import NaiveDecoder
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    PriorConfig,
    TimingConfig,
)
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.timing import Candidate, Memory, Rounds, conditioning, interleaved, last_cache

UPPER = ConditionerConfig(width=8, depth=1, downs=2, codebook_size=20)
ENCODER = LyricsConfig(characters=8, alphabet=5, encoder=EncoderConfig(width=16, depth=1, heads=2, blocks=4))
CASES: dict[str, dict[str, Any]] = {
    "factored": {"timing": TimingConfig(bins=8)},
    "upsampler": {"level": Level.MIDDLE, "conditioner": UPPER, "scale_residuals": True},
    "dense": {"pattern": (AttentionKind.DENSE,)},
    "one sequence": {
        "pattern": (*FACTORED, AttentionKind.LYRICS),
        "lyrics": LyricsConfig(characters=8, alphabet=5, drawable=True),
    },
    "apart": {
        "pattern": (AttentionKind.ROW, AttentionKind.ENCODER, AttentionKind.COLUMN, AttentionKind.ENCODER),
        "lyrics": LyricsConfig(characters=10, alphabet=5, apart=True),
    },
    "encoder": {"pattern": (AttentionKind.ROW, AttentionKind.ENCODER), "lyrics": ENCODER, "tied_head": False},
}


def prior(**changes):
    shape = {"context": 24, "blocks": 4, "width": 16, "depth": 4, "heads": 2, "attention_ratio": 0.5, "init_scale": 8.0}
    torch.manual_seed(1)
    made = Prior(PriorConfig(**{"level": Level.TOP, "hop": 128, "codebook_size": 20, **shape, **changes})).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return made


@pytest.mark.parametrize("case", CASES)
def test_the_naive_decoder_samples_the_codes_of_the_eager_one(case):
    model, settings = prior(**CASES[case]), LevelSampling(temperature=0.9, top_k=12)
    window = conditioning(model, 2)
    for prefix in (0, 11):
        codes = torch.randint(20, (2, prefix), generator=torch.Generator().manual_seed(3))
        uniform = torch.rand(2, 24 - prefix, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        made = []
        for decoder in (NaiveDecoder(model, settings), EagerDecoder(model, 2, settings)):
            decoder.begin(codes, window)
            made.append(torch.cat([decoder.decode(uniform[:, :5]), decoder.decode(uniform[:, 5:])], dim=1))
        naive, eager = made
        assert torch.equal(naive, eager), prefix
        assert len(naive.unique()) > 3


def test_timed_pieces_fit_into_the_second_half_of_a_context():
    assert Rounds.plan(2048, 64) == Rounds(prefix=1024, codes=64, rounds=7)
    small = Rounds.plan(24, 64)
    assert (small.prefix, small.codes) == (12, 1)
    assert small.places.start > small.prefix
    assert small.places.stop <= 24
    with pytest.raises(ValueError, match="too short"):
        Rounds.plan(4, 64)


def test_each_decoder_is_timed_once_a_round_after_a_read_of_memory():
    model, settings, rounds = prior(), LevelSampling(), Rounds(prefix=8, codes=2, rounds=3)
    memory = Memory(torch.device("cpu"), 1e6)
    cached = Memory(torch.device("cpu"), 1e6, beyond_caches=False)
    decoders = {"naive": NaiveDecoder(model, settings), "eager": EagerDecoder(model, 1, settings)}
    candidates = {name: Candidate.of(model, one) for name, one in decoders.items()}
    times = interleaved(candidates, memory, rounds, cached=cached)
    assert [len(one.seconds) for one in times.values()] == [3, 3]
    assert len(memory.times.seconds) == 6
    assert len(cached.times.seconds) == 3
    for one in (*times.values(), memory.times, cached.times):
        assert 0 < one.minimum <= one.median


def test_the_buffer_of_memory_reads_is_larger_than_the_caches(tmp_path):
    assert Memory(torch.device("cpu"), 1).bytes >= min(2 * last_cache(), 2**30)
    assert Memory(torch.device("cpu"), 1e6, beyond_caches=False).bytes == pytest.approx(1e6, rel=1e-4)
    for number, size in enumerate(("48K", "1024K", "32M")):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(f"{size}\n")
    assert last_cache(tmp_path) == 32 * 2**20
    assert last_cache(tmp_path / "nothing") == 64 * 2**20


@pytest.mark.parametrize("sort", [NaiveDecoder, EagerDecoder])
def test_decoding_without_uniform_numbers_returns_no_codes(sort):
    model, settings = prior(), LevelSampling()
    decoder = sort(model, settings) if sort is NaiveDecoder else sort(model, 2, settings)
    decoder.begin(torch.zeros(2, 3, dtype=torch.int64), conditioning(model, 2))
    assert decoder.decode(torch.zeros(2, 0, dtype=torch.float64)).shape == (2, 0)
    assert decoder.decode(torch.zeros(2, 1, dtype=torch.float64)).shape == (2, 1)
