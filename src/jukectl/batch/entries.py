"""`Entry`: a song of a batch, and the check of all entries before the first is begun."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jukectl.batch.manifest import Problem
from jukectl.errors import JukectlError
from jukectl.plan.job import Preparation, prepare_new
from jukectl.plan.prompt import Recording
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore


@dataclass(frozen=True)
class Entry:
    """A song of a batch."""

    line: int  # in the manifest
    out: Path  # song folder
    request: Request
    recording: Recording | None = None  # that it continues

    def prepare(self, *, to_estimate: bool = False, listener: Listener = ignore) -> Preparation:
        """Prepare the song, as `jukectl sample` and `jukectl continue` do."""
        return prepare_new(self.out, self.request, self.recording, to_estimate=to_estimate, listener=listener)


def check_entries(entries: Sequence[Entry], *, to_estimate: bool = False) -> Iterator[Problem]:
    """Yield what would stop songs before their first codes. Nothing is written.

    The exceptions are problems that only a run can meet, such as a folder that another process works on.
    """
    yield from _shared_folders(entries)
    for entry in entries:
        try:
            entry.prepare(to_estimate=to_estimate).prepare()
        except (JukectlError, OSError) as error:
            yield Problem(entry.line, said(error))


def _shared_folders(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Yield a problem for each song whose folder is that of another one, or lies in it."""
    found = {entry.out.resolve(): entry for entry in reversed(entries)}
    for entry in entries:
        place = entry.out.resolve()
        others = (found[one] for one in (place, *place.parents) if one in found)
        first = next((one for one in others if one is not entry), None)
        if first is not None:
            same = "is also the folder" if first.out.resolve() == place else "lies in the folder"
            yield Problem(entry.line, f"{entry.out} {same} of the song on line {first.line}: give it another --out")


def said(error: BaseException) -> str:
    """Return an error in one line, as the command line prints it."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    text = " ".join(str(error).split())
    return text if isinstance(error, JukectlError) else f"{type(error).__name__}: {text}"
