"""Sampling of the published models over several windows: a test for each published rule about windows.

The rules are stated here independently, in small formulas and loops that share nothing with the code.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from level_jobs import fill, level_job
from tiny_priors import tiny_config

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling, ModelRef, Prompt, Recipe
from jukectl.errors import BadInput
from jukectl.lyrics.window import PADDING, lyric_window
from jukectl.plan.conditioning import check_length, song_samples
from jukectl.plan.recipes import frames_wanted
from jukectl.prior.conditioning import ArtistGenre
from jukectl.prior.config import AttentionKind, LyricsConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch, fill_slots
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Style, Vocabulary
from jukectl.sampling.draw import uniforms
from jukectl.sampling.windows import Window, advance_codes, plan_windows, song_offset, upper_span
from jukectl.vqvae.config import VQVAEConfig

RATE = 44_100  # Hz
HOPS = {Level.BOTTOM: 8, Level.MIDDLE: 32, Level.TOP: 128}
FRACTIONS = {Level.BOTTOM: 0.5, Level.MIDDLE: 0.5, Level.TOP: 0.125}
CODEC = VQVAEConfig()


def top_of(context, low, high):
    """Return a top prior with the published context and times."""
    timing = TimingConfig(min_seconds=low, max_seconds=high)
    return PriorConfig(level=Level.TOP, context=context, width=8, depth=1, heads=1, blocks=64, hop=128, timing=timing)


ONE_B, FIVE_B = top_of(6_144, 17.84, 600.0), top_of(8_192, 23.8, 600.0)


def recipe(seconds, prompt=None):
    return Recipe(
        kind="continue" if prompt else "sample",
        version="",
        model=ModelRef(name="m"),
        seed=0,
        samples=1,
        seconds=seconds,
        song_seconds=100.0,
        prompt=prompt,
        sampling=dict.fromkeys(Level, LevelSampling()),
    )


# Lengths


@pytest.mark.parametrize("seconds", [0.001, 0.5, 17.84, 20.0, 23.777, 60.0, 239.99])
def test_the_codes_of_a_level_are_those_that_fit_in_whole_top_codes(seconds):
    sample_length = int(seconds * RATE) // 128 * 128 or 128  # the script's; a code where that is none
    wanted = frames_wanted(recipe(seconds), CODEC, {})
    assert wanted == {level: sample_length // hop for level, hop in HOPS.items()}


def test_a_prompt_is_whole_top_codes_and_the_seconds_are_new_music_at_every_level_alike():
    prompt = Prompt(source="/x.wav", start=0.0, seconds=0.1, sha256="x", samples=34 * 128)
    wanted = frames_wanted(recipe(0.1, prompt), CODEC, {})
    assert wanted[Level.TOP] == 34 + 34  # and not 34 and a whole context, as the routine for short pieces would have it
    assert wanted[Level.MIDDLE] == 4 * wanted[Level.TOP]
    assert wanted[Level.BOTTOM] == 16 * wanted[Level.TOP]


def test_a_level_that_is_already_longer_is_kept():
    assert frames_wanted(recipe(0.1), CODEC, {Level.TOP: 99})[Level.TOP] == 99


@pytest.mark.parametrize(("level", "advance"), [(Level.BOTTOM, 4_096), (Level.MIDDLE, 4_096), (Level.TOP, 1_024)])
def test_the_advance_is_the_published_fraction_of_the_context(level, advance):
    assert advance_codes(8_192, FRACTIONS[level], 1 if level is Level.TOP else 4) == advance


@given(st.integers(1, 64), st.integers(1, 64))
def test_the_fraction_is_rounded_down(context, parts):
    fraction = parts / 64
    assert advance_codes(context, fraction, 1) == max(int(fraction * context), 1)


# Window starts


def original(asked, context, hop, have):
    """Return the calls (start, prefix, new) of the published sampler for `asked` codes of which `have` exist."""
    calls = []
    starts = []
    start = 0
    while start + context < asked:
        starts.append(start)
        start += hop
    starts.append(asked - context)
    for start in starts:
        prefix = max(have - start, 0)
        new = context - prefix
        if new > 0:
            calls.append((start, prefix, new))
            have += new
    return calls


def planned(asked, context, hop, have=0, ratio=1):
    windows = plan_windows(asked, context=context, advance=hop, done=have, ratio=ratio)
    return [(window.start, window.prefix, window.new) for window in windows]


@pytest.mark.parametrize("context", [1, 2, 5, 8])
def test_windows_of_a_context_or_more_are_those_of_the_published_sampler(context):
    for hop in range(1, context + 1):
        for asked in range(context, 4 * context + 1):
            for have in range(asked + 1):
                assert planned(asked, context, hop, have) == original(asked, context, hop, have)


def test_exactly_one_context_is_one_window_and_a_whole_number_of_hops_moves_none():
    assert planned(8, 8, 4) == [(0, 0, 8)]
    assert planned(16, 8, 4) == [(0, 0, 8), (4, 4, 4), (8, 4, 4)]
    assert planned(18, 8, 4)[-1] == (10, 6, 2)  # moved left: a full context, and a longer prefix


def test_a_full_window_is_skipped_and_the_grid_does_not_shift_to_the_end_of_the_prompt():
    assert planned(20, 8, 4, have=9) == [(4, 5, 3), (8, 4, 4), (12, 4, 4)]


def test_the_length_of_a_level_includes_the_prompt():
    assert sum(new for *_, new in planned(20, 8, 4, have=9)) == 20 - 9


def test_a_level_shorter_than_a_context_is_one_window_of_that_length():
    # the published routine takes 38 for new codes there, and makes 25 + 38 of them
    assert planned(38, 64, 8, have=25) == [(0, 25, 13)]
    assert planned(64, 64, 8) == [(0, 0, 64)]  # and no number of a call before stops this one early


# Upper codes


def test_a_window_is_conditioned_on_a_quarter_of_a_context_of_upper_codes_aligned_with_its_start():
    for asked in range(32, 100, 4):
        for window in plan_windows(asked, context=32, advance=16, ratio=4):
            assert window.start % 4 == 0
            assert upper_span(window, 32, 4, asked // 4) == (window.start // 4, (window.start + 32) // 4)
            assert upper_span(window, 32, 4, asked // 4 + 50) == (window.start // 4, (window.start + 32) // 4)


def test_a_short_window_is_conditioned_on_upper_codes_of_a_whole_context():
    window = Window(0, 0, 12)
    assert upper_span(window, 32, 4, 8) == upper_span(window, 32, 4, 90) == (0, 8)
    with pytest.raises(ValueError, match="reach to 8"):
        upper_span(window, 32, 4, 2)


# The window of the lyrics


def in_torch(count, characters, total, offset, length):
    """Apply the published rule to the label vector: tensors of one integer each, so float32 in between."""
    if count < characters:
        return [PADDING] * (characters - count) + list(range(count))
    total, offset, length = (torch.tensor(value, dtype=torch.int64) for value in (total, offset, length))
    midpoint = int(count * (offset + length / 2.0) / total)
    midpoint = min(max(midpoint, characters // 2), count - characters // 2)
    return list(range(midpoint - characters // 2, midpoint + characters // 2))


def places(count, characters, total, offset, length):
    text = np.arange(count) + 1
    window = lyric_window(text.tolist(), characters, total_length=total, offset=offset, sample_length=length)
    assert np.array_equal(window.ids, window.places + 1)  # 0 for padding
    return list(window.places)


@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_lyrics_shorter_than_the_window_stand_whole_at_its_right_end_in_every_window(count):
    for offset in (0, 50, 99, 1_000):  # wherever it is
        assert places(count, 8, 100, min(offset, 99) if count == 8 else offset, 10) == [
            *[PADDING] * (8 - count),
            *range(count),
        ]


def test_without_lyrics_a_window_has_zeros():
    assert not lyric_window([], 8, total_length=100, offset=0, sample_length=10).ids.any()


@given(st.data())
def test_long_lyrics_are_cut_around_the_middle_of_the_window_in_the_song(data):
    characters = 2 * data.draw(st.integers(1, 300))
    count = data.draw(st.integers(0, 4_000))
    total = data.draw(st.integers(1, 26_460_000))
    offset = data.draw(st.integers(0, total - 1))
    length = 128 * data.draw(st.integers(1, 8_192))
    assert places(count, characters, total, offset, length) == in_torch(count, characters, total, offset, length)


def test_lyric_windows_of_a_song_of_published_size_follow_the_label_vector():
    for context, characters, count in ((6_144, 384, 2_011), (8_192, 512, 3_179)):
        for start in range(0, 168_820 - context, context // 8):
            where = count, characters, 21_609_000, start * 128, context * 128
            assert places(*where) == in_torch(*where)


def test_the_middle_of_a_lyric_window_is_computed_in_float32():
    exact = 3_179 * (5_505_024 + 8_192 * 128 / 2) / 21_609_000
    assert int(exact) == 886
    assert places(3_179, 512, 21_609_000, 5_505_024, 8_192 * 128) == list(range(887 - 256, 887 + 256))


def test_a_lyric_window_is_clamped_to_the_text():
    assert places(20, 8, 100, 0, 10) == list(range(8))
    assert places(20, 8, 100, 99, 10) == list(range(12, 20))


@pytest.mark.parametrize("offset", [-1, 100, 101])
def test_lyrics_as_long_as_the_window_need_a_window_that_starts_in_the_song(offset):
    for count in (8, 9):
        with pytest.raises(ValueError, match="outside of a song of 100"):
            lyric_window([1] * count, 8, total_length=100, offset=offset, sample_length=10)


# The label vector of a window

CONTEXT, CHARACTERS, SIZE = 16, 8, 24
LYRICS = tuple(int(one) for one in np.random.default_rng(5).integers(1, 10, 61))


def make_prior(level=Level.TOP, **changes):
    labels = {"artists": 3, "genres": 4, "genre_slots": 3}
    config = tiny_config(level, hop=HOPS[level], tied_head=level is not Level.TOP, **labels)
    if level is Level.TOP:
        config = replace(
            config,
            timing=TimingConfig(bins=8, min_seconds=1.0, max_seconds=30.0),
            lyrics=LyricsConfig(characters=CHARACTERS, alphabet=10, drawable=True),
            pattern=(AttentionKind.ROW, AttentionKind.LYRICS, AttentionKind.DENSE),
        )
    else:
        config = replace(config, pattern=(AttentionKind.ROW,))
    torch.manual_seed(level)
    prior = Prior(replace(config, **changes)).eval().requires_grad_(False)
    for parameter in prior.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return prior


def make_job(prior, total, **changes):
    upper = None
    if prior.config.conditioner:
        upper = np.random.default_rng(0).integers(0, SIZE, (2, -(-total // 4))).astype(np.uint16)
    values = {
        "prior": prior,
        "total": total,
        "seed": 3,
        "sampling": LevelSampling(top_k=1, advance=0.25),
        "artist": 2,
        "genres": (1, 3),
        "song_samples": 20_000,
        "upper": upper,
        "lyrics": LYRICS if prior.config.lyrics else (),
        **changes,
    }
    return level_job(**values)


def begun(prior, frames=0):
    array = np.random.default_rng(1).integers(0, SIZE, (2, frames)).astype(np.uint16)
    hop, level = prior.config.hop, prior.config.level
    return Codes(level=level, array=array, prompt=frames, hop=hop, sample_rate=1_000, codebook_size=SIZE, vqvae="x")


def labels_of(job, codes):
    """Return the labels of each window as rows of numbers: (windows, samples, numbers)."""
    seen, conditioning = [], job.prior.conditioning

    def on_progress(labels, upper=None):
        parts = [labels.total_length, labels.offset, labels.sample_length, labels.artist]
        rows = torch.cat([torch.stack(parts, dim=1), labels.genres], dim=1)
        seen.append((rows if labels.lyrics is None else torch.cat([rows, labels.lyrics], dim=1)).tolist())
        return conditioning(labels, upper)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job.prior, "conditioning", on_progress)
        *_, last = fill(job, codes, lambda done: None)
    return seen, last.array


@pytest.mark.parametrize(("total", "have"), [(40, 0), (43, 0), (43, 21), (9, 0), (9, 5)])
def test_a_window_is_conditioned_on_length_offset_labels_and_its_lyrics(total, have):
    """Offsets count from the first code, prompt included; a short window has the length of a whole one."""
    job = make_job(make_prior(), total)
    seen, _ = labels_of(job, begun(job.prior, have))
    starts = [start for start, *_ in planned(total, CONTEXT, CONTEXT // 4, have)]
    for start, rows in zip(starts, seen, strict=True):
        window = in_torch(len(LYRICS), CHARACTERS, 20_000, start * 128, CONTEXT * 128)
        row = [20_000, start * 128, CONTEXT * 128, 2, 1, 3, -1, *(LYRICS[place] for place in window)]
        assert rows == [row, row]


def test_a_model_with_lyrics_is_conditioned_on_zeros_without_a_text():
    job = make_job(make_prior(), 9, lyrics=())
    [rows], _ = labels_of(job, begun(job.prior))
    assert rows[0][7:] == [0] * CHARACTERS


def test_upsamplers_ignore_lyrics_and_the_length_of_the_song():
    job = make_job(make_prior(Level.MIDDLE), 40)
    seen, codes = labels_of(job, begun(job.prior))
    assert {len(row) for rows in seen for row in rows} == {4 + 3}
    other = make_job(job.prior, 40, song_samples=777)
    assert np.array_equal(labels_of(other, begun(job.prior))[1], codes)


# Artist and genres


def test_an_unknown_word_counts_as_a_genre_and_an_empty_slot_does_not():
    conditioner = ArtistGenre(3, 4, 8, std=1.0)
    artist, genre = conditioner.artist.weight, conditioner.genre.weight
    names = Vocabulary(genres=("x", "pop", "rock"), genre_ids=4, genre_slots=3, style=Style.V2)

    def start(genres):
        return conditioner(LabelBatch.repeat(1, artist=2, genres=names.found_genres(genres).ids, slots=3))[0, 0]

    assert torch.allclose(start(["pop rock"]), artist[2] + genre[1] + genre[2])
    assert torch.allclose(start(["pop polka"]), artist[2] + genre[1] + genre[0])
    assert torch.allclose(start([]), artist[2] + genre[0])
    assert fill_slots(names.found_genres([]).ids, 3) == [0, -1, -1]


def test_more_genre_words_than_slots_are_an_error():
    with pytest.raises(BadInput, match="leave out d"):
        Vocabulary(genres=tuple("abcd"), genre_slots=3, style=Style.V2).found_genres(["a b", "c_d"])


# Limits


@pytest.mark.parametrize("config", [ONE_B, FIVE_B])
def test_the_shortest_song_passes_and_the_longest_does_not(config):
    low, high = (round(limit * RATE) for limit in (config.timing.min_seconds, config.timing.max_seconds))
    assert song_samples(config.timing.min_seconds, config) == low
    assert song_samples(config.timing.max_seconds, config) == high - 1
    for seconds in np.linspace(0, 700, 1_401):
        assert low <= song_samples(float(seconds), config) < high


@pytest.mark.parametrize("config", [ONE_B, FIVE_B])
def test_a_song_of_exactly_one_window_is_conditioned_on_the_minimum_length(config):
    window = config.window_samples / RATE
    assert window < config.timing.min_seconds < window + 0.05
    assert song_samples(window, config) == round(config.timing.min_seconds * RATE)


@pytest.mark.parametrize("config", [ONE_B, FIVE_B])
def test_no_window_is_conditioned_to_end_after_the_maximum_length(config):
    longest = 600 * RATE
    fitting = longest // 128 - config.context  # the last start at which a window ends in time
    assert song_offset(fitting, config) == fitting * 128
    assert song_offset(fitting + 1, config) == longest - config.window_samples
    assert song_offset(10 * fitting, config) + config.window_samples == longest


@pytest.mark.parametrize("config", [ONE_B, FIVE_B])
def test_the_last_window_must_start_before_the_end_of_the_song(config):
    total = config.context + 5_000
    begins = 5_000 * 128 / RATE + 30  # seconds, within the published range
    total += round(30 * RATE / 128)
    check_length(begins + 0.01, config, total)
    check_length(begins + config.window_samples / RATE, config, total)
    with pytest.raises(BadInput, match="after the song's end"):
        check_length(begins - 0.01, config, total)


def test_beyond_the_end_of_the_song_the_relative_position_is_clamped_to_1():
    timing = make_prior().place
    labels = LabelBatch.repeat(1, total_length=2_000, offset=1_000, sample_length=2_048)
    _, absolute, relative = timing.bins_of(labels)
    steps = torch.arange(CONTEXT) / CONTEXT
    assert relative[0].tolist() == [int(8 * (0.5 + 0.5 * step)) for step in steps]  # from its start evenly up to 1
    assert absolute[0].tolist() == [int(8 * (1_000 + 2_048 * step) / 30_000) for step in steps]


# Smaller things


def test_a_lyric_token_sampled_for_a_code_is_code_0_for_later_windows():
    """Every window restarts with its prefix at position 0; nothing masks the head that both vocabularies share."""
    prior = make_prior()
    job = make_job(prior, 43, sampling=LevelSampling(temperature=2.0, advance=0.25))
    numbers = uniforms(3, Level.TOP, 0, 0, 43)
    found = labels_of(job, begun(prior, 5))[1][0]

    row, drawn = begun(prior, 5).array[0].tolist(), 0
    for start, prefix, new in original(43, CONTEXT, CONTEXT // 4, 5):
        window = in_torch(len(LYRICS), CHARACTERS, 20_000, start * 128, CONTEXT * 128)
        labels = LabelBatch.repeat(
            1, artist=2, genres=(1, 3), slots=3, total_length=20_000, offset=start * 128, sample_length=CONTEXT * 128
        )
        labels = replace(labels, lyrics=torch.tensor([[LYRICS[place] for place in window]]))
        seen = row[start:]
        assert len(seen) == prefix
        for _ in range(new):
            logits = prior(torch.tensor([[*seen, 0]]), labels)[0, -1].double()
            cumulative = np.cumsum((logits / 2).softmax(-1).numpy())
            number = numbers[start + len(seen)] * cumulative[-1]
            seen.append(int(np.searchsorted(cumulative, number, side="right")))
        drawn += sum(one >= SIZE for one in seen)
        row += [one if one < SIZE else 0 for one in seen[prefix:]]
    assert 5 < drawn < 30
    assert found.tolist() == row
