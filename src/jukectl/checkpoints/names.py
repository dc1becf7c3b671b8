"""Names of our tensors in the other formats: in the Hugging Face port, and in the original files.

There is one table for each kind of part. `{i}` and other single letters in braces are numbers, equal in all names of a
row. Where the port keeps stacks and strided convolutions alternately in one list, the numbers there are `{i*2}` and
`{i*2+1}`. `{end}` is weight or bias, `{w}` its first letter.
"""

import re
from collections.abc import Callable
from functools import cache

from jukectl.codes.level import Level
from jukectl.vqvae.config import VQVAEConfig

_Row = tuple[str, str, tuple[str, ...]]  # our name, the port's, and those in original files

# A transformer block. Originals call weights and biases of their linear layers `w` and `b`, as GPT-2 does, and those of
# all other layers `weight` and `bias`, as torch does. A factored layer has one matrix for queries, keys and values; one
# that attends to the encoder has `q`, under the same name there, and `kv`.
_BLOCK: tuple[_Row, ...] = (
    ("attention_norm.{end}", "layer_norm_0.{end}", ("ln_0.{end}",)),
    ("attention.qkv.{end}", "attn.c_attn.{end}", ("attn.c_attn.{w}",)),
    ("attention.q.{end}", "attn.c_attn.{end}", ("attn.c_attn.{w}",)),
    ("attention.kv.{end}", "attn.c_enc_kv.{end}", ("attn.c_enc_kv.{w}",)),
    ("attention.out.{end}", "attn.c_proj.{end}", ("attn.c_proj.{w}",)),
    ("mlp_norm.{end}", "layer_norm_1.{end}", ("ln_1.{end}",)),
    ("mlp_in.{end}", "mlp.c_fc.{end}", ("mlp.c_fc.{w}",)),
    ("mlp_out.{end}", "mlp.c_proj.{end}", ("mlp.c_proj.{w}",)),
)

# A prior. Two variants of original files are read, which differ in how some modules are nested: an embedding may be
# wrapped (`x_emb.emb`), and the blocks of a residual stack may be in `model` or in `blocks`.
_PRIOR: tuple[_Row, ...] = (
    ("codes.weight", "prior.embed_tokens.weight", ("prior.x_emb.weight", "prior.x_emb.emb.weight")),
    ("head", "prior.fc_proj_out.weight", ("prior.x_out.weight",)),
    # learned absolute positions, one for each place of the context
    ("positions", "prior.pos_emb.pos_emb", ("prior.pos_emb.pos_emb",)),
    *(
        (
            f"transformer.blocks.{{i}}.{ours}",
            f"prior.transformer._attn_mods.{{i}}.{port}",
            tuple(f"prior.transformer._attn_mods.{{i}}.{original}" for original in originals),
        )
        for ours, port, originals in _BLOCK
    ),
    # labels; the timing embeddings exist in the top prior alone
    ("artist_genre.artist.weight", "metadata_embedding.artist_emb.weight", ("y_emb.artist_emb.emb.weight",)),
    ("artist_genre.genre.weight", "metadata_embedding.bow_genre_emb.weight", ("y_emb.bow_genre_emb.emb.weight",)),
    (
        "place.total.weight",
        "metadata_embedding.total_length_emb.emb.weight",
        ("y_emb.total_length_emb.emb.weight",),
    ),
    (
        "place.absolute.weight",
        "metadata_embedding.absolute_pos_emb.emb.weight",
        ("y_emb.absolute_pos_emb.emb.weight",),
    ),
    (
        "place.relative.weight",
        "metadata_embedding.relative_pos_emb.emb.weight",
        ("y_emb.relative_pos_emb.emb.weight",),
    ),
    # an upsampler's conditioner on the codes above, the first and only one of a list in the originals
    (
        "place.codes.weight",
        "conditioner_blocks.embed_tokens.weight",
        ("conditioner_blocks.0.x_emb.weight", "conditioner_blocks.0.x_emb.emb.weight"),
    ),
    (
        "place.upsample.project.{end}",
        "conditioner_blocks.upsampler.proj_in.{end}",
        ("conditioner_blocks.0.cond.model.0.{end}",),
    ),
    (
        # positions 1 and 3 of a residual block are its convolutions; 0 and 2 are activations without weights
        "place.upsample.stacks.{i}.blocks.{k}.dilated.{end}",
        "conditioner_blocks.upsampler.upsample_block.{i*2}.resnet_block.{k}.conv1d_1.{end}",
        (
            "conditioner_blocks.0.cond.model.{i+1}.0.model.{k}.model.1.{end}",
            "conditioner_blocks.0.cond.model.{i+1}.0.blocks.{k}.model.1.{end}",
        ),
    ),
    (
        "place.upsample.stacks.{i}.blocks.{k}.project.{end}",
        "conditioner_blocks.upsampler.upsample_block.{i*2}.resnet_block.{k}.conv1d_2.{end}",
        (
            "conditioner_blocks.0.cond.model.{i+1}.0.model.{k}.model.3.{end}",
            "conditioner_blocks.0.cond.model.{i+1}.0.blocks.{k}.model.3.{end}",
        ),
    ),
    (
        # an original block is a residual stack (0) and then a strided convolution (1)
        "place.upsample.ups.{i}.{end}",
        "conditioner_blocks.upsampler.upsample_block.{i*2+1}.{end}",
        ("conditioner_blocks.0.cond.model.{i+1}.1.{end}",),
    ),
    ("place.norm.{end}", "conditioner_blocks.layer_norm.{end}", ("conditioner_blocks.0.ln.{end}",)),
    # the encoder of lyrics, a small transformer with the same blocks
    ("lyrics.characters.weight", "encoder.embed_tokens.weight", ("prime_prior.x_emb.weight",)),
    ("lyrics.start", "encoder.start_token", ("prime_prior.start_token",)),
    ("lyrics.positions", "encoder.pos_emb.pos_emb", ("prime_prior.pos_emb.pos_emb",)),
    *(
        (
            f"lyrics.transformer.blocks.{{i}}.{ours}",
            f"encoder.transformer._attn_mods.{{i}}.{port}",
            tuple(f"prime_prior.transformer._attn_mods.{{i}}.{original}" for original in originals),
        )
        for ours, port, originals in _BLOCK
    ),
    # from the encoder's width to the prior's, where its layers attend to it
    ("lyrics.project.{end}", "encoder.proj_in.{end}", ("prime_state_proj.{w}",)),
    ("lyrics.norm.{end}", "encoder.final_layer_norm.{end}", ("prime_state_ln.{end}",)),
    # the encoder learns to predict the next character (Jukebox, section 4.2); sampling does not use this head
    ("lyrics.head", "encoder.lm_head.weight", ("prime_x_out.weight",)),
)

# A level of the codec. {l} is the level, 0 at the bottom; {b} the number of a block, counted from the waveform up;
# {last} the position after the last strided convolution of a block. Our decoder's blocks count from the top down, and
# theirs from the waveform up: `_codec` translates between the two.
_VQVAE: tuple[_Row, ...] = (
    (
        # encoders reduce the length first (0) and then apply a residual stack (1)
        "encoder.blocks.{b}.downs.{i}.{end}",
        "encoders.{l}.level_blocks.{b}.downsample_block.{i*2}.{end}",
        ("encoders.{l}.level_blocks.{b}.model.{i}.0.{end}",),
    ),
    (
        "encoder.blocks.{b}.stacks.{i}.blocks.{k}.dilated.{end}",
        "encoders.{l}.level_blocks.{b}.downsample_block.{i*2+1}.resnet_block.{k}.conv1d_1.{end}",
        (
            "encoders.{l}.level_blocks.{b}.model.{i}.1.model.{k}.model.1.{end}",
            "encoders.{l}.level_blocks.{b}.model.{i}.1.blocks.{k}.model.1.{end}",
        ),
    ),
    (
        "encoder.blocks.{b}.stacks.{i}.blocks.{k}.project.{end}",
        "encoders.{l}.level_blocks.{b}.downsample_block.{i*2+1}.resnet_block.{k}.conv1d_2.{end}",
        (
            "encoders.{l}.level_blocks.{b}.model.{i}.1.model.{k}.model.3.{end}",
            "encoders.{l}.level_blocks.{b}.model.{i}.1.blocks.{k}.model.3.{end}",
        ),
    ),
    (
        "encoder.blocks.{b}.project.{end}",
        "encoders.{l}.level_blocks.{b}.proj_out.{end}",
        ("encoders.{l}.level_blocks.{b}.model.{last}.{end}",),
    ),
    (
        "decoder.blocks.{b}.project.{end}",
        "decoders.{l}.level_blocks.{b}.proj_in.{end}",
        ("decoders.{l}.level_blocks.{b}.model.0.{end}",),
    ),
    (
        # decoders apply a residual stack first (0) and then increase the length (1)
        "decoder.blocks.{b}.stacks.{i}.blocks.{k}.dilated.{end}",
        "decoders.{l}.level_blocks.{b}.upsample_block.{i*2}.resnet_block.{k}.conv1d_1.{end}",
        (
            "decoders.{l}.level_blocks.{b}.model.{i+1}.0.model.{k}.model.1.{end}",
            "decoders.{l}.level_blocks.{b}.model.{i+1}.0.blocks.{k}.model.1.{end}",
        ),
    ),
    (
        "decoder.blocks.{b}.stacks.{i}.blocks.{k}.project.{end}",
        "decoders.{l}.level_blocks.{b}.upsample_block.{i*2}.resnet_block.{k}.conv1d_2.{end}",
        (
            "decoders.{l}.level_blocks.{b}.model.{i+1}.0.model.{k}.model.3.{end}",
            "decoders.{l}.level_blocks.{b}.model.{i+1}.0.blocks.{k}.model.3.{end}",
        ),
    ),
    (
        "decoder.blocks.{b}.ups.{i}.{end}",
        "decoders.{l}.level_blocks.{b}.upsample_block.{i*2+1}.{end}",
        ("decoders.{l}.level_blocks.{b}.model.{i+1}.1.{end}",),
    ),
    ("decoder.head.{end}", "decoders.{l}.out.{end}", ("decoders.{l}.out.{end}",)),
    ("codebook.vectors", "bottleneck.level_blocks.{l}.codebook", ("bottleneck.level_blocks.{l}.k",)),
)


@cache
def port_of_prior(ours: str) -> str:
    """Return the port's name for one of a prior's tensors, after `priors.N.`."""
    return _translated(ours, _PRIOR, {})[0]


@cache
def originals_of_prior(ours: str) -> tuple[str, ...]:
    """Return the names that one of a prior's tensors may have in an original file."""
    return _translated(ours, _PRIOR, {})[1]


def port_of_vqvae(config: VQVAEConfig) -> Callable[[str], str]:
    """Return a function to the port's names of a codec's tensors, after `vqvae.`."""
    return lambda ours: _codec(ours, config)[0]


def originals_of_vqvae(config: VQVAEConfig) -> Callable[[str], tuple[str, ...]]:
    """Return a function to the names that a codec's tensors may have in an original file."""
    return lambda ours: _codec(ours, config)[1]


def _codec(ours: str, config: VQVAEConfig) -> tuple[str, tuple[str, ...]]:
    _, label, rest = ours.split(".", 2)  # levels.LABEL.rest
    level = Level.parse(label)
    known = {"l": int(level)}
    if found := re.fullmatch(r"(encoder|decoder)\.blocks\.(\d+)\.(.*)", rest):
        # the decoder of level l has l + 1 blocks: our first one is their last
        block = int(found[2]) if found[1] == "encoder" else level - int(found[2])
        known["last"] = config.downs[block]
        rest = f"{found[1]}.blocks.{block}.{found[3]}"
    return _translated(rest, _VQVAE, known)


def _translated(ours: str, rows: tuple[_Row, ...], known: dict[str, int]) -> tuple[str, tuple[str, ...]]:
    # a linear search, since results are cached by name
    for pattern, port, originals in rows:
        if found := _compiled(pattern).fullmatch(ours):
            values = known | {name: int(value) for name, value in found.groupdict().items() if name != "end"}
            words = {"end": found["end"], "w": found["end"][0]} if "end" in found.groupdict() else {}
            return _filled(port, values, words), tuple(_filled(original, values, words) for original in originals)
    # a mistake of ours, and no fault of a file: every tensor of ours has a row
    raise KeyError(f"{ours} has no other name")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the table to a regular expression."""
    # everything but the braces is literal: the dots of names must not match any character
    escaped = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(
        re.sub(r"{(\w+)}", lambda one: rf"(?P<{one[1]}>{_ENDS if one[1] == 'end' else _NUMBER})", escaped)
    )


_ENDS, _NUMBER = "weight|bias", r"\d+"


def _filled(template: str, numbers: dict[str, int], words: dict[str, str]) -> str:
    """Fill in the braces of a name of the table, such as `{i*2+1}`."""

    def value(field: re.Match[str]) -> str:
        name, factor, term = field[1], int(field[2] or 1), int(field[3] or 0)
        return words[name] if name in words else str(numbers[name] * factor + term)

    return re.sub(r"{(\w+?)(?:\*(\d))?(?:\+(\d))?}", value, template)
