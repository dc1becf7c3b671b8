"""Levels sampled with batch plans: equal codes for every plan, and smaller plans after running out of memory."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from level_jobs import fill, level_job
from tiny_priors import tiny_config

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import AttentionKind, LyricsConfig, TimingConfig
from jukectl.prior.model import Prior
from jukectl.sampling.footprint import BatchPlan

SIZE = 24  # codes in the codebook
SAMPLES = 5


class Cramped(Prior):
    """A prior on a device with memory for a limited number of rows and of prefix positions."""

    rows = SAMPLES
    longest: int | None = None

    def conditioning(self, labels, upper=None):
        self.need(len(labels))
        return super().conditioning(labels, upper)

    def prefill(self, codes, conditioning, cache, *, chunk=None):
        self.need(len(codes))
        if self.longest is not None and (chunk is None or chunk > self.longest):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more")
        return super().prefill(codes, conditioning, cache, chunk=chunk)

    def step(self, code, position, conditioning, cache):
        if position % 7 == 6:  # in the middle of a window too
            self.need(len(code))
        return super().step(code, position, conditioning, cache)

    def need(self, rows):
        """Raise out of memory for more than the limits."""
        if rows > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more")


def make_config(kind):
    """Return the configuration of a small prior: top, middle, or a top with lyrics before the codes."""
    shape: dict[str, Any] = {
        "depth": 4,
        "blocks": 8,
        "codebook_size": SIZE,
        "pattern": (AttentionKind.ROW, AttentionKind.COLUMN, AttentionKind.PREVIOUS_ROW, AttentionKind.DENSE),
    }
    if kind == "middle":
        return tiny_config(Level.MIDDLE, **shape)
    top = tiny_config(timing=TimingConfig(bins=8, max_seconds=60), **shape)
    return replace(top, lyrics=LyricsConfig(characters=8, alphabet=20), tied_head=False) if kind == "lyrics" else top


def make_job(kind, **changes):
    torch.manual_seed(7)
    prior = Cramped(make_config(kind)).eval().requires_grad_(False)
    upper = None
    if kind == "middle":
        upper = np.random.default_rng(0).integers(0, SIZE, (SAMPLES, 10)).astype(np.uint16)
    values = {
        "prior": prior,
        "total": 40,
        "seed": 3,
        "sampling": LevelSampling(temperature=1.0, advance=0.5),
        "artist": 0,
        "genres": (0,),
        "song_samples": 8_000,
        "upper": upper,
        "lyrics": [place % 20 for place in range(30)] if kind == "lyrics" else (),
        **changes,
    }
    return level_job(**values)


def make_codes(job, frames=3):
    array = np.random.default_rng(1).integers(0, SIZE, (SAMPLES, frames)).astype(np.uint16)
    hop = job.prior.config.hop
    return Codes(level=job.level, array=array, prompt=0, hop=hop, sample_rate=1_000, codebook_size=SIZE, vqvae="x")


def fill_all(job, batch=None, *, on_progress=lambda done: None, on_reduced=lambda batch: None):
    return [*fill(job, make_codes(job), on_progress, batch, on_reduced)][-1].array


KINDS = ("top", "middle", "lyrics")


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_independent_of_the_batch_size(kind):
    job = make_job(kind)
    whole = fill_all(job)
    assert len(np.unique(whole, axis=0)) == SAMPLES  # each sample is a song of its own, so a mixed-up row shows
    for samples in (1, 3, SAMPLES, 9):
        assert np.array_equal(fill_all(job, BatchPlan(samples)), whole), samples


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_codes_are_independent_of_the_prefix_chunk(kind):
    job = make_job(kind, sampling=LevelSampling(temperature=0, advance=0.5))
    whole = fill_all(job)
    for chunk in (1, 6, 8, 12):
        assert np.array_equal(fill_all(job, BatchPlan(SAMPLES, chunk)), whole), chunk


@pytest.mark.parametrize("samples", [1, 2, SAMPLES])
def test_progress_rises_to_the_end_for_any_batch_plan(samples, monkeypatch):
    monkeypatch.setattr("jukectl.sampling.level.REPORT_INTERVAL", 0.0)
    reports = []
    fill_all(make_job("top"), BatchPlan(samples), on_progress=reports.append)
    assert reports == sorted(reports)
    assert reports[-1] == 40
    assert set(reports) >= set(range(5, 41))


@pytest.mark.parametrize(("kind", "room", "tried"), [("top", 4, [2]), ("middle", 2, [2]), ("lyrics", 1, [2, 1])])
def test_running_out_of_memory_halves_the_batch_and_keeps_the_codes(kind, room, tried):
    job, reduced = make_job(kind), []
    whole = fill_all(job)
    job.prior.rows = room
    assert np.array_equal(fill_all(job, on_reduced=reduced.append), whole)
    assert [batch.samples for batch in reduced] == tried  # once, and not again at the next window
    assert all(batch.chunk is None for batch in reduced)


def test_running_out_of_memory_with_one_sample_shrinks_the_prefix_chunk():
    job, reduced = make_job("lyrics", sampling=LevelSampling(temperature=0, advance=0.5)), []
    whole = fill_all(job)
    job.prior.rows, job.prior.longest = 1, 7
    assert np.array_equal(fill_all(job, on_reduced=reduced.append), whole)
    assert reduced == [BatchPlan(2), BatchPlan(1), BatchPlan(1, 12), BatchPlan(1, 6)]


def test_out_of_memory_with_the_smallest_plan_is_raised_and_saved_windows_stay():
    job = make_job("top")
    job.prior.rows = 1
    windows = fill(job, make_codes(job), lambda done: None)
    first = next(windows)
    job.prior.rows = 0
    with pytest.raises(torch.OutOfMemoryError):
        next(windows)
    assert first.done == 16


def test_out_of_memory_in_a_later_window_repeats_that_window_alone():
    job, reduced, reports = make_job("top"), [], []
    whole = fill_all(job)
    windows = fill(job, make_codes(job), reports.append, None, reduced.append)
    first = next(windows)
    job.prior.rows = 3
    assert np.array_equal([*windows][-1].array, whole)
    assert np.array_equal(first.array, whole[:, :16])
    assert reduced == [BatchPlan(2)]
    assert min(reports[reports.index(16) :]) == 16  # the first window was not sampled again


def test_other_errors_are_not_treated_as_out_of_memory(monkeypatch):
    job = make_job("top")

    def fail(*rest, **options):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(job.prior, "prefill", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        fill_all(job)


CHILD = """
import resource, sys
import numpy as np, torch
sys.path[:0] = [{folder!r}, {support!r}]
from test_batches import LevelSampling, BatchPlan, fill, make_codes, make_job
torch.set_num_threads(1)
from dataclasses import replace
from jukectl.codes.level import Level
from jukectl.prior.config import PriorConfig, TimingConfig
from jukectl.prior.model import Prior

config = PriorConfig(level=Level.TOP, context=2048, width=256, depth=6, heads=2, blocks=32, hop=128,
                     codebook_size=24, attention_ratio=1.0, init_scale=5.0, timing=TimingConfig(max_seconds=60))
torch.manual_seed(0)
prior = Prior(config).eval().requires_grad_(False)
job = replace(make_job("top"), prior=prior, total=12)
codes = replace(make_codes(job), array=np.zeros((64, 3), dtype=np.uint16))
warm = [*fill(replace(job, total=6), codes, lambda done: None, BatchPlan(1))]  # libraries, loaded before the limit
if sys.argv[1] == "limited":
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = used + 220 * 2**20  # the keys and values of 64 samples are twice that and more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
reduced = []
result = [*fill(job, codes, lambda done: None, None, reduced.append)][-1]
np.save(sys.argv[2], result.array)
print([batch.samples for batch in reduced])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_process_at_a_real_memory_limit_continues_with_fewer_samples(warm_python, tmp_path):
    from pathlib import Path

    folder = Path(__file__).parent
    child = CHILD.format(folder=str(folder), support=str(folder.parent / "support"))
    reports = {}
    for name in ("limited", "free"):
        command = [*warm_python, "-c", child, name, str(tmp_path / f"{name}.npy")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        reports[name] = done.stdout.strip()
    assert reports["free"] == "[]"
    assert reports["limited"].startswith("[32")
    assert np.array_equal(np.load(tmp_path / "limited.npy"), np.load(tmp_path / "free.npy"))
