"""Codes to audio: final files of the bottom level, previews of the upper ones."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong, WrongCodec
from jukectl.files import make_folder
from jukectl.pipeline.machine import Machine, choose
from jukectl.pipeline.request import check_fade, check_loudness
from jukectl.progress import Progress, Report, silent
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
    report: Report = silent,
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
    _write(codes, paths, folder, machine, report, loudness=loudness, fade=fade)
    return list(paths.values())


def _level_in(path: Path, level: Level | None) -> Level:
    """The level of an archive in a song folder; BadInput where it is not the one asked for, or not called after it."""
    found = Codes.load(path).level
    if level not in (None, found):
        raise BadInput(f"{path} holds {found.label} codes, and --level asks for others: give the folder {path.parent}")
    if path.stem != found.label:
        raise BadInput(f"{path} holds {found.label} codes: copy it to {found.label}.npz in a folder of its own first")
    return found


def model_for(song: Song, model: str | None) -> ModelFolder:
    """The model asked for, or the recipe's, or the embedded one."""
    recipe = song.recipe()
    return catalogue.find(model or (recipe and (recipe.model.path or recipe.model.name)) or catalogue.EMBEDDED)


def write_audio(
    song: Song,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    *,
    loudness: float | None = None,
    fade: float = 0.0,
    report: Report = silent,
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
        _write(codes, wanted, folder, machine, report, loudness=loudness, fade=fade)
    return list(paths.values()), bool(wanted)


def forget_audio(song: Song, codes: Codes) -> None:
    """Remove what was decoded from a level, in any format, before its codes become others."""
    for name in FORMATS:
        for path in audio_paths(song, codes.level, range(codes.samples), f".{name}").values():
            path.unlink(missing_ok=True)


def audio_paths(song: Song, level: Level, samples: Iterable[int], suffix: str = ".wav") -> dict[int, Path]:
    """The audio files of samples: final ones of the bottom level, previews of an upper one."""
    if level is Level.BOTTOM:
        return {sample: song.audio_path(sample, suffix) for sample in samples}
    return {sample: song.preview_path(level, sample, suffix) for sample in samples}


def _write(
    codes: Codes,
    paths: Mapping[int, Path],
    folder: ModelFolder,
    machine: Machine,
    report: Report,
    *,
    loudness: float | None,
    fade: float,
) -> None:
    vqvae = folder.vqvae(machine.device, (codes.level,))
    stage = f"decoding {codes.level.label}"
    for number, (sample, path) in enumerate(paths.items()):
        report(Progress(stage, number, len(paths)))
        samples = waveform(vqvae, codes.array[sample], codes.level, machine)
        if loudness is not None:
            samples = mix.normalise_loudness(samples, codes.sample_rate, loudness)
        if fade:
            samples = mix.fade_out(samples, round(fade * codes.sample_rate))
        make_folder(path.parent)
        io.save(path, samples, codes.sample_rate)
    report(Progress(stage, len(paths), len(paths)))


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


def check_codec(song: Song, codes: Codes, folder: ModelFolder, *, force: bool) -> None:
    """Refuse codes to which another codec than the model's gave their meaning, unless forced and small enough."""
    here, size = folder.fingerprint(VQVAE_PART), folder.card.vqvae.codebook_size
    where = f"{song.codes_path(codes.level)} holds codes of the VQ-VAE {codes.vqvae[:12]}"
    if codes.vqvae != here and not force:
        raise WrongCodec(
            f"{where}, and {folder.card.name}'s is {here[:12]}. "
            "Choose their model with --model, or use them all the same with --force"
        )
    if codes.codebook_size > size:
        raise WrongCodec(
            f"{where}, up to code {codes.codebook_size - 1}, and {folder.card.name}'s go to {size - 1}. "
            "Choose their model with --model"
        )
