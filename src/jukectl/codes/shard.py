"""Codes that are mapped into memory rather than read, and shards: the codes of many songs in one archive.

A shard is an archive like any other (`codes.archive`), of songs one after another, with two more fields: `songs` (n,)
str, their names, and `lengths` (n,) int64, their frames. Its members are stored, not compressed, so the codes lie in
the file as they lie in memory. A song's own archive is read in the same way, as a shard of one song.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from jukectl.codes.archive import FORMAT, Codes, check_facts
from jukectl.codes.level import Level
from jukectl.codes.npz import check_sizes, read_header, read_member
from jukectl.errors import BadInput, NotCodes, UnknownName
from jukectl.files import atomic_write, opened
from jukectl.truncation import cut_short

MAPS = 256  # archives that are mapped at once; each holds a file open, and systems allow some 1,024
LOCAL_HEADER = 30  # bytes of a zip member's own header before its name (APPNOTE 4.3.7)


class Frames(Protocol):
    """Codes (frames,) uint16, of which a span is read by slicing: an array, or a song in a mapped archive."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> npt.NDArray[np.uint16]: ...


@dataclass(frozen=True, kw_only=True)
class MappedArchive:
    """An archive of codes on disk. Opening it reads what it says of its codes, not the codes."""

    path: Path
    level: Level
    hop: int  # audio samples per code
    sample_rate: int  # Hz
    codebook_size: int
    vqvae: str  # fingerprint
    frames: int
    offset: int | None  # bytes before the first code; None where they are compressed, and have to be read

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raise NotCodes if `path` holds no complete archive; the codes themselves are not verified."""
        return cls._of(path, *_read(path, ()))

    @classmethod
    def _of(cls, path: Path, fields: dict[str, npt.NDArray[Any]], frames: int, offset: int | None) -> Self:
        try:
            if int(fields["done"]) != frames:
                raise ValueError(f"done is {fields['done']}, but there are {frames} frames")
            check_facts(*(int(fields[name]) for name in ("codebook_size", "hop", "sample_rate")))
            return cls(
                path=path,
                level=Level.parse(str(fields["level"])),
                hop=int(fields["hop"]),
                sample_rate=int(fields["sample_rate"]),
                codebook_size=int(fields["codebook_size"]),
                vqvae=str(fields["vqvae"]),
                frames=frames,
                offset=offset,
            )
        except (ValueError, TypeError, UnknownName) as error:
            raise NotCodes(f"{path} holds no usable codes: {error}") from error

    def codes(self, first: int, last: int) -> npt.NDArray[np.uint16]:
        """Return the codes (last - first,) of a span of frames, mapped from the file; copy them to keep them."""
        span: npt.NDArray[np.uint16] = _mapped(self)[first:last]
        return span


@lru_cache(maxsize=MAPS)
def _mapped(archive: MappedArchive) -> npt.NDArray[np.uint16]:
    """All codes (frames,) of an archive."""
    if archive.offset is None:
        codes: npt.NDArray[np.uint16] = Codes.load(archive.path).array[0]
        return codes
    try:
        return np.memmap(archive.path, dtype="<u2", mode="r", offset=archive.offset, shape=(archive.frames,))
    except (OSError, ValueError) as error:
        raise NotCodes(f"cannot read the codes in {archive.path}: {error}") from error


@dataclass(frozen=True)
class SongCodes:
    """The codes of one song at one level, where they lie; a slice of it reads that span alone."""

    archive: MappedArchive
    start: int  # frame in the archive
    frames: int

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, span: slice, /) -> npt.NDArray[np.uint16]:
        first, last, step = span.indices(self.frames)
        if step != 1:
            raise ValueError(f"codes are read in their order, not by steps of {step}")
        codes = self.archive.codes(self.start + first, self.start + max(first, last))
        if codes.size and int(codes.max()) >= self.archive.codebook_size:
            raise NotCodes(f"{self.archive.path} is damaged: it holds codes over {self.archive.codebook_size - 1}")
        return codes

    def load(self) -> Codes:
        """All of them, in memory."""
        about = self.archive
        return Codes(
            level=about.level,
            array=np.array(self[:])[None],
            prompt=self.frames,
            hop=about.hop,
            sample_rate=about.sample_rate,
            codebook_size=about.codebook_size,
            vqvae=about.vqvae,
        )


def song_archive(path: Path) -> SongCodes:
    """Map the codes of a song's own archive. Raise NotCodes if it is not complete."""
    archive = MappedArchive.open(path)
    return SongCodes(archive, 0, archive.frames)


def read_shard(path: Path) -> dict[str, SongCodes]:
    """Map the songs of a shard by name. Raise NotCodes if it is damaged."""
    fields, frames, offset = _read(path, ("songs", "lengths"))
    archive = MappedArchive._of(path, fields, frames, offset)
    names, lengths = fields["songs"].tolist(), fields["lengths"].tolist()
    if len(names) != len(lengths) or sum(lengths) != frames:
        raise NotCodes(f"{path} is damaged: its songs do not add up to its {frames} codes")
    starts = np.cumsum([0, *lengths]).tolist()
    return {
        name: SongCodes(archive, first, last - first)
        for name, (first, last) in zip(names, pairwise(starts), strict=True)
    }


def write_shard(path: Path, songs: Sequence[tuple[str, SongCodes]]) -> None:
    """Write the codes of songs of one level and codec, one after another, in one step. Raises CannotWrite."""
    about = songs[0][1].archive
    lengths = [codes.frames for _, codes in songs]
    fields: dict[str, npt.NDArray[Any]] = {
        "done": np.array(sum(lengths), "<i8"),
        "prompt": np.array(0, "<i8"),
        "level": np.array(about.level.label),
        "hop": np.array(about.hop, "<i8"),
        "sample_rate": np.array(about.sample_rate, "<i8"),
        "codebook_size": np.array(about.codebook_size, "<i8"),
        "vqvae": np.array(about.vqvae),
        "format": np.array(FORMAT, "<i8"),
        "songs": np.array([name for name, _ in songs]),
        "lengths": np.array(lengths, "<i8"),
    }
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        # A ZipInfo without a date has that of 1980, so that equal codes give equal bytes
        with archive.open(zipfile.ZipInfo("codes.npy"), "w", force_zip64=True) as member:
            header = {"descr": "<u2", "fortran_order": False, "shape": (1, sum(lengths))}
            np.lib.format.write_array_header_1_0(member, header)
            for _, codes in songs:
                member.write(codes[:].astype("<u2").tobytes())
        for name, value in fields.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, value, allow_pickle=False)


FACTS = ("done", "level", "hop", "sample_rate", "codebook_size", "vqvae")


def _read(path: Path, more: Sequence[str]) -> tuple[dict[str, npt.NDArray[Any]], int, int | None]:
    """Return an archive's small fields, frames and the offset of its codes. Raise NotCodes if something is missing."""
    try:
        with opened(path, BadInput, "archive") as file, zipfile.ZipFile(file) as archive:
            check_sizes(archive, path.stat().st_size)
            fields = {name: _field(archive, name) for name in ("format", *FACTS, *more)}
            if int(fields["format"]) > FORMAT:
                raise NotCodes(f"{path} has code format {fields['format']}: pip install --upgrade jukectl")
            member = archive.getinfo("codes.npy")
            with archive.open(member) as codes:
                shape, mappable, header = _npy_header(codes)
            if 2 * shape[0] * shape[1] > member.file_size:
                raise ValueError("it announces more codes than it has")
            offset = None
            if mappable and shape[0] == 1 and member.compress_type == zipfile.ZIP_STORED:
                file.seek(member.header_offset)
                local = file.read(LOCAL_HEADER)
                named = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
                offset = member.header_offset + LOCAL_HEADER + named + header
            if offset is not None and offset + 2 * shape[1] > path.stat().st_size:
                raise ValueError("it ends before its codes")
            return fields, shape[1], offset
    except NotCodes:
        raise
    except BadInput as error:
        raise NotCodes(str(error)) from error
    except Exception as error:  # damage makes zipfile and numpy raise half a dozen kinds
        reason = cut_short(path) or "encode its songs again"
        raise NotCodes(f"{path} holds no codes, or is damaged: {reason}") from error


def _field(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Read a small member and verify its checksum."""
    value = read_member(archive, name)
    if name == "songs" and (value.ndim != 1 or value.dtype.kind != "U"):
        raise ValueError("songs is no list of names")
    if name == "lengths" and (value.ndim != 1 or value.dtype.kind not in "iu" or (value < 0).any()):
        raise ValueError("lengths is no list of whole numbers")
    return value if name in ("songs", "lengths") else value.reshape(())


def _npy_header(member: Any) -> tuple[tuple[int, int], bool, int]:
    """Shape of an array, whether it lies there as C-ordered little-endian uint16, and the bytes before it."""
    shape, fortran_order, dtype = read_header(member)
    rows, frames = shape
    return (rows, frames), dtype == np.dtype("<u2") and not fortran_order, member.tell()
