"""Windowed sampling of a level with the port's priors, implemented independently: the port's own is broken.

Nothing here is shared with jukectl. Levels count from the top, as in the port; lengths are in codes unless noted as
audio samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxPrior, get_relevant_lyric_tokens

from port import greedy


@dataclass(frozen=True)
class Row:
    """Labels of one sample."""

    artist: int
    genres: tuple[int, ...]
    total: int  # length of the song, in audio samples
    offset: int = 0  # place of the sample's code 0 in it, in audio samples
    lyrics: tuple[int, ...] = ()  # ids of all its characters


@dataclass(frozen=True)
class Window:
    """A window that was sampled."""

    start: int
    known: int  # codes of its prefix
    stop: int
    lyrics: Tensor  # (B, characters) ids of its lyric window


def starts_of(total: int, context: int, advance: int) -> list[int]:
    """Return the starts of the windows of a level of `total` codes; the last is moved left to end with the level."""
    if total < context:
        return [0]
    starts, start = [], 0
    while start + context < total:
        starts.append(start)
        start += advance
    return [*starts, total - context]


def metadata_of(prior: JukeboxPrior, rows: Sequence[Row], start: int, slots: int) -> Tensor:
    """Return the labels of a window (B, 4 + slots + characters). The length in them is always a whole context."""
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
    """Sample windows greedily after a prefix (B, n); return all codes (B, total) and the windows."""
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
