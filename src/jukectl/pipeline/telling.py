"""What a model is told of a song: the ids of its labels, its length and its lyrics; and what of it cannot be told."""

from dataclasses import dataclass
from math import ceil

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Labels, Recipe
from jukectl.errors import BadInput
from jukectl.pipeline.request import Request
from jukectl.pipeline.scheduling import last_lyrics_shift, rows_of, sections_of, unknown_names
from jukectl.pipeline.singing import heard_lyrics, out_of_time
from jukectl.prior.config import PriorConfig
from jukectl.progress import Warn
from jukectl.sampling.sections import Section
from jukectl.sampling.windows import song_offset


@dataclass(frozen=True)
class Told:
    """What one level's prior is told."""

    sections: tuple[Section, ...]  # labels and settings, from which code on
    song_samples: int  # length of the whole song, in audio samples
    begins: int  # audio samples of it that lie before the level's first code
    lyrics: tuple[int, ...]  # ids of all their characters
    onsets: tuple[int, ...] | None  # when each of them is sung, in audio samples; None: spread evenly


def told(recipe: Recipe, card: ModelCard, level: Level, total: int, warn: Warn) -> Told:
    """What a level's prior is told, where the level is to have `total` codes; a warning of all that it cannot be told.

    BadInput where the song's length does not go with that. See `check_labels` for names and lyrics.
    """
    config, labels = card.priors[level], recipe.labels
    sections = sections_of(recipe, card, level)
    if unknown := unknown_names(recipe, card, level):
        warn(f"the {level.label} prior has not learned {', '.join(unknown)}: that level is made without")
    _warn_of_guidance(recipe, card, level, warn)
    check_length(recipe.song_seconds, config, total, recipe.start_at)
    _warn_of_length(recipe, config, total, warn)
    lyrics: tuple[int, ...] = ()
    onsets: tuple[int, ...] | None = None
    if labels.lyrics is not None and config.lyrics is not None:
        heard = heard_lyrics(labels, card, level)
        lyrics, onsets = heard.spelled.ids, heard.onsets
        if heard.spelled.left_out:
            remark = heard.spelled.remark
            warn(f"{card.name} has no characters for these of the lyrics, so it is told without: {remark}")
        for remark in out_of_time(labels, recipe.song_seconds, last_lyrics_shift(recipe)):
            warn(remark)
    elif labels.lyrics is not None and level is Level.TOP:
        warn(f"{card.name} takes no lyrics, so it is told none")
    begins = begun_samples(recipe.start_at, config)
    return Told(sections, song_samples(recipe.song_seconds, config), begins, lyrics, onsets)


def check_labels(labels: Labels, card: ModelCard, levels: tuple[Level, ...]) -> None:
    """UnknownName for names that no level knows; BadInput for more than a level takes, and where it takes no lyrics."""
    for level in levels:
        card.mixtures(level, labels.artist, labels.genres)
    if labels.lyrics is not None:
        heard_lyrics(labels, card, Level.TOP)


def check_notes(card: ModelCard) -> None:
    """BadInput where a model's top prior cannot be told notes."""
    if Level.TOP in card.priors and card.priors[Level.TOP].midi is None:
        raise BadInput(
            f"{card.name} has no MIDI conditioner: leave --midi out, or train one with: "
            "jukectl train prior RECIPE.toml --from MODEL --add-midi"
        )


def check_length(song_seconds: float, config: PriorConfig, total: int, start_at: float = 0.0) -> None:
    """BadInput where the last window of `total` codes would begin when the song is over."""
    if config.timing is None and config.lyrics is None:
        return
    begins = song_offset(max(total - config.context, 0), config, begun_samples(start_at, config))
    if begins >= song_samples(song_seconds, config):
        made, begun = (samples / config.sample_rate for samples in (total * config.hop, begins))
        made += start_at
        where = f", from {start_at:g} s of the song on" if start_at else ""
        raise BadInput(
            f"--song-seconds {song_seconds:g} is too short: {made - start_at:g} s are to be made{where}, and the last "
            f"window begins at {begun:g} s, after the song's end. Give {ceil(made)} or more, or leave it out"
        )


def placed(request: Request, made: float, config: PriorConfig) -> tuple[float, float]:
    """The length of the song that is told, and where in it `made` seconds of music begin, as a request has it.

    Where it says neither, the song is what is made, and so is over when that is. With `ending` the music is the end of
    a longer song, or of the shortest that the top prior knows.
    """
    if not request.ending:
        start_at = request.start_at or 0.0
        return (start_at + made if request.song_seconds is None else request.song_seconds), start_at
    shortest = config.timing.min_seconds if config.timing is not None else 0.0
    song_seconds = max(made, shortest) if request.song_seconds is None else request.song_seconds
    return song_seconds, max(song_seconds - made, 0.0)


def begun_samples(start_at: float, config: PriorConfig) -> int:
    """Audio samples of the song before a level's first code, whole codes of it."""
    return round(start_at * config.sample_rate / config.hop) * config.hop


def song_samples(seconds: float, config: PriorConfig) -> int:
    """The song's total length in audio samples, brought into the range of lengths that the prior was trained with.

    The shortest is one of them, the longest is not: there it is a sample less.
    """
    total = max(round(seconds * config.sample_rate), 1)
    if config.timing is None:
        return total
    shortest, longest = (
        ceil(round(limit * config.sample_rate, 3)) for limit in (config.timing.min_seconds, config.timing.max_seconds)
    )
    return max(min(total, longest - 1), shortest)


def _warn_of_guidance(recipe: Recipe, card: ModelCard, level: Level, warn: Warn) -> None:
    """Say, at the first of them, which guided priors may not have learned what guidance counts on."""
    guided = [one for one in TOP_DOWN if one in recipe.sampling and rows_of(recipe, one) > 1]
    doubtful = [one.label for one in guided if not card.label_dropout.get(one.label)]
    if doubtful[:1] == [level.label]:
        warn(
            f"{card.name} does not say that its {' and '.join(doubtful)} prior learned music without labels too, and "
            "guidance counts on that: it may do no good there"
        )


def _warn_of_length(recipe: Recipe, config: PriorConfig, total: int, warn: Warn) -> None:
    """Say where the prior is told another length than the recipe's, or the recipe's is less than what is made."""
    if config.timing is None:
        return
    seconds, heard = recipe.song_seconds, recipe.prompt.samples / config.sample_rate if recipe.prompt else 0.0
    heard = recipe.trunk.seconds if recipe.trunk else heard
    asked = seconds != recipe.start_at + heard + recipe.seconds  # or else it is but the length of what is made
    made = recipe.start_at + total * config.hop / config.sample_rate
    if seconds >= config.timing.max_seconds:
        warn(
            f"the model knows songs of less than {config.timing.max_seconds:g} s, so it is told just under that, not "
            f"{seconds:g} s" + (", and of all past it that it is the end" if made > config.timing.max_seconds else "")
        )
    elif seconds < config.timing.min_seconds and (asked or recipe.labels.lyrics is not None):
        warn(f"the model knows songs from {config.timing.min_seconds:g} s on, so it is told that, not {seconds:g} s")
    elif made - seconds >= config.hop / config.sample_rate:
        warn(f"the model is told of a song of {seconds:g} s, but {made:g} s are made: the rest lies past its end")
