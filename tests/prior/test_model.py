import math
from dataclasses import replace

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.prior.config import FACTORED, AttentionKind, ConditionerConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.model import Prior

WITHOUT_LYRICS = (*FACTORED, AttentionKind.DENSE)


def make_labels(config: PriorConfig, batch: int) -> LabelBatch:
    """Labels that differ from row to row."""
    return LabelBatch(
        artist=torch.arange(batch) % config.artists,
        genres=torch.arange(batch * config.genre_slots).view(batch, -1) % (config.genres + 1) - 1,
        total_length=torch.arange(1, batch + 1) * 450,
        offset=torch.arange(batch) * 100,
        sample_length=torch.full((batch,), config.window_samples),
        lyrics=make_lyrics(config, batch),
    )


def make_lyrics(config: PriorConfig, batch: int) -> torch.Tensor | None:
    if config.lyrics is None:
        return None
    return torch.randint(0, config.lyrics.alphabet, (batch, config.lyrics.characters))


def make_upper(config: PriorConfig, batch: int) -> torch.Tensor | None:
    if config.conditioner is None:
        return None
    return torch.randint(0, config.conditioner.codebook_size, (batch, config.upper_context))


def make_codes(config: PriorConfig, batch: int, total: int | None = None) -> torch.Tensor:
    return torch.randint(0, config.codebook_size, (batch, config.context if total is None else total))


@pytest.mark.parametrize("pattern", [(kind,) for kind in WITHOUT_LYRICS] + [WITHOUT_LYRICS])
def test_codes_do_not_see_themselves_or_what_comes_after(pattern: tuple[AttentionKind, ...], top: PriorConfig) -> None:
    prior = Prior(replace(top, pattern=pattern)).eval()
    codes, labels = make_codes(prior.config, 1), make_labels(prior.config, 1)
    with torch.no_grad():
        before = prior(codes, labels)
        for position in range(prior.config.context):
            changed = codes.clone()
            changed[:, position:] = (changed[:, position:] + 1) % prior.config.codebook_size
            assert torch.equal(prior(changed, labels)[:, : position + 1], before[:, : position + 1])


def test_every_code_but_the_last_matters_to_the_last_logits(prior: Prior) -> None:
    config = prior.config
    vectors = prior.codes(make_codes(config, 1)).detach().requires_grad_()
    prior.codes.forward = lambda codes: vectors[:, : codes.shape[1]]  # type: ignore[method-assign,assignment]
    prior(make_codes(config, 1), make_labels(config, 1), make_upper(config, 1))[0, -1].square().sum().backward()
    reached = vectors.grad.abs().sum(dim=2)[0]
    assert reached[:-1].min() > 0
    assert reached[-1] == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_decoding_with_the_cache_gives_the_logits_of_the_full_pass(prior: Prior, batch: int) -> None:
    config = prior.config
    codes, labels, upper = make_codes(config, batch), make_labels(config, batch), make_upper(config, batch)
    with torch.inference_mode():
        full = prior(codes, labels, upper)
        conditioning, cache = prior.conditioning(labels, upper), prior.new_cache(batch)
        for known in (0, 1, 3, 4, 5, 11, 23):  # a block has 4 positions
            logits = [prior.prefill(codes[:, :known], conditioning, cache)]
            for position in range(known + 1, config.context if known < 2 else min(known + 6, config.context)):
                logits.append(prior.step(codes[:, position - 1], position, conditioning, cache))
            expected = full[:, known : known + len(logits)]
            assert torch.allclose(torch.stack(logits, dim=1), expected, atol=1e-4), known


def test_a_used_cache_serves_the_next_window(prior: Prior) -> None:
    config = prior.config
    labels, upper = make_labels(config, 2), make_upper(config, 2)
    conditioning, cache = prior.conditioning(labels, upper), prior.new_cache(2)
    codes = make_codes(config, 2)
    prior.prefill(make_codes(config, 2)[:, :-1], conditioning, cache)
    prior.prefill(codes[:, :6], conditioning, cache)
    used = prior.step(codes[:, 6], 7, conditioning, cache)
    fresh_cache = prior.new_cache(2)
    prior.prefill(codes[:, :6], conditioning, fresh_cache)
    assert torch.equal(used, prior.step(codes[:, 6], 7, conditioning, fresh_cache))


def test_logits_of_a_sample_do_not_depend_on_the_batch(prior: Prior) -> None:
    config = prior.config
    codes, labels, upper = make_codes(config, 6), make_labels(config, 6), make_upper(config, 6)

    def decode(rows: slice) -> torch.Tensor:
        chosen = LabelBatch(**{name: None if value is None else value[rows] for name, value in vars(labels).items()})
        conditioning = prior.conditioning(chosen, None if upper is None else upper[rows])
        cache = prior.new_cache(len(codes[rows]))
        logits = [prior.prefill(codes[rows, :5], conditioning, cache)]
        for position in range(6, 20):
            logits.append(prior.step(codes[rows, position - 1], position, conditioning, cache))
        return torch.stack(logits, dim=1)

    together = decode(slice(0, 6))
    for rows in (slice(0, 1), slice(3, 4), slice(5, 6), slice(1, 3), slice(1, 6)):
        assert torch.equal(decode(rows), together[rows])


def test_a_step_out_of_turn_is_refused(unlike_prior: Prior) -> None:
    config = unlike_prior.config
    conditioning, cache = (
        unlike_prior.conditioning(make_labels(config, 1), make_upper(config, 1)),
        unlike_prior.new_cache(1),
    )
    codes = make_codes(config, 1)
    unlike_prior.prefill(codes[:, :3], conditioning, cache)
    with pytest.raises(ValueError, match="position 4: position 5"):
        unlike_prior.step(codes[:, 3], 5, conditioning, cache)
    with pytest.raises(ValueError, match="position 0"):
        unlike_prior.step(codes[:, 3], 4, conditioning, unlike_prior.new_cache(1))


def test_more_codes_than_the_context_are_refused(top: PriorConfig) -> None:
    with pytest.raises(ValueError, match="context of 24"):
        Prior(top)(make_codes(top, 1, top.context + 1), make_labels(top, 1))


def test_an_upsampler_is_refused_too_few_codes_from_above(upsampler: PriorConfig) -> None:
    prior = Prior(upsampler)
    config, labels = prior.config, make_labels(prior.config, 1)
    with pytest.raises(ValueError, match="reach for 20 only"):
        prior(make_codes(config, 1), labels, make_upper(config, 1)[:, :-1])
    with pytest.raises(ValueError, match="level above"):
        prior(make_codes(config, 1), labels)


def test_a_segment_shorter_than_the_context_has_the_logits_of_the_whole(top: PriorConfig) -> None:
    prior = Prior(top).eval()
    codes, labels = make_codes(prior.config, 2), make_labels(prior.config, 2)
    for total in (1, 4, 10):
        assert torch.allclose(prior(codes[:, :total], labels), prior(codes, labels)[:, :total], atol=1e-4)


def test_an_upsampler_trains_on_a_segment_with_the_codes_above_it(upsampler: PriorConfig) -> None:
    prior = Prior(upsampler)
    codes = make_codes(prior.config, 2, 8)
    prior.loss(codes, make_labels(prior.config, 2), torch.randint(0, 30, (2, 2))).backward()
    assert all(parameter.grad is not None for parameter in prior.parameters())


def test_uniform_logits_cost_log2_k_bits_a_code(unlike_prior: Prior) -> None:
    with torch.no_grad():
        (unlike_prior.codes.weight if unlike_prior.head is None else unlike_prior.head).zero_()
    config = unlike_prior.config
    codes, labels, upper = make_codes(config, 2), make_labels(config, 2), make_upper(config, 2)
    drawn = config.ids if config.lyrics and config.lyrics.drawable else config.codebook_size
    assert unlike_prior.bits(codes, labels, upper).mean().item() == pytest.approx(math.log2(drawn))


def test_bits_are_minus_log2_of_the_probability_and_the_loss_is_their_mean(prior: Prior) -> None:
    """With lyrics, a mean over codes and characters, in which a character counts for 0.4 of a code."""
    config = prior.config
    codes, labels, upper = make_codes(config, 3), make_labels(config, 3), make_upper(config, 3)
    with torch.no_grad():
        probabilities = prior(codes, labels, upper).softmax(dim=-1)
        bits, costs = prior.bits(codes, labels, upper), prior.costs(codes, labels, upper)
        assert torch.allclose(bits, -probabilities.gather(2, codes[:, :, None]).squeeze(2).log2(), atol=1e-3)
        torch.testing.assert_close(costs.codes, bits)
        expected = bits.mean().item()
        if config.lyrics:
            count, characters = config.lyrics.characters, prior.lyric_bits(labels)
            torch.testing.assert_close(costs.lyrics, characters)
            expected = (0.4 * count * characters.mean().item() + 24 * expected) / (count + 24)
        else:
            assert costs.lyrics is None
        assert prior.loss(codes, labels, upper).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged", "published_merged"])
def test_lyrics_affect_the_logits(sort: str, request: pytest.FixtureRequest) -> None:
    prior = Prior(request.getfixturevalue(sort)).eval()
    codes, labels = make_codes(prior.config, 1), make_labels(prior.config, 1)
    with torch.no_grad():
        before = prior(codes, labels)
        for place in range(prior.config.lyrics.characters - 1):  # an encoder's last state has not seen the last one
            sung = labels.lyrics.clone()
            sung[0, place] = (sung[0, place] + 1) % 11
            assert not torch.allclose(prior(codes, replace(labels, lyrics=sung))[:, 6], before[:, 6])


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged", "published_merged"])
def test_characters_are_foretold_from_those_before_them(sort: str, request: pytest.FixtureRequest) -> None:
    prior = Prior(request.getfixturevalue(sort)).eval()
    labels, count = make_labels(prior.config, 1), prior.config.lyrics.characters
    with torch.no_grad():
        before = prior.lyric_bits(labels)
        for place in range(count):
            sung = labels.lyrics.clone()
            sung[0, place] = (sung[0, place] + 1) % 11
            changed = prior.lyric_bits(replace(labels, lyrics=sung))
            assert torch.allclose(changed[:, :place], before[:, :place], atol=1e-5)
            assert torch.all(changed[:, place] != before[:, place])


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged"])
def test_no_lyrics_are_a_window_of_zeros(sort: str, request: pytest.FixtureRequest) -> None:
    prior = Prior(request.getfixturevalue(sort)).eval()
    codes, labels = make_codes(prior.config, 2), make_labels(prior.config, 2)
    with torch.no_grad():
        silent = prior(codes, replace(labels, lyrics=None))
        assert torch.equal(silent, prior(codes, replace(labels, lyrics=torch.zeros_like(labels.lyrics))))
    with pytest.raises(ValueError, match="characters of the lyrics, got 3"):
        prior(codes, replace(labels, lyrics=labels.lyrics[:, :3]))


def test_a_prior_without_lyrics_has_no_bits_for_them(top: PriorConfig) -> None:
    with pytest.raises(ValueError, match="no lyrics"):
        Prior(top).lyric_bits(make_labels(top, 1))


@pytest.mark.parametrize("sort", ["encoded", "apart", "merged", "published_merged"])
def test_all_of_a_prior_with_lyrics_learns(sort: str, request: pytest.FixtureRequest) -> None:
    prior = Prior(request.getfixturevalue(sort))
    prior.loss(make_codes(prior.config, 2), make_labels(prior.config, 2)).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in prior.parameters())


def test_a_prefix_may_be_read_in_chunks(prior: Prior) -> None:
    config = prior.config
    codes, labels, upper = make_codes(config, 2), make_labels(config, 2), make_upper(config, 2)
    conditioning, whole, chunked = prior.conditioning(labels, upper), prior.new_cache(2), prior.new_cache(2)
    for known, chunk in ((0, 4), (1, 1), (3, 4), (11, 1), (11, 9), (23, 4), (23, 9), (23, 100)):
        expected = prior.prefill(codes[:, :known], conditioning, whole)
        read = prior.prefill(codes[:, :known], conditioning, chunked, chunk=chunk)
        assert torch.allclose(read, expected, atol=1e-4), (known, chunk)
        if known < config.context - 1:
            one, other = (prior.step(codes[:, known], known + 1, conditioning, cache) for cache in (whole, chunked))
            assert torch.allclose(one, other, atol=1e-4), (known, chunk)


def test_a_sampled_lyric_token_is_read_as_itself(published_merged: PriorConfig) -> None:
    prior = Prior(published_merged).eval()
    conditioning, cache = prior.conditioning(make_labels(prior.config, 1)), prior.new_cache(1)
    assert prior.prefill(torch.zeros(1, 0, dtype=torch.int64), conditioning, cache).shape == (1, 40 + 11)
    prior.step(torch.tensor([43]), 1, conditioning, cache)
    drawn = cache.layers[0].clone()
    cache.length -= 1
    prior.step(torch.tensor([0]), 1, conditioning, cache)
    assert not torch.equal(cache.layers[0], drawn)


def test_the_head_is_tied_to_the_code_embedding(top: PriorConfig) -> None:
    shape = (top.codebook_size, top.width)
    assert [name for name, value in Prior(top).state_dict().items() if value.shape == shape] == ["codes.weight"]


def test_an_untied_head_has_separate_weights(top: PriorConfig) -> None:
    prior = Prior(replace(top, tied_head=False))
    codes, labels = make_codes(prior.config, 1), make_labels(prior.config, 1)
    with torch.no_grad():
        prior.head.zero_()
    assert prior(codes, labels).abs().max() == 0


@pytest.mark.parametrize("field", ["artist", "genres", "total_length", "offset"])
def test_every_label_affects_a_top_prior(field: str, top: PriorConfig) -> None:
    prior = Prior(top)
    codes, labels = make_codes(prior.config, 1), make_labels(prior.config, 1)
    values = vars(labels) | {field: getattr(labels, field) + (400 if field in {"total_length", "offset"} else 1)}
    changed = LabelBatch(**values)
    with torch.no_grad():
        assert not torch.allclose(prior(codes, labels)[:, 0], prior(codes, changed)[:, 0])


def test_artist_genre_and_upper_codes_affect_an_upsampler_and_timing_does_not(upsampler: PriorConfig) -> None:
    prior = Prior(upsampler)
    config = prior.config
    codes, labels, upper = make_codes(config, 1), make_labels(config, 1), make_upper(config, 1)
    with torch.no_grad():
        logits = prior(codes, labels, upper)
        assert not torch.allclose(prior(codes, labels, (upper + 1) % 30), logits)
        assert not torch.allclose(
            prior(codes, LabelBatch(**vars(labels) | {"artist": labels.artist + 1}), upper), logits
        )
        later = LabelBatch(**vars(labels) | {"offset": labels.offset + 999, "total_length": labels.total_length + 999})
        assert torch.equal(prior(codes, later, upper), logits)


def test_conditioning_comes_back_after_the_transformer(top: PriorConfig) -> None:
    prior = Prior(replace(top, depth=1))
    with torch.no_grad():
        for parameter in prior.transformer.parameters():
            parameter.zero_()  # every block is the identity now
    codes, labels = make_codes(prior.config, 1), make_labels(prior.config, 1)
    with torch.inference_mode():
        conditioning = prior.conditioning(labels)
        inputs = torch.cat([conditioning.start[:, None], prior.codes(codes[:, :-1])], dim=1) + prior.positions
        expected = (inputs + 2 * conditioning.positions) @ prior.codes.weight.T
    assert torch.allclose(prior(codes, labels), expected, atol=1e-4)


def test_a_prior_without_timing_or_conditioner_has_learned_positions_only(top: PriorConfig) -> None:
    prior = Prior(replace(top, timing=None)).eval()
    config = prior.config
    codes, labels = make_codes(config, 2), make_labels(config, 2)
    with torch.inference_mode():
        full, conditioning, cache = prior(codes, labels), prior.conditioning(labels), prior.new_cache(2)
    assert conditioning.positions is None
    prior.prefill(codes[:, :7], conditioning, cache)
    assert torch.allclose(prior.step(codes[:, 7], 8, conditioning, cache), full[:, 8], atol=1e-4)


def test_it_learns_a_scale(top: PriorConfig) -> None:
    prior = Prior(replace(top, init_scale=1.0, depth=3))
    labels = LabelBatch.repeat(8, slots=3, total_length=500, sample_length=prior.config.window_samples)
    optimizer = torch.optim.Adam(prior.parameters(), lr=1e-2)
    for _ in range(60):
        codes = (torch.randint(0, 40, (8, 1)) + torch.arange(prior.config.context)) % 40
        loss = prior.loss(codes, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bits = prior.bits(codes, labels)
    assert bits[:, 0].mean() > 4  # the first note is news, the others are not
    assert bits[:, 1:].mean() < 0.5


def test_training_in_bfloat16_gives_the_loss_and_gradients_of_float32(upsampler: PriorConfig) -> None:
    prior = Prior(replace(upsampler, init_scale=1.0))
    arguments = make_codes(prior.config, 2), make_labels(prior.config, 2), make_upper(prior.config, 2)
    weight = prior.get_parameter("transformer.blocks.0.mlp_in.weight")
    exact = prior.loss(*arguments)
    exact.backward()
    gradient = weight.grad.clone()
    prior.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rough = prior.loss(*arguments)
    rough.backward()
    assert rough.dtype is torch.float32
    assert rough.item() == pytest.approx(exact.item(), abs=0.02)
    assert (weight.grad - gradient).norm() < 0.05 * gradient.norm()


def test_a_bfloat16_model_decodes(upsampler: PriorConfig) -> None:
    prior = Prior(replace(upsampler, init_scale=1.0)).eval()
    codes, labels, upper = make_codes(prior.config, 2), make_labels(prior.config, 2), make_upper(prior.config, 2)
    with torch.inference_mode():
        exact = prior(codes, labels, upper)[:, 8]
        prior.bfloat16()
        conditioning, cache = prior.conditioning(labels, upper), prior.new_cache(2)
        prior.prefill(codes[:, :7], conditioning, cache)
        rough = prior.step(codes[:, 7], 8, conditioning, cache)
    assert rough.dtype is torch.bfloat16
    assert torch.nn.functional.cosine_similarity(rough.float(), exact).min() > 0.99


@pytest.mark.parametrize(
    ("width", "depth", "heads", "upsampling", "billions"),
    [(1920, 72, 1, True, 1.0), (4800, 72, 8, False, 5.0)],  # SPEC.md: upsamplers and the 5b top prior
)
def test_published_models_have_their_published_sizes(
    width: int, depth: int, heads: int, upsampling: bool, billions: float
) -> None:
    conditioner = ConditionerConfig(width=1024, depth=16, downs=2, cycle=8) if upsampling else None
    config = PriorConfig(
        level=Level.MIDDLE if upsampling else Level.TOP,
        context=8192,
        width=width,
        depth=depth,
        heads=heads,
        blocks=128,
        hop=32 if upsampling else 128,
        artists=4111,
        genres=120,
        genre_slots=5,
        timing=None if upsampling else TimingConfig(min_seconds=23.8),
        conditioner=conditioner,
    )
    with torch.device("meta"):
        prior = Prior(config)
    assert sum(parameter.numel() for parameter in prior.parameters()) == pytest.approx(billions * 1e9, rel=0.1)
