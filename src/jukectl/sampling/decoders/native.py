"""Decoding on CPUs by the native step in C.

Torch spends more time on calling operators than on computing for one row, and reads weights in an order that suits
large batches. The native step is one call for many codes, and reads every weight once per code, in the order of use.
"""

import ctypes
import time

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.native.packing import Layer, Matrix, Precision, SamplingSettings, Stack, floats
from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import AttentionKind
from jukectl.prior.layers import Affine
from jukectl.prior.matrices import PackedPrior, can_be_packed, matrix_names, packed_matrix
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.rotary import rotary_table
from jukectl.prior.transformer import Block, KVCache
from jukectl.sampling.decoders.base import Decoder, check_finite
from jukectl.sampling.decoders.threads import ThreadChoice, cores

KINDS = tuple(AttentionKind)
"""Their indices are the numbers of the kinds in step.c."""


class NativeDecoder(Decoder):
    """Decodes with the native step, and reads prefixes with it too, so the bits depend on no batch and no chunk."""

    def __init__(
        self, prior: Prior, rows: int, settings: LevelSampling, precision: Precision, *, threads: int | None = None
    ) -> None:
        """Pack the weights of a prior for which `is_supported` is true.

        The codes do not depend on `threads`; by default their number is tried out, see `ThreadChoice`.
        """
        self._threads = ThreadChoice([1, cores()] if threads is None else [threads])
        found = library()
        assert found is not None
        self._library = found
        self.prior, self.rows = prior, rows
        config, shape = prior.config, prior.config.stack
        # in float32 for weights of any precision; not filled, since a large one takes seconds and most slots come later
        self.cache = KVCache.allocate(shape, rows, filled=False)
        self._kept: list[object] = []  # the structures hold bare addresses, which keep no tensor alive
        names = matrix_names(config)

        def keep(tensor: Tensor) -> int:
            self._kept.append(tensor := floats(tensor))
            return tensor.data_ptr()

        def packed(name: str) -> Matrix:
            if isinstance(prior, PackedPrior):
                one = prior.matrices[name]
            else:
                weight, bias = names[name].weight, names[name].bias
                parameters = prior.get_parameter(weight), None if bias is None else prior.get_parameter(bias)
                one = packed_matrix(config, *parameters, precision, found.jukectl_bytes_together())
            self._kept.append(one)
            return one.matrix

        layers = (Layer * shape.depth)()
        for number, (layer, block, kind, cache) in enumerate(
            zip(layers, prior.transformer.blocks, shape.kinds, self.cache.layers, strict=True)
        ):
            assert isinstance(block, Block)
            layer.kind, layer.slots, layer.cache = KINDS.index(kind), cache.shape[3], cache.data_ptr()
            keys = {AttentionKind.ENCODER: shape.lyrics, AttentionKind.WINDOW: shape.window}
            layer.keys = keys.get(kind, shape.lyric_keys)
            layer.norm_gain, layer.norm_bias = keep(block.attention_norm.weight), keep(block.attention_norm.bias)
            layer.mlp_norm_gain, layer.mlp_norm_bias = keep(block.mlp_norm.weight), keep(block.mlp_norm.bias)
            for name in ("qkv", "project", "mlp_in", "mlp_out"):
                setattr(layer, name, packed(f"{number}.{name}"))
        self._kept.append(layers)
        self._stack = Stack(
            precision=precision,
            depth=shape.depth,
            width=shape.width,
            heads=shape.heads,
            head_width=shape.head_width,
            mlp=shape.mlp_width,
            block=shape.block,
            length=shape.length,
            scale=shape.residual_scale,
            layers=ctypes.addressof(layers),
            head=packed("head"),
            ids=config.sampled_ids,
            tied=prior.head is None,
            lyric_tokens=config.lyric_tokens,
            embedding=keep(prior.codes.weight),
            positions=None if prior.positions is None else keep(prior.positions),
            rotations=keep(rotary_table(shape.length, shape.head_width, prior.device)) if shape.rotary else None,
            threads=max(self._threads.candidates),
        )
        size = max(found.jukectl_scratch(self._reference, count) for count in (rows, READ_AT_ONCE))
        self._scratch = torch.zeros(size)
        self._stack.scratch = self._scratch.data_ptr()
        self._logits = torch.zeros(rows, self._stack.head.out)
        self.use_settings(settings)

    def use_settings(self, settings: LevelSampling) -> None:
        """Change the settings."""
        self.settings = settings
        self._sampling = SamplingSettings(settings.temperature, settings.top_p, settings.top_k, settings.guidance)
        if settings.expected and self.prior.stage_vectors is not None:
            self._vectors = floats(self.prior.stage_vectors)  # kept: the structure holds its bare address
            self._sampling.vectors = self._vectors.data_ptr()
            self._sampling.stages, _, self._sampling.vector_width = self._vectors.shape

    @property
    def _reference(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(ctypes.addressof(self._stack))

    @torch.inference_mode()
    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n). `chunk` is ignored: the step reads `READ_AT_ONCE` positions at a time."""
        total = self.prior.config.lyric_tokens + prefix.shape[1] + 1
        self._stack.threads = max(self._threads.candidates)  # a prefix is work enough for all
        self._position, self._pending = prefix.shape[1], 1  # the logits are those of a code that is not sampled yet
        self._added = None if conditioning.positions is None else floats(conditioning.positions)
        self._last = torch.zeros(len(prefix), dtype=torch.int64)
        for sample in range(len(prefix)):
            own = conditioning.row(sample)
            self._cache_lyrics(own, sample)
            inputs = floats(self.prior.inputs(prefix[sample : sample + 1], own, 0, total)[0])  # (total, width)
            after = None if self._added is None else self._added[sample, self._position].data_ptr()
            self._library.jukectl_read(
                self._reference, sample, inputs.data_ptr(), total, 0, after, self._logits[sample].data_ptr()
            )

    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n)."""
        uniform = uniform.contiguous()
        self._stack.threads = self._threads.next()
        began = time.perf_counter()
        sampled = torch.empty(uniform.shape, dtype=torch.int64)
        count = uniform.shape[1]
        failed = self._library.jukectl_decode(
            self._reference,
            len(self._last),
            self._position,
            count,
            ctypes.addressof(self._sampling),
            None if self._added is None else self._added.data_ptr(),
            0 if self._added is None else self._added.shape[1],
            uniform.data_ptr(),
            self._logits.data_ptr(),
            sampled.data_ptr(),
            self._last.data_ptr(),
            self._pending,
        )
        self._threads.took(time.perf_counter() - began, count - self._pending)
        if failed:
            raise MemoryError("no memory left to sample codes")
        check_finite(bool(self._logits[: len(self._last)].isfinite().all()), self.prior)  # of the last code
        self._position += count - self._pending  # the first code of a window takes no step
        self._pending = 0
        return sampled

    def _cache_lyrics(self, conditioning: ConditioningTensors, sample: int) -> None:
        """Write the keys and values of the lyrics' states, which torch computes once per window, to the cache."""
        transformer = self.prior.transformer
        states = transformer.states(conditioning.lyrics)
        for block, cache, lyrics in zip(transformer.blocks, self.cache.layers, states, strict=True):
            if isinstance(block, Block) and isinstance(block.attention, EncoderAttention):
                assert lyrics is not None
                keys, values = block.attention.kv(block.lyric_states(lyrics)).float().chunk(2, dim=-1)  # (1, L, A)
                for place, tensor in zip(cache[sample], (keys, values), strict=True):
                    place.copy_(tensor[0].view(tensor.shape[1], block.attention.heads, -1).transpose(0, 1))


READ_AT_ONCE = 64
"""Positions that `jukectl_read` passes through a block together: their activations stay in the L2 cache."""


def is_supported(prior: Prior, precision: Precision) -> bool:
    """Return True if the native step is installed and supports a prior."""
    usual = all(type(layer) is Affine for layer in prior.transformer.modules() if isinstance(layer, Affine))
    return (
        type(prior) in (Prior, PackedPrior)  # another subclass may compute something else
        and prior.device.type == "cpu"
        and prior.dtype in (torch.float32, torch.bfloat16)
        and can_be_packed(prior.config)
        and usual  # adapters in training are separate from the weights that are packed
        and library() is not None
    )
