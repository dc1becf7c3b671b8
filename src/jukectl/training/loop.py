"""One training loop for the codec and the priors: step, log, evaluate, save, resume.

What happens at a step depends on the seed and the step's number alone, so a run killed at any moment goes on from its
last checkpoint to the weights it would have had anyway. A step's batch is shared out to the ranks, and on each of them
to parts that pass one after another, where `train.accumulate` asks for that: neither changes what is learned.
"""

import math
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from jukectl.errors import BadRecipe, Stopped
from jukectl.progress import Listener, Progress
from jukectl.training.checkpointing import checkpoints, load_checkpoint, save_checkpoint, save_weights
from jukectl.training.config import TrainConfig
from jukectl.training.distributed import ALONE, Ranks, sync_gradients, whole
from jukectl.training.monitor import Pace, append_row, cut_log
from jukectl.training.optimizer import WeightAverage, adam, settle, state_of
from jukectl.training.prefetch import Prefetcher, moved, pinned

BEST = "best.safetensors"
LAST = "last.safetensors"
TRAIN_LOG = "train.csv"
VALIDATION_LOG = "validation.csv"

Batch = TypeVar("Batch")


class Task(Protocol[Batch]):
    """What is trained: a model, its loss on a batch, and its figures on held-out songs.

    A `Batch` is a tensor or a dataclass of tensors, made on the CPU.
    """

    model: nn.Module  # its state is what the run's weight files hold
    state: nn.Module  # further state that a resumed run needs, such as a codebook's moving averages
    parts: Sequence[nn.Module]  # of the model, each with a loss of its own: gradients are clipped part by part
    objective: str  # the validation figure that the best weights have lowest
    unit: str  # what a batch is counted in, such as "codes"
    units: int  # of them in a step's batch

    def distribute(self, ranks: Ranks) -> None:
        """Bring model and state to the device, and spread them over the ranks. Called once, before anything else."""
        ...

    def batch(self, step: int, rows: slice) -> Batch:
        """These rows of a step's batch: a function of the step. Called ahead of time, in another thread."""
        ...

    def before_step(self, step: int) -> None:
        """What is due before the passes of a step."""
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss to descend, and figures for the log: scalars, each a mean over the rows of the batch."""
        ...

    def after_step(self) -> Mapping[str, float]:
        """What is due when the weights have moved; figures of it for the log, the same on all ranks."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Figures on held-out songs, `objective` among them; it is infinite while the model is of no use yet.

        They are the same on all ranks, which share the work.
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
    """Train `task`, from the last checkpoint in `out` if there is one; returns the best weights' path.

    It ends at the last step, or where `config.patience` is at an end. With `evaluate_first` there are figures of the
    model as it is before the first step too, and it may be the best.
    Raises BadRecipe where that checkpoint cannot be taken up, or the loss is no longer finite; Stopped after Ctrl-C or
    SIGTERM, with the step finished and saved.
    """
    out.mkdir(parents=True, exist_ok=True)
    task.distribute(ranks)
    run = _Run(task, config, out, ranks)
    run.resume()
    if evaluate_first and run.step == 0:
        with run.pace.paused():
            run.evaluate()
    with run.batches() as batches, Interruption(second_counts=ranks.world == 1) as interruption:
        while not run.finished:
            run.advance(batches.take(), listener)
            if ranks.any(interruption.asked) and not run.finished:
                run.save()
                raise Stopped(f"stopped after step {run.step} of {config.steps}, which is saved in {out}.")
    listener(Progress("training", run.step, run.step, run.summary()))
    return out / BEST


@dataclass(frozen=True)
class _StepFigures:
    """What a step found out, still where it was computed: few steps are logged, and reading a GPU waits for it."""

    passes: Sequence[Mapping[str, Tensor]]  # of each part of this rank's batch: means over the part
    after: Mapping[str, float]
    norm: Tensor


class _Run(Generic[Batch]):
    """The state of one training run between two steps."""

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
        self.pace = Pace(ranks.device)
        self.saved = -1  # the step of the last checkpoint
        self.latest: Mapping[str, float] = {}

    def batches(self) -> Prefetcher[list[Batch]]:
        """This rank's parts of the batches of all steps to come."""
        pin = pinned if self.ranks.device.type == "cuda" else None

        def make(step: int) -> list[Batch]:
            parts = [self.task.batch(step, rows) for rows in self.rows]
            return [pin(part) for part in parts] if pin else parts

        return Prefetcher(make, self.step, self.config.steps)

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or too many evaluations have brought nothing."""
        return self.step >= self.config.steps or 0 < self.config.patience <= self.waited

    def advance(self, parts: Sequence[Batch], listener: Listener) -> None:
        """One step, and whatever is due after it."""
        config = self.config
        figures = self._descend(parts)
        last = self.step == config.steps
        if self.step % config.log_every == 0 or last:
            row = self._log(figures)
            listener(Progress("training", self.step, config.steps, self.summary(row)))
        if self.step % config.evaluate_every == 0 or last:
            with self.pace.paused():
                self.evaluate()
            listener(Progress("training", self.step, config.steps, self.summary()))
        if self.step % config.checkpoint_every == 0 or self.finished:
            self.save()

    def _descend(self, parts: Sequence[Batch]) -> _StepFigures:
        """Move the weights by one step, by the mean gradient of the batch's parts on all ranks."""
        settle(self.optimizer, self.config, self.step)
        self.task.before_step(self.step)
        self.optimizer.zero_grad()
        passes: list[Mapping[str, Tensor]] = []
        for number, part in enumerate(parts, start=1):
            batch = moved(part, self.ranks.device)
            sync_gradients(self.task.parts, number == len(parts))
            with self.pace.model():
                with self._autocast():
                    loss, figures = self.task.loss(batch)
                (loss / len(parts)).backward()  # type: ignore[no-untyped-call]
            passes.append({"loss": loss.detach(), **figures})
        norms = [whole(nn.utils.clip_grad_norm_(part.parameters(), self.config.clip_norm)) for part in self.task.parts]
        norm = torch.stack(norms).norm()
        if not torch.isfinite(norm):  # on all ranks at once, since it is the norm of what they have in common
            raise BadRecipe(
                f"the loss or its gradient is not finite at step {self.step}: lower train.learning_rate and run it "
                f"again; it goes on from the last checkpoint in {self.out}"
            )
        self.optimizer.step()
        after = self.task.after_step()
        self.average.update(self.step)
        self.step += 1
        return _StepFigures(passes, after, norm)

    def _autocast(self) -> torch.autocast:
        """bfloat16 where the recipe asks for it."""
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _log(self, figures: _StepFigures) -> Mapping[str, float]:
        """A row of the latest step's figures, and of how fast it went since the row before."""
        means = self.ranks.mean(
            {name: torch.stack([one[name] for one in figures.passes]).mean() for name in figures.passes[0]}
        )
        speed, overhead = self.pace.lap(self.step)
        row = {
            **means,
            **figures.after,
            "gradient_norm": float(figures.norm),
            f"{self.task.unit}_per_second": speed * self.task.units,
            "overhead": overhead,
        }
        self._append(TRAIN_LOG, row)
        return row

    def summary(self, row: Mapping[str, float] | None = None) -> str:
        """The latest figures in a few words."""
        figures = {**(row or {}), **self.latest}
        return " ".join(f"{name}={value:.3f}" for name, value in figures.items())

    def evaluate(self) -> None:
        """Figures on held-out songs into the log, the weights into LAST, and into BEST where no figures were better."""
        model = self.task.model
        model.eval()
        with self.average.swapped_in(), torch.no_grad(), self._autocast():
            figures = self.task.evaluate()
            if figures[self.task.objective] < self.best:
                self.best, self.waited = figures[self.task.objective], 0
                save_weights(model, self.out / BEST, self.ranks)
            else:
                self.waited += math.isfinite(self.best)  # before that there is nothing to wait for
            save_weights(model, self.out / LAST, self.ranks)
        model.train()
        self.latest = figures
        self._append(VALIDATION_LOG, figures)

    def _append(self, name: str, figures: Mapping[str, float]) -> None:
        """A row of a log. Raises CannotWrite."""
        if self.ranks.first:
            rounded = {key: round(value, 5) for key, value in figures.items()}
            append_row(self.out / name, {"step": self.step, "seconds": round(self.pace.seconds(), 1), **rounded})

    def save(self) -> None:
        """A checkpoint of this step, unless there is one."""
        if self.saved < self.step:
            save_checkpoint(self.out, self.step, self._state(), self.ranks)
            self.saved = self.step

    def resume(self) -> None:
        """Take up the last checkpoint, and cut the logs back to it."""
        found = checkpoints(self.out)
        if found:
            self._take_up(found)
        if self.ranks.first:
            for name in (TRAIN_LOG, VALIDATION_LOG):
                if found:
                    cut_log(self.out / name, self.step)
                else:
                    (self.out / name).unlink(missing_ok=True)

    def _take_up(self, found: Sequence[Path]) -> None:
        state = self._state()
        try:
            load_checkpoint(found[-1], state)
        except Exception as error:  # damage makes torch, zipfile and pickle raise half a dozen kinds
            back = f"remove it to go back to {found[-2].name}, or " if len(found) > 1 else ""
            raise BadRecipe(
                f"{found[-1]} was made with another recipe, or is damaged ({_reason(error)}): "
                f"{back}give another out folder"
            ) from error
        self.step = self.saved = int(state["run.step"])
        self.best = float(state["run.best"])
        self.waited = int(state.get("patience.waited", 0))
        self.pace = Pace(self.ranks.device, self.step, float(state["run.seconds"]))

    def _state(self) -> dict[str, Tensor]:
        """All that a resumed run needs, the tensors themselves and not copies of them."""
        tables: dict[str, Mapping[str, Tensor]] = {
            "run": {
                "step": torch.tensor(self.step),
                "best": torch.tensor(self.best, dtype=torch.float64),
                "seconds": torch.tensor(self.pace.seconds(), dtype=torch.float64),
            },
            "patience": {"waited": torch.tensor(self.waited)} if self.config.patience else {},
            "model": self.task.model.state_dict(),
            "state": self.task.state.state_dict(),
            "average": self.average.state,
            "optimizer": state_of(self.optimizer, self.task.model),
        }
        return {f"{table}.{name}": tensor for table, tensors in tables.items() for name, tensor in tensors.items()}


def _reason(error: Exception) -> str:
    """What torch says of a checkpoint that does not fit, the first detail of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[min(1, len(lines) - 1)][:200].rstrip(". ")


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While the block runs, the first signal is only noted. The next one does what it did before, where that is asked.

    A launcher like torchrun passes every signal on that the terminal has sent already, so there no second one counts.
    """

    def __init__(self, *, second_counts: bool) -> None:
        self.asked = False
        self._second_counts = second_counts
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._second_counts:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
