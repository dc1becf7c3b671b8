"""Training loop of the codec and the priors: step, log, evaluate, save, resume.

A step depends on the seed and the step number alone, so that a killed run resumes from its last checkpoint to the same
weights. A batch is split over the ranks, and on each rank into `train.accumulate` parts for gradient accumulation;
neither changes the result.
"""

import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from jukectl.errors import BadRecipe, Stopped
from jukectl.progress import Listener, Progress, warn
from jukectl.training.checkpointing import (
    checkpoints,
    damage,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    set_aside,
)
from jukectl.training.config import TrainConfig
from jukectl.training.distributed import ALONE, Ranks, sync_gradients, whole
from jukectl.training.monitor import Clock, append_row, cut_log
from jukectl.training.optimizer import WeightAverage, adam, apply_settings, state_of
from jukectl.training.prefetch import Prefetcher, moved, pinned

BEST = "best.safetensors"
LAST = "last.safetensors"
TRAIN_LOG = "train.csv"
VALIDATION_LOG = "validation.csv"
REPORT_SECONDS = 5.0  # between two reports of steps that are not logged

Batch = TypeVar("Batch")


class Task(Protocol[Batch]):
    """Training task: a model, its loss on a batch, and its metrics on held-out songs.

    A `Batch` is a tensor or a dataclass of tensors on the CPU.
    """

    model: nn.Module  # its state is saved in the weight files
    state: nn.Module  # further state of checkpoints, such as the moving averages of codebooks
    parts: Sequence[nn.Module]  # of the model, with separate losses: gradients are clipped per part
    objective: str  # validation metric that the best weights minimize
    unit: str  # unit of throughput, such as "codes"
    units: int  # number of units in a batch

    def distribute(self, ranks: Ranks) -> None:
        """Move model and state to the device, and distribute them over the ranks. Called once, before other methods."""
        ...

    def batch(self, step: int, rows: slice) -> Batch:
        """Return these rows of the batch of a step, a pure function of the step. Called ahead in another thread."""
        ...

    def before_step(self, step: int) -> None:
        """Prepare a step, before its forward passes."""
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss and metrics for the log: scalars, each a mean over the rows of the batch."""
        ...

    def after_step(self) -> Mapping[str, float]:
        """Finish a step, after the update of the weights; return metrics for the log, equal on all ranks."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Return metrics of held-out songs, with `objective`, which is infinite while the model is not usable yet.

        They are equal on all ranks, which share the work.
        """
        ...


def train(
    task: Task[Batch],
    config: TrainConfig,
    out: Path,
    listener: Listener,
    ranks: Ranks = ALONE,
    *,
    evaluate_first: bool = False,
) -> Path:
    """Train `task`, from the last checkpoint in `out` if it has one, and return the path of the best weights.

    Training ends at the last step, or by early stopping after `config.patience`. With `evaluate_first` the initial
    model is evaluated as well, and may be the best. Raise BadRecipe if that checkpoint cannot be loaded or the loss is
    not finite, and Stopped after Ctrl-C or SIGTERM, with the step finished and saved.
    """
    out.mkdir(parents=True, exist_ok=True)
    task.distribute(ranks)
    run = _Run(task, config, out, ranks)
    run.resume(listener)
    if evaluate_first and run.step == 0:
        with run.clock.paused():
            run.evaluate()
    with run.batches() as batches, Interruption(second_counts=ranks.world == 1) as interruption:
        while not run.finished:
            run.advance(batches.take(), listener)
            if ranks.any(interruption.requested) and not run.finished:
                run.save()
                raise Stopped(f"stopped after step {run.step} of {config.steps}, which is saved in {out}.")
    listener(Progress("training", run.step, run.step, run.summary()))
    return out / BEST


@dataclass(frozen=True)
class Pace:
    """Seconds that parts of a run take on this machine."""

    step: float
    evaluation: float


def measure_pace(task: Task[Batch], config: TrainConfig, ranks: Ranks = ALONE, *, slow: float = 5.0) -> Pace:
    """Time a step and an evaluation of a task that is not used for anything else. Nothing is written.

    The first step, which also loads libraries, counts only if it takes over `slow` seconds.
    """
    task.distribute(ranks)
    run = _Run(task, config, Path(), ranks)
    step = 0.0
    for number in range(2):
        parts = [task.batch(number, rows) for rows in run.rows]
        began = time.perf_counter()
        float(run.descend(parts).norm)  # reading it waits for a GPU
        step = time.perf_counter() - began
        if step > slow:
            break
    began = time.perf_counter()
    with torch.no_grad():
        task.model.eval()
        task.evaluate()
    return Pace(step, time.perf_counter() - began)


@dataclass(frozen=True)
class _StepFigures:
    """Metrics of a step, still on the device: reading them waits for a GPU, and few steps are logged."""

    passes: Sequence[Mapping[str, Tensor]]  # for each part of this rank's batch, means over the part
    after: Mapping[str, float]
    norm: Tensor


class _Run(Generic[Batch]):
    """State of a training run between two steps."""

    def __init__(self, task: Task[Batch], config: TrainConfig, out: Path, ranks: Ranks) -> None:
        self.task = task
        self.config = config
        self.out = out
        self.ranks = ranks
        self.rows = ranks.rows(config.batch, config.accumulate)
        self.step = 0
        self.best = math.inf
        self.waited = 0  # evaluations since the best one
        self.optimizer = adam(task.model, config)
        self.average = WeightAverage(task.model, config.average)
        self.clock = Clock(ranks.device)
        self.saved = -1  # step of the last checkpoint
        self.latest: Mapping[str, float] = {}
        self.note = ""  # of the last report
        self.reported = 0.0

    def batches(self) -> Prefetcher[list[Batch]]:
        """Return a prefetcher of this rank's parts of the batches of the remaining steps."""
        pin = pinned if self.ranks.device.type == "cuda" else None

        def make(step: int) -> list[Batch]:
            parts = [self.task.batch(step, rows) for rows in self.rows]
            return [pin(part) for part in parts] if pin else parts

        return Prefetcher(make, self.step, self.config.steps)

    @property
    def finished(self) -> bool:
        """True if all steps are done, or after `patience` evaluations without improvement."""
        return self.step >= self.config.steps or 0 < self.config.patience <= self.waited

    def advance(self, parts: Sequence[Batch], listener: Listener) -> None:
        """Run one step, and then log, evaluate and save if due."""
        config = self.config
        figures = self.descend(parts)
        last = self.step == config.steps
        if self.step % config.log_every == 0 or last:
            self.note = self.summary(self._log(figures))
        if self.step % config.log_every == 0 or last or time.monotonic() - self.reported > REPORT_SECONDS:
            self._report(listener)
        if self.step % config.evaluate_every == 0 or last:
            with self.clock.paused():
                self.evaluate()
            self.note = self.summary()
            self._report(listener)
        if self.step % config.checkpoint_every == 0 or self.finished:
            self.save()

    def descend(self, parts: Sequence[Batch]) -> _StepFigures:
        """Update the weights with the mean gradient of the batch parts on all ranks."""
        apply_settings(self.optimizer, self.config, self.step)
        self.task.before_step(self.step)
        self.optimizer.zero_grad()
        passes: list[Mapping[str, Tensor]] = []
        for number, part in enumerate(parts, start=1):
            batch = moved(part, self.ranks.device)
            sync_gradients(self.task.parts, number == len(parts))
            with self.clock.model():
                with self._autocast():
                    loss, figures = self.task.loss(batch)
                (loss / len(parts)).backward()  # type: ignore[no-untyped-call]
            passes.append({"loss": loss.detach(), **figures})
        norms = [whole(nn.utils.clip_grad_norm_(part.parameters(), self.config.clip_norm)) for part in self.task.parts]
        norm = torch.stack(norms).norm()
        if not torch.isfinite(norm):  # equal on all ranks, since the gradients are averaged
            raise BadRecipe(
                f"the loss or its gradient is not finite at step {self.step}: lower train.learning_rate and run it "
                f"again; it resumes from the last checkpoint in {self.out}"
            )
        self.optimizer.step()
        after = self.task.after_step()
        self.average.update(self.step)
        self.step += 1
        return _StepFigures(passes, after, norm)

    def _autocast(self) -> torch.autocast:
        """Return a context of mixed precision in bfloat16, if the recipe sets it."""
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _log(self, figures: _StepFigures) -> Mapping[str, float]:
        """Append the metrics of the latest step to the log, with the speed since the previous row."""
        means = self.ranks.mean(
            {name: torch.stack([one[name] for one in figures.passes]).mean() for name in figures.passes[0]}
        )
        speed, overhead = self.clock.lap(self.step)
        row = {
            **means,
            **figures.after,
            "gradient_norm": float(figures.norm),
            f"{self.task.unit}_per_second": speed * self.task.units,
            "overhead": overhead,
        }
        self._append(TRAIN_LOG, row)
        return row

    def _report(self, listener: Listener) -> None:
        listener(Progress("training", self.step, self.config.steps, self.note))
        self.reported = time.monotonic()

    def summary(self, row: Mapping[str, float] | None = None) -> str:
        """Return the latest metrics as a short text, those of held-out songs last, with the best of the objective."""
        words = [f"{name}={value:.3f}" for name, value in (row or {}).items()]
        if self.latest:
            words += ["held out:", *(f"{name}={value:.3f}" for name, value in self.latest.items())]
            words += [f"(best {self.task.objective}={self.best:.3f})"] if math.isfinite(self.best) else []
        return " ".join(words)

    def evaluate(self) -> None:
        """Evaluate on held-out songs, log the metrics, and write the weights to LAST, and to BEST if they improved."""
        model = self.task.model
        model.eval()
        with self.average.swapped_in(), torch.no_grad(), self._autocast():
            figures = self.task.evaluate()
            if figures[self.task.objective] < self.best:
                self.best, self.waited = figures[self.task.objective], 0
                save_weights(model, self.out / BEST, self.ranks)
            else:
                self.waited += math.isfinite(self.best)  # patience starts with the first finite objective
            save_weights(model, self.out / LAST, self.ranks)
        model.train()
        self.latest = figures
        self._append(VALIDATION_LOG, figures)

    def _append(self, name: str, figures: Mapping[str, float]) -> None:
        """Append a row to a log. Raise CannotWrite if that fails."""
        if self.ranks.first:
            rounded = {key: round(value, 5) for key, value in figures.items()}
            append_row(self.out / name, {"step": self.step, "seconds": round(self.clock.seconds(), 1), **rounded})

    def save(self) -> None:
        """Write a checkpoint of this step, unless it exists."""
        if self.saved < self.step:
            save_checkpoint(self.out, self.step, self._state(), self.ranks)
            self.saved = self.step

    def resume(self, listener: Listener) -> None:
        """Load the last checkpoint that is whole, and truncate the logs to its step. Warn of damaged ones."""
        found = checkpoints(self.out)
        broken = dict[Path, str]()
        for path in reversed(found):  # those before a whole one need not be read
            if (reason := damage(path)) is None:
                break
            broken[path] = reason
        self.ranks.barrier()  # all ranks have read them before one renames them
        if broken and len(broken) < len(found):
            found = [path for path in found if path not in broken]
            for path, reason in broken.items():
                warn(listener, f"{path} is damaged ({reason}): training resumes from {found[-1].name}")
                if self.ranks.first:
                    set_aside(path)
            self.ranks.barrier()
        if found:
            self._load(found)
        if self.ranks.first:
            for name in (TRAIN_LOG, VALIDATION_LOG):
                if found:
                    cut_log(self.out / name, self.step)
                else:
                    (self.out / name).unlink(missing_ok=True)

    def _load(self, found: Sequence[Path]) -> None:
        state = self._state()
        try:
            load_checkpoint(found[-1], state)
        except Exception as error:  # for damaged files torch, zipfile and pickle raise many types
            back = f"remove it to go back to {found[-2].name}, or " if len(found) > 1 else ""
            raise BadRecipe(
                f"{found[-1]} was made with another recipe, or is damaged ({_reason(error)}): "
                f"{back}give another out folder"
            ) from error
        self.step = self.saved = int(state["run.step"])
        self.best = float(state["run.best"])
        self.waited = int(state.get("patience.waited", 0))
        self.clock = Clock(self.ranks.device, self.step, float(state["run.seconds"]))

    def _state(self) -> dict[str, Tensor]:
        """Return the state that a checkpoint holds, as references to the tensors, so that loading fills them."""
        tables: dict[str, Mapping[str, Tensor]] = {
            "run": {
                "step": torch.tensor(self.step),
                "best": torch.tensor(self.best, dtype=torch.float64),
                "seconds": torch.tensor(self.clock.seconds(), dtype=torch.float64),
            },
            "patience": {"waited": torch.tensor(self.waited)} if self.config.patience else {},
            "model": self.task.model.state_dict(),
            "state": self.task.state.state_dict(),
            "average": self.average.state,
            "optimizer": state_of(self.optimizer, self.task.model),
        }
        return {f"{table}.{name}": tensor for table, tensors in tables.items() for name, tensor in tensors.items()}


def _reason(error: Exception) -> str:
    """Return the first detail in an error about a checkpoint that does not match."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[min(1, len(lines) - 1)][:200].rstrip(". ")


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Turns the first SIGINT or SIGTERM in the block into `requested`; with `second_counts` the next acts as usual.

    A launcher like torchrun forwards signals that the terminal has already sent, so under it no second one counts.
    """

    def __init__(self, *, second_counts: bool) -> None:
        self.requested = False
        self._second_counts = second_counts
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only the main thread may set handlers
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._second_counts:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
