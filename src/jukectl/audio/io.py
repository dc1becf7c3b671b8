"""Audio files: any file to float32 samples (channels, N), and samples to wav, flac, ogg or mp3."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from jukectl.audio import ffmpeg
from jukectl.audio.mix import Samples, peak, resample, turn_down_peaks
from jukectl.audio.sound import LEAST_MISSING, OGG_ORDER, READ_BLOCK, Sound
from jukectl.errors import BadAudio, BadInput
from jukectl.files import atomic_write

FORMATS = ("wav", "flac", "ogg", "mp3")
"""What `save` writes."""

Subtype = Literal["pcm16", "float"]

WRITE_BLOCK = 1 << 14  # frames; libsndfile's Vorbis encoder overflows its stack when given a whole song at once
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz
HIGHEST_OGG_RATE = 200_000  # Hz; beyond, libsndfile's Vorbis encoder crashes the process
COMPRESSION = {"mp3": 0.2, "ogg": 0.4}  # 0 best sound, 1 smallest file: some 190 kbit/s for stereo at 44.1 kHz

LARGEST_WAV = 2**32 - 1  # bytes after the first eight


@dataclass(frozen=True, eq=False, kw_only=True)
class Audio:
    """A recording, or a span of one. C channels, N samples a channel."""

    samples: Samples  # (C, N), full scale at -1 and 1
    sample_rate: int  # Hz
    remarks: tuple[str, ...] = ()  # on what the file lacks, or holds and was not read: one sentence each

    @property
    def channels(self) -> int:
        """Number of channels: 1 for mono, 2 for stereo."""
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples[0]) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """Length and kind of a file."""

    seconds: float
    sample_rate: int  # Hz
    channels: int
    remarks: tuple[str, ...] = ()  # as of `Audio`


@dataclass(frozen=True, eq=False, kw_only=True)
class AudioStream:
    """A recording that is read as it goes, so that its length does not matter. C channels."""

    sample_rate: int  # Hz
    channels: int
    remarks: list[str]  # as of `Audio`; some are added while the blocks are read
    blocks: Iterator[Samples]  # (C, n) each, one after another; raises what `load` does where the file is damaged


def load(
    path: str | PathLike[str], *, sample_rate: int | None = None, start: float = 0.0, seconds: float | None = None
) -> Audio:
    """Load audio from `start` for `seconds` (default: to the end), resampled to `sample_rate` if given.

    Only that span is read. Near the end of the file there may be less of it than asked for. Wav, flac, ogg, mp3 and
    all else that libsndfile knows is read by it, to the end of the stream whatever its header says; recordings that
    were joined are read as one. The rest (m4a, wma, video, ...) is read by ffmpeg. Samples over full scale, which
    floating-point files may hold, are kept. Surround comes in the channel order of WAV.

    Raises BadAudio for a file that cannot be read, holds nothing in that span, or holds samples that are not finite;
    MissingTool if only ffmpeg could read it and it is not installed; BadInput for an invalid span.
    """
    path = Path(path)
    if not (isfinite(start) and start >= 0):
        raise BadInput(f"audio can be read from 0 seconds on, not from {start}")
    if seconds is not None and not (isfinite(seconds) and seconds > 0):
        raise BadInput(f"the seconds of audio to read must be more than 0, not {seconds}")

    remarks: tuple[str, ...] = ()
    with _opened(path) as file:
        sound = _recognised(file, path)
        if sound is None:
            samples, rate = ffmpeg.read(path, start, seconds)
            remarks = _misnamed(path)
            # the length is asked for where damage is likely: libsndfile should have read the file
            length = ffmpeg.probe(path)[0] if path.suffix[1:].lower() in FORMATS else 0.0
        else:
            samples, rate, remarks = _read(sound, start, seconds), sound.sample_rate, sound.remarks
            length = sound.frames / rate
        promised = length if seconds is None else min(length, start + seconds)
        remarks += _shortage(path, promised, start + samples.shape[1] / rate)
    if not samples.size:
        raise BadAudio(f"{path} ends before {start:g} seconds: choose an earlier start")
    _check_finite(samples, path, start, rate)
    if sample_rate is not None:
        samples, rate = resample(samples, rate, sample_rate), sample_rate
        if not samples.size:
            raise BadAudio(f"{path} is too short: less than one sample at {sample_rate} Hz")
    return Audio(samples=samples, sample_rate=rate, remarks=remarks)


def stream(path: str | PathLike[str]) -> AudioStream:
    """Yield the samples that `load` returns block by block, in constant memory.

    What ffmpeg reads comes in floating point here, in `load` at the depth of the file.
    """
    path = Path(path)
    about = info(path)
    remarks = list(about.remarks)
    return AudioStream(
        sample_rate=about.sample_rate,
        channels=about.channels,
        remarks=remarks,
        blocks=_checked_blocks(path, about, remarks),
    )


def info(path: str | PathLike[str]) -> AudioInfo:
    """Return the length, sample rate and channels of a file; raises what `load` does.

    An mp3 file is counted frame by frame; what ffmpeg reads and does not state its length is read to its end.
    """
    path = Path(path)
    with _opened(path) as file:
        sound = _recognised(file, path)
        if sound is None:
            seconds, sample_rate, channels = ffmpeg.probe(path)
            return AudioInfo(seconds=seconds, sample_rate=sample_rate, channels=channels, remarks=_misnamed(path))
        return AudioInfo(
            seconds=sound.frames / sound.sample_rate,
            sample_rate=sound.sample_rate,
            channels=sound.channels,
            remarks=sound.remarks,
        )


def save(
    path: str | PathLike[str],
    samples: Samples,
    sample_rate: int,
    *,
    format: str | None = None,  # noqa: A002  # the term of users and of soundfile
    subtype: Subtype = "pcm16",
) -> None:
    """Write samples (C, N) or (N,) to a file, atomically: as wav, flac, ogg or mp3 by `format` or else by its suffix.

    Peaks over full scale are turned down, never clipped. Wav and flac hold 16 bits, rounded, so that what was read from
    such a file is written back bit for bit; with `subtype="float"` a wav file holds the samples exactly.

    Raises BadInput for a format that is unknown or cannot hold this sample rate or number of channels; BadAudio for
    samples that are absent or not finite; MissingTool for mp3 where neither libsndfile nor ffmpeg can write it;
    CannotWrite.
    """
    path = Path(path)
    chosen = (format or path.suffix[1:]).lower()
    if chosen not in FORMATS:
        raise BadInput(f"cannot save {path} as {chosen or 'a file without suffix'}: choose {', '.join(FORMATS)}")
    if subtype != "pcm16" and chosen != "wav":
        raise BadInput(f"cannot save {path} with {subtype} samples: only wav holds them")
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2:
        raise ValueError(f"samples are (channels, N), got {samples.shape}")
    if not samples.size:
        raise BadAudio(f"there is no audio to save in {path}: it would hold no samples")
    if (first := _first_not_finite(samples)) is not None:
        raise BadAudio(f"cannot save {path}: the sample at {first / sample_rate:.3f} seconds is not a finite number")
    if subtype == "pcm16" and peak(samples) > 1:
        samples = turn_down_peaks(samples, sample_rate)

    wav = chosen == "wav"
    encoded = _encode_wav(samples, sample_rate, subtype) if wav else _encode(samples, sample_rate, chosen)
    with atomic_write(path) as file:
        file.write(encoded)


def _opened(path: Path) -> BinaryIO:
    """Open the file. Raise BadAudio if it cannot be opened or is empty."""
    try:
        if not path.exists():
            raise BadAudio(f"there is no file {path}")
        if path.suffix.lower() in (".raw", ".pcm"):
            raise BadAudio(
                f"{path} does not say how its samples are to be read. Tell ffmpeg, for instance: "
                f"ffmpeg -f s16le -ar 44100 -ac 2 -i {path} {path.with_suffix('.wav')}"
            )
        if not path.is_file():  # opening a pipe would wait for ever
            raise BadAudio(f"{path} is a folder or a device, not an audio file")
        if path.stat().st_size == 0:
            raise BadAudio(f"{path} is empty: it holds no audio")
        return path.open("rb")
    except OSError as error:
        raise BadAudio(f"cannot read {path}: {error.strerror}") from error


def _recognised(file: BinaryIO, path: Path) -> Sound | None:
    """Return the file as a sound that libsndfile reads; None if ffmpeg should read it."""
    sound = Sound.open(path, file)
    if sound is None and path.suffix[1:].lower() in FORMATS and not ffmpeg.available():
        raise BadAudio(f"{path} is not what its name says: there is no {path.suffix[1:]} audio in it")
    return sound


def _read(sound: Sound, start: float, seconds: float | None) -> Samples:
    """Return samples (C, N) of a span, N 0 past the end."""
    nothing = np.zeros((sound.channels, 0), dtype=np.float32)
    first = round(start * sound.sample_rate)
    count = sound.frames if seconds is None else max(round(seconds * sound.sample_rate), 1)
    return np.concatenate([nothing, *sound.blocks(first, count)], axis=1)


def _misnamed(path: Path) -> tuple[str, ...]:
    """Return a remark if libsndfile should have read a file that ffmpeg reads, which passes over much damage."""
    if path.suffix[1:].lower() not in FORMATS:
        return ()
    return (
        f"{path} is damaged, or not the {path.suffix[1:]} audio that its name says: what ffmpeg finds in it is used",
    )


def _shortage(path: Path, promised: float, reached: float) -> tuple[str, ...]:
    """Return a remark if a decoder gave up at a second before the end that it announced."""
    if promised - reached <= LEAST_MISSING:
        return ()
    return (f"{path} is damaged: {promised - reached:.1f} seconds cannot be read, mostly those after {reached:.1f}",)


def _checked_blocks(path: Path, about: AudioInfo, remarks: list[str]) -> Iterator[Samples]:
    """Yield blocks (C, n) of a whole file; add a remark if it ends early.

    Raises BadAudio for samples that are not finite, or if there are none.
    """
    done, rate = 0, about.sample_rate
    for block in _all_blocks(path):
        _check_finite(block, path, done / rate, rate)
        done += block.shape[1]
        yield block
    if not done:
        raise BadAudio(f"{path} holds no samples")
    remarks += _shortage(path, about.seconds, done / rate)


def _all_blocks(path: Path) -> Iterator[Samples]:
    """Yield blocks (C, n) of a whole file, by libsndfile or else by ffmpeg."""
    with _opened(path) as file:
        sound = _recognised(file, path)
        yield from ffmpeg.stream(path, READ_BLOCK) if sound is None else sound.blocks(0, sound.frames)


def _check_finite(samples: Samples, path: Path, start: float, rate: int) -> None:
    """Raise BadAudio for a sample (C, N) that is not finite, of a span from `start` seconds on."""
    if (first := _first_not_finite(samples)) is not None:
        raise BadAudio(
            f"{path} is damaged: its sample at {start + first / rate:.3f} seconds is not a finite number. "
            "Read a span without it, or export the file again."
        )


def _first_not_finite(samples: Samples) -> int | None:
    """Return the index in time of the first sample (C, N) that is not finite; None if all are."""
    with np.errstate(invalid="ignore"):  # inf - inf
        if np.isfinite(samples.sum(dtype=np.float64)):  # float32 cannot overflow it, and it makes no array
            return None
    return int(np.argmin(np.isfinite(samples).all(axis=0)))


def _encode_wav(samples: Samples, sample_rate: int, subtype: Subtype) -> bytes:
    """Return the bytes of a wav file. Not by libsndfile, which stamps float files with the time of writing."""
    is_float = subtype == "float"
    data = (samples.astype("<f4") if is_float else _to_int16(samples).astype("<i2")).T  # (N, C)
    count, channels = data.shape
    frame = channels * data.itemsize  # bytes
    tag = 3 if is_float else 1
    about = struct.pack("<HHIIHH", tag, channels, sample_rate, sample_rate * frame, frame, 8 * data.itemsize)
    chunks = b"fmt " + struct.pack("<I", len(about)) + about
    if is_float:
        chunks += b"fact" + struct.pack("<II", 4, count)  # required of files that are not PCM
    size = 4 + len(chunks) + 8 + count * frame
    if size > LARGEST_WAV:
        raise BadInput(
            f"{count / sample_rate / 3600:.1f} hours of audio do not fit in a wav file (4 GiB): save as flac"
        )
    header = b"RIFF" + struct.pack("<I", size) + b"WAVE" + chunks + b"data" + struct.pack("<I", count * frame)
    return header + data.tobytes()


def _encode(samples: Samples, sample_rate: int, file_format: str) -> bytes:
    """Return the bytes of a flac, ogg or mp3 file."""
    import soundfile

    channels = len(samples)
    if file_format == "mp3" and (sample_rate not in MP3_RATES or channels > 2):
        raise BadInput(
            f"mp3 holds one or two channels at {', '.join(map(str, MP3_RATES))} Hz, "
            f"not {channels} at {sample_rate} Hz: save as flac"
        )
    if file_format == "ogg" and sample_rate > HIGHEST_OGG_RATE:
        raise BadInput(f"ogg holds up to {HIGHEST_OGG_RATE} Hz, not {sample_rate}: save as wav or flac")
    if file_format.upper() not in soundfile.available_formats():  # libsndfile was built without mp3
        return ffmpeg.encode(_to_int16(samples), sample_rate, file_format)
    if file_format == "ogg" and channels in OGG_ORDER:
        samples = samples[np.argsort(OGG_ORDER[channels])]
    interleaved = (_to_int16(samples) if file_format == "flac" else samples).T  # (N, C)
    encoded = BytesIO()
    try:
        with soundfile.SoundFile(
            encoded,
            "w",
            samplerate=sample_rate,
            channels=channels,
            format=file_format.upper(),
            subtype="PCM_16" if file_format == "flac" else None,
            compression_level=COMPRESSION.get(file_format),
        ) as sound:
            for first in range(0, len(interleaved), WRITE_BLOCK):
                sound.write(interleaved[first : first + WRITE_BLOCK])
    except soundfile.LibsndfileError as error:
        raise BadInput(
            f"{file_format} cannot hold {channels} channels at {sample_rate} Hz ({error.error_string.rstrip('.')}): "
            "save as wav"
        ) from error
    return encoded.getvalue()


def _to_int16(samples: Samples) -> NDArray[np.int16]:
    """Return 16-bit samples, rounded. Full scale is 32768 as in reading, so that writing restores what was read."""
    scaled: Samples = np.rint(samples * np.float32(32768))
    return scaled.clip(-32768, 32767).astype(np.int16)
