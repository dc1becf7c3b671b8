"""Codes to audio: final files of the bottom level, previews of the upper ones."""

from collections.abc import Sequence
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
from jukectl.pipeline.machine import Machine, choose
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
    force: bool = False,
    report: Report = silent,
) -> list[Path]:
    """Decode a level of a song folder (its finest, by default); returns the audio files, one a sample.

    The bottom level goes to `audio/`, an upper one to `previews/`. `path` may also be a level's .npz in such a folder.
    """
    if format not in FORMATS:
        raise BadInput(f"--format is one of {', '.join(FORMATS)}; got {format!r}")
    if path.is_file() and path.suffix == ".npz":
        level, path = level or Codes.load(path).level, path.parent
    song = Song.open(path)
    level = level if level is not None else _finest(song)
    codes = song.codes(level)
    if codes is None:
        raise NotASong(f"{path} has no {level.label} codes. Make them with: jukectl upsample {path}")
    recipe = song.recipe()
    named = model or (recipe and (recipe.model.path or recipe.model.name)) or catalogue.EMBEDDED
    folder = catalogue.find(named)
    check_codec(song, codes, folder, force=force)
    if sample is not None and not 0 <= sample < codes.samples:
        raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
    picks = range(codes.samples) if sample is None else [sample]
    return _write(song, codes, folder, choose(device), picks, f".{format}", loudness, False, report)[0]


def write_audio(
    song: Song,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    *,
    loudness: float | None = None,
    keep: bool = False,
    report: Report = silent,
) -> tuple[list[Path], bool]:
    """Decode every sample of a level to wav; with `keep`, files that are there stay. The paths, and whether any was written."""
    codes = song.codes(level)
    if codes is None or codes.done == 0:
        return [], False
    return _write(song, codes, folder, machine, range(codes.samples), ".wav", loudness, keep, report)


def _write(
    song: Song,
    codes: Codes,
    folder: ModelFolder,
    machine: Machine,
    picks: Sequence[int],
    suffix: str,
    loudness: float | None,
    keep: bool,
    report: Report,
) -> tuple[list[Path], bool]:
    final = codes.level is Level.BOTTOM
    paths = [song.audio_path(pick, suffix) if final else song.preview_path(codes.level, pick, suffix) for pick in picks]
    wanted = [(pick, path) for pick, path in zip(picks, paths, strict=True) if not (keep and path.exists())]
    if not wanted:
        return paths, False
    vqvae = folder.vqvae(machine.device, (codes.level,))
    for number, (pick, path) in enumerate(wanted):
        report(Progress(f"decoding {codes.level.label}", number, len(wanted)))
        samples = waveform(vqvae, codes.array[pick], codes.level, machine)
        if loudness is not None:
            samples = mix.normalise_loudness(samples, codes.sample_rate, loudness)
        path.parent.mkdir(parents=True, exist_ok=True)
        io.save(path, samples, codes.sample_rate)
    report(Progress(f"decoding {codes.level.label}", len(wanted), len(wanted)))
    return paths, True


def waveform(vqvae: VQVAE, codes: np.ndarray, level: Level, machine: Machine) -> np.ndarray:
    """The audio (n,) of one sample's codes (frames,)."""
    batch = torch.from_numpy(codes.astype(np.int64))[None].to(machine.device)
    return torch.cat([piece[0].float() for piece in chunks.decode(vqvae, batch, level)]).numpy()


def _finest(song: Song) -> Level:
    """The finest level with as much music as any other has."""
    found = {level: codes.seconds for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    if not found:
        raise NotASong(f"{song.path} has no codes yet. Make them with: jukectl resume {song.path}")
    longest = max(found.values())
    return min(level for level, seconds in found.items() if seconds > longest - 0.1)


def check_codec(song: Song, codes: Codes, folder: ModelFolder, *, force: bool) -> None:
    """Refuse codes that another codec than the model's gave their meaning, unless forced."""
    here = folder.fingerprint(VQVAE_PART)
    if codes.vqvae != here and not force:
        raise WrongCodec(
            f"{song.codes_path(codes.level)} holds codes of the VQ-VAE {codes.vqvae[:12]}, and {folder.card.name}'s is "
            f"{here[:12]}. Choose their model with --model, or use them all the same with --force"
        )
