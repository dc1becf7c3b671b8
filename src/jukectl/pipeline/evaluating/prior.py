"""What codes cost each prior of a model, in bits, beside what they cost baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, BadModel
from jukectl.evaluation import prior as prior_evaluation
from jukectl.evaluation.baselines import Bigram
from jukectl.pipeline.evaluating.inputs import CPU, read_checked, split_songs
from jukectl.pipeline.rendering import Warn, unheard
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Progress, Report, silent
from jukectl.training.encoded import EncodedSongs
from jukectl.training.manifest import Track
from jukectl.training.segments import SegmentSet, genres_of

SEGMENTS = 48  # that a prior is judged on; as many as validation in training has


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
    encoded, kept, held = split_songs(codes, held_out)
    if held_out is None:
        warn("without --held-out the baselines are counted in the very songs they are scored on, which flatters them")
        held = kept
    _warn_of_unknown_labels(held, folder.card.vocabulary, warn)
    return {
        "model": folder.card.name,
        "songs": len(held),
        "levels": {
            level.label: _prior_figures(_score_prior(folder, encoded, kept, held, level, segments, report))
            for level in levels
        },
    }


def _score_prior(
    folder: ModelFolder,
    encoded: EncodedSongs,
    kept: Sequence[Track],
    held: Sequence[Track],
    level: Level,
    segments: int,
    report: Report,
) -> prior_evaluation.PriorScore:
    prior = folder.prior(level, CPU)
    config = prior.config
    here, name = folder.fingerprint(VQVAE_PART), folder.card.name
    training = read_checked(encoded, kept, level, here, whose=name)
    read_checked(encoded, held, level, here, whose=name)
    held_out = SegmentSet.load(
        encoded,
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
        Bigram.fit(training, config.codebook_size),
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
