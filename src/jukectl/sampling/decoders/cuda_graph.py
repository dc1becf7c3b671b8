"""Decoding on a CUDA device: a step and the drawing of its code are one graph, and the host waits once a piece."""

import logging

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.errors import is_out_of_memory
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.decoders.static_step import StaticStep
from jukectl.sampling.draw import draw, guided

WARM_UPS = 2
"""Steps before a graph is recorded: libraries set themselves up in the first ones."""

log = logging.getLogger(__name__)


class GraphDecoder(Decoder):
    """Replays a recorded step. Where there is no CUDA, or recording fails, the same operators are called one by one.

    One graph is recorded for each number of samples that a window has; all are in the same memory.
    """

    def __init__(self, prior: Prior, rows: int, settings: LevelSampling, *, record: bool | None = None) -> None:
        """Steps are recorded on CUDA, unless `record` says otherwise."""
        self.prior = prior
        self.settings = settings
        self.device = prior.device
        self._static = StaticStep(prior, rows)
        context = prior.config.context
        self._position = torch.zeros(1, dtype=torch.int64, device=self.device)  # of the code drawn last
        self._code = torch.zeros(rows, dtype=torch.int64, device=self.device)  # which is this
        self._ids = torch.zeros(rows, context, dtype=torch.int64, device=self.device)
        self._uniforms = torch.zeros(rows, context, dtype=torch.float64, device=self.device)
        self._records = self.device.type == "cuda" if record is None else record
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}  # by the number of samples

    @property
    def recorded(self) -> set[int]:
        """The numbers of samples that there is a graph for."""
        return set(self._graphs)

    def draw_with(self, settings: LevelSampling) -> None:
        """Take other settings. What was recorded is of no use then."""
        if settings != self.settings:
            self.settings = settings
            self._graphs.clear()

    @torch.inference_mode()
    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the known codes (B, n)."""
        self._batch, self._next = known.shape
        self._drawn = self._batch // self.settings.rows  # rows of ids; with guidance there are as many without labels
        self._stop = self.prior.config.context
        if conditioning.positions is not None:
            self._stop = min(self._stop, conditioning.positions.shape[1])
        if self._records and self._batch not in self._graphs:
            self._record()  # before anything is in the cache, since the steps before it write there
        self._logits: Tensor | None = self._static.begin(known, conditioning, chunk)  # of the first code, until drawn

    @torch.inference_mode()
    def decode(self, uniform: Tensor) -> Tensor:
        """The next ids (B, n)."""
        start, stop = self._next, self._next + uniform.shape[1]
        if stop > self._stop:
            raise ValueError(f"{stop} codes do not fit in the window of {self._stop}")
        self._uniforms[: self._drawn, start:stop].copy_(uniform)
        steps = stop - start
        if self._logits is not None and steps:
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
        return self._ids[: self._drawn, start:stop].cpu()

    def _step(self) -> None:
        """Read the code drawn last, and draw the next one."""
        self._position.add_(1)
        self._draw(self._static(self._code[: self._batch], self._position))

    def _draw(self, logits: Tensor) -> None:
        """Draw the code at the position from its logits (B, K)."""
        code = draw(
            guided(logits, self.settings.guidance),
            self._uniforms[: self._drawn].index_select(1, self._position).squeeze(1),
            temperature=self.settings.temperature,
            top_k=self.settings.top_k,
            top_p=self.settings.top_p,
        )
        self._code[: self._batch].copy_(code.repeat(self.settings.rows))
        self._ids[: self._drawn].index_copy_(1, self._position, code.unsqueeze(1))

    def _record(self) -> None:
        """Record the step of so many samples. Where memory runs out in it, the error goes on to whoever calls."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.device(self.device):
                self._warm_up()
                with torch.cuda.graph(graph, pool=next((other.pool() for other in self._graphs.values()), None)):
                    self._step()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._records = False
            log.warning("decoding goes on step by step, slower, since no CUDA graph could be recorded: %s", error)
        else:
            self._graphs[self._batch] = graph

    def _warm_up(self) -> None:
        """Some steps at the first position, beside the stream in use."""
        self._code.zero_()  # no id of a character
        stream, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(stream)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._position.fill_(-1)
                self._step()
        stream.wait_stream(side)
