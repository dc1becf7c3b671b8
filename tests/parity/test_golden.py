"""The same weights give what the port makes of them: codes, audio, logits, losses, and greedy samples.

Narrow decisions are not among the samples, so that rounding cannot change a code: scripts/parity/golden.py sees to it.
"""

import numpy as np
import pytest
import torch

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.lyrics.window import lyric_window
from jukectl.prior.labels import LabelBatch, fill_slots
from jukectl.sampling.windows import plan_windows, upper_span

LEVELS = tuple(level.label for level in TOP_DOWN)

pytestmark = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture
def window(golden, level):
    """Two whole windows: the prior, codes, labels and upper codes."""
    labels = golden.labels(golden.tensor(f"windows/{level}/metadata"))
    return golden.priors[level], golden.tensor(f"windows/{level}/codes"), labels, golden.upper("windows", level)


def our_ids(prior, logits):
    """The port's logits in our order: codes first, then the characters that share their table."""
    characters = prior.config.ids - prior.config.codebook_size
    assert logits.shape[-1] == prior.config.ids
    return logits.roll(-characters, -1)


def greedy(prior, known, count, labels, upper):
    """`count` codes (B, count) after those known (B, n), the likeliest each, with a character heard on as it is."""
    cache, conditioning = prior.new_cache(len(known)), prior.conditioning(labels, upper)
    drawn = [prior.prefill(known, conditioning, cache).argmax(-1)]
    while len(drawn) < count:
        position = known.shape[1] + len(drawn)
        drawn.append(prior.step(drawn[-1], position, conditioning, cache).argmax(-1))
    codes = torch.stack(drawn, dim=1)
    return codes.where(codes < prior.config.codebook_size, 0)


def test_a_recording_has_the_same_codes_which_decode_to_the_same_audio(golden, level):
    recording = golden.tensor("recording")[None]
    assert torch.equal(golden.vqvae.encode(recording, Level.parse(level)), golden.tensor(f"codes/{level}"))
    audio = golden.vqvae.decode(golden.tensor(f"codes/{level}"), Level.parse(level))
    torch.testing.assert_close(audio, golden.tensor(f"decode/{level}"), rtol=0, atol=1e-5)


def test_logits_and_losses_of_a_full_forward_agree(golden, level, window):
    prior, codes, labels, upper = window
    expected = our_ids(prior, golden.tensor(f"windows/{level}/logits"))
    torch.testing.assert_close(prior(codes, labels, upper), expected, rtol=0, atol=1e-4)
    bits = prior.bits(codes, labels, upper).mean(1)
    torch.testing.assert_close(bits, golden.tensor(f"windows/{level}/bits"), rtol=0, atol=1e-5)
    if labels.lyrics is not None:
        characters = prior.lyric_bits(labels).mean(1)
        torch.testing.assert_close(characters, golden.tensor(f"windows/{level}/lyric_bits"), rtol=0, atol=1e-5)
    for row, expected in enumerate(golden.tensor(f"windows/{level}/loss")):
        above = None if upper is None else upper[row : row + 1]
        loss = prior.loss(codes[row : row + 1], labels.row(row), above)
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)


def test_cached_logits_are_those_of_a_full_forward(golden, level, window):
    prior, codes, labels, upper = window
    expected = our_ids(prior, golden.tensor(f"windows/{level}/logits"))
    conditioning = prior.conditioning(labels, upper)
    for known, chunk in ((0, None), (prior.config.context // 3, None), (prior.config.context // 3, 1)):
        cache = prior.new_cache(len(codes))
        logits = [prior.prefill(codes[:, :known], conditioning, cache, chunk=chunk)]
        for position in range(known + 1, codes.shape[1]):
            logits.append(prior.step(codes[:, position - 1], position, conditioning, cache))
        torch.testing.assert_close(torch.stack(logits, dim=1), expected[:, known:], rtol=0, atol=1e-4)


def test_greedy_windows_are_the_same_after_any_prefix(golden, level):
    prior, upper = golden.priors[level], golden.upper("windows", level)
    case = next(case for case in golden.cases["windows"] if case["level"] == level)
    for known in case["known"]:
        expected = golden.tensor(f"windows/{level}/greedy/{known}")
        labels = golden.labels(golden.tensor(f"windows/{level}/greedy/{known}/metadata"))
        count = prior.config.context - known
        assert torch.equal(greedy(prior, expected[:, :known], count, labels, upper), expected[:, known:]), known


def test_windowed_samples_with_different_labels_equal_those_of_the_port(golden, level):
    prior, config = golden.priors[level], golden.priors[level].config
    case = next(case for case in golden.cases["rows"] if case["level"] == level)
    expected, upper = golden.tensor(f"rows/{level}/codes"), golden.upper("rows", level)
    ratio = config.conditioner.ratio if config.conditioner else 1
    codes = expected[:, : case["begun"]]
    plan = plan_windows(
        expected.shape[1], context=config.context, advance=case["advance"], done=case["begun"], ratio=ratio
    )
    windows = list(plan)
    assert [[window.start, window.prefix, window.stop] for window in windows] == case["windows"]
    for number, window in enumerate(windows):
        labels = labels_of(config, case["rows"], window.start)
        if labels.lyrics is not None:
            assert torch.equal(labels.lyrics, golden.tensor(f"rows/{level}/lyrics")[number])
        above = None
        if upper is not None:
            start, stop = upper_span(window, config.context, ratio, upper.shape[1])
            above = upper[:, start:stop]
        known = codes[:, window.start : window.start + window.prefix]
        codes = torch.cat([codes, greedy(prior, known, window.new, labels, above)], dim=1)
        assert torch.equal(codes, expected[:, : codes.shape[1]]), window


def labels_of(config, rows, start):
    """The labels of a window that starts at a code, of samples each at their own place in songs of their own."""
    offsets = [row["offset"] + start * config.hop for row in rows]
    lyrics = [
        lyric_window(
            row["lyrics"],
            config.lyrics.characters,
            total_length=row["total"],
            offset=offset,
            sample_length=config.window_samples,
        ).ids
        for row, offset in zip(rows, offsets, strict=True)
        if config.lyrics
    ]
    return LabelBatch(
        artist=torch.tensor([row["artist"] for row in rows]),
        genres=torch.tensor([fill_slots(row["genres"], config.genre_slots) for row in rows]),
        total_length=torch.tensor([row["total"] for row in rows]),
        offset=torch.tensor(offsets),
        sample_length=torch.tensor([config.window_samples] * len(rows)),
        lyrics=torch.from_numpy(np.stack(lyrics)) if lyrics else None,
    )
