"""Files that the page sends: recordings and MIDI files, checked by reading them, and texts."""

import hashlib
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from jukectl.errors import BadAudio, BadInput
from jukectl.files import atomic_write, make_folder, remove_folder

AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus")  # what libsndfile reads
MIDI = (".mid", ".midi")
LARGEST = 200 * 2**20  # bytes of a file
LARGEST_MIDI = 4 * 2**20
LONGEST = 1_800.0  # seconds of a recording
MOST = 200  # files; the oldest ones make room
KEPT_SECONDS = 7 * 86_400  # in which a file is not removed, unless there are too many
LONGEST_TEXT = 200_000  # characters


class UploadTooLarge(BadInput):
    """A file over the limit."""


class Uploads:
    """Files of uploads: each in a folder of its own, whose random name is its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str) -> "Upload":
        """Begin to receive a file. Raises BadInput for a name without a known suffix, CannotWrite."""
        suffix = Path(name[-20:]).suffix.lower()
        if suffix not in (*AUDIO, *MIDI):
            known = ", ".join(one[1:] for one in (*AUDIO, *MIDI))
            raise BadInput(f"a file is one of {known}, by the end of its name")
        stem = re.sub(r"[^\w .-]+", "", name[: -len(suffix)].replace("\\", "/").rpartition("/")[2]).strip(" .-")[:60]
        self._make_room()
        return Upload(self.folder / secrets.token_hex(8), f"{stem or 'recording'}{suffix}")

    def path(self, name: str) -> Path:
        """Return the file of an id. Raises BadInput for an id that none has."""
        folder = self.folder / name
        found = list(folder.iterdir()) if re.fullmatch(r"[0-9a-f]{16}", name) and folder.is_dir() else []
        if len(found) != 1 or found[0].name.startswith("."):
            raise BadInput(f"there is no uploaded file {name[:40]!r}: send it again")
        return found[0]

    def text(self, text: str, suffix: str) -> Path:
        """Write a text to a file named after its content, and return its path. Raises BadInput, CannotWrite."""
        if len(text) > LONGEST_TEXT:
            raise BadInput(f"a text has at most {LONGEST_TEXT} characters, and this one has {len(text)}")
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            raise BadInput("a text has half of a surrogate pair") from error
        path = self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
        make_folder(self.folder)
        with atomic_write(path) as file:
            file.write(content)
        return path

    def _make_room(self) -> None:
        """Remove the oldest uploads, if there are too many of them."""
        with suppress(OSError):
            folders = sorted(
                (one for one in self.folder.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime
            )
            for folder in folders[: max(len(folders) - MOST, 0)]:
                if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                    remove_folder(folder)


class Upload:
    """A file that is being received. Use it as a context: a file that is not finished is removed."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._path = folder, folder / name
        self._part = folder / ".part"
        self._file: BinaryIO | None = None
        self._left = LARGEST_MIDI if self.is_midi else LARGEST

    @property
    def is_midi(self) -> bool:
        """True for a MIDI file, by its name."""
        return self._path.suffix in MIDI

    def __enter__(self) -> "Upload":
        make_folder(self._folder)
        self._file = self._part.open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
        if not self._path.exists():
            remove_folder(self._folder)

    def write(self, content: bytes) -> None:
        """Add bytes. Raises UploadTooLarge."""
        assert self._file is not None
        self._left -= len(content)
        if self._left < 0:
            raise UploadTooLarge(f"the file is too large: at most {LARGEST // 2**20} MiB, and 4 MiB of MIDI")
        self._file.write(content)

    def finish(self) -> dict[str, object]:
        """Check the file by reading it, keep it, and return its id and what it holds. Raises BadInput."""
        assert self._file is not None
        self._file.close()
        facts = _midi_facts(self._part) if self.is_midi else _audio_facts(self._part)
        self._part.rename(self._path)
        return {"id": self._folder.name, "name": self._path.name, "bytes": self._path.stat().st_size, **facts}


def _midi_facts(path: Path) -> dict[str, object]:
    from jukectl.midi.notes import read_midi

    notes = read_midi(path)
    return {"kind": "midi", "seconds": round(notes.seconds, 3)}


def _audio_facts(path: Path) -> dict[str, object]:
    """Decode a recording block by block, and return its length, sample rate and channels. Raises BadAudio."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:  # not ffmpeg, which opens playlists and all that they name
            rate, channels, frames = int(file.samplerate), int(file.channels), 0
            longest = LONGEST * rate
            while len(block := file.read(2**16, dtype="float32", always_2d=True)):
                frames += len(block)
                if frames > longest:
                    raise BadAudio(f"the recording is longer than {LONGEST / 60:g} minutes")
    except soundfile.LibsndfileError as error:
        raise BadAudio("the file holds no audio that can be read: send wav, flac, ogg or mp3") from error
    if not frames:
        raise BadAudio("the recording is empty")
    return {"kind": "audio", "seconds": round(frames / rate, 3), "sample_rate": rate, "channels": channels}
