"""The training loop, with a task so small that a run takes milliseconds."""

import csv
import math
import os
import signal
import time
import zipfile
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from jukectl import errors
from jukectl.errors import BadRecipe, CannotWrite
from jukectl.progress import WarningsOnly, ignore
from jukectl.training.checkpointing import checkpoints, save_weights
from jukectl.training.config import TrainConfig
from jukectl.training.loop import train
from jukectl.training.optimizer import learning_rate

STEPS = 23


class Stopped(Exception):
    """What stands in for a kill."""


class Line:
    """A task: a straight line through noisy points, with a buffer that follows the weights."""

    objective = "error"
    unit, units = "points", 8

    def __init__(self, stop_at=None, width=3):
        torch.manual_seed(0)
        self.line = nn.Linear(width, 1)
        self.model: nn.Module = self.line
        self.state = nn.Module()
        self.state.register_buffer("followed", torch.zeros(width))
        self.parts: Sequence[nn.Module] = [self.model]
        self.stop_at = stop_at
        self.errors = {}  # by step, in place of the real ones
        self.step = 0

    def distribute(self, ranks):
        pass

    def batch(self, step, rows):
        return torch.randn(8, self.line.in_features, generator=torch.Generator().manual_seed(step))[rows]

    def before_step(self, step):
        if step == self.stop_at:
            raise Stopped
        self.step = step + 1

    def loss(self, batch):
        followed = self.state.get_buffer("followed")
        error = (self.model(batch).squeeze(1) - batch.sum(1) - followed.sum()).square().mean()
        return error, {"step_again": torch.tensor(float(self.step))}

    @torch.no_grad()
    def after_step(self):
        followed = self.state.get_buffer("followed").lerp_(self.line.weight[0], 0.1)
        return {"followed": float(followed.sum())}

    def evaluate(self):
        return {"error": self.errors.get(self.step, float((self.line.weight - 1).abs().sum()))}


def config(**changes):
    values = {"steps": STEPS, "batch": 8, "learning_rate": 0.2, "warmup": 5, "average": 0.9}
    every = {"log_every": 3, "evaluate_every": 4, "checkpoint_every": 5}
    return TrainConfig(**(values | every | changes))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(log):
    timed = ("seconds", "points_per_second", "overhead")
    return [{key: value for key, value in row.items() if key not in timed} for row in log]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_learning_rate_rises_linearly_and_decays_by_a_cosine(schedule):
    for step in (0, 1, 3, 4, 5, 10, 50, 98, 99, 150):
        rate = learning_rate(config(steps=100, learning_rate=2.0, warmup=5, schedule=schedule), step)
        rise = min(1, (step + 1) / 5)
        fall = max(0.01, (1 + math.cos(math.pi * min(step, 100) / 100)) / 2) if schedule == "cosine" else 1
        assert rate == pytest.approx(2 * rise * fall), step


def test_without_warmup_the_learning_rate_is_full_from_the_first_step():
    assert learning_rate(config(warmup=0, learning_rate=2.0), 0) == 2


def test_a_run_learns_and_writes_weights_logs_and_two_checkpoints(tmp_path):
    events = []
    task = Line()
    best = train(task, config(average=0.0), tmp_path, events.append)

    assert best == tmp_path / "best.safetensors"
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-00000020.pt", "checkpoint-00000023.pt"]
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["3", "6", "9", "12", "15", "18", "21", "23"]
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["4", "8", "12", "16", "20", "23"]
    errors = [float(row["error"]) for row in rows(tmp_path / "validation.csv")]
    assert errors[-1] < errors[0] / 2
    assert torch.equal(load_file(tmp_path / "last.safetensors")["weight"], task.line.weight)
    assert (events[-1].done, events[-1].total) == (STEPS, STEPS)
    assert "error=" in events[-1].note


def test_the_best_weights_are_those_with_the_lowest_objective(tmp_path):
    seen = {}

    class Remembering(Line):
        def evaluate(self):
            seen[self.step] = self.line.weight.detach().clone()
            return super().evaluate()

    task = Remembering()
    task.errors = {4: math.inf, 8: 3.0, 12: 2.0, 16: 2.5, 20: math.nan, 23: 2.0}
    train(task, config(average=0.0), tmp_path, ignore)
    assert torch.equal(load_file(tmp_path / "best.safetensors")["weight"], seen[12])


def test_an_infinite_objective_is_never_the_best(tmp_path):
    task = Line()
    task.errors = dict.fromkeys(range(STEPS + 1), math.inf)
    train(task, config(), tmp_path, ignore)
    assert not (tmp_path / "best.safetensors").exists()
    assert (tmp_path / "last.safetensors").exists()


def test_saved_weights_are_the_moving_average(tmp_path):
    plain, averaged = Line(), Line()
    expected, decay = plain.line.weight.detach().clone(), 0.8
    honest = plain.after_step

    def after_step():
        nonlocal expected
        by = min(decay, plain.step / (plain.step + 9))
        expected = by * expected + (1 - by) * plain.line.weight.detach()
        return honest()

    plain.after_step = after_step  # type: ignore[method-assign]
    train(plain, config(average=0.0), tmp_path / "plain", ignore)
    train(averaged, config(average=decay), tmp_path / "averaged", ignore)

    torch.testing.assert_close(load_file(tmp_path / "averaged" / "last.safetensors")["weight"], expected)
    assert torch.equal(averaged.line.weight, plain.line.weight)  # the run itself goes on with the weights


def test_the_moving_average_does_not_change_buffers(tmp_path):
    class Normed(Line):
        def __init__(self):
            super().__init__()
            self.model.register_buffer("codebook", torch.zeros(2))

        def after_step(self):
            self.model.get_buffer("codebook").fill_(self.step)
            return {}

    train(Normed(), config(), tmp_path, ignore)
    assert load_file(tmp_path / "last.safetensors")["codebook"].tolist() == [STEPS, STEPS]


def test_gradients_of_each_part_are_clipped_separately(tmp_path):
    class Two(Line):
        def __init__(self):
            super().__init__()
            self.parts = self.lines = [nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)]
            self.model = nn.ModuleList(self.parts)

        def batch(self, step, rows):
            return torch.zeros(8)[rows]

        def loss(self, batch):
            return 3e6 * self.lines[0].weight.sum() + 0.5 * self.lines[1].weight.sum(), {}

        def after_step(self):
            self.gradients = [float(line.weight.grad) for line in self.lines]
            return {}

        def evaluate(self):
            return {"error": 0.0}

    task = Two()
    train(task, config(clip_norm=1.0, steps=1), tmp_path, ignore)
    assert task.gradients == [pytest.approx(1, rel=1e-5), 0.5]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(tmp_path, number):
    class Interrupted(Line):
        def after_step(self):
            if self.step == 7:
                os.kill(os.getpid(), number)
            return super().after_step()

    before = signal.getsignal(number)
    train(Line(), config(), tmp_path / "whole", ignore)
    with pytest.raises(errors.Stopped, match=r"stopped after step 7 of 23, which is saved in"):
        train(Interrupted(), config(), tmp_path / "halves", ignore)
    assert signal.getsignal(number) is before
    assert checkpoints(tmp_path / "halves")[-1].name == "checkpoint-00000007.pt"
    train(Line(), config(), tmp_path / "halves", ignore)
    one, other = (load_file(tmp_path / run / "last.safetensors") for run in ("whole", "halves"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_second_ctrl_c_ends_the_run_at_once(tmp_path):
    class Interrupted(Line):
        def after_step(self):
            signal.raise_signal(signal.SIGINT)  # in this thread, so that the two are never taken for one
            signal.raise_signal(signal.SIGINT)
            return super().after_step()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which the background of a shell ignores
    try:
        with pytest.raises(KeyboardInterrupt):
            train(Interrupted(), config(), tmp_path, ignore)
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize("parts", [2, 8])
def test_gradient_accumulation_equals_the_whole_batch(tmp_path, parts):
    train(Line(), config(log_every=1), tmp_path / "whole", ignore)
    train(Line(), config(log_every=1, accumulate=parts), tmp_path / "parts", ignore)
    for figure in ("loss", "gradient_norm", "followed"):
        one, other = ([float(row[figure]) for row in rows(tmp_path / run / "train.csv")] for run in ("whole", "parts"))
        assert other == pytest.approx(one, abs=1e-4)


def test_a_batch_that_cannot_be_split_evenly_is_refused(tmp_path):
    with pytest.raises(BadRecipe, match=r"train.batch must be a multiple of 3, 1 processes by 3 parts, got 8"):
        train(Line(), config(accumulate=3), tmp_path, ignore)


def test_the_log_has_the_speed_and_the_share_of_time_outside_the_model(tmp_path):
    class Slow(Line):
        def before_step(self, step):
            super().before_step(step)
            time.sleep(0.02)

        def loss(self, batch):
            time.sleep(0.06)
            return super().loss(batch)

        def evaluate(self):
            time.sleep(0.5)
            return super().evaluate()

    train(Slow(), config(steps=8, log_every=2, evaluate_every=1), tmp_path, ignore)
    log = rows(tmp_path / "train.csv")
    assert all(0 < float(row["overhead"]) < 0.9 for row in log)
    assert float(np.median([float(row["overhead"]) for row in log])) == pytest.approx(0.25, abs=0.2)
    assert max(float(row["points_per_second"]) for row in log) <= 8 / 0.08
    assert float(log[-1]["seconds"]) < 8 * 0.5  # evaluations do not count
    judged = [float(row["seconds"]) for row in rows(tmp_path / "validation.csv")]
    assert judged == sorted(judged)  # nor does the one whose row is written
    assert all(float(row["seconds"]) >= seconds for row, seconds in zip(log, judged[1::2], strict=True))


@pytest.mark.parametrize("stop_at", [1, 4, 5, 11, 22])
def test_a_stopped_run_resumes_to_the_weights_of_an_uninterrupted_one(tmp_path, stop_at):
    whole = Line()
    train(whole, config(), tmp_path / "whole", ignore)
    with pytest.raises(Stopped):
        train(Line(stop_at), config(), tmp_path / "halves", ignore)
    rest = Line()
    train(rest, config(), tmp_path / "halves", ignore)

    for name in ("best", "last"):
        one, other = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "halves"))
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert torch.equal(rest.line.weight, whole.line.weight)
    assert torch.equal(rest.state.get_buffer("followed"), whole.state.get_buffer("followed"))
    for log in ("train.csv", "validation.csv"):
        assert without_time(rows(tmp_path / "halves" / log)) == without_time(rows(tmp_path / "whole" / log))


def test_a_run_without_a_checkpoint_restarts_its_logs(tmp_path):
    with pytest.raises(Stopped):
        train(Line(stop_at=4), config(), tmp_path, ignore)
    assert len(rows(tmp_path / "train.csv")) == 1
    train(Line(), config(steps=3), tmp_path, ignore)
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["3"]


@pytest.mark.parametrize("torn", [b"", b"24", b"24,0.1,0.3", b"2,"])
def test_a_half_written_line_of_a_log_is_dropped(tmp_path, torn):
    train(Line(), config(), tmp_path, ignore)
    log = tmp_path / "train.csv"
    complete = rows(log)
    with log.open("ab") as file:
        file.write(torn)
    train(Line(), config(), tmp_path, ignore)
    assert rows(log) == complete


def test_an_empty_log_is_accepted(tmp_path):
    with pytest.raises(Stopped):
        train(Line(stop_at=11), config(), tmp_path, ignore)
    (tmp_path / "train.csv").write_bytes(b"")
    train(Line(), config(), tmp_path, ignore)
    assert rows(tmp_path / "train.csv")[0]["step"] == "12"


def test_a_finished_run_is_left_unchanged(tmp_path):
    train(Line(), config(), tmp_path, ignore)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    train(Line(), config(), tmp_path, ignore)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_resumed_run_uses_the_optimizer_settings_of_the_current_recipe(tmp_path):
    changed = {"learning_rate": 0.5, "weight_decay": 0.3, "betas": (0.5, 0.6)}
    seen = []

    class Watched(Line):
        def after_step(self):
            seen.append({key: groups[-1][key] for key in ("lr", "weight_decay", "betas")})
            return super().after_step()

    groups = []
    honest = torch.optim.AdamW.step

    def step(optimizer, *arguments):
        groups.append(optimizer.param_groups[0])
        return honest(optimizer, *arguments)

    with pytest.raises(Stopped):
        train(Line(stop_at=11), config(), tmp_path, ignore)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        train(Watched(), config(schedule="constant", **changed), tmp_path, ignore)
    assert seen[0] == {"lr": 0.5, "weight_decay": 0.3, "betas": (0.5, 0.6)}


def cut_off(path, length):
    path.write_bytes(path.read_bytes()[:length])


def flip(path, place):
    """Flip a bit of a record of the checkpoint's archive: the first, or the last."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        records = [archive.read(entry) for entry in archive.infolist() if entry.file_size >= 8]
    content[content.index(records[place]) + 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "where"), [(cut_off, 0), (cut_off, 1), (cut_off, 1_000), (cut_off, -100), (flip, 0), (flip, -1)]
)
def test_a_damaged_checkpoint_makes_room_for_the_older_one_with_a_warning(tmp_path, harm, where):
    train(Line(), config(), tmp_path / "whole", ignore)
    train(Line(), config(), tmp_path / "run", ignore)
    older, last = checkpoints(tmp_path / "run")
    harm(last, where)
    warnings = []
    train(Line(), config(), tmp_path / "run", WarningsOnly(warnings.append))
    (warning,) = warnings
    assert f"{last.name} is damaged (" in warning
    assert warning.endswith(f"training resumes from {older.name}")
    assert (last.parent / f"damaged-{last.name}").exists()
    one, two = (torch.load(checkpoints(tmp_path / name)[-1], weights_only=True) for name in ("whole", "run"))
    assert all(torch.equal(one[name], two[name]) for name in one if name != "run.seconds")


@pytest.mark.parametrize("content", [b"not a checkpoint at all", b"PK\x03\x04 nor this"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "checkpoint-00000005.pt").write_bytes(content)
    with pytest.raises(BadRecipe, match="or is damaged"):
        train(Line(), config(), tmp_path, ignore)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    torch.save([1, 2, 3], tmp_path / "checkpoint-00000005.pt")
    with pytest.raises(BadRecipe, match="or is damaged"):
        train(Line(), config(), tmp_path, ignore)


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        (Line(width=4), {}, "size mismatch for model.weight"),
        (Line(), {"average": 0.0}, "train.average was switched on or off"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, task, changes, reason):
    train(Line(), config(), tmp_path, ignore)
    with pytest.raises(BadRecipe, match=reason) as caught:
        train(task, config(**changes), tmp_path, ignore)
    assert "give another out folder" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_not_finite_ends_the_run_with_advice(tmp_path):
    class Exploding(Line):
        def loss(self, batch):
            loss, figures = super().loss(batch)
            return (loss * math.inf if self.step == 8 else loss), figures

    with pytest.raises(BadRecipe, match=r"not finite at step 7: lower train.learning_rate"):
        train(Exploding(), config(), tmp_path, ignore)
    assert len(checkpoints(tmp_path)) == 1


def test_a_log_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(Stopped):
        train(Line(stop_at=5), config(), tmp_path, ignore)
    (tmp_path / "train.csv").unlink()

    class Blocking(Line):
        def loss(self, batch):
            if not (tmp_path / "train.csv").exists():
                (tmp_path / "train.csv").mkdir()
            return super().loss(batch)

    with pytest.raises(CannotWrite, match=r"cannot write .*train\.csv"):
        train(Blocking(), config(), tmp_path, ignore)


def test_weights_are_saved_for_any_memory_layout(tmp_path):
    model = nn.Conv2d(3, 4, 2)
    model.weight.data = model.weight.data.to(memory_format=torch.channels_last)
    save_weights(model, tmp_path / "w.safetensors")
    assert torch.equal(load_file(tmp_path / "w.safetensors")["weight"], model.weight)
