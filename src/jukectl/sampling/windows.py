"""Which codes each window sees and adds: numbers, no tensors, so every case can be tested in a millisecond."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jukectl.codes.recipe import LevelSampling
from jukectl.prior.config import PriorConfig
from jukectl.prior.mixture import Mixture


@dataclass(frozen=True, slots=True)
class Window:
    """One sampled span of a level, in codes from the start of the sample. At most a context long."""

    start: int  # first code the window sees
    prefix: int  # codes of the window that exist already: its prefix, never sampled again
    stop: int  # one past the last code it adds

    @property
    def new(self) -> int:
        """Codes the window adds: start + known .. stop."""
        return self.stop - self.start - self.prefix


def plan_windows(
    total: int, *, context: int, advance: int, done: int = 0, ratio: int = 1, cuts: Sequence[int] = ()
) -> Iterator[Window]:
    """Windows that add codes `done`..`total`. The grid depends on `total` alone, so a resumed job sees the same ones.

    Starts are 0, advance, 2*advance, ... and then one last window, moved left to end at `total` with a full context.
    Less than a context is one window. Existing codes (a prompt, an earlier run) are never sampled again, and a window
    that holds nothing else is skipped.

    `ratio`, codes per code of the level above, is given where the windows are conditioned on that level: a start
    between two upper codes raises ValueError here, before anything is sampled, and not at the last window.

    No window adds codes on both sides of one of the `cuts`, where what it is told changes: see `cut_window`.
    """
    if total < 0 or done < 0:
        raise ValueError(f"total and done count codes, got {total} and {done}")
    if not 1 <= advance <= context:
        raise ValueError(f"advance is 1 to the context of {context} codes, got {advance}")
    last = max(total - context, 0)
    for name, start in (("advance", advance), ("the last window's start, total - context,", last)):
        if start % ratio:
            raise ValueError(f"{name} is {start}, no multiple of {ratio}, the codes per code of the level above")
    if between := [cut for cut in cuts if cut % ratio]:
        raise ValueError(f"a cut at {between[0]} is no multiple of {ratio}, the codes per code of the level above")
    return _windows(total, context, (*range(0, last, advance), last), done, cuts)


def _windows(total: int, context: int, starts: tuple[int, ...], done: int, cuts: Sequence[int]) -> Iterator[Window]:
    for start in starts:
        stop = min(start + context, total)
        if stop > done:
            yield from cut_window(Window(start, done - start, stop), cuts)
            done = stop


def cut_window(window: Window, cuts: Sequence[int]) -> Iterator[Window]:
    """The window in pieces: one that ends at each of the cuts that it adds codes around. All of them start alike."""
    begin = window.start + window.prefix
    for stop in (*sorted({cut for cut in cuts if begin < cut < window.stop}), window.stop):
        yield Window(window.start, begin - window.start, stop)
        begin = stop


def upper_span(window: Window, context: int, ratio: int, have: int) -> tuple[int, int]:
    """Codes (start, stop) of the level above that condition `window`; `have` is how many exist there.

    As many as a whole context needs, context/ratio from the window's start on, also for a window shorter than its
    context; fewer where the level above ends before. A window that starts between two upper codes, or adds codes
    that no upper code stands above, raises ValueError.
    """
    if ratio < 1 or context % ratio:
        raise ValueError(f"the context of {context} codes is no multiple of {ratio}, the codes per upper code")
    if window.start % ratio:
        raise ValueError(f"a window starts at code {window.start}, between two upper codes of {ratio} codes each")
    if window.stop > have * ratio:
        raise ValueError(f"a window ends at code {window.stop}, but the {have} upper codes reach to {have * ratio}")
    return window.start // ratio, min((window.start + context) // ratio, have)


def advance_codes(context: int, fraction: float, ratio: int) -> int:
    """New codes per window for an `--advance` of `fraction` contexts.

    int(fraction * context), as the published models are sampled, then down to a multiple of `ratio` (1 at the top), so
    that window starts stay aligned with the codes of the level above; at least one of those.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"advance is a fraction of the context, above 0 and up to 1, got {fraction}")
    if ratio < 1 or context < 1 or context % ratio:
        raise ValueError(f"the context of {context} codes is no multiple of {ratio}, the codes per upper code")
    return max(int(fraction * context) // ratio, 1) * ratio


def song_offset(start: int, config: PriorConfig, begins: int = 0) -> int:
    """Where a window that starts at a code lies in its song as the prior is told, in audio samples.

    `begins` audio samples of the song lie before the first code.

    That is where it is, but no window is told to end after the longest song that the prior knows.
    """
    offset = begins + start * config.hop
    if config.timing is None:
        return offset
    return min(offset, max(int(config.timing.max_seconds * config.sample_rate) - config.window_samples, 0))


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What the codes of a level are drawn with, from one of them up to the next segment's first."""

    start: int = 0  # code, from the start of the sample
    artist: Mixture
    genres: Mixture
    sampling: LevelSampling
    lyrics_shift: int = 0  # audio samples by which the lyrics told are those of a later place in the song


def segment_at(segments: Sequence[Segment], code: int) -> Segment:
    """The segment that a code is in. The first one begins at 0."""
    return segments[bisect_right([segment.start for segment in segments], code) - 1]


def cuts_of(segments: Sequence[Segment]) -> tuple[int, ...]:
    """The codes at which one segment gives way to the next."""
    return tuple(segment.start for segment in segments[1:])
