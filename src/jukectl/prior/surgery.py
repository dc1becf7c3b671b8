"""Changes to a trained prior that leave what it knows as it is."""

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
    """Give a prior ids for so many artists and genres in all, in place; ValueError for fewer than it has.

    Names it knows keep their ids and rows. A new row is a copy of the unlabelled one: until it has learned better, the
    prior takes a new name for none at all.
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
    """Teach a prior without lyrics to hear them, in place: `blocks` new ones among its own, of kind ENCODER.

    They are spread evenly, the last one at the end, and begin as the identity, with output projections of zeros: to the
    bit the prior says what it said before (paper, section 2.5 and appendix B.2). ValueError where it hears lyrics
    already, where `lyrics` are in one sequence with the codes, which would change what it says, or for a number of
    blocks that is not in 1..depth.
    """
    config = prior.config
    if config.lyrics is not None:
        raise ValueError("this prior is told lyrics already")
    if lyrics.encoder is None and not lyrics.apart:
        raise ValueError(
            "lyrics in one sequence with the codes would change what a trained prior says: "
            "give lyrics an encoder, or apart = true"
        )
    if not 1 <= blocks <= config.depth:
        raise ValueError(f"between 1 and {config.depth} blocks can be added to {config.depth}, got {blocks}")
    places = {(number + 1) * config.depth // blocks for number in range(blocks)}
    kinds: list[AttentionKind] = []
    for layer, kind in enumerate(config.kinds, start=1):
        kinds += [kind, AttentionKind.ENCODER] if layer in places else [kind]
    grown = replace(
        config,
        lyrics=lyrics,
        depth=len(kinds),
        pattern=tuple(kinds),
        scale_depth=config.stack.scale_depth or config.depth if config.scale_residuals else None,
    )
    reader, known, like = lyrics_reader(grown), iter(prior.transformer.blocks), prior.codes.weight
    assert reader is not None
    prior.transformer.blocks = nn.ModuleList(
        _identity(Block(grown.stack, kind)).to(like) if kind is AttentionKind.ENCODER else next(known) for kind in kinds
    )
    prior.lyrics = reader.to(like)
    prior.config = grown
    prior.train(prior.training)


def _identity(block: Block) -> Block:
    """A block that gives back what comes in, until it has learned something."""
    for output in (block.attention.out, block.mlp_out):
        output.weight.zero_()
        output.bias.zero_()
    return block


@torch.no_grad()
def add_midi(prior: Prior, midi: MidiConfig) -> None:
    """Teach a prior to follow notes, in place; ValueError where it does already, or is an upsampler.

    What is new ends in a projection of zeros: to the bit the prior says what it said before, whatever notes it is told.
    """
    if prior.midi is not None:
        raise ValueError("this prior follows notes already: leave add_midi out")
    config = replace(prior.config, midi=midi)
    prior.midi = NoteConditioner(midi, config.width).to(prior.device, prior.dtype)
    prior.config = config


@torch.no_grad()
def add_beats(prior: Prior, beats: BeatConfig) -> None:
    """Add conditioning on beat grids to a prior, in place; ValueError where it has that, or is an upsampler.

    The new layers end in a projection of zeros, so the logits stay the same to the bit, with or without a grid.
    """
    if prior.beats is not None:
        raise ValueError("this prior follows beats already: leave add_beats out")
    config = replace(prior.config, beats=beats)
    prior.beats = BeatConditioner(beats, config.width).to(prior.device, prior.dtype)
    prior.config = config


def _grown(embedding: nn.Embedding, count: int) -> nn.Embedding:
    missing = count - embedding.num_embeddings
    if not missing:
        return embedding
    weight = embedding.weight
    grown = torch.cat([weight, weight[UNLABELLED].expand(missing, -1)])
    return nn.Embedding(count, embedding.embedding_dim, _weight=grown).requires_grad_(weight.requires_grad)
