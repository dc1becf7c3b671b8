"""Standard streams of the process: missing, full and closed ones stop no render, and every name can be printed."""

import codecs
import io
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAMES = "jukectl-names"
CLOSING_SECONDS = 1.0  # that a child process may hold stderr open at the end


def prepare_streams() -> None:
    """Make the streams of this process safe to write to. Call it once, before anything is printed.

    Descriptors that the parent closed are opened on the null device, since the next file would take their number.
    Characters that an encoding lacks are printed as "?", bytes of file names as they are. What cannot be written to
    stderr, because nobody reads it or its disk is full, is dropped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    codecs.register_error(NAMES, _printable)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=NAMES)
    if isinstance(sys.stderr, io.TextIOWrapper):
        lossy = io.BufferedWriter(_Lossy(sys.stderr))
        encoding = sys.stderr.encoding
        sys.stderr = io.TextIOWrapper(lossy, encoding=encoding, errors=NAMES, line_buffering=True, write_through=True)


def _printable(error: UnicodeError) -> tuple[bytes, int]:
    """Return the bytes for characters that cannot be encoded: those that a file name has, or a question mark each."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    found = [ord(one) - 0xDC00 if "\udc80" <= one <= "\udcff" else ord("?") for one in text]
    return bytes(found), error.end


class _Lossy(io.RawIOBase):
    """The unbuffered stream under a text stream; it drops what cannot be written."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text  # closes the stream under it when it is collected
        buffer: Any = text.buffer
        self._raw: io.RawIOBase = getattr(buffer, "raw", buffer)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def isatty(self) -> bool:
        return self._text.isatty()

    def write(self, data: "ReadableBuffer") -> int:
        written = memoryview(data).nbytes
        with suppress(OSError):
            written = self._raw.write(data) or written
        return written


def finish_stdout() -> OSError | None:
    """Write what is left for stdout; return the error if that fails, after which stdout is the null device."""
    try:
        sys.stdout.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # the interpreter flushes once more at exit
        os.close(null)
        return error
    return None


def wants_json_lines(given: Sequence[str]) -> bool:
    """Return True if stderr is to be JSON lines. The options may be wrong, so they cannot be parsed for this."""
    return "--progress=json" in given or ("--progress", "json") in pairwise(given)


@contextmanager
def json_stderr() -> Iterator[None]:
    """Turn every line that reaches stderr in the block into JSON, also those that C libraries write.

    A line that is no JSON object becomes the warning of one.
    """
    sys.stderr.flush()
    real = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(target=_pass_on, args=(reading, real), name="stderr", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)  # closes the last end that this process writes to
        thread.join(CLOSING_SECONDS)


def _pass_on(reading: int, real: int) -> None:
    with open(reading, "rb") as lines:
        for line in lines:
            text = line.decode("utf-8", "replace").strip()
            if text:
                with suppress(OSError):
                    os.write(real, (_as_json(text) + "\n").encode())


def _as_json(text: str) -> str:
    with suppress(ValueError):
        if isinstance(json.loads(text), dict):
            return text
    return json.dumps({"warning": text}, ensure_ascii=False)
