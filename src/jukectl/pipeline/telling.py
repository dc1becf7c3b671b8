"""What a model is told of a song: the ids of its labels, its length and its lyrics; and what of it cannot be told."""

from dataclasses import dataclass
from math import ceil

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import Level
from jukectl.codes.recipe import Labels, Recipe
from jukectl.errors import BadInput
from jukectl.prior.config import PriorConfig
from jukectl.progress import Warn
from jukectl.sampling.windows import song_offset


@dataclass(frozen=True)
class Told:
    """What one level's prior is told."""

    artist: int
    genres: tuple[int, ...]
    song_samples: int  # length of the whole song, in audio samples
    lyrics: tuple[int, ...]  # ids of all their characters


def told(recipe: Recipe, card: ModelCard, level: Level, total: int, warn: Warn) -> Told:
    """What a level's prior is told, where the level is to have `total` codes; a warning of all that it cannot be told.

    BadInput where the song's length does not go with that. See `check_labels` for names and lyrics.
    """
    config, labels = card.priors[level], recipe.labels
    artist, genres = card.labels(level, labels.artist, labels.genres)
    if unknown := card.unknown_at(level, labels.artist, labels.genres):
        warn(f"the {level.label} prior has not learned {', '.join(unknown)}: that level is made without")
    check_length(recipe.song_seconds, config, total)
    _warn_of_length(recipe, config, total, warn)
    lyrics: tuple[int, ...] = ()
    if labels.lyrics is not None and config.lyrics is not None:
        spelled = card.spell(level, labels.lyrics)
        lyrics = spelled.ids
        if spelled.left_out:
            warn(f"{card.name} has no characters for these of the lyrics, so it is told without: {spelled.remark}")
    elif labels.lyrics is not None and level is Level.TOP:
        warn(f"{card.name} takes no lyrics, so it is told none")
    return Told(artist, genres, song_samples(recipe.song_seconds, config), lyrics)


def check_labels(labels: Labels, card: ModelCard, levels: tuple[Level, ...]) -> None:
    """UnknownName for names that no level knows; BadInput for more than a level takes, and where it takes no lyrics."""
    for level in levels:
        card.labels(level, labels.artist, labels.genres)
    if labels.lyrics is not None:
        card.spell(Level.TOP, labels.lyrics)


def check_length(song_seconds: float, config: PriorConfig, total: int) -> None:
    """BadInput where the last window of `total` codes would begin when the song is over."""
    if config.timing is None and config.lyrics is None:
        return
    begins = song_offset(max(total - config.context, 0), config)
    if begins >= song_samples(song_seconds, config):
        made, begun = (samples / config.sample_rate for samples in (total * config.hop, begins))
        raise BadInput(
            f"--song-seconds {song_seconds:g} is too short: {made:g} s are to be made, and the last window begins at "
            f"{begun:g} s, after the song's end. Give {ceil(made)} or more, or leave it out"
        )


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


def _warn_of_length(recipe: Recipe, config: PriorConfig, total: int, warn: Warn) -> None:
    """Say where the prior is told another length than the recipe's, or the recipe's is less than what is made."""
    if config.timing is None:
        return
    seconds, heard = recipe.song_seconds, recipe.prompt.samples / config.sample_rate if recipe.prompt else 0.0
    heard = recipe.trunk.seconds if recipe.trunk else heard
    asked = seconds != heard + recipe.seconds  # or else it is but the length of what is made
    made = total * config.hop / config.sample_rate
    if seconds >= config.timing.max_seconds:
        warn(
            f"the model knows songs of less than {config.timing.max_seconds:g} s, so it is told just under that, not "
            f"{seconds:g} s" + (", and of all past it that it is the end" if made > config.timing.max_seconds else "")
        )
    elif seconds < config.timing.min_seconds and (asked or recipe.labels.lyrics is not None):
        warn(f"the model knows songs from {config.timing.min_seconds:g} s on, so it is told that, not {seconds:g} s")
    elif made - seconds >= config.hop / config.sample_rate:
        warn(f"the model is told of a song of {seconds:g} s, but {made:g} s are made: the rest lies past its end")
