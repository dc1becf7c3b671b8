"""Choose new folders where --out is left out, and read stdin and write stdout for -."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jukectl.cli.console import console
from jukectl.errors import BadAudio, BadInput
from jukectl.folders import Series, is_writable
from jukectl.settings import PREFIX

if TYPE_CHECKING:
    from jukectl.api import Request

STREAM = Path("-")
"""Name of stdin as a recording, and of stdout as --out."""

STDIN = "stdin"  # name of the file that stdin is kept in


@dataclass(frozen=True)
class Destination:
    """Song folder of a command that makes a new song."""

    out: Path | None  # --out
    series: Series  # of its default
    resume_last: bool = False

    @property
    def to_stdout(self) -> bool:
        """True if the song is to be written to stdout, as audio."""
        return self.out == STREAM

    def planned(self) -> Path:
        """Return the folder that would be written, for an estimate."""
        if self.out is not None and not self.to_stdout:
            return self.out
        return self.series.folder(last) if (last := self._last()) else self.series.next()

    def _last(self) -> int:
        """Return the number of the folder to resume; 0: none."""
        return self.series.last() if self.resume_last else 0

    @contextmanager
    def folder(self, context: typer.Context, request: "Request") -> Iterator[Path]:
        """Yield the folder to write: --out, the next one of the series, or a temporary one if audio goes to stdout.

        A new folder in which nothing was made is removed again. A temporary one stays if the command is interrupted.
        """
        if self.out is not None and self.resume_last:
            raise BadInput("--resume-last resumes the last song that was made without --out: leave one of them out")
        if self.out is not None and not self.to_stdout:
            yield self.out
            return
        if self.to_stdout:
            check_stdout(context)
            if (samples := request.keep or request.samples) > 1:
                raise BadInput(f"--out - writes one song, got {samples}: use --samples 1, or --keep 1")
        elif last := self._last():
            console(context).folder = self.series.folder(last)
            yield self.series.folder(last)
            return
        folder = Path(tempfile.mkdtemp(prefix="jukectl-")) if self.to_stdout else self.series.reserve()
        console(context).folder = folder
        try:
            yield folder
        finally:
            from jukectl.codes.song import Song

            Song(folder).remove_unless_begun()
        if self.to_stdout:
            shutil.rmtree(folder, ignore_errors=True)


def _is_begun(folder: Path) -> bool:
    from jukectl.codes.song import Song  # with NumPy, for which --help does not wait

    return Song(folder).begun


def new_songs(context: typer.Context) -> Series:
    """Return the folders of songs from nothing: song-0001, song-0002 … in the working folder, or in out_folder."""
    return Series(_out_folder(context) or Path(), "song", digits=4)


def named_after(context: typer.Context, source: Path, what: str) -> Series:
    """Return the folders of what is made of a recording: riff-continued, riff-continued-2 … beside it.

    They lie in the working folder if that of the recording cannot be written to, or if it comes from stdin. The setting
    out_folder is another place for them.
    """
    place = _out_folder(context)
    if source == STREAM:
        return Series(place or Path(), f"recording-{what}")
    return Series(place or _writable_near(source), f"{source.stem}-{what}")


def _out_folder(context: typer.Context) -> Path | None:
    """Return the folder of the setting out_folder; that of a file is relative to the file."""
    setting = console(context).settings.get("out_folder")
    if setting is None:
        return None
    folder = Path(setting.value).expanduser()
    return folder if setting.origin.startswith(PREFIX) else Path(setting.origin).parent / folder


def beside(source: Path, suffix: str) -> Series:
    """Return the files of what is made of a recording: riff.lrc, riff-2.lrc … beside it, or in the working folder."""
    return Series(_writable_near(source), source.stem, suffix=suffix)


def _writable_near(source: Path) -> Path:
    return source.parent if is_writable(source.parent) else Path()


@contextmanager
def recording(audio: Path) -> Iterator[Path]:
    """Yield the file of a recording. Stdin is kept in a temporary file, since formats are found by seeking."""
    if audio != STREAM:
        yield audio
        return
    if sys.stdin.isatty():
        raise BadInput("- reads a recording from stdin, which is a terminal: pipe one, as in: sox riff.aiff -t wav - |")
    with tempfile.TemporaryDirectory(prefix="jukectl-") as folder:
        path = Path(folder) / STDIN
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise BadAudio("stdin is empty: there is no recording")
        yield path


def check_stdout(context: typer.Context) -> None:
    """Raise BadInput if audio cannot go to stdout: with --json, or on a terminal."""
    if console(context).json:
        raise BadInput("--out - writes audio to stdout, and --json writes text there: leave one of them out")
    if sys.stdout.isatty():
        raise BadInput("--out - writes audio to stdout, which is a terminal: pipe it, such as: --out - | ffplay -")


def write_audio(path: Path) -> None:
    """Write an audio file to stdout."""
    sys.stdout.flush()
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def again(given: Sequence[str], folder: Path | None) -> str:
    """Return the command that resumes an interrupted one, which chose `folder` if --out was left out."""
    words = [word for word in given if word not in ("--overwrite", "--resume-last")]  # the first would discard songs
    if folder is not None and str(STREAM) in given and _is_begun(folder):
        words = ["resume", str(folder)]  # what came from stdin, or went to stdout, cannot be had again
    elif folder is not None and _is_begun(folder):
        words += ["--out", str(folder)]
    return f"jukectl {shlex.join(words)}"
