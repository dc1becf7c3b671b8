"""Sampling step of the Jukebox port in transformers 4.57.6, with the interface of jukectl's decoders."""

import torch
from torch import Tensor
from transformers.models.deprecated.jukebox.configuration_jukebox import JukeboxPriorConfig
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxConditionalAutoregressive, filter_logits

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import FACTORED, PriorConfig
from jukectl.prior.model import ConditioningTensors
from jukectl.sampling.decoders.base import Decoder

AT_ONCE = 32  # positions of a prefix that are read together; the port's default for the upper levels


class PortDecoder(Decoder):
    """The port's step: its embedding, blocks, head, filter and sampling.

    The calls are those of one iteration of the loop in its `primed_sample`. Weights are random. Codes are sampled with
    torch's random numbers, as there.
    """

    def __init__(self, config: PriorConfig, rows: int, settings: LevelSampling) -> None:
        self.settings, self.rows = settings, rows
        self.model = JukeboxConditionalAutoregressive(
            _config(config), n_ctx=config.context, embed_dim=config.codebook_size, metadata_conditioning=True
        ).eval()
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.normal_(std=0.02)
        self._start = torch.zeros(rows, 1, config.width)
        self._above = torch.zeros(rows, 1, config.width)  # as in the port at the top level

    @torch.no_grad()
    def begin(self, prefix: Tensor, conditioning: ConditioningTensors, chunk: int | None = None) -> None:
        """Read the prefix (B, n), n of 1 or more."""
        self.model.transformer.del_cache()
        self._place = 0
        inputs: list[Tensor] = []
        codes: list[Tensor | None] = [None, *prefix[:, :-1].split(1, dim=1)]
        for code in codes:
            inputs.append(self._embedded(code))
            if len(inputs) == AT_ONCE or self._place == len(codes):
                self.model.transformer(torch.cat(inputs, dim=1), sample=True)
                inputs = []
        self._last = prefix[:, -1:]

    @torch.no_grad()
    def decode(self, uniform: Tensor) -> Tensor:
        """Sample the next ids (B, n). Only the number of `uniform` is used."""
        sampled = []
        for _ in range(uniform.shape[1]):
            hidden = self.model.transformer(self._embedded(self._last), sample=True) + self._above
            logits = self.model.fc_proj_out(hidden) / self.settings.temperature
            logits = filter_logits(logits, top_k=self.settings.top_k, top_p=self.settings.top_p % 1)  # there 0 is off
            self._last = torch.distributions.Categorical(logits=logits).sample()
            sampled.append(self._last)
        return torch.cat(sampled, dim=1)

    def _embedded(self, code: Tensor | None) -> Tensor:
        """Return the input of the blocks at the next position, (B, 1, width)."""
        embedded, _ = self.model.get_emb(self._place, self.rows, code, self._above, self._start)
        self._place += 1
        return embedded


def _config(config: PriorConfig) -> JukeboxPriorConfig:
    if config.kinds != tuple(FACTORED[layer % len(FACTORED)] for layer in range(config.depth)):
        raise ValueError("the port is built for the pattern of row, column and previous row")
    return JukeboxPriorConfig(
        hidden_size=config.width,
        num_layers=config.depth,
        n_heads=config.heads,
        blocks=config.blocks,
        n_ctx=config.context,
        attention_multiplier=config.attention_ratio,
        mlp_multiplier=config.mlp_ratio,
        attention_pattern="raw_column_previous_row_attention",
        mask=True,
        music_vocab_size=config.codebook_size,
        nb_relevant_lyric_tokens=0,
        merged_decoder=False,
        is_encoder_decoder=False,
        attn_res_scale=config.scale_residuals,
    )
