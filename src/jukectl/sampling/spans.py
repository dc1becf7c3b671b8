"""A level cut into spans that are made side by side: which codes each has and sees. Numbers, no tensors.

An upsampler follows the codes above it, which are all there, so a level can be begun at several places at once. It is
cut into spans of equal length, each a row of the batch (a row for each sample). A window reads a fixed number of codes
before those that it adds, the overlap; within a span these are the span's own. But a span that begins in the middle of
the level has none before it yet. So it begins early: it makes its **lead-in** itself, as many codes as the overlap,
from nothing but the codes above, and goes on from them. The lead-in is thrown away: in its place stand the codes of the
span to the left. Each code of the level has a full overlap of codes before it when it is drawn, its own span's past.

Two things make the past that a span was begun with like the one that it gets:

- both are made from the same codes above;
- both are drawn by the same numbers, since these follow from seed, level, sample and position. Where two spans find
  nearly the same codes likely they draw the same ones, so a lead-in tends to become what the span to the left makes.

What it costs: a lead-in a span, half a context at the usual advance, that is made for nothing, all of them at once. And
the codes are others than one span would give, since a span does not know what its left neighbour came to. So the number
of spans is part of the recipe.

Every span has the same shape, so that all rows of a batch go the same way. Where the level is no multiple of it, the
last span is moved left to end with the level, as the last window is, and gives only what its left neighbour lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import PriorConfig
from jukectl.sampling.windows import Window, advance_codes


@dataclass(frozen=True)
class Spans:
    """The spans of one level. Places are in codes from the start of the sample."""

    begun: int  # codes that were there before: the prompt's
    starts: tuple[int, ...]  # first code of each span; the first one's is where a full overlap lies before it
    length: int  # codes of each span
    lead: int  # codes of each lead-in, which lies before its span
    context: int
    advance: int

    @property
    def total(self) -> int:
        """Codes of the level."""
        return self.starts[-1] + self.length

    @property
    def row(self) -> int:
        """Codes that each span makes or knows: its lead-in and its own."""
        return self.lead + self.length

    def rounds(self, made: int = 0) -> Iterator[list[Window]]:
        """The windows of all spans, round by round, from where each row has `made` codes on. All end alike.

        In the first round each span makes its lead-in. That of the first span are codes of the level; those of them
        that were there before are known. In each round after it, all windows know and add equally many codes.
        """
        if made < self.lead:
            yield [Window(start - self.lead, self._known_lead(start), start) for start in self.starts]
        for offset in range(0, self.length, self.advance):
            stop = min(offset + self.advance, self.length)
            if self.lead + stop > made:
                first = stop - self.context  # less than a whole advance: moved left, to see a whole context
                yield [Window(start + first, offset - first, start + stop) for start in self.starts]

    def reckoned(self, made: int) -> int:
        """The share of the work that is done where each row has `made` codes, as codes of the level."""
        return self.begun + (self.total - self.begun) * made // self.row

    def kept(self) -> list[tuple[int, int]]:
        """Codes (start, stop) of the level that each span gives it: all from `begun` on, each once."""
        stops = [start + self.length for start in self.starts]
        return list(zip([self.begun, *stops[:-1]], stops, strict=True))

    def _known_lead(self, start: int) -> int:
        """Codes of a lead-in that are there from the beginning."""
        return self.begun - (start - self.lead) if start == self.starts[0] else 0


def plan_spans(total: int, *, begun: int, context: int, advance: int, ratio: int, most: int) -> Spans | None:
    """Up to `most` spans for codes `begun`..`total`; None where there is not an advance for each of two.

    `begun` is what was there before the spans were begun, not what they have made since. All starts of windows are
    multiples of `ratio`, codes per code of the level above; ValueError where they cannot be.
    """
    if not 0 <= begun <= total or most < 1:
        raise ValueError(f"no such spans: {most} of codes {begun} to {total}")
    if not 1 <= advance <= context:
        raise ValueError(f"advance is 1 to the context of {context} codes, got {advance}")
    for name, codes in (("advance", advance), ("the context", context), ("the level's total", total)):
        if codes % ratio:
            raise ValueError(f"{name} is {codes}, no multiple of {ratio}, the codes per code of the level above")
    lead = context - advance
    first = -(-max(begun, lead) // ratio) * ratio
    most = min(most, (total - first) // advance)
    if most < 2:
        return None
    length = -(-(total - first) // (most * ratio)) * ratio
    count = -(-(total - first) // length)  # rounding up may leave fewer
    starts = (*range(first, first + (count - 1) * length, length), total - length)
    return Spans(begun, starts, length, lead, context, advance)


def spans_of(config: PriorConfig, settings: LevelSampling, total: int, begun: int) -> Spans | None:
    """The spans of a level as its settings ask for them; None where it is made in one, as every top is."""
    if config.conditioner is None or settings.parallel == 1 or begun >= total:
        return None
    ratio = config.conditioner.ratio
    advance = advance_codes(config.context, settings.advance, ratio)
    return plan_spans(total, begun=begun, context=config.context, advance=advance, ratio=ratio, most=settings.parallel)
