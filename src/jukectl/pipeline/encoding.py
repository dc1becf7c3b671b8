"""Audio to codes: for a song folder, for a prompt, and for a whole manifest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jukectl import __version__
from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import ModelRef, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, RecipeDiffers
from jukectl.pipeline.machine import Machine, choose, single_thread
from jukectl.progress import Progress, Report, silent
from jukectl.training.manifest import Manifest
from jukectl.training.segments import MANIFEST, code_path
from jukectl.vqvae import chunks
from jukectl.vqvae.model import VQVAE


def encode(
    audio: Path,
    out: Path,
    *,
    levels: Sequence[Level] = TOP_DOWN,
    start: float = 0.0,
    seconds: float | None = None,
    model: str = catalogue.EMBEDDED,
    device: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> list[Path]:
    """Encode a recording into a song folder; returns the code files. Codes that are there already are kept."""
    folder, machine = catalogue.find(model), choose(device)
    samples, prompt = hear(audio, folder, start=start, seconds=seconds)
    recipe = Recipe(
        kind="encode",
        version=__version__,
        model=reference(folder, model),
        seed=0,
        samples=1,
        seconds=0.0,
        song_seconds=prompt.seconds,
        levels=tuple(levels),
        prompt=prompt,
    )
    song = Song.create(out)
    with song.lock():
        if overwrite:
            song.clear()
        begin(song, recipe)
        keep_prompt(song, samples, folder)
        song.write_recipe(recipe)
        encode_prompt(song, folder, machine, levels, samples, count=1, report=report)
    return [song.codes_path(level) for level in levels]


def begin(song: Song, recipe: Recipe) -> Recipe | None:
    """The folder's own recipe where it has one that asks for the same; RecipeDiffers names what differs."""
    existing = song.recipe()
    if existing is None:
        if song.begun:
            raise RecipeDiffers(
                f"{song.path} holds codes but no recipe. Go on from them with: jukectl upsample {song.path}; or begin anew with --overwrite"
            )
        return None
    if differences := existing.differences(recipe):
        raise RecipeDiffers(
            f"{song.path} was begun with another recipe ({'; '.join(differences)}). "
            "Give the same options, another --out, or --overwrite"
        )
    return existing


def reference(folder: ModelFolder, name: str) -> ModelRef:
    """How a recipe names a model, with the fingerprints of its parts."""
    by_path = folder.path.parent not in (catalogue.assets(), catalogue.user_models())
    parts = [part for part in (VQVAE_PART, *(level.label for level in TOP_DOWN)) if folder.part(part).exists()]
    return ModelRef(
        name=folder.card.name,
        path=str(folder.path) if by_path else None,
        fingerprints={part: folder.fingerprint(part) for part in parts},
    )


def hear(audio: Path, folder: ModelFolder, *, start: float, seconds: float | None) -> tuple[np.ndarray, Prompt]:
    """A recording as the model hears it: mono (n,), at its rate, cut to whole top codes; and its entry in the recipe."""
    config = folder.card.vqvae
    loaded = io.load(audio, sample_rate=config.sample_rate, start=start, seconds=seconds)
    mono = mix.to_mono(loaded.samples)
    hop = config.hop(Level.TOP)
    length = len(mono) // hop * hop
    if length == 0:
        shortest = hop / config.sample_rate
        raise BadAudio(
            f"{audio} is too short: {len(mono) / config.sample_rate:.3f} s, and one top code spans {shortest:.3f} s"
        )
    kept = np.ascontiguousarray(mono[:length], dtype=np.float32)
    return kept, Prompt(
        source=str(audio), start=start, seconds=length / config.sample_rate, sha256=digest(kept), samples=length
    )


def digest(samples: np.ndarray) -> str:
    """SHA-256 of float32 samples, hex."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()


def keep_prompt(song: Song, samples: np.ndarray, folder: ModelFolder) -> None:
    """Write prompt.wav: exactly what the model hears."""
    io.save(song.prompt_path, samples, folder.card.vqvae.sample_rate, subtype="float")


def encode_prompt(
    song: Song,
    folder: ModelFolder,
    machine: Machine,
    levels: Sequence[Level],
    samples: np.ndarray,
    *,
    count: int,
    report: Report,
) -> None:
    """Write the prompt's codes, once for each of `count` samples, at the levels that have none yet."""
    missing = [level for level in levels if song.codes(level) is None]
    if not missing:
        return
    vqvae = folder.vqvae(machine.device, tuple(missing))
    fingerprint = folder.fingerprint(VQVAE_PART)
    for level in missing:
        array = codes_of(vqvae, samples, level, machine, report)
        song.save(
            new_codes(folder, level, np.repeat(array, count, axis=0), prompt=array.shape[1], fingerprint=fingerprint)
        )


def new_codes(folder: ModelFolder, level: Level, array: np.ndarray, *, prompt: int, fingerprint: str) -> Codes:
    """Codes (samples, frames) of a model's codec."""
    config = folder.card.vqvae
    return Codes(
        level=level,
        array=array.astype(np.uint16),
        prompt=prompt,
        hop=config.hop(level),
        sample_rate=config.sample_rate,
        codebook_size=config.codebook_size,
        vqvae=fingerprint,
    )


def codes_of(vqvae: VQVAE, samples: np.ndarray, level: Level, machine: Machine, report: Report) -> np.ndarray:
    """The codes (1, frames) of audio (n,) at one level."""
    total = len(samples) // vqvae.config.hop(level)
    audio = torch.from_numpy(samples)[None].to(machine.device)
    stage = f"encoding {level.label}"
    with single_thread(machine):
        codes = chunks.encode(vqvae, audio, level, watch=lambda frames: report(Progress(stage, frames, total)))
    return codes.numpy()


@dataclass(frozen=True)
class EncodedManifest:
    """What `encode_manifest` did."""

    encoded: int  # songs that have codes now
    skipped: tuple[str, ...]  # a line for each that could not be read


def encode_manifest(
    manifest_path: Path, out: Path, *, model: str = catalogue.EMBEDDED, device: str = "auto", report: Report = silent
) -> EncodedManifest:
    """Encode every song of a manifest at all levels, into one folder a song; songs that are done are left as they are."""
    manifest, folder, machine = Manifest.load(manifest_path), catalogue.find(model), choose(device)
    vqvae = folder.vqvae(machine.device)
    fingerprint = folder.fingerprint(VQVAE_PART)
    kept, skipped = [], []
    for number, track in enumerate(manifest.tracks):
        report(Progress("encoding songs", number, len(manifest.tracks), track.path))
        missing = [level for level in TOP_DOWN if not _is_encoded(code_path(out, track, level), fingerprint)]
        try:
            samples = hear(manifest.folder / track.path, folder, start=0.0, seconds=None)[0] if missing else np.zeros(0)
        except BadAudio as error:
            skipped.append(str(error))
            continue
        for level in missing:
            array = codes_of(vqvae, samples, level, machine, silent)
            path = code_path(out, track, level)
            path.parent.mkdir(parents=True, exist_ok=True)
            new_codes(folder, level, array, prompt=array.shape[1], fingerprint=fingerprint).save(path)
        kept.append(track)
    if not kept:
        raise BadAudio(
            f"none of the songs of {manifest_path} could be encoded: {skipped[0] if skipped else 'it is empty'}"
        )
    Manifest(out, tuple(kept)).save(out / MANIFEST)
    report(Progress("encoding songs", len(manifest.tracks), len(manifest.tracks)))
    return EncodedManifest(len(kept), tuple(skipped))


def _is_encoded(path: Path, fingerprint: str) -> bool:
    """Whether a song's codes are there, from this very codec."""
    return path.exists() and Codes.load(path).vqvae == fingerprint
