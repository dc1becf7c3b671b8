"""Formats that libsndfile cannot read or write, through pydub and the ffmpeg program."""

import shutil
import subprocess
import warnings
from collections.abc import Iterator
from io import BytesIO
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.audio.mix import Samples
from jukectl.errors import BadAudio, MissingTool

LONGEST_SPAN = 10**7  # seconds; ffmpeg takes no number


def available() -> bool:
    """Return True if ffmpeg and ffprobe are on the PATH."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def probe(path: Path) -> tuple[float, int, int]:
    """Seconds, sample rate and channels of a file's first audio stream; raises what `read` does.

    A stream that does not tell its length is read to its end for it.
    """
    stream = _audio_stream(path)
    try:
        return float(stream["duration"]), int(stream["sample_rate"]), int(stream["channels"])
    except (KeyError, TypeError, ValueError):
        samples, sample_rate = read(path, 0, None)
        return samples.shape[1] / sample_rate, sample_rate, len(samples)


def read(path: Path, start: float, seconds: float | None) -> tuple[Samples, int]:
    """Return samples (C, N) of a span of the first audio stream and the sample rate; N is 0 past the end of the file.

    The start is exact in m4a files; in containers with coarse or shifted time stamps (webm, wma) it may be some
    hundredths of a second off. Raises BadAudio if ffmpeg cannot read the file, MissingTool without ffmpeg.
    """
    pydub = _pydub(f"reading {path}")
    _audio_stream(path)  # refuses what is no audio before pydub, which would leave the file open
    # Pydub cuts to the millisecond: ask for whole seconds around the span, and cut that to the sample
    before = min(floor(start), LONGEST_SPAN)
    span: dict[str, int] = {}
    if start > 0 or seconds is not None:
        span["start_second"] = before
    if seconds is not None:
        span["duration"] = min(ceil(seconds) + 2, LONGEST_SPAN)
    try:
        segment = pydub.AudioSegment.from_file(_unmistakable(path), **span)
        frames = np.array(segment.get_array_of_samples()).reshape(-1, segment.channels)  # (N, C)
    except Exception as error:  # whatever ffmpeg and pydub say of a damaged file
        raise _not_audio(path) from error
    rate = int(segment.frame_rate)
    first = round((start - before) * rate)
    last = len(frames) if seconds is None else first + max(round(seconds * rate), 1)
    full_scale = np.float32(1 << (8 * segment.sample_width - 1))
    return np.ascontiguousarray(frames[first:last].T, dtype=np.float32) / full_scale, rate


def stream(path: Path, frames: int) -> Iterator[Samples]:
    """Yield blocks (C, n) of at most `frames` of the first audio stream, n more than 0; raises what `read` does.

    The samples are those of the decoder, in floating point: `read` rounds them to the depth of the file.
    """
    channels = int(_audio_stream(path)["channels"])
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-i", _unmistakable(path), "-map", "0:a:0", "-f", "f32le", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            while block := process.stdout.read(frames * channels * np.dtype("<f4").itemsize):
                whole = np.frombuffer(block, dtype="<f4")
                yield np.ascontiguousarray(whole.reshape(-1, channels).T, dtype=np.float32)
            process.wait()
        finally:
            process.kill()  # if the caller stopped early; no effect on a process that has ended
    if process.returncode > 0:
        raise _not_audio(path)


def encode(pcm: np.ndarray, sample_rate: int, file_format: str) -> bytes:
    """Encode int16 samples (C, N) to the bytes of a file. Raise MissingTool without ffmpeg."""
    pydub = _pydub(f"writing {file_format}")
    segment = pydub.AudioSegment(pcm.T.tobytes(), sample_width=2, frame_rate=sample_rate, channels=pcm.shape[0])
    encoded = BytesIO()
    segment.export(encoded, format=file_format, parameters=["-q:a", "2"])
    return encoded.getvalue()


def _audio_stream(path: Path) -> dict[str, Any]:
    """Return the description that ffprobe gives of a file's first audio stream."""
    pydub = _pydub(f"reading {path}")
    try:
        probed = pydub.utils.mediainfo_json(_unmistakable(path))
        stream = next(stream for stream in probed["streams"] if stream["codec_type"] == "audio")
        return {"duration": probed["format"].get("duration"), **stream}
    except Exception as error:  # pydub trips in half a dozen ways over what ffprobe says of a damaged file
        raise _not_audio(path) from error


def _unmistakable(path: Path) -> str:
    """Return the path in a form that ffmpeg cannot misread: "-x.m4a" would be an option, "a:b.m4a" a protocol."""
    return str(path.absolute())


def _not_audio(path: Path) -> BadAudio:
    return BadAudio(f"{path} holds no audio that can be read: neither libsndfile nor ffmpeg makes sense of it")


def _pydub(purpose: str) -> Any:
    """Import pydub. Raise MissingTool if it or ffmpeg is missing."""
    if not available():
        raise MissingTool(
            f"{purpose} needs ffmpeg, which is not on the PATH. Install it (apt install ffmpeg, "
            "brew install ffmpeg or winget install ffmpeg), or use wav, flac, ogg or mp3."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of audioop, which Python deprecates
            import pydub
            import pydub.utils
    except ImportError as error:  # Python 3.13 dropped audioop
        raise MissingTool(f"{purpose} needs {error.name}. Install it: pip install pydub audioop-lts") from error
    return pydub
