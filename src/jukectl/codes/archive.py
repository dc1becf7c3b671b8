"""Codes of one level, and the .npz they rest in: one object, one format number, no pickle."""

import hashlib
import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from jukectl.codes.level import Level
from jukectl.codes.npz import read_npz
from jukectl.errors import BadInput, NotCodes, UnknownName
from jukectl.files import atomic_write
from jukectl.truncation import cut_short, reason_of

FORMAT = 1
"""Version of the archive's layout; a reader refuses a higher one."""

FIELDS = ("codes", "done", "prompt", "level", "hop", "sample_rate", "codebook_size", "vqvae", "format")
"""Every field of an archive, as DESIGN.md names them."""

LONGEST_REASON = 100  # characters
HIGHEST_RATE = 1_000_000  # Hz
LARGEST_HOP = 1 << 20  # audio samples: some 24 seconds a code
LARGEST_CODEBOOK = 1 << 16  # what uint16 can number


@dataclass(frozen=True, eq=False, kw_only=True)
class Codes:
    """The codes of one level, for all samples of a song, and what is needed to give them a meaning.

    An `array` of any integer type is taken and kept as contiguous uint16. ValueError where the numbers contradict
    each other.
    """

    level: Level
    array: npt.NDArray[np.uint16]  # (samples, frames), each below codebook_size
    prompt: int  # frames at the start that came from the prompt
    hop: int  # audio samples per code
    sample_rate: int  # Hz
    codebook_size: int
    vqvae: str  # fingerprint of the VQ-VAE that gives these codes their meaning

    def __post_init__(self) -> None:
        check_facts(self.codebook_size, self.hop, self.sample_rate)
        object.__setattr__(self, "array", _checked(self.array, self.codebook_size))
        if not 0 <= self.prompt <= self.done:
            raise ValueError(f"prompt is 0 to the {self.done} frames there are, got {self.prompt}")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.array.shape[0])

    @property
    def done(self) -> int:
        """Frames that are finished; there are no others."""
        return int(self.array.shape[1])

    @property
    def seconds(self) -> float:
        """Seconds of music that the codes represent."""
        return self.done * self.hop / self.sample_rate

    def append(self, new: npt.NDArray[np.integer[Any]]) -> Self:
        """Return these codes followed by `new` (samples, n)."""
        new = _checked(new, self.codebook_size)
        if new.shape[0] != self.samples:
            raise ValueError(f"new codes are for {new.shape[0]} samples, these for {self.samples}")
        return replace(self, array=np.concatenate([self.array, new], axis=1))

    def sample(self, index: int) -> Self:
        """One sample alone, (1, frames)."""
        if not 0 <= index < self.samples:
            raise ValueError(f"there is no sample {index}: they are 0 to {self.samples - 1}")
        return replace(self, array=self.array[index : index + 1])

    def cut(self, frames: int) -> Self:
        """Return the first `frames` frames, which include the prompt's."""
        if not 0 <= frames <= self.done:
            raise ValueError(f"cannot cut {self.done} frames down to {frames}")
        return replace(self, array=self.array[:, :frames], prompt=min(self.prompt, frames))

    def part(self, first: int) -> Self:
        """Return the frames from `first` on, all counted as prompt."""
        if not 0 <= first <= self.done:
            raise ValueError(f"cannot take {self.done} frames from {first} on")
        return replace(self, array=self.array[:, first:], prompt=self.done - first)

    def digest(self) -> str:
        """SHA-256 of the array's shape (int64) and codes (uint16), both little endian: the same on every machine."""
        shape = np.array(self.array.shape, dtype="<i8").tobytes()
        return hashlib.sha256(shape + self.array.astype("<u2").tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the archive in one step; equal codes give equal bytes. Raises CannotWrite."""
        buffer = io.BytesIO()  # whole in memory first, so that a full disk can only meet one plain write
        np.savez(  # dates every member 1980-01-01, so the bytes follow from the codes alone
            buffer,
            codes=self.array.astype("<u2"),
            done=np.int64(self.done),
            prompt=np.int64(self.prompt),
            level=np.str_(self.level.label),
            hop=np.int64(self.hop),
            sample_rate=np.int64(self.sample_rate),
            codebook_size=np.int64(self.codebook_size),
            vqvae=np.str_(self.vqvae),
            format=np.int64(FORMAT),
        )
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load the codes in `path`, whichever program wrote them. Raise NotCodes if damaged, invalid or too new."""
        fields = _read(path)
        try:
            version = _whole(fields, "format")  # first, since of a newer archive nothing else can be expected
            if version > FORMAT:
                raise NotCodes(
                    f"{path} has code format {version}, and this jukectl reads formats up to {FORMAT}. "
                    "Upgrade with: pip install --upgrade jukectl"
                )
            if version < 1:
                raise ValueError(f"format is at least 1, got {version}")
            codes = cls(
                level=Level.parse(_text(fields, "level")),
                array=_field(fields, "codes"),
                prompt=_whole(fields, "prompt"),
                hop=_whole(fields, "hop"),
                sample_rate=_whole(fields, "sample_rate"),
                codebook_size=_whole(fields, "codebook_size"),
                vqvae=_text(fields, "vqvae"),
            )
            if _whole(fields, "done") != codes.done:
                raise ValueError(f"done is {_whole(fields, 'done')}, but there are {codes.done} frames")
        except (ValueError, UnknownName) as error:
            raise NotCodes(f"{path} holds no usable codes: {error}. {_way_out(path)}") from error
        return codes


def check_facts(codebook_size: int, hop: int, sample_rate: int) -> None:
    """Raise ValueError for numbers that no codes have."""
    if not 1 <= codebook_size <= LARGEST_CODEBOOK:
        raise ValueError(f"codebook_size is 1 to {LARGEST_CODEBOOK}, got {codebook_size}")
    if not 1 <= hop <= LARGEST_HOP:
        raise ValueError(f"hop is 1 to {LARGEST_HOP} audio samples, got {hop}")
    if not 1 <= sample_rate <= HIGHEST_RATE:
        raise ValueError(f"sample_rate is 1 to {HIGHEST_RATE} Hz, got {sample_rate}")


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an archive by name, verified against their checksums."""
    try:
        return read_npz(path, FIELDS)
    except BadInput as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NotCodes(f"there is no file {path}. {_way_out(path)}") from error
        raise NotCodes(f"{error}. {_way_out(path)}") from error
    except Exception as error:  # damage makes zipfile and numpy raise half a dozen kinds
        reason = cut_short(path) or _in_short(error)
        raise NotCodes(f"{path} holds no codes, or is damaged: {reason}. {_way_out(path)}") from error


def _in_short(error: Exception) -> str:
    """Return the reason in one line."""
    text = reason_of(error)
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def _way_out(path: Path) -> str:
    return (
        f"Move it away and make it again with: jukectl resume {path.parent} "
        f"(or from a recording: jukectl encode AUDIO --out {path.parent})"
    )


def _checked(array: npt.NDArray[Any], codebook_size: int) -> npt.NDArray[np.uint16]:
    """Convert (samples, frames) of any integer type to contiguous uint16. Raise ValueError if values do not fit."""
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"codes are whole numbers, got {array.dtype}")
    if array.ndim != 2 or array.shape[0] == 0:
        raise ValueError(f"codes have the shape (samples, frames) with a sample or more, got {array.shape}")
    if array.size:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= codebook_size:
            raise ValueError(f"codes are 0 to {codebook_size - 1}, got {low} to {high}")
    return np.ascontiguousarray(array, dtype=np.uint16)


def _field(fields: dict[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    if name not in fields:
        raise ValueError(f"there is no field {name!r}")
    return fields[name]


def _whole(fields: dict[str, npt.NDArray[Any]], name: str) -> int:
    """Return a whole number of shape () or, from other programs, any shape of one element."""
    value = _field(fields, name)
    if value.size != 1 or not np.issubdtype(value.dtype, np.integer):
        raise ValueError(f"{name} is one whole number, got {value.dtype} of shape {value.shape}")
    return int(value.item())


def _text(fields: dict[str, npt.NDArray[Any]], name: str) -> str:
    """Return a string of shape () or, from other programs, any shape of one element; bytes are read as UTF-8."""
    value = _field(fields, name)
    if value.size != 1 or value.dtype.kind not in "US":
        raise ValueError(f"{name} is one string, got {value.dtype} of shape {value.shape}")
    text = value.item()
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)


def entropy_bits(counts: NDArray[np.number]) -> float:
    """Return the entropy in bits of the distribution estimated from counts (K,); 0 if all are zero."""
    seen = counts[counts > 0]
    if not seen.size:
        return 0.0
    shares = seen / seen.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no -0.0 for a single code


SPANS_FORMAT = 1
"""Version of the file's layout; another one is not read."""


@dataclass(frozen=True, eq=False)
class SpanCodes:
    """All codes of a level's spans so far, lead-ins included. A level's archive holds only those without a gap."""

    key: str  # of what the spans are made from and how: with another key they are another song's
    begun: int  # codes that the level had before
    array: npt.NDArray[np.uint16]  # (spans, samples, made)

    @property
    def made(self) -> int:
        """Codes that each row has."""
        return int(self.array.shape[2])

    def append(self, new: npt.NDArray[Any]) -> Self:
        """Return these followed by `new` codes (spans, samples, n)."""
        array = np.concatenate([self.array, new.astype(np.uint16)], axis=2)
        return type(self)(self.key, self.begun, array)

    def save(self, path: Path) -> None:
        """Write the file in one step. Raises CannotWrite."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            codes=self.array.astype("<u2"),
            begun=np.int64(self.begun),
            key=np.str_(self.key),
            format=np.int64(SPANS_FORMAT),
        )
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load the spans in `path`. Raise NotCodes if they cannot be used."""
        try:
            names = ("codes", "begun", "key", "format")
            fields = read_npz(path, names)
            array, begun, key, version = (fields[name] for name in names)
            if int(version) != SPANS_FORMAT or array.ndim != 3 or array.dtype != np.uint16 or int(begun) < 0:
                raise ValueError("not of this format")
            return cls(str(key), int(begun), array)
        except Exception as error:  # damage makes zipfile and numpy raise half a dozen kinds
            raise NotCodes(f"{path} holds no spans in progress, or is damaged") from error


def is_archive(path: Path) -> bool:
    """Return True for a file that holds codes, by its table of contents."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "codes.npy" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
