"""The processes of a training run: which of them this is, and what they do together. A single one is the same, alone.

Started by torchrun, which tells every process of the others in its environment. One process a GPU, or any number on
CPUs. Tensors on CPUs go through gloo, those on GPUs through nccl.
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

TIMEOUT = timedelta(minutes=30)  # for one exchange; a process that was killed is noticed at once
PATIENCE = timedelta(days=30)  # for what the first process prepares, such as decoding all the music
LOST = ("peer", "connection", "broken pipe", "socket", "gloo", "nccl", "timed out", "timeout")
"""Words in what torch says when another process is gone; it has no error of its own for that."""

CPU = torch.device("cpu")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run: the one number `rank` of `world`, at work on `device`."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    store: Store | None = None  # small facts that all can read, kept by the launcher

    @property
    def first(self) -> bool:
        """Whether this one speaks and writes for all."""
        return self.rank == 0

    def rows(self, batch: int, accumulate: int) -> list[slice]:
        """Which rows of a step's batch are this rank's, in `accumulate` parts. BadRecipe where they would be uneven."""
        parts = self.world * accumulate
        if batch % parts:
            raise BadRecipe(
                f"train.batch must be a multiple of {parts}, {self.world} processes by {accumulate} parts, got {batch}"
            )
        size = batch // parts
        starts = [(self.rank * accumulate + part) * size for part in range(accumulate)]
        return [slice(start, start + size) for start in starts]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of everybody's tensor, the same bits on every rank. Changes the tensor itself."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Give everybody the first rank's tensors, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def any(self, here: bool) -> bool:
        """Whether it is so on any rank."""
        return here if self.world == 1 else bool(self.sum(torch.tensor(int(here))))

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.any(False)

    def mean(self, figures: Mapping[str, Tensor]) -> dict[str, float]:
        """Every figure, a scalar, as its mean over the ranks."""
        if not figures:
            return {}
        stacked = torch.stack([figure.detach().to(self.device, torch.float32) for figure in figures.values()])
        return dict(zip(figures, (self.sum(stacked) / self.world).tolist(), strict=True))

    def map(self, function: Callable[[Item], Tensor], items: Sequence[Item]) -> Tensor:
        """What a function gives for each of one or more items, (items, ...) float64 on the CPU, on every rank.

        The ranks take turns, and all call it equally often: no rank can use a sharded model without the others.
        """
        turns = -(-len(items) // self.world)
        mine = [(turn * self.world + self.rank) % len(items) for turn in range(turns)]  # the last turn may begin anew
        found = torch.stack([function(items[index]).to("cpu", torch.float64) for index in mine])
        values = torch.zeros(turns, self.world, *found.shape[1:], dtype=torch.float64)
        values[:, self.rank] = found
        return self.sum(values).flatten(0, 1)[: len(items)]

    @contextmanager
    def first_goes_ahead(self, what: str) -> Iterator[None]:
        """The first rank runs the block alone, then the others do: it may leave them files to share.

        `what` names the block; a run goes through each name once.
        """
        if self.store is not None and not self.first:
            self.store.wait([what], PATIENCE)
        yield
        if self.store is not None and self.first:
            self.store.set(what, "done")

    @contextmanager
    def one_voice(self) -> Iterator[None]:
        """Of the errors that end a run, let the first alone through, whichever rank it is on; the others end silently.

        What torch says when another process is gone becomes RankLost.
        """
        try:
            yield
        except (JukectlError, RuntimeError) as error:
            if self.world == 1:
                raise
            told: Exception = error
            if _says_lost(error):
                told = RankLost(
                    "another process of this run is gone: it was killed, ran out of memory, or its machine is lost. "
                    "Run the same command again: it goes on from the last checkpoint."
                )
            if not self._speaks():
                raise SystemExit(getattr(told, "exit_status", 1)) from error
            raise told from error

    def _speaks(self) -> bool:
        """Whether this is the first rank to ask."""
        try:
            return self.store is None or self.store.add("errors told", 1) == 1
        except RuntimeError:  # the launcher is gone as well
            return True

    def replicate(self, module: nn.Module) -> nn.Module:
        """The module on this rank's device, a replica whose gradients are averaged with those of the others."""
        module.to(self.device)
        if self.world == 1:
            return module
        replica = DistributedDataParallel(module, device_ids=[self.device] if self.device.type == "cuda" else None)
        replica.broadcast_buffers = False  # whoever changes them does it on all ranks alike
        warnings.filterwarnings("ignore", "Grad strides do not match")  # of channels-last convolutions; it is no error
        return replica

    def shard(self, module: nn.Module, blocks: Iterable[nn.Module], *, half: bool, passes: Sequence[str] = ()) -> None:
        """Spread a module's parameters over the ranks' devices; each block's are brought together while it is at work.

        The module is at work in `forward`, and in the methods named as `passes`, which give tensors or tuples of them.
        With `half` the blocks' parameters travel and work in bfloat16; gradients are added up in float32.
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
    """The processes that torchrun started, or this one alone. `device` is their kind: each takes a GPU of its own.

    Raises BadInput where several processes cannot work on such devices, or there are fewer GPUs than processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if world == 1:
        yield Ranks(device=device)
        return
    device = _own(device, int(os.environ.get("LOCAL_RANK", "0")))
    store, rank, world = next(iter(rendezvous("env://", timeout=TIMEOUT)))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=rank,
        world_size=world,
        timeout=TIMEOUT,
    )
    ranks = Ranks(rank, world, device, PrefixStore("jukectl", store))
    with ranks.one_voice():
        yield ranks
    dist.destroy_process_group()  # after an error the others are not there to take part in it


def _own(device: torch.device, local_rank: int) -> torch.device:
    """The device of that kind for the process with this number on its machine."""
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadInput(f"several processes train on cpu or cuda, not on {device.type}: give --device cpu")
    if local_rank >= torch.cuda.device_count():
        raise BadInput(
            f"this machine has {torch.cuda.device_count()} GPUs: give torchrun no more than so many --nproc-per-node"
        )
    own = torch.device("cuda", local_rank)
    torch.cuda.set_device(own)
    return own


def sync_gradients(modules: Iterable[nn.Module], on: bool) -> None:
    """Whether the next backward passes bring gradients together; without, each rank adds them up for itself."""
    for module in modules:
        if isinstance(module, DistributedDataParallel):
            module.require_backward_grad_sync = on
        elif isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(on)


def whole(tensor: Tensor) -> Tensor:
    """A tensor, or all shards of a sharded one together; every rank has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _says_lost(error: Exception) -> bool:
    """Whether torch says with it that another process is gone."""
    if isinstance(error, JukectlError):
        return False
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in text for word in LOST)


def prepare_blocks(blocks: Iterable[nn.Module], config: TrainConfig) -> None:
    """Have each block compiled, and what it computes inside computed again in the backward pass instead of kept.

    To be done before blocks are sharded: what brings shards together stays outside.
    """
    for block in blocks:
        if config.compile:
            block.forward = torch.compile(block.forward)
        if config.checkpoint_activations:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
