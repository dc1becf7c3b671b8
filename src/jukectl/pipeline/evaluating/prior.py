"""What codes cost each prior of a model, in bits, beside what they cost baselines, and what labels save."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadInput, BadModel
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.prior import PLACE, STYLE, Gain, PriorScore, beginnings, score, shuffle_labels
from jukectl.evaluation.prior_plot import draw_prior
from jukectl.pipeline.evaluating.inputs import CPU, find_checked, read_checked, rounded, save_plot, split_songs
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Progress, Report, Warn, silent, unheard
from jukectl.training.encoded import EncodedSongs
from jukectl.training.manifest import Track
from jukectl.training.segments import SegmentSet, genres_of

SEGMENTS = 48  # that a prior is judged on; as many as validation in training has
BEGINNINGS = (16, 64, 256)  # first codes of a segment, over which the gain of labels is told apart
MORE_BEGINNINGS = 2  # for each whole segment: they are short, and from more places
BATCH = 4  # of beginnings


@dataclass(frozen=True, eq=False, kw_only=True)
class _Judged:
    """A level's prior."""

    whole: PriorScore  # whole segments
    heads: PriorScore | None  # the first codes of more segments; None where the context is no longer than that
    lengths: tuple[int, ...]  # of BEGINNINGS, those shorter than the context
    styles: int  # artists and genres together that came in training: how much labels can tell


def evaluate_prior(
    codes: Path,
    *,
    model: str = catalogue.EMBEDDED,
    held_out: Path | None = None,
    among: Sequence[Level] = TOP_DOWN,
    segments: int = SEGMENTS,
    plots: Path | None = None,
    report: Report = silent,
    warn: Warn = unheard,
) -> dict[str, Any]:
    """What a code costs each prior of a model, in bits, on the held-out songs of a code folder.

    Beside it, on the very same codes: a unigram and a bigram counted in the other songs, and the prior itself without
    artist and genre, and with those of other segments. Segments are a full context each, spread evenly over the
    held-out songs; the first codes of more of them tell what labels save before the music tells its style, for a wrong
    artist, a wrong genre and, at the top, a wrong place in the song apart. Levels are those of `among` that the model
    has. `plots` is a folder for pictures.
    """
    if segments < 1:
        raise BadInput(f"--segments is 1 or more, got {segments}")
    folder = catalogue.find(model)
    levels = [level for level in among if level in folder.card.priors and folder.has(level.label)]
    if not levels:
        named = ", ".join(level.label for level in among)
        raise BadModel(f"the model {folder.card.name} has no priors to evaluate at the levels {named}")
    encoded, kept, held = split_songs(codes, held_out)
    if held_out is None:
        warn("without --held-out the baselines are counted in the very songs they are scored on, which flatters them")
        held = kept
    _warn_of_unknown_labels(held, [folder.card.vocabulary_at(level) for level in levels], warn)
    judged = {level: _judge(folder, encoded, kept, held, level, segments, report) for level in levels}
    facts: dict[str, Any] = {
        "model": folder.card.name,
        "songs": len(held),
        "levels": {level.label: _figures(one) for level, one in judged.items()},
    }
    if plots is not None:
        figure = draw_prior(
            {level: (one.whole, one.heads) for level, one in judged.items()},
            next(iter(judged.values())).lengths,
            title=f"What the next code costs the priors of {folder.card.name}",
            about=f"{segments} segments a level from {len(held)} songs it has not heard"
            if held_out
            else f"{segments} segments a level from {len(held)} songs",
        )
        facts["plots"] = [save_plot(plots, "prior", figure)]
    return facts


def _judge(
    folder: ModelFolder,
    encoded: EncodedSongs,
    kept: Sequence[Track],
    held: Sequence[Track],
    level: Level,
    segments: int,
    report: Report,
) -> _Judged:
    prior = folder.prior(level, CPU)
    config = prior.config
    here, name = folder.fingerprint(VQVAE_PART), folder.card.name
    training = read_checked(encoded, kept, level, here, whose=name)
    find_checked(encoded, held, level, here, whose=name)
    held_out = SegmentSet.load(
        encoded,
        held,
        level,
        folder.card.vocabulary_at(level),
        context=config.context,
        ratio=config.ratio,
        slots=config.genre_slots,
    )
    bigram = Bigram.fit(training, config.codebook_size)
    whole = held_out.spread(segments)
    labels = [batch.labels for batch in whole]
    lengths = tuple(length for length in BEGINNINGS if length < config.context)
    short = beginnings(held_out.spread(MORE_BEGINNINGS * segments), lengths[-1], batch=BATCH) if lengths else []
    steps = len(whole) + len(short)
    on_whole = score(
        prior,
        whole,
        bigram,
        songs=held_out.spread_songs(segments),
        other={"shuffled": shuffle_labels(labels), "unlabelled": [batch.unlabelled() for batch in labels]},
        watch=lambda done: report(Progress(f"scoring {level.label}", done, steps)),
    )
    on_heads = None
    if short:
        labels = [batch.labels for batch in short]
        on_heads = score(
            prior,
            short,
            bigram,
            songs=held_out.spread_songs(MORE_BEGINNINGS * segments),
            other={
                "shuffled": shuffle_labels(labels, STYLE),
                "unlabelled": [batch.unlabelled() for batch in labels],
                "artist": shuffle_labels(labels, ("artist",)),
                "genre": shuffle_labels(labels, ("genres",)),
                "timing": shuffle_labels(labels, PLACE) if config.timing else None,
            },
            watch=lambda done: report(Progress(f"scoring {level.label}", len(whole) + done, steps)),
        )
    styles = len({(track.artist, genres_of(track)) for track in kept})
    return _Judged(whole=on_whole, heads=on_heads, lengths=lengths, styles=styles)


def _figures(judged: _Judged) -> dict[str, Any]:
    """What is told of a level."""
    whole, heads = judged.whole, judged.heads
    spans = [(str(length), heads, length) for length in judged.lengths if heads is not None] + [("all", whole, None)]
    shuffled = whole.other.get("shuffled")
    return {
        "bits": rounded(whole.true.mean()),
        "unigram_bits": rounded(whole.unigram.mean()),
        "bigram_bits": rounded(whole.bigram.mean()),
        "shuffled_bits": None if shuffled is None else rounded(shuffled.mean()),
        "unlabelled_bits": rounded(whole.other["unlabelled"].mean()),
        "codes": whole.true.size,
        "segments": len(whole.true),
        "by_length": {
            name: {
                "bits": rounded(one.true[:, :length].mean()),
                "unigram_bits": rounded(one.unigram[:, :length].mean()),
                "bigram_bits": rounded(one.bigram[:, :length].mean()),
                "segments": len(one.true),
                "most_gain": rounded(log2(judged.styles) / (length or one.true.shape[1])),
                "gains": {
                    other: _gain(one.gain(other, length))
                    for other in ("shuffled", "unlabelled", "artist", "genre", "timing")
                },
            }
            for name, one, length in spans
            if one is not None
        },
    }


def _gain(gain: Gain | None) -> dict[str, float | None] | None:
    if gain is None:
        return None
    return {"bits": rounded(gain.bits), "low": rounded(gain.low), "high": rounded(gain.high)}


def _warn_of_unknown_labels(held: Sequence[Track], sets: Sequence[Vocabulary], warn: Warn) -> None:
    """Say which artists and genres no level of the model was ever told of: their songs go without."""
    artists = {name for track in held if (name := track.artist.strip())}
    genres = {genre for track in held for genre in genres_of(track)}
    unknown = sorted(
        {name for name in artists if all(one.found_artist(name).unknown for one in sets)}
        | {genre for genre in genres if all(one.found_tag(genre).unknown for one in sets)}
    )
    if unknown:
        warn(f"the model does not know {', '.join(unknown)}: those songs are scored without that label")
