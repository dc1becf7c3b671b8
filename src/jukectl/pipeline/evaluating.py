"""Models judged on held-out music: the codec on recordings, the priors on encoded songs."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadAudio, BadInput, BadModel, WrongCodec
from jukectl.evaluation import prior as prior_evaluation
from jukectl.evaluation import reconstruction
from jukectl.evaluation.baselines import Bigram
from jukectl.pipeline.encoding import hear
from jukectl.pipeline.rendering import Warn, unheard
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Progress, Report, silent
from jukectl.training.manifest import Manifest, Track
from jukectl.training.segments import SegmentSet, code_path, genres_of, load_manifest, read_codes

CPU = torch.device("cpu")
SEGMENTS = 48  # that a prior is judged on; as many as validation in training has


def evaluate_reconstruction(
    audio: Sequence[Path],
    *,
    model: str = catalogue.EMBEDDED,
    held_out: Path | None = None,
    seconds: float | None = None,
    report: Report = silent,
    warn: Warn = unheard,
) -> dict[str, Any]:
    """How well each level of a model's codec renders recordings, a file and all together.

    `audio` are files, or manifests (.jsonl), of which `held_out` (a file of globs) chooses songs. At most `seconds` of
    each are taken, from its middle, down-mixed as for encoding. Files that cannot be read are left out with a warning.
    """
    folder = catalogue.find(model)
    config, vqvae = folder.card.vqvae, folder.vqvae(CPU)
    files = _recordings(audio, held_out)
    heard, scores, skipped = [], [], []
    for number, path in enumerate(files):
        report(Progress("listening", number, len(files), path.name))
        try:
            start, most = _middle(path, seconds)
            samples, _ = hear(path, folder, start=start, seconds=most)
        except BadAudio as error:
            if len(files) == 1:
                raise
            skipped.append(str(error))
            warn(f"left out: {error}")
            continue
        heard.append((path, len(samples) / config.sample_rate))
        scores.append({level: reconstruction.score(vqvae, samples, level) for level in TOP_DOWN})
    report(Progress("listening", len(files), len(files)))
    if not heard:
        raise BadAudio(f"none of the {len(files)} recordings can be used: {skipped[0]}")
    return {
        "model": folder.card.name,
        "levels": {
            level.label: {
                "hop": config.hop(level),
                "kbit_per_second": round(reconstruction.kbit_per_second(config, level), 3),
                "codebook_size": config.codebook_size,
                **_figures(reconstruction.together([one[level] for one in scores])),
            }
            for level in TOP_DOWN
        },
        "files": [
            {
                "path": str(path),
                "seconds": round(length, 3),
                "levels": {level.label: _figures(one) for level, one in levels.items()},
            }
            for (path, length), levels in zip(heard, scores, strict=True)
        ],
        "skipped": skipped,
    }


def evaluate_prior(
    codes: Path,
    *,
    model: str = catalogue.EMBEDDED,
    held_out: Path | None = None,
    segments: int = SEGMENTS,
    report: Report = silent,
    warn: Warn = unheard,
) -> dict[str, Any]:
    """What a code costs each prior of a model, in bits, on the held-out songs of a code folder.

    Beside it, on the very same codes: a unigram and a bigram counted in the other songs, and the prior itself with the
    artists and genres of other segments. Segments are a full context each, spread evenly over the held-out songs.
    """
    if segments < 1:
        raise BadInput(f"--segments is 1 or more, got {segments}")
    folder = catalogue.find(model)
    levels = [level for level in TOP_DOWN if level in folder.card.priors and folder.part(level.label).exists()]
    if not levels:
        raise BadModel(f"the model {folder.card.name} has no priors to evaluate")
    manifest = load_manifest(codes)
    if held_out is None:
        warn("without --held-out the baselines are counted in the very songs they are scored on, which flatters them")
        kept = held = list(manifest.tracks)
    else:
        kept, held = manifest.split(read_globs(held_out))
    _warn_of_unknown_labels(held, folder.card.vocabulary, warn)
    return {
        "model": folder.card.name,
        "songs": len(held),
        "levels": {
            level.label: _prior_figures(_score_prior(folder, codes, kept, held, level, segments, report))
            for level in levels
        },
    }


def read_globs(path: Path) -> tuple[str, ...]:
    """The globs of a file, one a line, without lines that are empty or begin with #. BadInput where none is left."""
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise BadInput(f"cannot read the globs of held-out songs in {path}: {error.strerror}") from error
    globs = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not globs:
        raise BadInput(f"{path} names no held-out songs: give one glob a line, such as band/album 3/*.flac")
    return globs


def _recordings(audio: Sequence[Path], held_out: Path | None) -> list[Path]:
    """The files among `audio`, and the songs of the manifests among them."""
    manifests = [Manifest.load(path) for path in audio if path.suffix == ".jsonl"]
    if held_out is not None and not manifests:
        raise BadInput("--held-out chooses songs of a manifest (.jsonl), and none was given")
    songs: list[Path] = []
    for manifest in manifests:
        tracks = manifest.tracks if held_out is None else manifest.split(read_globs(held_out))[1]
        songs += [manifest.folder / track.path for track in tracks]
    return [path for path in audio if path.suffix != ".jsonl"] + songs


def _middle(path: Path, seconds: float | None) -> tuple[float, float | None]:
    """Where to start for the middle `seconds` of a file, and how many seconds to take from there."""
    if seconds is None:
        return 0.0, None
    if not seconds > 0:
        raise BadInput(f"--seconds is more than 0, got {seconds}")
    return max(0.0, (io.info(path).seconds - seconds) / 2), seconds


def _figures(score: reconstruction.ReconstructionScore) -> dict[str, Any]:
    return {
        "spectral_convergence_db": _finite(score.spectral_convergence_db),
        "si_sdr_db": _finite(score.si_sdr_db),
        "entropy_bits": round(score.entropy_bits, 4),
        "used_codes": score.used_codes,
    }


def _finite(decibels: float) -> float | None:
    """None for what JSON has no number for: a silent recording has no decibels."""
    return round(decibels, 4) if isfinite(decibels) else None


def _score_prior(
    folder: ModelFolder,
    codes: Path,
    kept: Sequence[Track],
    held: Sequence[Track],
    level: Level,
    segments: int,
    report: Report,
) -> prior_evaluation.PriorScore:
    prior = folder.prior(level, CPU)
    config = prior.config
    training = _read_checked(codes, kept, level, folder)
    _read_checked(codes, held, level, folder)
    held_out = SegmentSet.load(
        codes,
        held,
        level,
        folder.card.vocabulary,
        context=config.context,
        ratio=config.conditioner.ratio if config.conditioner else 1,
        slots=config.genre_slots,
    )
    return prior_evaluation.score(
        prior,
        held_out.spread(segments),
        Bigram.fit([one.array[0] for one in training], config.codebook_size),
        watch=lambda done: report(Progress(f"scoring {level.label}", done, segments)),
    )


def _prior_figures(score: prior_evaluation.PriorScore) -> dict[str, Any]:
    return {
        "bits": round(score.bits, 4),
        "unigram_bits": round(score.unigram_bits, 4),
        "bigram_bits": round(score.bigram_bits, 4),
        "shuffled_bits": None if score.shuffled_bits is None else round(score.shuffled_bits, 4),
        "codes": score.codes,
        "segments": score.segments,
    }


def _warn_of_unknown_labels(held: Sequence[Track], vocabulary: Vocabulary, warn: Warn) -> None:
    """Say which artists and genres the model was never told of: their songs go without."""
    known = {name.casefold() for name in (*vocabulary.artists, *vocabulary.genres, "")}
    named = {name for track in held for name in (track.artist.strip(), *genres_of(track))}
    unknown = sorted(name for name in named if name.casefold() not in known)
    if unknown:
        warn(f"the model does not know {', '.join(unknown)}: those songs are scored without that label")


def _read_checked(codes: Path, tracks: Sequence[Track], level: Level, folder: ModelFolder) -> list[Codes]:
    """The codes of songs; a code folder that another codec than the model's has written is refused."""
    here = folder.fingerprint(VQVAE_PART)
    read = [read_codes(codes, track, level) for track in tracks]
    for track, song in zip(tracks, read, strict=True):
        if song.vqvae != here:
            raise WrongCodec(
                f"{code_path(codes, track, level)} holds codes of the VQ-VAE {song.vqvae[:12]}, "
                f"and {folder.card.name}'s is {here[:12]}. "
                "Encode the songs with it: jukectl data encode MANIFEST --out CODES --model NAME"
            )
    return read
