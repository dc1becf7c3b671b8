"""Codes to audio: final files of the bottom level, previews of the upper ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from jukectl.audio import io, mix
from jukectl.audio.player import play as play_files
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song, audio_paths
from jukectl.codes.tree import Place, Tree, is_tree, name_of
from jukectl.errors import BadInput, NotASong
from jukectl.files import make_folder
from jukectl.plan.device import Machine, choose
from jukectl.plan.recipes import check_codec, model_for
from jukectl.plan.request import check_fade, check_loudness
from jukectl.progress import Listener, Progress, ignore
from jukectl.vqvae import chunks
from jukectl.vqvae.model import VQVAE

FORMATS = ("wav", "flac", "ogg", "mp3")


def decode(
    path: Path,
    *,
    level: Level | None = None,
    format: str = "wav",  # noqa: A002 - the option's name
    sample: int | None = None,
    model: str | None = None,
    device: str = "auto",
    loudness: float | None = None,
    fade: float = 0.0,
    force: bool = False,
    listener: Listener = ignore,
) -> list[Path]:
    """Decode a level of a song folder (its finest, by default); returns the audio files, one a sample.

    The bottom level goes to `audio/`, an upper one to `previews/`. `path` may also be a level's .npz in such a folder.
    """
    if format not in FORMATS:
        raise BadInput(f"--format is one of {', '.join(FORMATS)}; got {format!r}")
    check_loudness(loudness)
    check_fade(fade)
    if path.suffix == ".npz":
        level, path = _level_in(path, level), path.parent
    song = Song.open(path)
    level = level if level is not None else finest(song)
    codes = song.codes(level)
    if codes is None or codes.done == 0:
        raise NotASong(f"{path} has no {level.label} codes. Make them with: jukectl upsample {path}")
    if sample is not None and not 0 <= sample < codes.samples:
        raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
    picks = range(codes.samples) if sample is None else [sample]
    machine, folder = choose(device), model_for(song, model)
    check_codec(song, codes, folder, force=force)
    paths = audio_paths(song, level, picks, f".{format}")
    _write(codes, paths, folder, machine, listener, loudness=loudness, fade=fade)
    return list(paths.values())


def _level_in(path: Path, level: Level | None) -> Level:
    """The level of an archive in a song folder; BadInput where it is not the one asked for, or not called after it."""
    found = Codes.load(path).level
    if level not in (None, found):
        raise BadInput(f"{path} holds {found.label} codes, and --level asks for others: give the folder {path.parent}")
    if path.stem != found.label:
        raise BadInput(f"{path} holds {found.label} codes: copy it to {found.label}.npz in a folder of its own first")
    return found


def write_audio(
    song: Song,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    *,
    loudness: float | None = None,
    fade: float = 0.0,
    listener: Listener = ignore,
) -> tuple[list[Path], bool]:
    """Decode every sample of a level to wav, where its file is not there.

    Returns the paths, and whether any was written.
    """
    codes = song.codes(level)
    if codes is None or codes.done == 0:
        return [], False
    paths = audio_paths(song, level, range(codes.samples))
    wanted = {sample: path for sample, path in paths.items() if not path.exists()}
    if wanted:
        _write(codes, wanted, folder, machine, listener, loudness=loudness, fade=fade)
    return list(paths.values()), bool(wanted)


def forget_audio(song: Song, codes: Codes) -> None:
    """Remove what was decoded from a level, in any format, before its codes become others."""
    for name in FORMATS:
        for path in audio_paths(song, codes.level, range(codes.samples), f".{name}").values():
            path.unlink(missing_ok=True)


def _write(
    codes: Codes,
    paths: Mapping[int, Path],
    folder: ModelFolder,
    machine: Machine,
    listener: Listener,
    *,
    loudness: float | None,
    fade: float,
) -> None:
    vqvae = folder.vqvae(machine.device, (codes.level,))
    stage = f"decoding {codes.level.label}"
    for number, (sample, path) in enumerate(paths.items()):
        listener(Progress(stage, number, len(paths)))
        samples = waveform(vqvae, codes.array[sample], codes.level, machine)
        if loudness is not None:
            samples = mix.normalise_loudness(samples, codes.sample_rate, loudness)
        if fade:
            samples = mix.fade_out(samples, round(fade * codes.sample_rate))
        make_folder(path.parent)
        io.save(path, samples, codes.sample_rate)
    listener(Progress(stage, len(paths), len(paths)))


def waveform(vqvae: VQVAE, codes: np.ndarray, level: Level, machine: Machine) -> np.ndarray:
    """The audio (n,) of one sample's codes (frames,)."""
    batch = torch.from_numpy(codes.astype(np.int64))[None].to(machine.device)
    audio, done = np.empty(len(codes) * vqvae.config.hop(level), dtype=np.float32), 0
    for piece in chunks.decode(vqvae, batch, level, chunk_seconds=machine.chunk_seconds):
        audio[done : done + piece.shape[1]] = piece[0].float().numpy()
        done += piece.shape[1]
    return audio


def finest(song: Song) -> Level:
    """The finest level with as much music as any other has."""
    found = {level: codes.seconds for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    if not found:
        raise NotASong(f"{song.path} has no codes yet. Make them with: jukectl resume {song.path}")
    longest = max(found.values())
    return min(level for level, seconds in found.items() if seconds > longest - 0.1)


def to_be_heard(path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = ()) -> list[Path]:
    """The audio of `path`: a file, a song's sample at its finest level that was decoded, or the way to a tree's leaf.

    NotASong where nothing was decoded yet, BadInput where there is no such sample or leaf.
    """
    if path.is_file() and path.suffix != ".npz":
        return [path]
    if is_tree(path):
        return _of_tree(path, level, leaf)
    if leaf:
        raise BadInput(f"{path} is no tree: leave --leaf out")
    song = Song.open(path)
    codes = next((codes for one in TOP_DOWN if (codes := song.codes(one)) is not None), None)
    if codes is not None and not 0 <= sample < codes.samples:
        raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
    for one in (level,) if level is not None else reversed(TOP_DOWN):
        for suffix in FORMATS:
            (audio,) = audio_paths(song, one, [sample], f".{suffix}").values()
            if audio.exists():
                return [audio]
    where = "" if level is None else f" --level {level.label}"
    raise NotASong(f"nothing of {path} was decoded yet to be heard. Make audio with: jukectl decode {path}{where}")


def play(
    path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = (), player: str | None = None
) -> tuple[list[Path], str]:
    """Play what `path` is heard from; the files, and the name of the player."""
    files = to_be_heard(path, sample=sample, level=level, leaf=leaf)
    return files, play_files(files, player).command[0]


def _of_tree(path: Path, level: Level | None, leaf: Place) -> list[Path]:
    tree = Tree.open(path)
    recipe = tree.recipe()
    if recipe is None or not leaf:
        raise BadInput(f"{path} is a tree: say which leaf, such as --leaf 0.1 (see jukectl info {path})")
    for one in (level,) if level is not None else reversed(TOP_DOWN):
        audio = [tree.audio_path(leaf[:step], one) for step in range(1, len(leaf) + 1)]
        if all(file.exists() for file in audio):
            return audio
    raise BadInput(f"{path} has no audio of {name_of(leaf)}. See what it has with: jukectl info {path}")


FULL = 0.999
"""Where a file is so loud, it may have been brought down as a whole, and what follows does not fit on it."""


class Preview:
    """The audio files of one level of a song, as far as its codes are there. The codec is loaded with the first.

    With `files`, one a sample, they are those, and with `first` they begin at that code.
    """

    def __init__(
        self,
        song: Song,
        folder: ModelFolder,
        machine: Machine,
        level: Level,
        *,
        files: Sequence[Path] = (),
        first: int = 0,
    ) -> None:
        self._song = song
        self._folder = folder
        self._machine = machine
        self._level = level
        self._files = files
        self._first = first
        self._vqvae: VQVAE | None = None
        self._written: dict[int, int] = {}  # codes that this run has put into the file of each sample

    def write(self) -> None:
        """Bring the files up to the codes that are saved; a player sees the old file or the new one."""
        codes = self._song.codes(self._level)
        if codes is None or codes.done <= self._first:
            return
        if self._vqvae is None:
            self._vqvae = self._folder.vqvae(self._machine.device, (self._level,))
        for sample in range(codes.samples):
            path = self._path(sample)
            kept = self._kept(sample, codes.hop)
            samples = self._decoded(self._vqvae, codes.array[sample], kept, codes.hop)
            if kept.size and np.abs(samples).max(initial=0.0) > FULL:
                samples = self._decoded(self._vqvae, codes.array[sample], kept[:0], codes.hop)
            make_folder(path.parent)
            io.save(path, samples, codes.sample_rate)
            self._written[sample] = codes.done - self._first

    def _path(self, sample: int) -> Path:
        if self._files:
            return self._files[sample]
        (path,) = audio_paths(self._song, self._level, [sample]).values()
        return path

    def _kept(self, sample: int, hop: int) -> np.ndarray:
        """What stands already in a sample's file and does not change by codes that follow, (n,); empty without one."""
        path = self._path(sample)
        written, none = self._written.get(sample, 0), np.zeros(0, dtype=np.float32)
        if not written or not path.exists() or self._vqvae is None:
            return none
        samples = io.load(path).samples[0]
        if len(samples) != written * hop:
            return none  # somebody else's
        reach = self._vqvae.autoencoder(self._level).decoder.reach
        final = max(written - reach, 0)
        kept: np.ndarray = samples[: final * hop]
        return kept

    def _decoded(self, vqvae: VQVAE, codes: np.ndarray, kept: np.ndarray, hop: int) -> np.ndarray:
        """All samples of a file, of codes (frames,), the first of which are known."""
        first = self._first + len(kept) // hop
        before = min(first, vqvae.autoencoder(self._level).decoder.reach)
        rest = waveform(vqvae, codes[first - before :], self._level, self._machine)
        return np.concatenate([kept, rest[before * hop :]])
