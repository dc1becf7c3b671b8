"""The native step against torch: the same codes for every prior, batch and instruction set."""

import ctypes
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_priors import tiny_config

from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import VARIANTS, declared, library, path_of
from jukectl.native.packing import Precision
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
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.decoders.choose import decoder_for
from jukectl.sampling.decoders.native import NativeDecoder, is_supported
from jukectl.sampling.draw import draw

pytestmark = pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")

TOP = tiny_config(
    context=24,
    width=36,  # not a multiple of a register
    depth=6,
    blocks=6,
    hop=8,
    codebook_size=40,
    artists=5,
    genres=7,
    timing=TimingConfig(bins=16, min_seconds=0.1, max_seconds=3.0),
    attention_ratio=1 / 3,
)
WITHOUT_LYRICS = (*FACTORED, AttentionKind.DENSE)
KINDS = {
    "top": replace(TOP, pattern=WITHOUT_LYRICS),
    "wide": replace(
        TOP, width=320, depth=3, heads=5, attention_ratio=0.5, mlp_ratio=1.5, codebook_size=300, init_scale=2.0
    ),
    "untied": replace(TOP, tied_head=False, scale_residuals=True, init_scale=9.0),
    "upsampler": replace(
        TOP,
        level=Level.MIDDLE,
        timing=None,
        conditioner=ConditionerConfig(width=16, depth=2, downs=2, codebook_size=30),
    ),
    "encoder": replace(
        TOP,
        pattern=(*WITHOUT_LYRICS, AttentionKind.ENCODER),
        lyrics=LyricsConfig(
            characters=9, alphabet=11, encoder=EncoderConfig(width=16, depth=2, heads=2, blocks=3, init_scale=5.0)
        ),
    ),
    "apart": replace(
        TOP,
        pattern=(*FACTORED, AttentionKind.ENCODER, AttentionKind.ROW, AttentionKind.ENCODER),
        lyrics=LyricsConfig(characters=10, alphabet=11, apart=True),
        scale_residuals=True,
        scale_depth=3,
        init_scale=7.0,
    ),
    "one sequence": replace(
        TOP,
        blocks=4,
        pattern=(*WITHOUT_LYRICS, AttentionKind.LYRICS),
        tied_head=False,
        lyrics=LyricsConfig(characters=8, alphabet=11, drawable=True),
    ),
    "rotary": replace(TOP, positions="rotary", pattern=(AttentionKind.DENSE,)),
    "rotary wide": replace(  # heads of 48 numbers: a register and a half of each pair, of dense and windowed layers
        TOP,
        positions="rotary",
        pattern=(AttentionKind.DENSE, AttentionKind.WINDOW),
        window=7,
        width=96,
        attention_ratio=1.0,
        mlp_ratio=4.0,
        init_scale=2.0,
    ),
    "rotary lyrics": replace(
        TOP,
        positions="rotary",
        pattern=(*FACTORED, AttentionKind.ENCODER, AttentionKind.ROW, AttentionKind.ENCODER),
        lyrics=LyricsConfig(characters=10, alphabet=11, apart=True),
    ),
}
CHANCE = LevelSampling(temperature=0.9)


def make_prior(kind: str) -> Prior:
    torch.manual_seed(1)
    prior = Prior(KINDS[kind]).eval()
    with torch.no_grad():  # biases start at zero, which would hide one that is left out
        for name, parameter in prior.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return prior


def condition(prior: Prior, rows: int) -> ConditioningTensors:
    config = prior.config
    torch.manual_seed(2)
    labels = LabelBatch(
        artist=torch.arange(rows) % config.artists,
        genres=torch.zeros(rows, 1, dtype=torch.int64),
        total_length=torch.full((rows,), 900),
        offset=torch.arange(rows) * 100,
        sample_length=torch.full((rows,), config.window_samples),
        lyrics=torch.randint(0, 11, (rows, config.lyrics.characters)) if config.lyrics else None,
    )
    return prior.conditioning(labels, torch.randint(0, 30, (rows, 6)) if config.conditioner else None)


def decode(decoder, prior, rows=3, known=5, pieces=(1, 4, 14)):
    torch.manual_seed(3)
    codes = torch.randint(0, prior.config.codebook_size, (rows, known))
    uniform = torch.rand(rows, sum(pieces), dtype=torch.float64)
    decoder.begin(codes, condition(prior, rows))
    return torch.cat([decoder.decode(piece) for piece in uniform.split(pieces, dim=1)], dim=1)


@pytest.fixture(params=VARIANTS)
def variant(request, monkeypatch):
    """Each instruction set that this processor has."""
    if not path_of(request.param).exists():
        pytest.skip("this one is not for this sort of machine")
    plain = ctypes.CDLL(str(path_of(VARIANTS[0])))
    if VARIANTS.index(request.param) > plain.jukectl_processor():
        pytest.skip("the processor does not have it")
    found = declared(ctypes.CDLL(str(path_of(request.param))))
    monkeypatch.setattr("jukectl.sampling.decoders.native.library", lambda: found)
    return request.param


@pytest.mark.parametrize("kind", KINDS)
def test_the_native_step_samples_the_codes_that_torch_samples(kind, variant):
    prior = make_prior(kind)
    eager, native = EagerDecoder(prior, 3, CHANCE), NativeDecoder(prior, 3, CHANCE, Precision.FP32)
    for known in (0, 1, 5, 10):  # one window after another in the same memory
        expected = decode(eager, prior, known=known, pieces=(23 - known,))
        assert torch.equal(decode(native, prior, known=known, pieces=(2, 1, 20 - known)), expected), known
        assert len(expected.unique()) > 5
    assert torch.equal(decode(native, prior, known=10, pieces=(13,)), expected)


ERRORS = {Precision.FP32: (-1.0, 1e-5), Precision.BF16: (1e-5, 0.02), Precision.INT8: (1e-5, 0.05)}


def test_the_native_step_takes_the_expected_codes_that_torch_takes(variant):
    prior, settings = make_prior("upsampler"), replace(CHANCE, expected=True)
    prior.stage_vectors = torch.randn(4, 10, 5, generator=torch.Generator().manual_seed(2))
    codes = decode(NativeDecoder(prior, 3, settings, Precision.FP32), prior)
    assert torch.equal(codes, decode(EagerDecoder(prior, 3, settings), prior))
    assert not torch.equal(codes, decode(NativeDecoder(prior, 3, CHANCE, Precision.FP32), prior))


@pytest.mark.parametrize("kind", KINDS)
def test_native_logits_equal_those_of_torch_up_to_the_precision(kind, variant):
    prior, likeliest = make_prior(kind), LevelSampling(temperature=0)
    codes, conditioning = torch.randint(0, 40, (2, 9)), condition(prior, 2)
    eager = EagerDecoder(prior, 2, likeliest)
    eager.begin(codes, conditioning)
    for precision, (least, most) in ERRORS.items():
        native = NativeDecoder(prior, 2, likeliest, precision)
        native.begin(codes, conditioning)
        error = (native._logits[:, : eager._logits.shape[1]] - eager._logits).norm() / eager._logits.norm()
        assert least < error < most, precision


@pytest.mark.parametrize("kind", ["top", "upsampler", "encoder", "one sequence", "rotary wide"])
def test_native_codes_do_not_depend_on_batch_or_chunks(kind, variant):
    # bfloat16 and 8-bit weights have other inner loops than float32, in which each kind of prior is tried once
    precision = {"top": Precision.INT8, "upsampler": Precision.BF16}.get(kind, Precision.FP32)
    check_rows(make_prior(kind), precision, [range(1), range(2, 3), range(1, 6), range(7)], 7)


@pytest.mark.parametrize("precision", Precision)
def test_a_row_has_the_same_bits_alone_and_among_sixteen_with_any_number_of_threads(precision, variant):
    # whole blocks of rows and remainders of them; widths beyond a panel of outputs and beside a tile of inputs
    some = [range(3, 4), range(2), range(3, 6), range(9), range(16), range(17)]
    check_rows(make_prior("wide"), precision, some, 17, threads=(1, 2, 3))


def check_rows(prior, precision, some, most, threads=(1,)):
    """Check that logits of ranges of rows are those among all, bit for bit."""
    together = NativeDecoder(prior, most, CHANCE, precision, threads=1)
    codes = torch.randint(0, 40, (most, 4))
    conditioning, uniform = condition(prior, most), torch.rand(most, 8, dtype=torch.float64)

    def logits(decoder, rows, pieces):
        chosen = ConditioningTensors.join([conditioning.row(row) for row in rows])
        decoder.begin(codes[rows.start : rows.stop], chosen)
        for piece in uniform[rows.start : rows.stop].split(pieces, dim=1):
            decoder.decode(piece)
        return decoder._logits[: len(rows)].clone()

    whole = logits(together, range(most), 8)
    for count in threads:
        decoder = NativeDecoder(prior, most, CHANCE, precision, threads=count)
        for rows in some:
            assert torch.equal(logits(decoder, rows, 3), whole[rows.start : rows.stop]), (count, rows)


def test_tiles_give_the_bits_of_dot_products(variant):
    if variant != "avx512":
        pytest.skip("tiles belong to one variant")
    prior, found = make_prior("wide"), declared(ctypes.CDLL(str(path_of(variant))))
    results = []
    for use in (0, 1):
        found.jukectl_use_tiles(use)
        decoder = NativeDecoder(prior, 16, CHANCE, Precision.INT8, threads=2)
        made = decode(decoder, prior, rows=16)
        results.append((made, decoder._logits.clone()))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_a_prefix_gives_the_same_state_as_decoding_it(variant):
    prior, likeliest = make_prior("top"), LevelSampling(temperature=0)
    decoder, conditioning = NativeDecoder(prior, 1, likeliest, Precision.FP32), condition(prior, 1)
    decoder.begin(torch.zeros(1, 0, dtype=torch.int64), conditioning)
    made = decoder.decode(torch.zeros(1, 20, dtype=torch.float64))
    stepped = decoder._logits.clone()
    decoder.begin(made[:, :19], conditioning)
    assert torch.equal(decoder._logits, stepped)


numbers = st.floats(-30, 30, width=32) | st.sampled_from([0.0, 1.0, 1.5])


@settings(max_examples=200, deadline=None)
@example([0.0] * 6 + [1.0] * 18 + [7.0, 1e-30] + [1.0] * 14, 0.0, 3.0, 0, 0.9)  # a difference that scaling takes away
@given(
    st.lists(numbers, min_size=40, max_size=40),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0.0, 0.1, 1.0, 3.0]),
    st.sampled_from([0, 1, 2, 7, 39, 40, 99]),
    st.sampled_from([0.01, 0.3, 0.9, 0.999, 1.0]),
)
def test_the_native_step_follows_the_sampling_rules_of_draw(logits, number, temperature, top_k, top_p):
    decoder = _drawer()
    decoder._sampling.temperature, decoder._sampling.top_k, decoder._sampling.top_p = temperature, top_k, top_p
    decoder._logits[0, :40] = torch.tensor(logits)
    decoder._pending = 1
    uniform = torch.tensor([[number]], dtype=torch.float64)
    drawn = decoder.decode(uniform)[0]
    rows = torch.tensor([logits])
    expected = draw(rows, uniform[:, 0], temperature=temperature, top_k=top_k, top_p=top_p)
    if drawn != expected:  # where rounding decides: at the edge of two codes or of the nucleus, or of next to no weight
        near = {
            int(draw(rows, uniform[:, 0] + shift, temperature=temperature, top_k=top_k, top_p=top_p * scale))
            for shift in (-1e-12, 0, 1e-12)
            for scale in (1 - 1e-12, 1, 1 + 1e-12)
        }
        weight = (rows.double() / temperature).softmax(-1)[0, int(drawn)]
        assert int(drawn) in near or weight < 1e-12


_KEPT: list[NativeDecoder] = []


def _drawer() -> NativeDecoder:
    if not _KEPT:
        prior = make_prior("top")
        _KEPT.append(NativeDecoder(prior, 1, CHANCE, Precision.FP32))
        _KEPT[0].begin(torch.zeros(1, 0, dtype=torch.int64), condition(prior, 1))
    return _KEPT[0]


def test_the_native_decoder_is_chosen_if_supported(monkeypatch):
    prior = make_prior("top")
    assert isinstance(decoder_for(prior, 1, CHANCE), NativeDecoder)
    odd = Prior(replace(TOP, width=42, heads=2, attention_ratio=1 / 3)).eval()
    assert not is_supported(odd, Precision.FP32)
    assert not is_supported(prior.half(), Precision.FP32)
    monkeypatch.setenv("JUKECTL_NATIVE", "0")
    assert isinstance(decoder_for(make_prior("top"), 1, CHANCE), EagerDecoder)


def test_a_prior_in_bfloat16_has_the_logits_of_the_eager_decoder():
    prior = make_prior("wide").bfloat16()
    native = decoder_for(prior, 2, LevelSampling(temperature=0))
    assert isinstance(native, NativeDecoder)
    eager = EagerDecoder(prior, 2, LevelSampling(temperature=0))
    codes, conditioning = torch.randint(0, 40, (2, 9)), condition(prior, 2)
    for decoder in (eager, native):
        decoder.begin(codes, conditioning)
    error = (native._logits[:, :300] - eager._logits.float()).norm() / eager._logits.float().norm()
    assert error < 0.03
