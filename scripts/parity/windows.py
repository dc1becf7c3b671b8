"""How levels are sampled over several windows, written down once more, for the port: its own way of doing so is broken.

Nothing here is shared with jukectl. Levels count from the top, as the port has them; lengths are in codes unless they
are said to be in audio samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxPrior, get_relevant_lyric_tokens

from port import greedy


@dataclass(frozen=True)
class Row:
    """What one sample is told."""

    artist: int
    genres: tuple[int, ...]
    total: int  # length of the song, in audio samples
    offset: int = 0  # where in it code 0 of the sample lies, in audio samples
    lyrics: tuple[int, ...] = ()  # ids of all its characters


@dataclass(frozen=True)
class Window:
    """A window that was sampled."""

    start: int
    known: int  # codes it began with
    stop: int
    lyrics: Tensor  # (B, characters) what it was told of the lyrics


def starts_of(total: int, context: int, advance: int) -> list[int]:
    """Where the windows of a level of `total` codes begin; the last is moved left to end with the level."""
    if total < context:
        return [0]
    starts, start = [], 0
    while start + context < total:
        starts.append(start)
        start += advance
    return [*starts, total - context]


def metadata_of(prior: JukeboxPrior, rows: Sequence[Row], start: int, slots: int) -> Tensor:
    """The labels of a window (B, 4 + slots + characters). A window shorter than a context is told as a whole one."""
    hop, characters = int(prior.raw_to_tokens), prior.nb_relevant_lyric_tokens
    table = []
    for row in rows:
        genres = [*row.genres, *[-1] * (slots - len(row.genres))]
        labels = torch.tensor([row.total, row.offset + start * hop, prior.n_ctx * hop, row.artist, *genres])
        if characters:
            # the port computes with tensors of one number, and so in float32
            full = torch.tensor([row.lyrics], dtype=torch.long)
            window, _ = get_relevant_lyric_tokens(full, characters, labels[0], labels[1], labels[2])
            labels = torch.cat([labels, window[0]])
        table.append(labels)
    return torch.stack(table)


def fill(
    prior: JukeboxPrior,
    codes: Tensor,
    rows: Sequence[Row],
    *,
    total: int,
    advance: int,
    slots: int,
    upper: Tensor | None,
) -> tuple[Tensor, list[Window]]:
    """Codes (B, total) that begin with those given (B, n), each window greedily sampled, and the windows it took."""
    context, windows = prior.n_ctx, []
    for start in starts_of(total, context, advance):
        stop, have = min(start + context, total), codes.shape[1]
        if stop <= have:
            continue
        metadata = metadata_of(prior, rows, start, slots)
        above = None
        if upper is not None:
            ratio = prior.cond_downsample
            assert start % ratio == 0
            above = upper[:, start // ratio : start // ratio + context // ratio]
            assert above.shape[1] == context // ratio
        known = codes[:, start:have]
        window = greedy(prior, known, metadata, above, length=stop - start)
        codes = torch.cat([codes, window[:, known.shape[1] :]], dim=1)
        windows.append(Window(start, known.shape[1], stop, metadata[:, 4 + slots :]))
    return codes, windows
