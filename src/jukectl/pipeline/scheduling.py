"""A recipe's labels, settings and schedule as the sections of a level: from which code on it is told what."""

from dataclasses import dataclass, replace
from typing import Any

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import Level
from jukectl.codes.recipe import Labels, LevelSampling, Recipe
from jukectl.codes.schedule import Change
from jukectl.errors import BadInput
from jukectl.pipeline.singing import lyrics_text, timed_lyrics
from jukectl.prior.lyrics import spell
from jukectl.sampling.sections import Section
from jukectl.vqvae.config import VQVAEConfig


@dataclass(frozen=True)
class _State:
    """What holds from one second on."""

    at: float  # seconds from the beginning of the audio
    labels: Labels
    sampling: LevelSampling
    lyrics_shift: float = 0.0  # seconds

    def changed(self, change: Change, level: Level, recipe: Recipe, card: ModelCard) -> "_State":
        """What holds from a change on."""
        labels = self.labels
        if change.artist is not None:
            labels = replace(labels, artist=change.artist if change.artist.strip() else None)
        if change.genres is not None:
            labels = replace(labels, genres=change.genres)
        shift = self.lyrics_shift
        if (place := _place_in_lyrics(change, recipe, card)) is not None:
            shift = place - (recipe.start_at + change.at)
        return _State(change.at, labels, _with_settings(self.sampling, change, level), shift)


def sections_of(recipe: Recipe, card: ModelCard, level: Level) -> tuple[Section, ...]:
    """The sections of a level, the first from code 0 on.

    A change takes effect at the top code that begins nearest to it, at all levels alike. UnknownName and BadInput where
    a change asks for what the level has not.
    """
    sections: dict[int, Section] = {}
    for state in _states(recipe, card, level):
        start = change_code(state.at, card.vqvae, level)
        artist, genres = card.mixtures(level, state.labels.artist, state.labels.genres)
        sections[start] = Section(
            start=start,
            artist=artist,
            genres=genres,
            sampling=state.sampling,
            lyrics_shift=round(state.lyrics_shift * card.vqvae.sample_rate),
        )
    return tuple(sections.values())


def unknown_names(recipe: Recipe, card: ModelCard, level: Level) -> tuple[str, ...]:
    """Names that the level's prior does not know, of the recipe's labels and of those that it changes to."""
    states = _states(recipe, card, level)
    named = [name for one in states for name in card.unknown_at(level, one.labels.artist, one.labels.genres)]
    return tuple(dict.fromkeys(named))


def cuts_at(recipe: Recipe, config: VQVAEConfig, level: Level) -> tuple[int, ...]:
    """The codes of a level at which something changes."""
    codes = {change_code(change.at, config, level) for change in recipe.schedule}
    return tuple(sorted(codes - {0}))


def change_code(at: float, config: VQVAEConfig, level: Level) -> int:
    """The code of a level from which on a change at a second holds: where a top code begins."""
    top = config.hop(Level.TOP)
    return round(at * config.sample_rate / top) * (top // config.hop(level))


def check_schedule(recipe: Recipe, card: ModelCard, total: int) -> None:
    """BadInput for changes that no code of `total` at the top comes after; UnknownName for names no level knows."""
    for change in recipe.schedule:
        if change_code(change.at, card.vqvae, Level.TOP) >= total:
            seconds = total / card.vqvae.codes_per_second(Level.TOP)
            raise BadInput(f"a change is scheduled for {change.at:g} s, and the song is over at {seconds:g} s")
    for level in recipe.levels:
        if level in recipe.sampling:
            sections_of(recipe, card, level)


def rows_of(recipe: Recipe, level: Level) -> int:
    """Rows of the model that a sample of a level takes at the most: two where there is guidance at any time."""
    guidance = [change.settings.get("guidance", {}).get(level, 1.0) for change in recipe.schedule]
    return 2 if recipe.sampling[level].rows == 2 or any(one != 1 for one in guidance) else 1


def _states(recipe: Recipe, card: ModelCard, level: Level) -> list[_State]:
    """What holds from the beginning on, and from each change on."""
    states = [_State(0.0, recipe.labels, recipe.sampling[level])]
    for change in recipe.schedule:
        states.append(states[-1].changed(change, level, recipe, card))
    return states


def _with_settings(sampling: LevelSampling, change: Change, level: Level) -> LevelSampling:
    """A level's settings after a change. BadInput where one is out of its range."""
    settings: dict[str, Any] = {name: values[level] for name, values in change.settings.items() if level in values}
    try:
        if settings.get("top_k", 0) % 1:
            raise BadInput(f"top_k is a whole number of codes, got {settings['top_k']:g}")
        top_k = int(settings.pop("top_k", sampling.top_k))
        return replace(sampling, top_k=top_k, **settings)
    except BadInput as error:
        raise BadInput(f"the change at {change.at:g} s: {error}") from error


def _place_in_lyrics(change: Change, recipe: Recipe, card: ModelCard) -> float | None:
    """The second of the song at which the lyrics have their place that are to be sung from a change on."""
    labels, config = recipe.labels, card.priors[Level.TOP]
    if change.lyrics_at is not None or change.lyrics_line is None or labels.lyrics is None or config.lyrics is None:
        return change.lyrics_at
    text = lyrics_text(labels) or ""
    lines = text.splitlines(keepends=True)
    if change.lyrics_line > len(lines):
        raise BadInput(
            f"the change at {change.at:g} s goes on at line {change.lyrics_line} of the lyrics, which have {len(lines)}"
        )
    before = "".join(lines[: change.lyrics_line - 1])
    if (timed := timed_lyrics(labels)) is not None:
        return next((word.start for word in timed.words if word.first >= len(before)), timed.last)
    alphabet = card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet)
    return len(spell(before, alphabet).ids) / len(spell(text, alphabet).ids) * recipe.song_seconds
