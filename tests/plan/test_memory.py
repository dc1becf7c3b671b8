"""Songs on small devices: planned before they begin, told, obeyed, and gone on with as they were begun."""

import numpy as np
import pytest
import torch
from events import is_saved_window

from jukectl.api import examine, resume, sample
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import OutOfMemory
from jukectl.plan.request import Request
from jukectl.prior.model import Prior
from jukectl.progress import WarningEvent, WarningsOnly
from jukectl.sampling.footprint import BatchPlan, Footprint, minimum_bytes


@pytest.fixture(autouse=True)
def by_torch(monkeypatch):
    """Decoding by torch, which reads what is known in chunks of any size; the compiled step has one of its own."""
    monkeypatch.setenv("JUKECTL_NATIVE", "0")


@pytest.fixture(autouse=True)
def allocator(monkeypatch):
    """The setting of the C library would last for all other tests."""
    monkeypatch.setattr("jukectl.plan.memory.give_back_at_once", lambda: True)


@pytest.fixture
def room(tiny_model):
    """The bytes that a batch of a level of the tiny model takes on a CPU."""
    card = ModelFolder(tiny_model).card

    def bytes_of(level, samples, chunk=None, precision="fp32", retains_freed=False):
        footprint = Footprint(card.priors[level], precision, row_by_row=True, retains_freed=retains_freed)
        return footprint.total(BatchPlan(samples, chunk))

    return bytes_of


@pytest.fixture
def said():
    """A listener that keeps the texts of plans and warnings."""

    class Said:
        def __init__(self):
            self.plans, self.warnings = [], []

        def __call__(self, event):
            if isinstance(event, WarningEvent):
                self.warnings.append(event.text)
            elif event.stage == "plan":
                self.plans.append(event.text)
            else:
                assert self.plans  # before anything is done

    return Said()


def codes(path):
    """All codes of a song."""
    song = Song(path)
    return {level: found.array for level in TOP_DOWN if (found := song.codes(level)) is not None}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[level], other[level]) for level in one)


def test_with_memory_enough_all_is_made_at_once_in_full_precision_without_a_warning(ask, tmp_path, said):
    sample(tmp_path / "song", ask(samples=3), listener=said)
    assert [plan.split(":")[0] for plan in said.plans] == [
        f"{name} level, all 3 samples at a time, in fp32" for name in ("top", "middle", "bottom")
    ]
    assert said.warnings == []
    made = Song(tmp_path / "song").recipe().made
    assert [(one.samples, one.chunk) for one in made.values()] == [(3, 0)] * 3


def test_a_small_device_makes_fewer_samples_at_a_time_to_the_same_codes(ask, tmp_path, said, room):
    limit = room(Level.MIDDLE, 3, 8) - 1  # two samples of the middle level fit at a time
    sample(tmp_path / "free", ask(samples=5))
    sample(tmp_path / "small", ask(samples=5, max_memory=limit), listener=said)
    assert said.plans[1].startswith("middle level, 2 of 5 samples at a time, ")
    assert said.plans[1].endswith(" available")
    assert any("middle level" in text and "2 of 5 samples" in text for text in said.warnings)
    assert same(codes(tmp_path / "free"), codes(tmp_path / "small"))
    assert Song(tmp_path / "small").recipe().made[Level.MIDDLE].samples == 2


def test_work_that_cannot_fit_into_memory_is_refused_with_the_memory_needed(ask, tmp_path, said):
    with pytest.raises(OutOfMemory, match=r"top prior of tiny does not fit: one sample needs \d+ MB in bf16") as caught:
        sample(tmp_path / "song", ask(max_memory=10**7), listener=said)
    assert "10 MB are available on cpu. Raise --max-memory" in str(caught.value)
    assert codes(tmp_path / "song") == {}


def test_a_precision_that_was_asked_for_is_kept_or_refused_with_one_that_would_do(ask, tmp_path, room):
    limit = room(Level.BOTTOM, 1, 8, "bf16")
    assert max(room(level, 1, 8, "bf16") for level in TOP_DOWN) == limit < room(Level.MIDDLE, 1, 8)
    with pytest.raises(OutOfMemory, match=r"in fp32, and .* Take --precision bf16, which needs \d+ MB"):
        sample(tmp_path / "song", ask(max_memory=limit, precision="fp32"))


def test_left_to_itself_it_takes_a_lower_precision_and_says_so(ask, tmp_path, said, room):
    limit = room(Level.BOTTOM, 1, 8, "bf16")
    sample(tmp_path / "song", ask(max_memory=limit), listener=said)
    assert Song(tmp_path / "song").recipe().made[Level.BOTTOM].precision == "bf16"
    assert any("bottom level" in text and "bf16 is taken, not fp32" in text for text in said.warnings)
    # what is there is gone on with in the precision that it was begun in
    assert not any("may differ" in text for text in said.warnings)


class Stop(Exception):
    """The end of a run."""


def test_a_level_resumes_with_its_batch_plan_even_with_more_memory(ask, tmp_path, said, room):
    limit = room(Level.BOTTOM, 1, 8, "bf16")
    small = ask(samples=2, max_memory=limit)
    sample(tmp_path / "whole", small)

    def stop(progress):
        if is_saved_window(progress, "middle"):
            raise Stop

    with pytest.raises(Stop):
        sample(tmp_path / "song", small, listener=stop)
    begun = Song(tmp_path / "song").recipe().made[Level.MIDDLE]
    assert begun.precision == "bf16"
    assert begun.chunk > 0
    resume(tmp_path / "song", Request(), listener=WarningsOnly(said.warnings.append))
    made = Song(tmp_path / "song").recipe().made
    assert (made[Level.MIDDLE].precision, made[Level.MIDDLE].chunk) == ("bf16", begun.chunk)
    assert (made[Level.BOTTOM].precision, made[Level.BOTTOM].chunk) == ("fp32", 0)
    assert said.warnings == []
    assert np.array_equal(codes(tmp_path / "song")[Level.MIDDLE], codes(tmp_path / "whole")[Level.MIDDLE])


def test_going_on_in_smaller_pieces_than_before_is_warned_of(ask, tmp_path, said, room):
    def stop(progress):
        if is_saved_window(progress, "middle"):
            raise Stop

    with pytest.raises(Stop):
        sample(tmp_path / "song", ask(precision="fp32"), listener=stop)
    limit = room(Level.MIDDLE, 1, 8)
    assert limit < room(Level.MIDDLE, 1)
    resume(tmp_path / "song", Request(precision="fp32", max_memory=limit), listener=said)
    assert any("the middle level was sampled in batches of 1 so far, all prefix" in text for text in said.warnings)


def cramp(monkeypatch, rows, *, after=0):
    """Let memory run out above so many rows, on a CPU's words, from the prefill number `after` on."""
    prefill, seen = Prior.prefill, []

    def cramped(prior, known, *rest, **options):
        seen.append(len(known))
        if len(seen) > after and len(known) > rows:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return prefill(prior, known, *rest, **options)

    monkeypatch.setattr(Prior, "prefill", cramped)


def test_memory_that_runs_out_halves_the_samples_at_a_time_and_the_song_is_the_same(ask, tmp_path, said, monkeypatch):
    sample(tmp_path / "free", ask(samples=5))
    cramp(monkeypatch, 2, after=2)
    sample(tmp_path / "song", ask(samples=5), listener=WarningsOnly(said.warnings.append))
    assert same(codes(tmp_path / "free"), codes(tmp_path / "song"))
    first = "out of memory at the middle level: its window is sampled again, and from here on 2 of 5 samples"
    assert said.warnings[0].startswith(first)
    assert {one.samples for one in list(Song(tmp_path / "song").recipe().made.values())[1:]} == {2}


def test_without_a_smaller_batch_plan_finished_codes_stay_and_resume_is_suggested(ask, tmp_path, said, monkeypatch):
    sample(tmp_path / "free", ask(samples=2))
    with monkeypatch.context() as short:
        cramp(short, 0, after=2)
        with pytest.raises(OutOfMemory, match=r"Every finished window is saved.* jukectl resume .*song") as caught:
            sample(tmp_path / "song", ask(samples=2), listener=WarningsOnly(said.warnings.append))
    assert "\n" not in str(caught.value)
    left = Song(tmp_path / "song")
    assert left.codes(Level.TOP) is not None
    assert left.codes(Level.MIDDLE).done == 64  # the window before
    resume(tmp_path / "song", Request(), listener=WarningsOnly(said.warnings.append))
    song, free = codes(tmp_path / "song"), codes(tmp_path / "free")
    assert np.array_equal(song[Level.TOP], free[Level.TOP])
    assert np.array_equal(song[Level.MIDDLE][:, :64], free[Level.MIDDLE][:, :64])


def test_a_preview_needs_room_beside_the_prior(ask, tmp_path, room):
    limit = room(Level.TOP, 1, 8, "bf16") + 10**6
    with pytest.raises(OutOfMemory, match=r"top prior .* Leave --preview out"):
        sample(tmp_path / "song", ask(max_memory=limit, levels=(Level.TOP,), preview=(Level.TOP,)))
    sample(tmp_path / "other", ask(max_memory=limit, levels=(Level.TOP,)))


def test_doctor_says_what_fits_by_the_same_sums(tiny_model, room):
    needed = max(room(level, 1, 8, "bf16") for level in TOP_DOWN)
    (fitting,) = examine("cpu", only=str(tiny_model), max_memory=needed).models
    assert fitting["fits"]
    assert fitting["precision"] == "bf16"
    assert fitting["needed_bytes"] <= needed
    (small,) = examine("cpu", only=str(tiny_model), max_memory=needed - 1).models
    assert not small["fits"]
    assert small["needed_bytes"] == needed
    assert "seconds_a_minute" not in small  # nothing was loaded to be timed
    (full,) = examine("cpu", "fp32", only=str(tiny_model), max_memory=needed).models
    assert not full["fits"]


def test_running_out_of_memory_is_distinguished_from_other_errors():
    from jukectl.errors import is_out_of_memory

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_least_is_what_one_sample_in_the_smallest_pieces_takes(tiny_model, room):
    config = ModelFolder(tiny_model).card.priors[Level.TOP]
    assert minimum_bytes(Footprint(config, "fp32", row_by_row=True)) == room(Level.TOP, 1, 8)
