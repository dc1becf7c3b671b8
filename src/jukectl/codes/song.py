"""A song: one folder with its recipe, its codes a level, its audio, and a lock for the process that works on it."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jukectl.codes import recipe_toml
from jukectl.codes.archive import Codes, is_archive
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.errors import BadInput, CannotWrite, NotASong, NotCodes, SongBusy
from jukectl.files import atomic_write, remove_file, sweep
from jukectl.folders import Kind, check_inside, holds_files
from jukectl.tables import parse_toml, read_text_if_any

if TYPE_CHECKING:
    from filelock import BaseFileLock

FORMATS = ("wav", "flac", "ogg", "mp3")
"""Formats of a song's audio, the preferred one first."""

_MADE = {  # what a stage makes in the folders below the song, and so may remove; anything else there is the user's
    "audio": re.compile(r"\d+(-vocals|-accompaniment)?\.(wav|flac|ogg|mp3)"),
    "previews": re.compile(r"(top|middle|bottom)-\d+\.(wav|flac|ogg|mp3)"),
    "plots": re.compile(r"(spectrogram(-\d+)?|lyrics-alignment-\d+)\.(png|svg)|lyrics-\d+\.(lrc|vtt)"),
}


class Song:
    """A song folder. Making the object touches no file: `create` and `open` look at the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BaseFileLock | None = None

    def __repr__(self) -> str:
        return f"Song({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path) -> Self:
        """Open the song folder `path`, creating it if needed.

        Raise BadInput if it is a file, or holds files that are not of a song, or CannotWrite.
        """
        SONG.claim(path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the song in `path`, which has a recipe or codes. Raise NotASong otherwise."""
        song = cls(path)
        if not path.exists():
            raise NotASong(f"there is no song folder {path}. Begin one with: jukectl sample --out {path}")
        if not path.is_dir():
            raise NotASong(f"{path} is a file, and a song is a folder. Its codes and recipe lie side by side in there")
        if (path / "tree.toml").exists():
            raise NotASong(
                f"{path} is a tree of songs. Make a song of a leaf with: jukectl pick {path} --leaf 0.0; let it grow "
                f"on with: jukectl tree {path}"
            )
        if not song.begun:
            raise NotASong(
                f"{path} is no song folder: it holds no {song.toml_path.name} and no codes (top.npz, middle.npz, "
                f"bottom.npz). Begin a song with: jukectl sample --out {path}"
            )
        return song

    @property
    def begun(self) -> bool:
        """True if the folder holds a recipe or the codes of a level."""
        return any(path.exists() for path in (self.toml_path, *map(self.codes_path, TOP_DOWN)))

    @property
    def is_read_only(self) -> bool:
        """True if the folder is there, and nothing can be written to it."""
        return self.path.is_dir() and not os.access(self.path, os.W_OK)

    @property
    def toml_path(self) -> Path:
        """Path of the recipe."""
        return self.path / "song.toml"

    @property
    def prompt_path(self) -> Path:
        """Path of the prompt as it was encoded: mono, at the model's sample rate."""
        return self.path / "prompt.wav"

    @property
    def notes_path(self) -> Path:
        """Path of the notes that the song follows, if any."""
        return self.path / "notes.mid"

    @property
    def plots(self) -> Path:
        """Path of the folder of pictures; it may not exist."""
        return self.path / "plots"

    def codes_path(self, level: Level) -> Path:
        """Return the path of a level's archive, which may not exist."""
        return self.path / f"{level.label}.npz"

    def spans_path(self, level: Level) -> Path:
        """Return the path of a level's unfinished spans, which exists only while they are in progress."""
        return self.path / f"{level.label}.spans.npz"

    def prefix_path(self, level: Level) -> Path:
        """Return the path of a level's prefix codes, taken from another song; it may not exist."""
        return self.path / f"{level.label}.trunk.npz"

    def forget_spans(self, level: Level) -> None:
        """Remove what spans of a level have made, if it is there. Raises CannotWrite."""
        remove_file(self.spans_path(level))

    def audio_path(self, sample: int, suffix: str = ".wav") -> Path:
        """Return the path of a sample's final audio, which may not exist."""
        return self.path / "audio" / f"{sample}{suffix}"

    def preview_path(self, level: Level, sample: int, suffix: str = ".wav") -> Path:
        """Return the path of a level's decoded preview, which may not exist."""
        return self.path / "previews" / f"{level.label}-{sample}{suffix}"

    def recipe(self) -> Recipe | None:
        """Return the recipe, None if the folder has none. NotASong if it cannot be read."""
        text = read_text_if_any(self.toml_path, NotASong)
        return None if text is None else recipe_toml.loads(text, self.toml_path)

    def write_recipe(self, recipe: Recipe) -> None:
        """Put `recipe` in place of the one there is, in one step. A prompt it names should be on disk before."""
        with atomic_write(self.toml_path) as file:
            file.write(recipe_toml.dumps(recipe).encode())

    def codes(self, level: Level) -> Codes | None:
        """Load the codes of a level, None if there are none yet. Raise NotCodes if they cannot be used."""
        path = self.codes_path(level)
        if not path.exists():
            return None
        codes = Codes.load(path)
        if codes.level is not level:
            raise NotCodes(
                f"{path} holds codes of the {codes.level.label} level. Rename it to {codes.level.label}.npz, "
                f"or move it away and make the {level.label} level with: jukectl resume {self.path}"
            )
        return codes

    def save(self, codes: Codes) -> Path:
        """Put `codes` in place of those of their level, in one step; the path they lie in."""
        path = self.codes_path(codes.level)
        codes.save(path)
        return path

    def clear(self) -> None:
        """Remove what stages made here, for a new song in the same folder. Other files stay. Hold the lock for it.

        The recipe goes after all that follows from it, so that a kill in between leaves a song that can be resumed.
        """
        SONG.put_mark(self.path)  # so that what is left after a kill still counts as a song's
        own = [path for path in (self.prompt_path, self.notes_path) if not self.is_foreign(path)]
        for level in reversed(TOP_DOWN):
            self.forget_spans(level)
            remove_file(self.codes_path(level))
        for name, made in _MADE.items():
            folder = self.path / name
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if made.fullmatch(path.name):
                    remove_file(path)
        remove_file(self.toml_path)
        for path in own:
            remove_file(path)
        for level in TOP_DOWN:
            remove_file(self.prefix_path(level))

    def remove_unless_begun(self) -> None:
        """Remove the folder, with its lock and mark, if no song was begun in it and it has no other files."""
        if not self.begun and self.path.is_dir() and not holds_files(self.path):
            for name in (".lock", SONG.mark):
                with suppress(OSError):
                    (self.path / name).unlink(missing_ok=True)
            with suppress(OSError):
                self.path.rmdir()

    def is_foreign(self, path: Path) -> bool:
        """Return True if prompt.wav or notes.mid is in the folder although its song has none: it is the user's."""
        if not path.exists():
            return False
        try:
            recipe = self.recipe()
        except NotASong:  # damaged: it may have named the file
            return False
        if recipe is None:
            return not SONG.is_marked(self.path)
        return (recipe.prompt if path == self.prompt_path else recipe.midi) is None

    def check_own(self, path: Path) -> None:
        """Raise BadInput if a file that a stage is to write is there, and is the user's."""
        if self.is_foreign(path):
            raise BadInput(f"{path} is not of this song, and would be replaced. Move it away, or give another --out")

    def check_kept(self, inputs: Iterable[Path | None]) -> None:
        """Raise BadInput if a file that is read is one of those that `clear` removes."""
        folders = {self.path.resolve(), *((self.path / name).resolve() for name in _MADE)}
        for path in inputs:
            if path is not None and path.resolve().parent in folders:
                raise BadInput(f"{path} is read, and --overwrite would remove it: copy it to another folder first")

    def check_links(self) -> None:
        """Raise BadInput if a folder inside the song's is a link, so that its files are not of the song."""
        check_inside(self.path, _MADE)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from working on the song, for as long as the block runs; nesting is fine.

        The system drops the lock when its process ends, however it ends. SongBusy at once where another holds it.
        """
        from filelock import FileLock, Timeout  # here, since only work on a song needs it

        if not self.path.is_dir():  # filelock would make the folder
            raise NotASong(f"there is no song folder {self.path}. Begin one with: jukectl sample --out {self.path}")
        self.check_links()
        self._lock = self._lock or FileLock(self.path / ".lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise SongBusy(
                f"another jukectl is working on {self.path}. Wait until it is done, or stop it (Ctrl-C keeps what it "
                "has made) and run this again"
            ) from error
        except (OSError, NotImplementedError) as error:
            raise CannotWrite(f"cannot lock {self.path}: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._sweep()
            yield
        finally:
            self._lock.release()

    def _sweep(self) -> None:
        """Remove the unfinished files of processes that were killed while they wrote, of earlier versions too."""
        for folder in (self.path, *(self.path / name for name in _MADE)):
            sweep(folder, old_names=True)


def _is_song(folder: Path) -> bool:
    """Return True if a folder holds a recipe or codes."""
    song = Song(folder)
    return _is_recipe(song.toml_path) or any(is_archive(song.codes_path(level)) for level in TOP_DOWN)


def _is_recipe(path: Path) -> bool:
    """Return True for a recipe, even a damaged one; song.toml beside song.flac may hold the facts of a recording."""
    try:
        text = read_text_if_any(path, NotASong)
        return text is not None and "model" in parse_toml(text)
    except (BadInput, ValueError):
        return True


SONG = Kind("song folder", _is_song)


def audio_paths(song: Song, level: Level, samples: Iterable[int], suffix: str | None = ".wav") -> dict[int, Path]:
    """Return the audio files of samples: final ones of the bottom level, previews of an upper one.

    With None in place of a suffix, each file is the one that exists, in any format, or else a wav.
    """
    if suffix is None:
        return {sample: _existing_audio(song, level, sample) for sample in samples}
    if level is Level.BOTTOM:
        return {sample: song.audio_path(sample, suffix) for sample in samples}
    return {sample: song.preview_path(level, sample, suffix) for sample in samples}


def _existing_audio(song: Song, level: Level, sample: int) -> Path:
    """Return the audio file of a sample in the first format that exists, or else the path of a wav."""
    paths = [audio_paths(song, level, [sample], f".{name}")[sample] for name in FORMATS]
    return next((path for path in paths if path.exists()), paths[0])
