"""Labels and settings that change within a level, resumed or not, with and without spans; and guidance."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from level_jobs import fill, fill_spans, level_job
from tiny_priors import tiny_prior

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import AttentionKind, LyricsConfig
from jukectl.prior.labels import LabelBatch, Segment, WindowShape
from jukectl.prior.mixture import Mixture
from jukectl.sampling.decoders.base import EagerDecoder
from jukectl.sampling.decoders.cuda_graph import GraphDecoder
from jukectl.sampling.draw import draw, guided, uniforms
from jukectl.sampling.footprint import BatchPlan, Footprint
from jukectl.sampling.level import no_spans_yet
from jukectl.sampling.windows import Window

CONTEXT = 16
RATIO = 4
SIZE = 24  # codes in the codebook
SAMPLING = LevelSampling(temperature=1.0, advance=0.5)


def make_prior(level, **changes):
    """Return a tiny prior that depends strongly on artist and genre."""
    prior = tiny_prior(level, label_scale=30, **{"artists": 4, "genres": 4, "genre_slots": 2, **changes})
    for layer in range(prior.config.depth):  # labels are at one position of the window, seen through attention
        prior.get_parameter(f"transformer.blocks.{layer}.attention.out.weight").mul_(8)
    return prior


PRIORS = {level: make_prior(level) for level in (Level.TOP, Level.MIDDLE)}

FIRST = Segment(artist=Mixture.of(1), genres=Mixture.of(1, 3), sampling=SAMPLING)
OTHER = Segment(start=20, artist=Mixture.of(2), genres=Mixture.of(2), sampling=SAMPLING)
MIXED = Segment(
    start=28,
    artist=Mixture((1, 2), (0.7, 0.3)),
    genres=Mixture((1, 2, 3), (1.0, -0.5, 0.5)),
    sampling=replace(SAMPLING, temperature=0.7, top_k=9),
)
STRONG = Segment(start=32, artist=Mixture.of(3), genres=Mixture.of(1), sampling=replace(SAMPLING, guidance=2.5))
SEGMENTS = (FIRST, OTHER, MIXED, STRONG)


def make_job(level=Level.TOP, total=44, samples=2, segments=SEGMENTS, **changes):
    upper = None
    if level is not Level.TOP:
        upper = np.random.default_rng(0).integers(0, SIZE, (samples, total // RATIO)).astype(np.uint16)
    values = {
        "prior": PRIORS[level],
        "total": total,
        "seed": 11,
        "song_samples": 20_000,
        "upper": upper,
        "segments": segments,
    }
    return level_job(**{**values, **changes})


def make_codes(level=Level.TOP, frames=0, samples=2):
    array = np.random.default_rng(1).integers(0, SIZE, (samples, frames)).astype(np.uint16)
    config = PRIORS[level].config
    return Codes(
        level=level, array=array, prompt=frames, hop=config.hop, sample_rate=1_000, codebook_size=SIZE, vqvae="x"
    )


def fill_all(job, codes, batch=None):
    return [codes, *fill(job, codes, lambda done: None, batch)][-1].array


def sampled_slowly(job, sample, window, prefix, numbers):
    """Sample the codes of a window without cache and batch: a forward pass for every code."""
    config = job.prior.config
    row = list(prefix)
    upper = None
    if job.upper is not None:
        upper = job.upper[sample, window.start // RATIO : (window.start + CONTEXT) // RATIO].astype(np.int64)
        upper = torch.from_numpy(upper)[None]
    while window.start + len(row) < window.stop:
        place = window.start + len(row)
        segment = job.segment(window)
        labels = LabelBatch(
            artist=torch.tensor([segment.artist.ids]),
            artist_weights=torch.tensor([segment.artist.weights]),
            genres=torch.tensor([segment.genres.ids]),
            genre_weights=torch.tensor([segment.genres.weights]),
            total_length=torch.tensor([job.conditioning.song_samples]),
            offset=torch.tensor([job.conditioning.start_samples + window.start * config.hop]),
            sample_length=torch.tensor([CONTEXT * config.hop]),
        )
        unlabelled = replace(
            labels,
            artist=torch.tensor([0]),
            genres=torch.tensor([[0, -1]]),
            artist_weights=None,
            genre_weights=None,
        )
        seen = torch.tensor([[*map(int, row), 0]])  # the last one is not looked at
        conditional, unconditional = (job.prior(seen, one, upper)[0, -1:] for one in (labels, unlabelled))
        settings = segment.sampling
        logits = conditional * settings.guidance + unconditional * (1 - settings.guidance)
        number = torch.tensor([numbers[place]])
        code = draw(logits, number, temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p)
        row.append(int(code))
    return row


def sampled_level(job, codes):
    rows = []
    for sample in range(codes.samples):
        row = list(codes.array[sample])
        numbers = uniforms(job.seed, job.level, sample, 0, job.total)
        for window in job.windows(codes.done):
            assert job.conditioning.segment_at(window.stop - 1) is job.conditioning.segment_at(len(row))
            row[window.start :] = sampled_slowly(job, sample, window, row[window.start :], numbers)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("level", PRIORS)
@pytest.mark.parametrize("done", [0, 22, 37])
def test_codes_follow_labels_and_settings_of_their_segment(level, done):
    job, codes = make_job(level), make_codes(level, done)
    assert np.array_equal(fill_all(job, codes), sampled_level(job, codes))


@pytest.mark.parametrize("level", PRIORS)
@pytest.mark.parametrize("cut", [4, 16, 20, 40])
def test_a_change_affects_codes_from_its_position_on(level, cut):
    unchanged = fill_all(make_job(level, segments=(FIRST,), samples=8), make_codes(level, samples=8))
    job = make_job(level, segments=(FIRST, replace(OTHER, start=cut)), samples=8)
    changed = fill_all(job, make_codes(level, samples=8))
    assert np.array_equal(changed[:, :cut], unchanged[:, :cut])
    assert (changed[:, cut] != unchanged[:, cut]).any()


def test_a_run_resumed_at_a_change_has_the_same_codes():
    job, codes = make_job(), make_codes()
    stops = [window.stop for window in job.windows(0)]
    assert {20, 28, 32} <= set(stops)
    whole = fill_all(job, codes)
    for done in stops:
        resumed = replace(codes, array=whole[:, :done])
        assert np.array_equal(fill_all(job, resumed), whole)


def test_one_segment_equals_plain_labels():
    job = make_job(segments=(FIRST,))
    plain = level_job(
        prior=job.prior, total=44, seed=11, sampling=SAMPLING, song_samples=20_000, artist=1, genres=(1, 3)
    )
    assert np.array_equal(fill_all(job, make_codes()), fill_all(plain, make_codes()))


def test_weights_of_0_and_1_are_the_pure_labels():
    pure = fill_all(make_job(segments=(FIRST,)), make_codes())
    whole = replace(FIRST, artist=Mixture.sum([(1, 1.0), (2, 0.0)]))
    half = replace(FIRST, artist=Mixture.sum([(1, 0.5), (2, 0.5)]))
    assert np.array_equal(fill_all(make_job(segments=(whole,)), make_codes()), pure)
    assert not np.array_equal(fill_all(make_job(segments=(half,)), make_codes()), pure)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_codes_with_segments_are_independent_of_the_batch_size(rows):
    whole = fill_all(make_job(samples=3), make_codes(samples=3))
    assert np.array_equal(fill_all(make_job(samples=3), make_codes(samples=3), BatchPlan(rows)), whole)


def spanned(job, codes, made=None):
    spans = job.spans(codes.done)
    unfinished = no_spans_yet(spans, codes, "key") if made is None else made
    return list(fill_spans(job, codes, spans, unfinished, lambda done: None))


def in_spans(total=100, **changes):
    settings = replace(SAMPLING, parallel=4)
    segments = tuple(
        replace(one, start=start, sampling=replace(one.sampling, parallel=4))
        for one, start in zip(SEGMENTS, (0, 20, 44, 60), strict=True)
    )
    return make_job(Level.MIDDLE, total=total, segments=segments, sampling=settings, **changes)


def test_spans_follow_labels_and_settings_of_their_segments():
    job, codes = in_spans(), make_codes(Level.MIDDLE)
    spans = job.spans(0)
    assert len(spans.starts) == 4
    made = spanned(job, codes)[-1][0].array
    for sample in range(2):
        numbers = uniforms(job.seed, job.level, sample, 0, job.total)
        for number, (start, stop) in enumerate(spans.kept()):
            row = {}
            for windows in spans.rounds():
                whole = windows[number]
                ends = [cut for cut in (20, 44, 60) if whole.start + whole.prefix < cut < whole.stop]
                for end in (*ends, whole.stop):
                    begin = max(row, default=whole.start + whole.prefix - 1) + 1
                    window = replace(whole, prefix=begin - whole.start, stop=end)
                    prefix = [row[place] for place in range(window.start, begin)]
                    drawn = sampled_slowly(job, sample, window, prefix, numbers)
                    row |= dict(enumerate(drawn, window.start))
            assert made[sample, start:stop].tolist() == [row[place] for place in range(start, stop)]


def test_spans_with_segments_resumed_after_any_round_have_the_same_codes():
    job, codes = in_spans(), make_codes(Level.MIDDLE)
    rounds = spanned(job, codes)
    for _, unfinished in rounds[:-1]:
        assert np.array_equal(spanned(job, codes, unfinished)[-1][0].array, rounds[-1][0].array)


def test_codes_depend_on_the_offset_of_the_piece_in_its_song():
    job = make_job(segments=(FIRST,), start_samples=9_000)
    codes = make_codes()
    assert np.array_equal(fill_all(job, codes), sampled_level(job, codes))
    assert not np.array_equal(fill_all(job, codes), fill_all(make_job(segments=(FIRST,)), codes))


def test_the_lyrics_of_a_window_move_with_their_shift():
    lyrics = LyricsConfig(characters=4, alphabet=11, apart=True)
    prior = make_prior(Level.TOP, lyrics=lyrics, pattern=(AttentionKind.ROW, AttentionKind.ENCODER))
    values = {"prior": prior, "lyrics": tuple(range(1, 11)) * 4, "song_samples": 40 * 512}

    def places(start=4, shift=0, **changes):
        job = make_job(segments=(replace(FIRST, lyrics_shift=shift),), **values, **changes)
        return job.place(Window(start, 0, start + 1)).lyric_window(WindowShape.of(prior.config)).places.tolist()

    moved = [place + 8 for place in places()]
    assert places(start_samples=8 * 512) == places(shift=8 * 512) == moved
    assert places(shift=10**9)[-1] == 39
    assert places(shift=-(10**9)) == places(start=0)
    later = (FIRST, replace(FIRST, start=20, lyrics_shift=9_000))
    one, other = (fill_all(make_job(segments=each, **values), make_codes()) for each in ((FIRST,), later))
    assert np.array_equal(one[:, :20], other[:, :20])


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_guidance_extrapolates_from_unconditional_to_conditional_logits(strength):
    conditional, unconditional = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    extrapolated = guided(torch.cat([conditional, unconditional]), strength)
    assert torch.allclose(extrapolated, strength * conditional + (1 - strength) * unconditional, atol=1e-6)


def test_guidance_of_1_returns_the_logits():
    logits = torch.randn(4, 7)
    assert guided(logits, 1.0) is logits


@pytest.mark.parametrize("make", [EagerDecoder, GraphDecoder])
@pytest.mark.parametrize("level", PRIORS)
def test_every_decoder_applies_guidance_and_new_settings(make, level, monkeypatch):
    job, codes = make_job(level), make_codes(level, 10)
    expected = fill_all(job, codes)  # by the fastest that there is here
    monkeypatch.setattr("jukectl.sampling.level.decoder_for", lambda *given, **_: make(*given))
    assert np.array_equal(fill_all(job, codes), expected)


def test_guidance_doubles_the_rows_in_the_memory_estimate():
    config = PRIORS[Level.TOP].config
    twice = Footprint(config, "fp32", rows_per_sample=2)
    assert [twice.total(BatchPlan(count)) for count in (1, 3)] == [
        Footprint(config, "fp32").total(BatchPlan(count)) for count in (2, 6)
    ]
    assert make_job().conditioning.rows_per_sample == 2
    assert make_job(segments=(FIRST, OTHER)).conditioning.rows_per_sample == 1
