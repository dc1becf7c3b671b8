"""Windows of a level: the codes that each one sees and adds. Numbers, no tensors: every case is tested in no time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jukectl.prior.config import PriorConfig


@dataclass(frozen=True, slots=True)
class Window:
    """One sampled span of a level, in codes from the start of the sample. At most a context long."""

    start: int  # first code that the window sees
    prefix: int  # codes of the window that exist already; they are read and never sampled again
    stop: int  # one past the last code that it adds

    @property
    def new(self) -> int:
        """Codes that the window adds: start + prefix .. stop."""
        return self.stop - self.start - self.prefix


def plan_windows(
    total: int, *, context: int, advance: int, done: int = 0, ratio: int = 1, cuts: Sequence[int] = ()
) -> Iterator[Window]:
    """Plan the windows that add codes `done`..`total`.

    Starts are 0, advance, 2*advance, ... and then one last window, moved left to end at `total` with a full context.
    A level shorter than a context is one window. The starts depend on `total` alone, so a resumed job has the same
    windows. Existing codes (a prompt, an earlier run) are never sampled again; a window without new codes is skipped.

    `ratio` is the codes per code of the level above, for windows that are conditioned on that level: raise ValueError
    for a start between two upper codes, before anything is sampled.

    No window adds codes on both sides of one of the `cuts`, where the conditioning changes: see `cut_window`.
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
    # a function of its own, since a generator would check its arguments only when it is first iterated
    return _windows(total, context, (*range(0, last, advance), last), done, cuts)


def _windows(total: int, context: int, starts: tuple[int, ...], done: int, cuts: Sequence[int]) -> Iterator[Window]:
    for start in starts:
        stop = min(start + context, total)
        if stop > done:
            yield from cut_window(Window(start, done - start, stop), cuts)
            done = stop


def cut_window(window: Window, cuts: Sequence[int]) -> Iterator[Window]:
    """Yield the window in pieces, one up to each of the cuts among its new codes. All pieces have the same start."""
    begin = window.start + window.prefix
    for stop in (*sorted({cut for cut in cuts if begin < cut < window.stop}), window.stop):
        # the start stays: what a piece has added is in the prefix of the next one, so no context is lost at a cut
        yield Window(window.start, begin - window.start, stop)
        begin = stop


def upper_span(window: Window, context: int, ratio: int, have: int) -> tuple[int, int]:
    """Return the codes (start, stop) of the level above that condition `window`; `have` of them exist.

    They are those of a whole context, context/ratio from the window's start on, also for a shorter window, and fewer
    where the level above ends before. Raise ValueError for a window that starts between two upper codes or adds codes
    below which there is no upper code.
    """
    if ratio < 1 or context % ratio:
        raise ValueError(f"the context of {context} codes is no multiple of {ratio}, the codes per upper code")
    if window.start % ratio:
        raise ValueError(f"a window starts at code {window.start}, between two upper codes of {ratio} codes each")
    if window.stop > have * ratio:
        raise ValueError(f"a window ends at code {window.stop}, but the {have} upper codes reach to {have * ratio}")
    # the published sampler takes context/ratio upper codes for a partial window too; it refuses a level that has fewer
    return window.start // ratio, min((window.start + context) // ratio, have)


def advance_codes(context: int, fraction: float, ratio: int) -> int:
    """Return the new codes per window for an `--advance` of `fraction` contexts, a multiple of `ratio`."""
    if not 0 < fraction <= 1:
        raise ValueError(f"advance is a fraction of the context, above 0 and up to 1, got {fraction}")
    if ratio < 1 or context < 1 or context % ratio:
        raise ValueError(f"the context of {context} codes is no multiple of {ratio}, the codes per upper code")
    # int(fraction * context) is the published rule; rounding down to whole upper codes keeps window starts aligned
    return max(int(fraction * context) // ratio, 1) * ratio


def song_offset(start: int, config: PriorConfig, begins: int = 0) -> int:
    """Return the offset of a window in its song for the timing conditioner, in audio samples.

    `start` is the window's first code, and `begins` the audio samples of the song before the level's code 0.
    """
    offset = begins + start * config.hop
    if config.timing is None:
        return offset
    # No window may end after the longest song of the training data: the published models stop with an assertion there.
    # In a longer song, later windows are conditioned on the last position that the prior can represent.
    return min(offset, max(int(config.timing.max_seconds * config.sample_rate) - config.window_samples, 0))
