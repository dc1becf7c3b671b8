"""Spans of a level that are sampled side by side. Numbers, no tensors.

An upsampler is conditioned on the codes of the level above, all of which exist, so a level can be started at several
places at once. It is cut into spans of equal length, each a row of the batch (one for each sample). A window reads a
fixed number of codes before those that it adds, the overlap; inside a span these are the span's own codes. A span that
starts in the middle of the level has no such codes yet. So it first samples **warm-up codes**, as many as the overlap,
conditioned on the upper codes alone, and continues from them. The warm-up codes are dropped: those of the span to the
left take their place. Each code of the level is sampled after a full overlap of codes, those of its own span.

Two things make the warm-up codes resemble the codes that replace them:

- both are conditioned on the same upper codes;
- both use the same random numbers, which depend on seed, level, sample and position alone. Where two spans have similar
  distributions they sample the same codes, so the warm-up codes tend towards those of the span to the left.

The cost is one overlap of warm-up codes for each span, half a context by default, all sampled in the same batch. The
codes differ from those of a single span, since a span does not see the end of its left neighbour. The number of spans
is therefore part of the recipe.

All spans have the same shape, so that all rows of a batch take the same steps. Where the level is not a multiple of
their length, the last span is moved left to end with the level, as the last window is, and contributes only the codes
that its left neighbour lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import PriorConfig
from jukectl.sampling.windows import Window, advance_codes


@dataclass(frozen=True)
class Spans:
    """Spans of one level. Positions are codes from the start of the sample."""

    prefix: int  # codes that existed before any span was sampled, such as a prompt's
    starts: tuple[int, ...]  # first code of each span; a full overlap of codes lies before the first one
    length: int  # codes of each span
    warmup: int  # codes sampled before each span and dropped
    context: int
    advance: int

    @property
    def total(self) -> int:
        """Codes of the level."""
        return self.starts[-1] + self.length

    @property
    def row_length(self) -> int:
        """Codes of each row: a span's warm-up codes and its own."""
        return self.warmup + self.length

    def rounds(self, made: int = 0) -> Iterator[list[Window]]:
        """Yield the windows of all spans, one round at a time, from the state in which each row has `made` codes.

        In the first round every span samples its warm-up codes. For the first span these are codes of the level, and
        those that exist already are its window's prefix. In later rounds all windows have the same prefix and length.
        """
        if made < self.warmup:
            yield [Window(start - self.warmup, self._warmup_prefix(start), start) for start in self.starts]
        for offset in range(0, self.length, self.advance):
            stop = min(offset + self.advance, self.length)
            if self.warmup + stop > made:
                # the last round may add less than an advance: its windows move left, so that they fill the context
                first = stop - self.context
                yield [Window(start + first, offset - first, start + stop) for start in self.starts]

    def progress(self, made: int) -> int:
        """Return the share of the work done when each row has `made` codes, scaled to codes of the level."""
        return self.prefix + (self.total - self.prefix) * made // self.row_length

    def kept(self) -> list[tuple[int, int]]:
        """Return the codes (start, stop) that each span contributes: every code from `prefix` on, exactly once."""
        stops = [start + self.length for start in self.starts]
        return list(zip([self.prefix, *stops[:-1]], stops, strict=True))

    def _warmup_prefix(self, start: int) -> int:
        """Return how many warm-up codes of the span at `start` exist from the beginning."""
        # only the first span's warm-up codes belong to the level itself; those of the others are always sampled
        return self.prefix - (start - self.warmup) if start == self.starts[0] else 0


def plan_spans(total: int, *, prefix: int, context: int, advance: int, ratio: int, most: int) -> Spans | None:
    """Plan up to `most` spans for codes `prefix`..`total`; None where there is less than one advance for each of two.

    `prefix` is the number of codes that existed before the spans were started; codes that the spans have sampled since
    do not change the plan. All window starts are multiples of `ratio`, the codes per code of the level above. Raise
    ValueError where that is impossible.
    """
    if not 0 <= prefix <= total or most < 1:
        raise ValueError(f"no such spans: {most} of codes {prefix} to {total}")
    if not 1 <= advance <= context:
        raise ValueError(f"advance is 1 to the context of {context} codes, got {advance}")
    for name, codes in (("advance", advance), ("the context", context), ("the level's total", total)):
        if codes % ratio:
            raise ValueError(f"{name} is {codes}, no multiple of {ratio}, the codes per code of the level above")
    warmup = context - advance
    # the first span starts where a full overlap exists, rounded up to an upper code: windows must be aligned with these
    first = -(-max(prefix, warmup) // ratio) * ratio
    most = min(most, (total - first) // advance)
    if most < 2:
        return None
    length = -(-(total - first) // (most * ratio)) * ratio
    count = -(-(total - first) // length)  # the length was rounded up, so fewer spans may be enough
    starts = (*range(first, first + (count - 1) * length, length), total - length)
    return Spans(prefix, starts, length, warmup, context, advance)


def spans_of(config: PriorConfig, settings: LevelSampling, total: int, prefix: int) -> Spans | None:
    """Plan the spans of a level by its settings; None where it is sampled in one piece, as the top level always is."""
    if config.conditioner is None or settings.parallel == 1 or prefix >= total:
        return None
    ratio = config.conditioner.ratio
    advance = advance_codes(config.context, settings.advance, ratio)
    return plan_spans(
        total, prefix=prefix, context=config.context, advance=advance, ratio=ratio, most=settings.parallel
    )
