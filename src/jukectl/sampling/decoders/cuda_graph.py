"""Decoding on CUDA devices: a step and the sampling of its code are one graph, replayed for each code.

A step of a small batch takes less time on the GPU than its launch by the host, operator by operator. A recorded graph
is launched once, and the host waits only when codes are fetched.
"""

import logging

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.errors import is_out_of_memory
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder, check_finite
from jukectl.sampling.decoders.static_step import StaticStep
from jukectl.sampling.draw import NOT_FINITE, draw_by, guided

WARM_UPS = 2
"""Steps before a graph is recorded: libraries initialise in the first ones, which a graph cannot record."""

log = logging.getLogger(__name__)


class GraphDecoder(Decoder):
    """Replays a recorded step. Without CUDA, or if recording fails, it calls the same operators one by one.

    One graph is recorded for each batch size; all of them share their memory.
    """

    def __init__(self, prior: Prior, rows: int, settings: LevelSampling, *, record: bool | None = None) -> None:
        """Allocate the memory of the steps. They are recorded on CUDA, unless `record` overrides that."""
        self.prior = prior
        self.settings = settings
        self.device = prior.device
        self._static = StaticStep(prior, rows)
        context = prior.config.context
        # A graph reads and writes fixed addresses: all that changes from step to step lives in these tensors
        self._position = torch.zeros(1, dtype=torch.int64, device=self.device)  # of the code sampled last
        self._code = torch.zeros(rows, dtype=torch.int64, device=self.device)  # the code sampled last
        self._ids = torch.zeros(rows, context, dtype=torch.int64, device=self.device)
        self._uniforms = torch.zeros(rows, context, dtype=torch.float64, device=self.device)
        self._records = self.device.type == "cuda" if record is None else record
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}  # by batch size

    @property
    def recorded(self) -> set[int]:
        """Batch sizes that have a graph."""
        return set(self._graphs)

    def use_settings(self, settings: LevelSampling) -> None:
        """Change the settings. Temperature and the like are constants of a graph, so graphs are recorded again."""
        if settings != self.settings:
            self.settings = settings
            self._graphs.clear()

    @torch.inference_mode()
    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n)."""
        self._batch, self._next = prefix.shape
        self._samples = self._batch // self.settings.rows  # half of the rows under guidance
        self._stop = self.prior.config.context
        if conditioning.positions is not None:
            self._stop = min(self._stop, conditioning.positions.shape[1])
        if self._records and self._batch not in self._graphs:
            self._record()  # before the prefix is read: the warm-up steps write to the cache
        self._logits: Tensor | None = self._static.begin(
            prefix, conditioning, chunk
        )  # of the first code, until sampled

    @torch.inference_mode()
    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n)."""
        start, stop = self._next, self._next + uniform.shape[1]
        if stop > self._stop:
            raise ValueError(f"{stop} codes do not fit in the window of {self._stop}")
        self._uniforms[: self._samples, start:stop].copy_(uniform)
        steps = stop - start
        if self._logits is not None and steps:  # the first code of a window, from the logits of the prefix
            self._position.fill_(start)
            self._draw(self._logits)
            self._logits = None
            steps -= 1
        graph = self._graphs.get(self._batch)
        for _ in range(steps):
            if graph is None:
                self._step()
            else:
                graph.replay()
        self._next = stop
        made = self._ids[: self._samples, start:stop].cpu()
        check_finite(bool((made.numpy() != NOT_FINITE).all()), self.prior)
        return made

    def _step(self) -> None:
        """Read the code sampled last, and sample the next one."""
        self._position.add_(1)
        self._draw(self._static(self._code[: self._batch], self._position))

    def _draw(self, logits: Tensor) -> None:
        """Sample the code at the position from its logits (B, K)."""
        uniform = self._uniforms[: self._samples].index_select(1, self._position).squeeze(1)
        code = draw_by(self.settings, guided(logits, self.settings.guidance), uniform, self.prior.stage_vectors)
        self._code[: self._batch].copy_(code.clamp(min=0).repeat(self.settings.rows))
        self._ids[: self._samples].index_copy_(1, self._position, code.unsqueeze(1))

    def _record(self) -> None:
        """Record the step for the batch size. Errors are logged, except for out-of-memory, which is raised."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.device(self.device):
                self._warm_up()
                with torch.cuda.graph(graph, pool=next((other.pool() for other in self._graphs.values()), None)):
                    self._step()
        except RuntimeError as error:
            if is_out_of_memory(error):  # whoever samples tries again with a smaller batch
                raise
            self._records = False
            log.warning("no CUDA graph could be recorded, so decoding is slower, operator by operator: %s", error)
        else:
            self._graphs[self._batch] = graph

    def _warm_up(self) -> None:
        """Run some steps at the first position, on a side stream as torch asks for before a recording."""
        self._code.zero_()  # a valid id, whatever a window before left there
        stream, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(stream)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._position.fill_(-1)
                self._step()
        stream.wait_stream(side)
