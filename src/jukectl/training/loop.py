"""One training loop for the codec and the priors: step, log, evaluate, save, resume.

What happens at a step depends on the seed and the step's number alone, so a run killed at any moment goes on from its last checkpoint
to the weights it would have had anyway.
"""

import csv
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from jukectl.errors import BadRecipe
from jukectl.files import atomic_write
from jukectl.progress import Progress, Report
from jukectl.training.config import TrainConfig

KEPT_CHECKPOINTS = 2


class Task(Protocol):
    """What is trained: a model, its loss on the batch of a step, and its figures on held-out songs."""

    model: nn.Module  # its state is what the run's weight files hold
    state: nn.Module  # further state that a resumed run needs, such as a codebook's moving averages
    objective: str  # the validation figure that the best weights have lowest

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """The loss to descend at this step, and figures for the log."""
        ...

    def after_step(self) -> Mapping[str, float]:
        """What is due when the weights have moved; figures of it for the log."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Figures on held-out songs, `objective` among them."""
        ...


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))
    return config.learning_rate * rise * max(fall, 0.01)


def precision_context(config: TrainConfig) -> AbstractContextManager[Any]:
    """Autocast to bf16 where the recipe asks for it."""
    return torch.autocast("cpu", torch.bfloat16) if config.precision == "bf16" else nullcontext()


def train(task: Task, config: TrainConfig, out: Path, report: Report) -> Path:
    """Train `task` to its last step, from the last checkpoint in `out` if there is one; returns the best weights' path."""
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(task, config, out)
    run.resume()
    while run.step < config.steps:
        run.advance(report)
    report(Progress("training", config.steps, config.steps, run.summary()))
    return out / "best.safetensors"


class _Run:
    """The state of one training run between two steps."""

    def __init__(self, task: Task, config: TrainConfig, out: Path) -> None:
        self.task = task
        self.config = config
        self.out = out
        self.step = 0
        self.best = math.inf
        self.seconds = 0.0
        self.optimizer = torch.optim.AdamW(
            task.model.parameters(),
            lr=config.learning_rate,
            betas=(config.betas[0], config.betas[1]),
            weight_decay=config.weight_decay,
        )
        self.average = _WeightAverage(task.model, config.average)
        self.latest: Mapping[str, float] = {}

    def advance(self, report: Report) -> None:
        """One step, and whatever is due after it."""
        config, began = self.config, time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step)
        with precision_context(config):
            loss, figures = self.task.loss(self.step)
        if not torch.isfinite(loss):
            raise BadRecipe(
                f"the loss is not finite at step {self.step}: lower train.learning_rate (last checkpoint is kept in {self.out})"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.task.model.parameters(), config.clip_norm)
        self.optimizer.step()
        figures = {**figures, **self.task.after_step()}
        self.average.update(self.task.model, self.step)
        self.step += 1
        self.seconds += time.monotonic() - began

        last = self.step == config.steps
        if self.step % config.log_every == 0 or last:
            row = {"loss": float(loss.detach()), **figures, "gradient_norm": float(norm)}
            self._append("train.csv", row)
            report(Progress("training", self.step, config.steps, self.summary(row)))
        if self.step % config.evaluate_every == 0 or last:
            self._evaluate(report)
        if self.step % config.checkpoint_every == 0 or last:
            self.save()

    def summary(self, row: Mapping[str, float] | None = None) -> str:
        """The latest figures in a few words."""
        figures = {**(row or {}), **self.latest}
        return " ".join(f"{name}={value:.3f}" for name, value in figures.items())

    def _evaluate(self, report: Report) -> None:
        model = self.task.model
        model.eval()
        with self.average.swapped_in(model), torch.no_grad(), precision_context(self.config):
            figures = self.task.evaluate()
            if figures[self.task.objective] < self.best:
                self.best = figures[self.task.objective]
                save_weights(model, self.out / "best.safetensors")
            save_weights(model, self.out / "last.safetensors")
        model.train()
        self.latest = figures
        self._append("validation.csv", figures)
        report(Progress("training", self.step, self.config.steps, self.summary()))

    def _append(self, name: str, figures: Mapping[str, float]) -> None:
        path = self.out / name
        row = {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            **{key: round(value, 5) for key, value in figures.items()},
        }
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row.keys())
            if fresh:
                writer.writeheader()
            writer.writerow(row)

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
        for old in self._checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def resume(self) -> None:
        """Take up the last checkpoint, and cut the logs back to it."""
        found = self._checkpoints()
        if not found:
            for name in ("train.csv", "validation.csv"):
                (self.out / name).unlink(missing_ok=True)
            return
        try:
            state = torch.load(found[-1], weights_only=True)
            self.task.model.load_state_dict(state["model"])
            self.task.state.load_state_dict(state["state"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise BadRecipe(
                f"{found[-1]} was made with another recipe, or is damaged: {str(error).splitlines()[0]}. Give another out folder"
            ) from error
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        self.average.state = state["average"]
        for name in ("train.csv", "validation.csv"):
            _cut_log(self.out / name, self.step)

    def _checkpoints(self) -> list[Path]:
        return sorted(self.out.glob("checkpoint-*.pt"))


class _WeightAverage:
    """A moving average of every float tensor of a model, warmed up so that early steps weigh little."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {}
        if decay:
            self.state = {name: tensor.clone() for name, tensor in _floats(model)}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, tensor in _floats(model) if self.state else ():
            self.state[name].lerp_(tensor, 1 - decay)

    def swapped_in(self, model: nn.Module) -> AbstractContextManager[None]:
        return _swapped(model, self.state) if self.state else nullcontext()


class _swapped(AbstractContextManager[None]):  # noqa: N801 - reads as a verb
    """The model with other values in its tensors, put back afterwards."""

    def __init__(self, model: nn.Module, values: Mapping[str, Tensor]) -> None:
        self.model = model
        self.values = values

    @torch.no_grad()
    def __enter__(self) -> None:
        self.kept = {name: tensor.clone() for name, tensor in _floats(self.model)}
        self._put(self.values)

    @torch.no_grad()
    def __exit__(self, *error: object) -> None:
        self._put(self.kept)

    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, tensor in _floats(self.model):
            tensor.copy_(values[name])


def _floats(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((name, tensor) for name, tensor in model.state_dict().items() if tensor.is_floating_point())


def save_weights(model: nn.Module, path: Path, keep: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> None:
    """A model's tensors as safetensors, written atomically; tied tensors once."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        tensors[name] = keep(tensor).contiguous()
    with atomic_write(path) as file:
        file.write(to_safetensors(tensors))


def _cut_log(path: Path, step: int) -> None:
    """Drop rows past `step`: a resumed run writes them again."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    with atomic_write(path) as out:
        lines = [header, *(row for row in rows if row and int(row[0]) <= step)]
        out.write("".join(",".join(line) + "\r\n" for line in lines).encode())
