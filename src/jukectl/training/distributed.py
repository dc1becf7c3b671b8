"""Distributed training: the rank of this process and collective operations; a single process is the case world = 1.

Processes are started by torchrun, which sets RANK and WORLD_SIZE: one process per GPU, or any number on CPUs. CPU
tensors are exchanged with gloo, GPU tensors with nccl.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from jukectl.errors import BadInput, BadRecipe, JukectlError, RankLost
from jukectl.training.config import TrainConfig

TIMEOUT = timedelta(minutes=30)  # of one collective operation; a killed process is detected at once
PATIENCE = timedelta(days=30)  # for preparations of the first process, such as decoding all songs
LOST = ("peer", "connection", "broken pipe", "socket", "gloo", "nccl", "timed out", "timeout")
"""Words in errors of torch after another process has ended, for which it has no error type."""

CPU = torch.device("cpu")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ranks:
    """Rank of this process among the `world` processes of a run, and its device."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    store: Store | None = None  # key-value store of the launcher, shared by all ranks

    @property
    def first(self) -> bool:
        """True on the rank that writes files and messages."""
        return self.rank == 0

    def rows(self, batch: int, accumulate: int) -> list[slice]:
        """Return the batch rows of this rank in `accumulate` equal parts; raise BadRecipe if they cannot be equal."""
        parts = self.world * accumulate
        if batch % parts:
            raise BadRecipe(
                f"train.batch must be a multiple of {parts}, {self.world} processes by {accumulate} parts, got {batch}"
            )
        size = batch // parts
        starts = [(self.rank * accumulate + part) * size for part in range(accumulate)]
        return [slice(start, start + size) for start in starts]

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over the ranks, in place; the result has the same bits on every rank."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of the first rank to all ranks, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def any(self, here: bool) -> bool:
        """Return whether `here` is true on any rank."""
        return here if self.world == 1 else bool(self.sum(torch.tensor(int(here))))

    def barrier(self) -> None:
        """Wait until every rank has reached this call."""
        self.any(False)

    def mean(self, figures: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean of each scalar over the ranks."""
        if not figures:
            return {}
        stacked = torch.stack([figure.detach().to(self.device, torch.float32) for figure in figures.values()])
        return dict(zip(figures, (self.sum(stacked) / self.world).tolist(), strict=True))

    def map(self, function: Callable[[Item], Tensor], items: Sequence[Item]) -> Tensor:
        """Return the function's results for one or more items, (items, ...) float64 on the CPU, on every rank.

        The items are distributed over the ranks, which all call the function equally often: a sharded model can only be
        used by all ranks together.
        """
        turns = -(-len(items) // self.world)
        mine = [(turn * self.world + self.rank) % len(items) for turn in range(turns)]  # wraps around in the last turn
        found = torch.stack([function(items[index]).to("cpu", torch.float64) for index in mine])
        values = torch.zeros(turns, self.world, *found.shape[1:], dtype=torch.float64)
        values[:, self.rank] = found
        return self.sum(values).flatten(0, 1)[: len(items)]

    @contextmanager
    def main_process_first(self, what: str) -> Iterator[None]:
        """Run the block on the first rank before all others, so that they can use files that it writes.

        `what` names the block; each name may be used once in a run.
        """
        if self.store is not None and not self.first:
            self.store.wait([what], PATIENCE)
        yield
        if self.store is not None and self.first:
            self.store.set(what, "done")

    @contextmanager
    def single_error(self) -> Iterator[None]:
        """Raise only the first of the errors that end a run, on whichever rank; the others exit silently.

        An error of torch about a lost process is raised as RankLost.
        """
        try:
            yield
        except (JukectlError, RuntimeError) as error:
            if self.world == 1:
                raise
            raised: Exception = error
            if _is_lost_process(error):
                raised = RankLost(
                    "another process of this run has ended: it was killed, ran out of memory, or its machine was lost. "
                    "Run the same command again: it resumes from the last checkpoint."
                )
            if not self._reports():
                raise SystemExit(getattr(raised, "exit_status", 1)) from error
            raise raised from error

    def _reports(self) -> bool:
        """Return whether this is the first rank with an error, which reports it for all."""
        try:
            return self.store is None or self.store.add("reported errors", 1) == 1
        except RuntimeError:  # the launcher, which holds the store, has ended as well
            return True

    def replicate(self, module: nn.Module) -> nn.Module:
        """Move a module to the device of this rank, and return a replica with averaged gradients."""
        module.to(self.device)
        if self.world == 1:
            return module
        replica = DistributedDataParallel(module, device_ids=[self.device] if self.device.type == "cuda" else None)
        replica.broadcast_buffers = False  # code that changes buffers does so equally on all ranks
        warnings.filterwarnings("ignore", "Grad strides do not match")  # of channels-last convolutions; harmless
        return replica

    def shard(self, module: nn.Module, blocks: Iterable[nn.Module], *, half: bool, passes: Sequence[str] = ()) -> None:
        """Shard the parameters of a module over the ranks (FSDP); those of a block are gathered while it runs.

        Parameters are gathered in `forward` and in the methods named in `passes`, which return tensors or tuples of
        them. With `half` the parameters of blocks are gathered and used in bfloat16; gradients are summed in float32.
        """
        if self.world == 1:
            module.to(self.device)
            return
        mesh = init_device_mesh(self.device.type, (self.world,))
        types = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        for block in blocks:
            fully_shard(block, mesh=mesh, mp_policy=types if half else MixedPrecisionPolicy())
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        for method in passes:
            register_fsdp_forward_method(module, method)


ALONE = Ranks()


@contextmanager
def join(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if any. On GPUs (`device` cuda) each process uses a separate one.

    Raise BadInput if such devices do not support several processes, or if there are fewer GPUs than processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if world == 1:
        yield Ranks(device=device)
        return
    device = _local_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    store, rank, world = next(iter(rendezvous("env://", timeout=TIMEOUT)))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=rank,
        world_size=world,
        timeout=TIMEOUT,
    )
    ranks = Ranks(rank, world, device, PrefixStore("jukectl", store))
    with ranks.single_error():
        yield ranks
    dist.destroy_process_group()  # not after an error, when other ranks would not take part


def _local_device(device: torch.device, local_rank: int) -> torch.device:
    """Return the device of that type for the process with this local rank."""
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadInput(f"several processes can train on cpu or cuda, not on {device.type}: give --device cpu")
    if local_rank >= torch.cuda.device_count():
        raise BadInput(
            f"this machine has {torch.cuda.device_count()} GPUs: give torchrun no larger --nproc-per-node than that"
        )
    local = torch.device("cuda", local_rank)
    torch.cuda.set_device(local)
    return local


def sync_gradients(modules: Iterable[nn.Module], on: bool) -> None:
    """Turn gradient synchronization in the next backward passes on or off; off, each rank accumulates its own."""
    for module in modules:
        if isinstance(module, DistributedDataParallel):
            module.require_backward_grad_sync = on
        elif isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(on)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor with all its shards gathered; every rank must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _is_lost_process(error: Exception) -> bool:
    """Return whether an error of torch means that another process has ended."""
    if isinstance(error, JukectlError):
        return False
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in text for word in LOST)


def prepare_blocks(blocks: Iterable[nn.Module], config: TrainConfig) -> None:
    """Set up compilation and activation checkpointing of blocks, as the config says.

    Call it before sharding, so that gathering shards stays outside the compiled and recomputed part.
    """
    for block in blocks:
        if config.compile:
            block.forward = torch.compile(block.forward)
        if config.checkpoint_activations:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
