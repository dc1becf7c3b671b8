"""One training loop for the codec and the priors: step, log, evaluate, save, resume.

What happens at a step depends on the seed and the step's number alone, so a run killed at any moment goes on from its
last checkpoint to the weights it would have had anyway.
"""

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from jukectl.errors import BadRecipe, CannotWrite
from jukectl.files import atomic_write
from jukectl.progress import Progress, Report
from jukectl.training.config import TrainConfig

KEPT_CHECKPOINTS = 2
LOWEST_RATE = 0.01  # of the learning rate, at the end of the cosine
BEST = "best.safetensors"
LAST = "last.safetensors"
LOGS = ("train.csv", "validation.csv")


class Task(Protocol):
    """What is trained: a model, its loss on the batch of a step, and its figures on held-out songs."""

    model: nn.Module  # its state is what the run's weight files hold
    state: nn.Module  # further state that a resumed run needs, such as a codebook's moving averages
    parts: Sequence[nn.Module]  # of the model, each with a loss of its own: gradients are clipped part by part
    objective: str  # the validation figure that the best weights have lowest

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """The loss to descend at this step, and figures for the log."""
        ...

    def after_step(self) -> Mapping[str, float]:
        """What is due when the weights have moved; figures of it for the log."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Figures on held-out songs, `objective` among them; it is infinite while the model is of no use yet."""
        ...


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))
    return config.learning_rate * rise * max(fall, LOWEST_RATE)


def precision_context(config: TrainConfig) -> AbstractContextManager[Any]:
    """Autocast to bf16 where the recipe asks for it."""
    return torch.autocast("cpu", torch.bfloat16) if config.precision == "bf16" else nullcontext()


def checkpoints(out: Path) -> list[Path]:
    """The checkpoints in a run's folder, oldest first."""
    return sorted(out.glob("checkpoint-*.pt"))


def train(task: Task, config: TrainConfig, out: Path, report: Report) -> Path:
    """Train `task` to its last step, from the last checkpoint in `out` if there is one; returns the best weights' path.

    Raises BadRecipe where that checkpoint cannot be taken up, or the loss is no longer finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(task, config, out)
    run.resume()
    while run.step < config.steps:
        run.advance(report)
    report(Progress("training", run.step, run.step, run.summary()))
    return out / BEST


class _Run:
    """The state of one training run between two steps."""

    def __init__(self, task: Task, config: TrainConfig, out: Path) -> None:
        self.task = task
        self.config = config
        self.out = out
        self.step = 0
        self.best = math.inf
        self.seconds = 0.0  # spent on steps
        self.optimizer = torch.optim.AdamW(task.model.parameters())
        self._set_optimizer()
        self.average = _WeightAverage(task.model, config.average)
        self.latest: Mapping[str, float] = {}

    def advance(self, report: Report) -> None:
        """One step, and whatever is due after it."""
        config = self.config
        figures = self._descend()
        last = self.step == config.steps
        if self.step % config.log_every == 0 or last:
            self._append("train.csv", figures)
            report(Progress("training", self.step, config.steps, self.summary(figures)))
        if self.step % config.evaluate_every == 0 or last:
            self._evaluate()
            report(Progress("training", self.step, config.steps, self.summary()))
        if self.step % config.checkpoint_every == 0 or last:
            self.save()

    def _descend(self) -> Mapping[str, float]:
        """Move the weights by one step; figures for the log."""
        began = time.monotonic()
        self._set_optimizer()
        with precision_context(self.config):
            loss, figures = self.task.loss(self.step)
        if not torch.isfinite(loss):
            raise BadRecipe(
                f"the loss is not finite at step {self.step}: lower train.learning_rate and run it again; "
                f"it goes on from the last checkpoint in {self.out}"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norms = [nn.utils.clip_grad_norm_(part.parameters(), self.config.clip_norm) for part in self.task.parts]
        self.optimizer.step()
        figures = {"loss": float(loss.detach()), **figures, **self.task.after_step()}
        self.average.update(self.task.model, self.step)
        self.step += 1
        self.seconds += time.monotonic() - began
        return {**figures, "gradient_norm": math.hypot(*map(float, norms))}

    def _set_optimizer(self) -> None:
        """The recipe's settings for this step; not those of the checkpoint, so that a resumed run may change them."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
            group["betas"] = self.config.betas
            group["weight_decay"] = self.config.weight_decay

    def summary(self, row: Mapping[str, float] | None = None) -> str:
        """The latest figures in a few words."""
        figures = {**(row or {}), **self.latest}
        return " ".join(f"{name}={value:.3f}" for name, value in figures.items())

    def _evaluate(self) -> None:
        """Figures on held-out songs into the log, the weights into LAST, and into BEST where no figures were better."""
        model = self.task.model
        model.eval()
        with self.average.swapped_in(model), torch.no_grad(), precision_context(self.config):
            figures = self.task.evaluate()
            if figures[self.task.objective] < self.best:
                self.best = figures[self.task.objective]
                save_weights(model, self.out / BEST)
            save_weights(model, self.out / LAST)
        model.train()
        self.latest = figures
        self._append("validation.csv", figures)

    def _append(self, name: str, figures: Mapping[str, float]) -> None:
        """A row of a log. Raises CannotWrite."""
        path = self.out / name
        rounded = {key: round(value, 5) for key, value in figures.items()}
        row = {"step": self.step, "seconds": round(self.seconds, 1), **rounded}
        fresh = not path.exists()
        try:
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, row.keys())
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error

    def save(self) -> None:
        """A checkpoint of this step; of the older ones, the latest is kept."""
        state = {
            "step": self.step,
            "best": self.best,
            "seconds": self.seconds,
            "model": self.task.model.state_dict(),
            "state": self.task.state.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state,
        }
        with atomic_write(self.out / f"checkpoint-{self.step:08d}.pt") as file:
            torch.save(state, file)
        for old in checkpoints(self.out)[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def resume(self) -> None:
        """Take up the last checkpoint, and cut the logs back to it."""
        found = checkpoints(self.out)
        if not found:
            for name in LOGS:
                (self.out / name).unlink(missing_ok=True)
            return
        try:
            self._take_up(torch.load(found[-1], weights_only=True))
        except Exception as error:  # damage makes torch, zipfile and pickle raise half a dozen kinds
            back = f"remove it to go back to {found[-2].name}, or " if len(found) > 1 else ""
            raise BadRecipe(
                f"{found[-1]} was made with another recipe, or is damaged ({_reason(error)}): "
                f"{back}give another out folder"
            ) from error
        for name in LOGS:
            _cut_log(self.out / name, self.step)

    def _take_up(self, state: Mapping[str, Any]) -> None:
        self.task.model.load_state_dict(state["model"])
        self.task.state.load_state_dict(state["state"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load(state["average"])
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]


def _reason(error: Exception) -> str:
    """What torch says of a checkpoint that does not fit, the first detail of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[min(1, len(lines) - 1)][:200].rstrip(". ")


class _WeightAverage:
    """A moving average of a model's parameters, warmed up so that early steps weigh little.

    Buffers are left as they are: the only ones, codebooks, are moving averages already.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in model.named_parameters()} if decay else {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up the average of a checkpoint; ValueError where one of the two keeps none."""
        if state.keys() != self.state.keys():
            raise ValueError("train.average was switched on or off since")
        self.state = dict(state)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move on by the weights after a step."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, average in self.state.items():
            average.lerp_(model.get_parameter(name), 1 - decay)

    @contextmanager
    def swapped_in(self, model: nn.Module) -> Iterator[None]:
        """The model with the averages as its parameters, which come back afterwards."""
        kept = {name: model.get_parameter(name).detach().clone() for name in self.state}
        _put(model, self.state)
        try:
            yield
        finally:
            _put(model, kept)


@torch.no_grad()
def _put(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    for name, tensor in values.items():
        model.get_parameter(name).copy_(tensor)


def save_weights(model: nn.Module, path: Path) -> None:
    """A model's tensors as safetensors, written atomically."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(path) as file:
        file.write(to_safetensors(tensors))


def _cut_log(path: Path, step: int) -> None:
    """Drop rows past `step`, which a resumed run writes again, and one that a kill left half written."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    if not rows:
        path.unlink()
        return
    header, *rows = rows
    whole = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) <= step]
    with atomic_write(path) as out:
        out.write("".join(",".join(row) + "\r\n" for row in (header, *whole)).encode())
