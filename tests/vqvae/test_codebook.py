"""Codebooks: nearest vectors, moving averages, restarts."""

import copy
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from jukectl.vqvae.codebook import Codebook, CodebookLearner

SIZE, WIDTH = 24, 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def codebook():
    codebook = Codebook(SIZE, WIDTH)
    codebook.vectors.normal_(generator=generator())
    return codebook


def started(codebook, **options):
    """Return a learner of this codebook in which every vector has been used."""
    learner = CodebookLearner(codebook, **options)
    learner.counts.uniform_(2, 4, generator=generator(1))
    learner.sums.copy_(codebook.vectors * learner.counts[:, None])
    learner.started.fill_(True)
    return learner


def nearest(latents, vectors):
    """Find the nearest vectors from all distances in float64."""
    latents, vectors = latents.double().numpy(), vectors.double().numpy()
    return ((latents[:, :, None, :] - vectors) ** 2).sum(-1).argmin(-1)


def test_a_code_is_the_index_of_the_nearest_vector(codebook):
    latents = torch.randn(3, 50, WIDTH)
    assert np.array_equal(codebook.encode(latents).numpy(), nearest(latents, codebook.vectors))


def test_encoding_is_independent_of_the_batch_of_comparisons(codebook, monkeypatch):
    latents = torch.randn(3, 50, WIDTH)
    monkeypatch.setattr("jukectl.vqvae.codebook.ROWS", 7)
    assert np.array_equal(codebook.encode(latents).numpy(), nearest(latents, codebook.vectors))


def test_autocast_does_not_change_the_nearest_vector():
    codebook = Codebook(256, WIDTH)
    codebook.vectors.copy_(5 + 0.01 * torch.randn(256, WIDTH))  # closer together than bfloat16 resolves
    latents = 5 + 0.01 * torch.randn(2, 200, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        codes = codebook.encode(latents)
    assert torch.equal(codes, codebook.encode(latents))
    assert len(codes.unique()) > 50


def test_decoding_gives_the_vectors_of_the_codes(codebook):
    codes = torch.randint(SIZE, (2, 9))
    assert torch.equal(codebook.decode(codes), codebook.vectors[codes])


def test_every_vector_encodes_to_its_own_code(codebook):
    assert torch.equal(codebook.encode(codebook.vectors[None]), torch.arange(SIZE)[None])


@pytest.mark.parametrize("decay", [0.99, 0.9, 0.0])
def test_an_update_is_the_ratio_of_two_moving_averages(codebook, decay):
    codebook.double()
    learner = started(codebook, decay=decay, threshold=0.0).double()
    sums, counts = learner.sums.numpy().copy(), learner.counts.numpy().copy()
    latents = torch.randn(4, 200, WIDTH, dtype=torch.float64)
    codes = codebook.encode(latents)
    assert len(codes.unique()) == SIZE

    learner.update(codebook, latents, codes, generator())

    for number in range(SIZE):
        mine = latents[codes == number].numpy()
        expected_sum = decay * sums[number] + (1 - decay) * mine.sum(0)
        expected_count = decay * counts[number] + (1 - decay) * len(mine)
        np.testing.assert_allclose(learner.sums[number], expected_sum, rtol=1e-12)
        np.testing.assert_allclose(learner.counts[number], expected_count, rtol=1e-12)
        np.testing.assert_allclose(codebook.vectors[number], expected_sum / expected_count, rtol=1e-12)


def test_a_dead_vector_restarts_as_a_latent_of_the_batch_and_a_used_one_does_not(codebook):
    learner = started(codebook, decay=0.9, threshold=1.0)
    dead = torch.tensor([3, 10, 11])
    learner.counts[dead] = 0.5
    latents = torch.randn(2, 100, WIDTH)
    codes = torch.randint(SIZE, (2, 100))
    for number in dead:  # so they are not used in this batch either
        codes[codes == number] = 0
    untouched, before = started(Codebook(SIZE, WIDTH)), codebook.vectors.clone()
    untouched.load_state_dict(learner.state_dict())
    without = Codebook(SIZE, WIDTH)
    without.vectors.copy_(before)
    untouched.decay, untouched.threshold = 0.9, 0.0

    usage = learner.update(codebook, latents, codes, generator())
    untouched.update(without, latents, codes, generator())

    assert (usage.used, usage.restarted) == (SIZE - 3, 3)
    rows = {tuple(row.tolist()) for row in latents.reshape(-1, WIDTH)}
    restarted = [tuple(row.tolist()) for row in learner.sums[dead] / learner.counts[dead, None]]
    for number, vector in zip(dead, restarted, strict=True):
        assert any(np.allclose(vector, row, atol=1e-6) for row in rows)
        assert np.allclose(codebook.vectors[number], vector, atol=1e-6)
    assert len(set(restarted)) == 3
    alive = torch.ones(SIZE, dtype=torch.bool)
    alive[dead] = False
    assert torch.equal(codebook.vectors[alive], without.vectors[alive])
    assert torch.all(learner.counts[dead] == codes.numel() / SIZE)  # a restarted vector has the mean usage


def test_without_restarts_an_unused_vector_does_not_move(codebook):
    learner = started(codebook, decay=0.5, threshold=0.0)
    before = codebook.vectors.clone()
    for step in range(200):  # until both averages of it have all but vanished
        learner.update(codebook, torch.randn(1, 40, WIDTH), torch.zeros(1, 40, dtype=torch.int64), generator(step))
    torch.testing.assert_close(codebook.vectors[1:], before[1:])
    assert not torch.allclose(codebook.vectors[0], before[0])


def test_a_codebook_starts_with_distinct_latents_of_the_batch(codebook):
    latents = torch.randn(2, SIZE, WIDTH)
    learner = CodebookLearner(codebook)
    assert not learner.started

    learner.start(codebook, latents, generator())

    assert learner.started
    rows = {tuple(row.tolist()) for row in latents.reshape(-1, WIDTH)}
    vectors = {tuple(row.tolist()) for row in codebook.vectors}
    assert vectors <= rows
    assert len(vectors) == SIZE
    torch.testing.assert_close(learner.sums / learner.counts[:, None], codebook.vectors)


def test_a_codebook_larger_than_the_batch_starts_near_its_latents(codebook):
    latents = torch.randn(1, 5, WIDTH)
    CodebookLearner(codebook).start(codebook, latents, generator())
    gaps = torch.cdist(codebook.vectors, latents[0]).min(dim=1).values
    assert gaps.max() < 0.05
    assert len(codebook.vectors.unique(dim=0)) == SIZE


@pytest.mark.parametrize("decay", [0.99, 0.97])
def test_an_unused_vector_is_restarted_after_the_time_of_the_average(codebook, decay):
    learner = CodebookLearner(codebook, decay=decay, threshold=0.5)
    learner.start(codebook, torch.randn(2, SIZE, WIDTH), generator())
    steps = 0
    while not learner.update(
        codebook, torch.randn(1, 24, WIDTH), torch.zeros(1, 24, dtype=torch.int64), generator()
    ).restarted:
        steps += 1
    assert steps == pytest.approx(1 / (1 - decay), rel=0.05)


@pytest.mark.parametrize(("codes", "bits"), [(torch.arange(SIZE), math.log2(SIZE)), (torch.tensor([7] * 9), 0.0)])
def test_the_usage_entropy_is_in_bits(codebook, codes, bits):
    usage = started(codebook).update(codebook, torch.randn(1, len(codes), WIDTH), codes[None], generator())
    assert usage.entropy == pytest.approx(bits, abs=1e-5)


def test_the_same_generator_gives_the_same_restarts(codebook):
    learners = [started(codebook), started(codebook)]
    books = [Codebook(SIZE, WIDTH), Codebook(SIZE, WIDTH)]
    latents, codes = torch.randn(1, 60, WIDTH), torch.zeros(1, 60, dtype=torch.int64)
    for learner, book in zip(learners, books, strict=True):
        learner.counts.fill_(0.1)
        learner.update(book, latents, codes, generator(5))
    assert torch.equal(books[0].vectors, books[1].vectors)


def clusters(step, far):
    """Return latents (1, 240, WIDTH) around 24 centres at a distance `far` from the initial codebook."""
    places = torch.randn(SIZE, WIDTH, generator=generator(9)) * 3 + far
    picks = torch.randint(SIZE, (240,), generator=generator(step))
    return (places[picks] + 0.1 * torch.randn(240, WIDTH, generator=generator(step + 1_000)))[None]


@pytest.mark.parametrize("seed", range(3))
def test_restarts_bring_every_vector_into_use(seed):
    """Latents move away from the codebook, as in training: a few vectors become the nearest of all."""
    used = {}
    for threshold in (2.5, 0.0):  # an even codebook has 10 uses a vector and batch
        codebook = Codebook(SIZE, WIDTH)
        learner = CodebookLearner(codebook, decay=0.9, threshold=threshold)
        learner.start(codebook, torch.randn(1, 240, WIDTH, generator=generator(seed)), generator(seed))
        for step in range(200):
            latents = clusters(step, far=8)
            usage = learner.update(codebook, latents, codebook.encode(latents), generator(step))
        used[threshold] = usage.used
    assert used[2.5] >= 2 * used[0.0]
    assert used[2.5] >= 0.8 * SIZE


def test_a_vector_counts_as_used_from_a_quarter_of_the_mean_usage(codebook):
    for threshold in (0.0, 1.0):
        learner = started(codebook, decay=0.0, threshold=threshold)
        codes = torch.tensor([0] * (4 * SIZE - 3) + [1] * 1 + [2] * 2)[None]  # the mean is 4 uses
        usage = learner.update(codebook, torch.randn(1, 4 * SIZE, WIDTH), codes, generator())
        assert usage.used == 3


class Pair:
    """One of two ranks as threads of one process, which reduce through a shared list."""

    world = 2

    def __init__(self, rank, shared, barrier):
        self.rank, self.shared, self.barrier = rank, shared, barrier

    def sum(self, tensor):
        self.shared[self.rank] = tensor
        self.barrier.wait(timeout=60)
        total = self.shared[0] + self.shared[1]
        self.barrier.wait(timeout=60)
        return total


@pytest.mark.parametrize("frames", [30, 4])  # more latents than vectors, and fewer
def test_distributed_updates_equal_those_of_one_process(codebook, frames):
    latents = torch.randn(4, frames, WIDTH, generator=generator(7))
    alone, *shares = (started(codebook, decay=0.5, threshold=3.0) for _ in range(3))
    books = [copy.deepcopy(codebook) for _ in range(3)]
    usage = alone.update(books[2], latents, books[2].encode(latents), generator())
    assert usage.restarted

    shared, barrier = [None, None], threading.Barrier(2)

    def learn(rank):
        mine, book = latents[2 * rank : 2 * rank + 2], books[rank]
        return shares[rank].update(book, mine, book.encode(mine), generator(), Pair(rank, shared, barrier))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(learn, range(2))) == [usage, usage]
    assert torch.equal(books[0].vectors, books[1].vectors)
    torch.testing.assert_close(books[0].vectors, books[2].vectors)
    torch.testing.assert_close(shares[0].sums, alone.sums)
    assert torch.equal(shares[0].counts, alone.counts)


@pytest.fixture
def residual():
    """Return a codebook of three stages of eight vectors."""
    codebook = Codebook(SIZE, WIDTH, stages=3)
    codebook.vectors.normal_(generator=generator())
    codebook.vectors.view(3, -1, WIDTH).mul_(torch.tensor([4.0, 2.0, 1.0])[:, None, None])
    return codebook


def test_each_stage_encodes_what_the_stages_before_leave_over(residual):
    latents = torch.randn(2, 20, WIDTH)
    rest, stages = latents, []
    for stage in range(3):
        vectors = residual.vectors[8 * stage : 8 * stage + 8]
        stages.append(nearest(rest, vectors) + 8 * stage)
        rest = rest - residual.vectors[stages[-1]]
    codes = residual.encode(latents)
    assert np.array_equal(codes.numpy(), np.stack(stages, axis=-1).reshape(2, 60))
    torch.testing.assert_close(residual.decode(codes), latents - rest)


def test_stages_that_are_missing_at_the_end_add_nothing(residual):
    codes = residual.encode(torch.randn(1, 2, WIDTH))[:, :4]
    vectors = residual.vectors[codes[0]]
    torch.testing.assert_close(residual.decode(codes)[0], torch.stack([vectors[:3].sum(0), vectors[3]]))


def test_vectors_of_a_stage_move_towards_what_they_stand_for(residual):
    before, latents = residual.vectors.clone(), torch.randn(2, 50, WIDTH)
    codes = residual.encode(latents)
    learner = started(residual, decay=0.0, threshold=0.0)  # no memory: the mean of the batch
    learner.update(residual, latents, codes, generator())
    first, second = codes.view(2, 50, 3)[..., 0], codes.view(2, 50, 3)[..., 1]
    code = int(second[0, 0])
    rests = (latents - before[first])[second == code]
    torch.testing.assert_close(residual.vectors[code], rests.mean(0))


def test_a_vector_starts_as_something_its_stage_has_to_encode(residual):
    latents = torch.randn(1, 100, WIDTH)
    CodebookLearner(residual).start(residual, latents, generator())
    rest = latents[0]
    for stage in range(3):
        vectors = residual.vectors[8 * stage : 8 * stage + 8]
        assert (vectors[:, None] - rest).abs().sum(-1).min(1).values.max() < 1e-5
        rest = rest - vectors[nearest(rest[None], vectors)[0]]
