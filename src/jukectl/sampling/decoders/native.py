"""Decoding on a processor by the compiled step: no operator is called a code, and every weight is read once."""

import ctypes

import torch
from torch import Tensor

from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.native.packing import Drawing, Layer, Packed, Precision, Stack, floats, pack
from jukectl.prior.attention import EncoderAttention
from jukectl.prior.config import AttentionKind
from jukectl.prior.layers import Affine
from jukectl.prior.model import ConditioningTensors, Prior
from jukectl.prior.rotary import rotary_table
from jukectl.prior.transformer import Block, KVCache
from jukectl.sampling.decoders.base import Decoder
from jukectl.sampling.footprint import LARGEST_PACKED, packed_bytes

KINDS = tuple(AttentionKind)
"""Their places are their numbers in step.c."""


class NativeDecoder(Decoder):
    """Decodes by the compiled step, and reads what is known by it too: so the bits depend on no batch and no chunk."""

    def __init__(self, prior: Prior, rows: int, settings: LevelSampling, precision: Precision) -> None:
        """Packs the weights of a prior that `is_supported`."""
        found = library()
        assert found is not None
        self._library = found
        self.prior, self.rows = prior, rows
        config, shape = prior.config, prior.config.stack
        self.cache = KVCache.allocate(shape, rows)  # float32, whatever the weights are
        self._kept: list[object] = []  # what the structures point to
        together = found.jukectl_bytes_together()

        def keep(tensor: Tensor) -> int:
            self._kept.append(tensor := floats(tensor))
            return tensor.data_ptr()

        def packed(weight: Tensor, bias: Tensor | None) -> Packed:
            made = pack(weight, bias, precision, together)
            self._kept.append(made)
            return made

        layers = (Layer * shape.depth)()
        for layer, block, kind, cache in zip(
            layers, prior.transformer.blocks, shape.kinds, self.cache.layers, strict=True
        ):
            assert isinstance(block, Block)
            attention = block.attention
            query = attention.q if isinstance(attention, EncoderAttention) else attention.qkv
            layer.kind, layer.slots, layer.cache = KINDS.index(kind), cache.shape[3], cache.data_ptr()
            keys = {AttentionKind.ENCODER: shape.lyrics, AttentionKind.WINDOW: shape.window}
            layer.keys = keys.get(kind, shape.lyric_keys)
            layer.norm_gain, layer.norm_bias = keep(block.attention_norm.weight), keep(block.attention_norm.bias)
            layer.mlp_norm_gain, layer.mlp_norm_bias = keep(block.mlp_norm.weight), keep(block.mlp_norm.bias)
            layer.qkv = packed(query.weight, query.bias).matrix
            layer.project = packed(attention.out.weight, attention.out.bias).matrix
            layer.mlp_in = packed(block.mlp_in.weight, block.mlp_in.bias).matrix
            layer.mlp_out = packed(block.mlp_out.weight, block.mlp_out.bias).matrix
        self._kept.append(layers)
        ids = config.drawn_ids
        head = (prior.codes.weight if prior.head is None else prior.head)[:ids]
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
            head=packed(head.T, None).matrix,
            ids=ids,
            tied=prior.head is None,
            lead=config.lead,
            embedding=keep(prior.codes.weight),
            positions=None if prior.positions is None else keep(prior.positions),
            rotations=keep(rotary_table(shape.length, shape.head_width, prior.device)) if shape.rotary else None,
        )
        size = max(found.jukectl_scratch(self._reference, count) for count in (rows, READ_AT_ONCE))
        self._scratch = torch.zeros(size)
        self._stack.scratch = self._scratch.data_ptr()
        self._logits = torch.zeros(rows, self._stack.head.out)
        self.draw_with(settings)

    def draw_with(self, settings: LevelSampling) -> None:
        """Take other settings."""
        self.settings = settings
        self._drawing = Drawing(settings.temperature, settings.top_p, settings.top_k, settings.guidance)

    @property
    def _reference(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(ctypes.addressof(self._stack))

    @torch.inference_mode()
    def begin(self, known: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the known codes (B, n). The `chunk` is of no account: a few positions are read at a time in any case."""
        total = self.prior.config.lead + known.shape[1] + 1
        self._position, self._pending = known.shape[1], 1
        self._told = None if conditioning.positions is None else floats(conditioning.positions)
        self._last = torch.zeros(len(known), dtype=torch.int64)
        for sample in range(len(known)):
            own = conditioning.row(sample)
            self._hear(own, sample)
            inputs = floats(self.prior.inputs(known[sample : sample + 1], own, 0, total)[0])  # (total, width)
            after = None if self._told is None else self._told[sample, self._position].data_ptr()
            self._library.jukectl_read(
                self._reference, sample, inputs.data_ptr(), total, 0, after, self._logits[sample].data_ptr()
            )

    def decode(self, uniform: Tensor) -> Tensor:
        """The next ids (B, n)."""
        uniform = uniform.contiguous()
        drawn = torch.empty(uniform.shape, dtype=torch.int64)
        count = uniform.shape[1]
        failed = self._library.jukectl_decode(
            self._reference,
            len(self._last),
            self._position,
            count,
            ctypes.addressof(self._drawing),
            None if self._told is None else self._told.data_ptr(),
            0 if self._told is None else self._told.shape[1],
            uniform.data_ptr(),
            self._logits.data_ptr(),
            drawn.data_ptr(),
            self._last.data_ptr(),
            self._pending,
        )
        if failed:
            raise MemoryError("no memory left to draw codes")
        self._position += count - self._pending
        self._pending = 0
        return drawn

    def _hear(self, conditioning: ConditioningTensors, sample: int) -> None:
        """Put the keys and values of the lyrics' states in their places."""
        transformer = self.prior.transformer
        states = transformer.states(conditioning.lyrics)
        for block, cache, lyrics in zip(transformer.blocks, self.cache.layers, states, strict=True):
            if isinstance(block, Block) and isinstance(block.attention, EncoderAttention):
                assert lyrics is not None
                keys, values = block.attention.kv(block.heard(lyrics)).float().chunk(2, dim=-1)  # (1, L, A)
                for place, tensor in zip(cache[sample], (keys, values), strict=True):
                    place.copy_(tensor[0].view(tensor.shape[1], block.attention.heads, -1).transpose(0, 1))


READ_AT_ONCE = 64
"""Positions that jukectl_read takes through all blocks together."""


def is_supported(prior: Prior, precision: Precision) -> bool:
    """Whether the compiled step is there and can take a prior."""
    shape = prior.config.stack
    fits = all(size % 4 == 0 for size in (shape.width, shape.attention_width, shape.mlp_width))
    usual = all(type(layer) is Affine for layer in prior.transformer.modules() if isinstance(layer, Affine))
    return (
        type(prior) is Prior  # nothing that computes otherwise
        and prior.device.type == "cpu"
        and prior.dtype in (torch.float32, torch.bfloat16)
        and fits
        and usual  # adapters that learn are beside the weights, not in them
        and packed_bytes(prior.config, precision.name.lower()) <= LARGEST_PACKED
        and library() is not None
    )
