"""Decoding by a recorded step: the ids are those of the eager decoder, however a window is split into calls.

Where there is no CUDA, the step is not recorded; all else is the same.
"""

from copy import deepcopy

import pytest
import torch
from tiny_priors import tiny_prior
from torch.utils._python_dispatch import TorchDispatchMode

from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import (
    FACTORED,
    AttentionKind,
    ConditionerConfig,
    EncoderConfig,
    LyricsConfig,
    TimingConfig,
)
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder, EagerDecoder
from jukectl.sampling.decoders.cuda_graph import GraphDecoder

CONTEXT = 24
GREEDY = LevelSampling(temperature=0)
DRAWN = (
    LevelSampling(temperature=0.9),
    LevelSampling(temperature=1.1, top_k=7),
    LevelSampling(temperature=1.0, top_k=20, top_p=0.8),
)
TIMING = TimingConfig(bins=16, min_seconds=0.1, max_seconds=3.0)
LYRICS = {
    "encoded": LyricsConfig(characters=9, alphabet=11, encoder=EncoderConfig(width=32, depth=2, heads=2, blocks=3)),
    "apart": LyricsConfig(characters=10, alphabet=11, apart=True),
    "merged": LyricsConfig(characters=8, alphabet=11, drawable=True),
}
PATTERNS = {
    "encoded": (*FACTORED, AttentionKind.ENCODER, AttentionKind.DENSE),
    "apart": (AttentionKind.ROW, AttentionKind.ENCODER, AttentionKind.COLUMN, AttentionKind.ENCODER),
    "merged": (*FACTORED, AttentionKind.LYRICS, AttentionKind.DENSE),
}


def make_prior(sort: str) -> Prior:
    upsampler = ConditionerConfig(width=16, depth=2, downs=2, codebook_size=30)
    return tiny_prior(
        Level.MIDDLE if sort == "upsampler" else Level.TOP,
        seed=1,
        context=CONTEXT,
        width=64,
        depth=5,
        hop=8,
        codebook_size=40,
        artists=5,
        genres=7,
        lyrics=LYRICS.get(sort),
        pattern=PATTERNS.get(sort, FACTORED),
        tied_head=sort != "merged",
        **({"conditioner": upsampler} if sort == "upsampler" else {"timing": TIMING}),
    )


@pytest.fixture(scope="module", params=["top", "upsampler", "encoded", "apart", "merged"])
def prior(request: pytest.FixtureRequest) -> Prior:
    return make_prior(request.param)


def make_window(prior: Prior, batch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, ConditioningTensors]:
    """Codes (B, context), uniform numbers of the same shape, and what a window is told."""
    config, device = prior.config, prior.device
    chance = torch.Generator().manual_seed(seed)

    def ids(below: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, below, shape, generator=chance)

    lyrics = upper = None
    if config.lyrics:
        lyrics = ids(config.lyrics.alphabet, batch, config.lyrics.characters).to(device)
    if config.conditioner:
        upper = ids(config.conditioner.codebook_size, batch, config.upper_context).to(device)
    labels = LabelBatch(
        artist=ids(config.artists, batch).to(device),
        genres=ids(config.genres, batch, 1).to(device),
        total_length=(ids(900, batch) + 400).to(device),
        offset=ids(100, batch).to(device),
        sample_length=torch.full((batch,), config.window_samples, device=device),
        lyrics=lyrics,
    )
    uniform = torch.rand(batch, CONTEXT, dtype=torch.float64, generator=chance)
    return ids(config.codebook_size, batch, CONTEXT), uniform, prior.conditioning(labels, upper)


def fill(
    decoder: Decoder, prior: Prior, batch: int, known: int, seed: int, pieces: tuple[int, ...] = ()
) -> torch.Tensor:
    """The ids (B, context - known) of a window, decoded in pieces: those given, and what is left."""
    codes, uniform, conditioning = make_window(prior, batch, seed)
    decoder.begin(codes[:, :known], conditioning)
    pieces = (*pieces, CONTEXT - known - sum(pieces))
    return torch.cat([decoder.decode(part) for part in uniform[:, known:].split(pieces, dim=1)], dim=1)


@pytest.mark.parametrize(("batch", "settings"), [(3, GREEDY), (1, DRAWN[0]), (3, DRAWN[1]), (1, DRAWN[2])])
def test_the_graph_decoder_samples_the_ids_of_the_eager_one(settings: LevelSampling, batch: int, prior: Prior) -> None:
    graph, eager = GraphDecoder(prior, batch, settings), EagerDecoder(prior, batch, settings)
    for seed, known in enumerate((0, 1, 7, CONTEXT - 1)):
        expected = fill(eager, prior, batch, known, seed)
        assert torch.equal(fill(graph, prior, batch, known, seed), expected)
        assert settings is GREEDY or known == CONTEXT - 1 or len(expected.unique()) > 1


def test_ids_do_not_depend_on_the_sizes_of_decode_calls(prior: Prior) -> None:
    decoder = GraphDecoder(prior, 2, DRAWN[0])
    whole = fill(decoder, prior, 2, 3, 0)
    for pieces in ((1,), (1, 1, 2), (4, 0, 8), (20,)):
        assert torch.equal(fill(decoder, prior, 2, 3, 0, pieces), whole), pieces


def test_windows_with_smaller_batches_do_not_affect_each_other(prior: Prior) -> None:
    decoder = GraphDecoder(prior, 3, DRAWN[0])
    for batch, known, seed in ((3, 5, 0), (1, 0, 1), (2, 9, 2), (3, 2, 3)):
        assert torch.equal(
            fill(decoder, prior, batch, known, seed),
            fill(GraphDecoder(prior, batch, DRAWN[0]), prior, batch, known, seed),
        )


def test_an_abandoned_window_does_not_affect_the_next(prior: Prior) -> None:
    decoder = GraphDecoder(prior, 1, DRAWN[0])
    codes, uniform, conditioning = make_window(prior, 1, 0)
    decoder.begin(codes[:, :2], conditioning)
    decoder.decode(uniform[:, :5])
    assert torch.equal(fill(decoder, prior, 1, 4, 1), fill(EagerDecoder(prior, 1, DRAWN[0]), prior, 1, 4, 1))


def test_more_codes_than_the_window_holds_are_refused(prior: Prior) -> None:
    decoder = GraphDecoder(prior, 1, GREEDY)
    codes, uniform, conditioning = make_window(prior, 1, 0)
    decoder.begin(codes[:, :20], conditioning)
    decoder.decode(uniform[:, :3])
    with pytest.raises(ValueError, match="25 codes do not fit"):
        decoder.decode(uniform[:, :2])


def test_no_tensor_is_synchronised_within_a_decode_call(prior: Prior) -> None:
    """On a GPU that would stop the recording; here every operator says whether it was called."""
    asked = []

    class Listener(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.overloadpacket._qualified_op_name in {
                "aten::_local_scalar_dense",
                "aten::nonzero",
                "aten::is_nonzero",
            }:
                asked.append(func)
            return func(*args, **(kwargs or {}))

    for settings in (GREEDY, *DRAWN):
        decoder = GraphDecoder(prior, 2, settings)
        codes, uniform, conditioning = make_window(prior, 2, 0)
        decoder.begin(codes[:, :2], conditioning)
        with Listener():
            decoder.decode(uniform[:, 2:9])
    assert asked == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a step can be recorded here")
def test_a_step_that_cannot_be_recorded_warns_once_and_runs_eagerly(
    prior: Prior, caplog: pytest.LogCaptureFixture
) -> None:
    decoder = GraphDecoder(prior, 2, DRAWN[0], record=True)
    for seed in range(2):
        assert torch.equal(fill(decoder, prior, 2, 3, seed), fill(GraphDecoder(prior, 2, DRAWN[0]), prior, 2, 3, seed))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "no CUDA graph could be recorded, so decoding is slower, operator by operator"
    ]
    assert decoder.recorded == set()


def test_out_of_memory_while_recording_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", full)
    prior = make_prior("top")
    codes, _, conditioning = make_window(prior, 1, 0)
    with pytest.raises(torch.OutOfMemoryError):
        GraphDecoder(prior, 1, GREEDY, record=True).begin(codes[:, :3], conditioning)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("settings", [GREEDY, DRAWN[2]])
def test_a_recorded_step_samples_the_ids_of_the_eager_decoder(settings: LevelSampling, prior: Prior) -> None:
    there = deepcopy(prior).cuda()
    graph, eager = GraphDecoder(there, 3, settings), EagerDecoder(there, 3, settings)
    for batch, known, seed in ((3, 5, 0), (2, 0, 1), (3, 9, 2), (2, 1, 3)):
        expected = fill(eager, there, batch, known, seed, (3,))
        assert torch.equal(fill(graph, there, batch, known, seed, (1, 4)), expected)
    assert graph.recorded == {2, 3}
