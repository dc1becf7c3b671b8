"""Extensions of a trained prior that do not change its outputs at first: more names, lyrics, notes, beats.

Each adds layers whose last projection is zero, or rows that copy existing ones, so that training starts from the prior
as it was (Jukebox, section 4.3).
"""

from dataclasses import replace

import torch
from torch import nn

from jukectl.prior.conditioning import BeatConditioner, NoteConditioner
from jukectl.prior.config import AttentionKind, BeatConfig, LyricsConfig, MidiConfig
from jukectl.prior.model import Prior, lyrics_reader
from jukectl.prior.transformer import Block
from jukectl.prior.vocabulary import UNLABELLED


@torch.no_grad()
def grow_vocabulary(prior: Prior, *, artists: int, genres: int) -> None:
    """Extend the embeddings of a prior to `artists` and `genres` rows, in place. Raises ValueError for fewer than now.

    Existing names keep their ids and rows. New rows are copies of the unlabelled one, so that a new name starts out as
    no name.
    """
    config = prior.config
    if artists < config.artists or genres < config.genres:
        raise ValueError(
            f"{artists} artists and {genres} genres are fewer than the {config.artists} and {config.genres} there are"
        )
    prior.artist_genre.artist = _grown(prior.artist_genre.artist, artists)
    prior.artist_genre.genre = _grown(prior.artist_genre.genre, genres)
    prior.config = replace(config, artists=artists, genres=genres)


@torch.no_grad()
def add_lyrics(prior: Prior, lyrics: LyricsConfig, *, blocks: int = 3) -> None:
    """Add conditioning on lyrics to a prior, in place: insert `blocks` blocks of kind ENCODER.

    They are spread evenly, the last one at the end, and start as the identity, with output projections of zero, so the
    logits stay the same to the bit (Jukebox, section 4.3). Raises ValueError for a prior with lyrics, for `lyrics` in
    one sequence with the codes, which would change the logits, or for a number of blocks outside 1..depth.
    """
    config = prior.config
    if config.lyrics is not None:
        raise ValueError("this prior is conditioned on lyrics already")
    if lyrics.encoder is None and not lyrics.apart:
        raise ValueError(
            "lyrics in one sequence with the codes would change the logits of a trained prior: "
            "give lyrics an encoder, or apart = true"
        )
    if not 1 <= blocks <= config.depth:
        raise ValueError(f"between 1 and {config.depth} blocks can be added to {config.depth}, got {blocks}")
    # the last one follows the last block: the more layers are below it, the more the codes' queries can express
    places = {(number + 1) * config.depth // blocks for number in range(blocks)}
    kinds: list[AttentionKind] = []
    for layer, kind in enumerate(config.kinds, start=1):
        kinds += [kind, AttentionKind.ENCODER] if layer in places else [kind]
    grown = replace(
        config,
        lyrics=lyrics,
        depth=len(kinds),
        pattern=tuple(kinds),
        # residual branches keep the factor 1 / depth that they were trained with
        scale_depth=config.stack.scale_depth or config.depth if config.scale_residuals else None,
    )
    reader, known, like = lyrics_reader(grown), iter(prior.transformer.blocks), prior.codes.weight
    assert reader is not None
    # existing blocks are moved, not copied: their parameters stay the same objects, with the same values
    prior.transformer.blocks = nn.ModuleList(
        _identity(Block(grown.stack, kind)).to(like) if kind is AttentionKind.ENCODER else next(known) for kind in kinds
    )
    prior.lyrics = reader.to(like)
    prior.config = grown
    prior.train(prior.training)


def _identity(block: Block) -> Block:
    """Return a block with zeros as output projections: until it is trained, it returns its input."""
    # both branches end in these projections; only they are zero, so that gradients reach them at the first step
    for output in (block.attention.out, block.mlp_out):
        output.weight.zero_()
        output.bias.zero_()
    return block


@torch.no_grad()
def add_midi(prior: Prior, midi: MidiConfig) -> None:
    """Add conditioning on notes to a prior, in place. Raises ValueError for one that has it, or for an upsampler.

    The new layers end in a projection of zeros, so the logits stay the same to the bit, with or without notes.
    """
    if prior.midi is not None:
        raise ValueError("this prior follows notes already: leave add_midi out")
    config = replace(prior.config, midi=midi)  # first: an upsampler is refused before the prior is changed
    prior.midi = NoteConditioner(midi, config.width).to(prior.device, prior.dtype)
    prior.config = config


@torch.no_grad()
def add_beats(prior: Prior, beats: BeatConfig) -> None:
    """Add conditioning on beat grids to a prior, in place. Raises ValueError for one that has it, or for an upsampler.

    The new layers end in a projection of zeros, so the logits stay the same to the bit, with or without a grid.
    """
    if prior.beats is not None:
        raise ValueError("this prior follows beats already: leave add_beats out")
    config = replace(prior.config, beats=beats)  # first, as in add_midi
    prior.beats = BeatConditioner(beats, config.width).to(prior.device, prior.dtype)
    prior.config = config


def _grown(embedding: nn.Embedding, count: int) -> nn.Embedding:
    missing = count - embedding.num_embeddings
    if not missing:
        return embedding
    weight = embedding.weight
    # `expand` is a view of one row, and `cat` copies it: each new row is trained by itself
    grown = torch.cat([weight, weight[UNLABELLED].expand(missing, -1)])
    return nn.Embedding(count, embedding.embedding_dim, _weight=grown).requires_grad_(weight.requires_grad)
