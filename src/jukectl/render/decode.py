"""Codes to audio: final files of the bottom level, previews of the upper ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from jukectl.audio import io, mix
from jukectl.audio.player import play as play_files
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import Codeset, codes_of_song
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import FORMATS, Song, audio_paths
from jukectl.codes.tree import Place, Tree, is_tree, name_of
from jukectl.errors import BadAudio, BadInput, NotASong
from jukectl.files import make_folder, remove_file
from jukectl.plan.device import Machine, choose
from jukectl.plan.job import Job
from jukectl.plan.models import check_codecs, model_for
from jukectl.plan.request import Request, check_format
from jukectl.progress import Listener, Progress, ignore
from jukectl.vqvae import chunks
from jukectl.vqvae.model import VQVAE


@dataclass(frozen=True)
class Mastering:
    """Changes to final audio: a gain after the prompt, its loudness in LUFS, if any, and a fade-out in seconds."""

    loudness: float | None = None
    fade: float = 0.0
    seam: int | None = None  # audio samples after which new music is brought to the loudness of the prompt

    @classmethod
    def of(cls, request: Request, recipe: Recipe | None, level: Level) -> Self:
        """Return what a request asks for, for a level of a recipe's song."""
        prompt = recipe.prompt if recipe is not None and level is Level.BOTTOM else None
        seam = prompt.samples if prompt is not None and request.match_loudness else None
        return cls(request.loudness, request.fade, seam)

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return audio (n,) with the changes."""
        if self.seam is not None:
            samples = mix.match_loudness(samples, self.seam, sample_rate)
        if self.loudness is not None:
            samples = mix.normalise_loudness(samples, sample_rate, self.loudness)
        return mix.fade_out(samples, round(self.fade * sample_rate)) if self.fade else samples


def decode(
    path: Path,
    request: Request | None = None,
    *,
    level: Level | None = None,
    format: str = "wav",  # noqa: A002 - the option's name
    sample: int | None = None,
    listener: Listener = ignore,
) -> list[Path]:
    """Decode a level of a song folder, by default its finest; return the audio files, one a sample.

    The bottom level goes to `audio/`, an upper one to `previews/`. `path` may also be a level's .npz in such a folder.
    Of the request, model, device, loudness, fade, match_loudness and force count.
    """
    check_format(format)
    request = request or Request()
    if path.suffix == ".npz":
        level, path = _level_in(path, level), path.parent
    song = Song.open(path)
    found = codes_of_song(song) if level is None else {}
    if level is None:
        level = finest(song, found)
    codes = found.get(level) or song.codes(level)
    if codes is None or codes.done == 0:
        raise NotASong(f"{path} has no {level.label} codes. Make them with: jukectl upsample {path}")
    if sample is not None and not 0 <= sample < codes.samples:
        raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
    machine, folder = choose(request.device), model_for(song, request.model)
    # The finest level was chosen by lengths in seconds, which a damaged rate would falsify: check all of them
    check_codecs(song, found or {level: codes}, folder, request)
    song.check_links()
    paths = audio_paths(song, level, range(codes.samples) if sample is None else [sample], f".{format}")
    _Decoding(folder, machine, listener).write(codes, paths, Mastering.of(request, song.recipe(), level))
    return list(paths.values())


def _level_in(path: Path, level: Level | None) -> Level:
    """Return the level of an archive in a song folder. BadInput if another is requested, or if its name is another."""
    found = Codes.load(path).level
    if level not in (None, found):
        raise BadInput(f"{path} holds {found.label} codes, and --level asks for others: give the folder {path.parent}")
    if path.stem != found.label:
        raise BadInput(f"{path} holds {found.label} codes: copy it to {found.label}.npz in a new folder first")
    return found


def write_audio(
    job: Job, level: Level, mastering: Mastering | None = None, *, begun: bool = False, suffix: str | None = ".wav"
) -> tuple[list[Path], bool]:
    """Decode every sample of a level to audio, if its file does not exist, or is of fewer codes than there are.

    With `begun` files that do not exist are left out. Return the paths, and whether any was written. Without a `suffix`
    files keep their formats, and new ones are wav.
    """
    codes = job.codes.get(level)
    if codes is None or codes.done == 0:
        return [], False
    paths = audio_paths(job.song, level, range(codes.samples), suffix)
    archive = job.song.codes_path(level)
    missing = {
        sample: path
        for sample, path in paths.items()
        if (_is_cut_short(path, codes, archive) if path.exists() else not begun)
    }
    if missing:
        _Decoding(job.model, job.machine, job.listener).write(codes, missing, mastering or Mastering())
    return list(paths.values()), bool(missing)


def _is_cut_short(path: Path, codes: Codes, archive: Path) -> bool:
    """Return True for a preview that a killed run had no time to extend to its last codes.

    A file that is newer than the codes was cut by the user, and stays.
    """
    try:
        if path.stat().st_mtime_ns >= archive.stat().st_mtime_ns:
            return False
        return round(io.info(path).seconds * codes.sample_rate) < codes.done * codes.hop
    except (OSError, BadAudio):
        return False


def forget_audio(song: Song, codes: Codes) -> None:
    """Remove the audio decoded from a level, in any format, before its codes change."""
    for name in FORMATS:
        for path in audio_paths(song, codes.level, range(codes.samples), f".{name}").values():
            remove_file(path)


@dataclass(frozen=True)
class _Decoding:
    """Decodes codes to audio files."""

    model: ModelFolder
    machine: Machine
    listener: Listener

    def write(self, codes: Codes, paths: Mapping[int, Path], mastering: Mastering) -> None:
        """Write the audio of some samples to their paths."""
        vqvae = self.model.vqvae(self.machine.device, (codes.level,))
        stage = f"decoding {codes.level.label}"
        for number, (sample, path) in enumerate(paths.items()):
            self.listener(Progress(stage, number, len(paths)))
            samples = waveform(vqvae, codes.array[sample], codes.level, self.machine)
            make_folder(path.parent)
            io.save(path, mastering.apply(samples, codes.sample_rate), codes.sample_rate)
        self.listener(Progress(stage, len(paths), len(paths)))


def waveform(vqvae: VQVAE, codes: np.ndarray, level: Level, machine: Machine) -> np.ndarray:
    """Decode one sample's codes (frames,) to audio (n,)."""
    batch = torch.from_numpy(codes.astype(np.int64))[None].to(machine.device)
    audio, done = np.empty(len(codes) * vqvae.config.hop(level), dtype=np.float32), 0
    for piece in chunks.decode(vqvae, batch, level, chunk_seconds=machine.chunk_seconds):
        audio[done : done + piece.shape[1]] = piece[0].float().numpy()
        done += piece.shape[1]
    return audio


def finest(song: Song, codes: Codeset) -> Level:
    """Return the finest level of a song that has as much music as any other. NotASong without any codes."""
    seconds = {level: one.seconds for level, one in codes.items()}
    if not seconds:
        raise NotASong(f"{song.path} has no codes yet. Make them with: jukectl resume {song.path}")
    longest = max(seconds.values())
    return min(level for level, length in seconds.items() if length > longest - 0.1)


def audio_of(path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = ()) -> list[Path]:
    """Return the audio of `path`: a file, a song's sample at its finest decoded level, or the way to a tree's leaf.

    NotASong if nothing was decoded yet, BadInput without such a sample or leaf.
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
        (audio,) = audio_paths(song, one, [sample], None).values()
        if audio.exists():
            return [audio]
    where = "" if level is None else f" --level {level.label}"
    raise NotASong(f"nothing of {path} was decoded yet. Make audio with: jukectl decode {path}{where}")


def play(
    path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = (), player: str | None = None
) -> tuple[list[Path], str]:
    """Play the audio of a path; return the files, and the name of the player."""
    files = audio_of(path, sample=sample, level=level, leaf=leaf)
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


class Preview:
    """The preview files of one level, decoded as far as its codes reach. The codec is loaded with the first."""

    def __init__(self, job: Job, level: Level) -> None:
        self._job = job
        self._level = level
        self._files = job.parts.get(level, ())
        prefix = job.recipe.prefix
        self._first = prefix.frames.get(level, 0) if self._files and prefix else 0  # code that a file begins with
        self._vqvae: VQVAE | None = None
        self._written: dict[int, int] = {}  # codes in the file of each sample, written by this run

    def write(self, codes: Codes) -> None:
        """Extend the files to these codes; a player sees the old file or the new one."""
        if codes.done <= self._first:
            return
        if self._vqvae is None:
            self._vqvae = self._job.model.vqvae(self._job.machine.device, (self._level,))
        for sample in range(codes.samples):
            path = self._path(sample)
            kept = self._kept(sample, codes.hop)
            samples = self._decoded(self._vqvae, codes.array[sample], kept, codes.hop)
            # a peak turns down what comes before it too, and that was turned down already
            if kept.size and mix.peak(samples) > mix.FULL_SCALE:
                samples = self._decoded(self._vqvae, codes.array[sample], kept[:0], codes.hop)
            make_folder(path.parent)
            io.save(path, samples, codes.sample_rate)
            self._written[sample] = codes.done - self._first

    def _path(self, sample: int) -> Path:
        if self._files:
            return self._files[sample]
        (path,) = audio_paths(self._job.song, self._level, [sample]).values()
        return path

    def _kept(self, sample: int, hop: int) -> np.ndarray:
        """Return the audio (n,) in a sample's file that later codes do not change; empty without a file."""
        path = self._path(sample)
        written, none = self._written.get(sample, 0), np.zeros(0, dtype=np.float32)
        if not written or not path.exists() or self._vqvae is None:
            return none
        samples = io.load(path).samples[0]
        if len(samples) != written * hop:
            return none  # another program changed it
        kept: np.ndarray = samples[: chunks.settled(self._vqvae, self._level, written) * hop]
        return kept

    def _decoded(self, vqvae: VQVAE, codes: np.ndarray, kept: np.ndarray, hop: int) -> np.ndarray:
        """Return all audio (n,) of a file: the kept part, and the rest decoded from codes (frames,)."""
        first = self._first + len(kept) // hop
        before = min(first, vqvae.autoencoder(self._level).decoder.reach)
        rest = waveform(vqvae, codes[first - before :], self._level, self._job.machine)
        return np.concatenate([kept, rest[before * hop :]])
