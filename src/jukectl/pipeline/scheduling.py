"""A recipe's labels, settings and schedule as the sections of a level: from which code on it is told what."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.level import Level
from jukectl.codes.recipe import Labels, LevelSampling, Recipe
from jukectl.codes.schedule import Change
from jukectl.errors import BadInput
from jukectl.lyrics.timed import TimedLyrics, TimedWord
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
    if (timed := timed_lyrics(labels)) is not None:
        return _second_of_line(timed, change.lyrics_line)
    before = "".join(lines[: change.lyrics_line - 1])
    alphabet = card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet)
    return len(spell(before, alphabet).ids) / len(spell(text, alphabet).ids) * recipe.song_seconds


def _second_of_line(timed: TimedLyrics, line: int) -> float:
    """When a line, counted from 1, begins: with its first word or the next that has one; else where all is sung."""
    rest = list(timed.lines())[line - 1 :]
    return next((words[0].start for _, _, words in rest if words), timed.last)


def sung_by_schedule(recipe: Recipe) -> TimedLyrics | None:
    """The lyrics with times as they are sung in a song's audio: moved, left out and sung again as its schedule says.

    Times are seconds of the audio, which begins where in the whole song the recipe says. None without times.
    """
    timed = timed_lyrics(recipe.labels)
    if timed is None:
        return None
    parts = _timed_parts(recipe, timed)
    if parts == [(0.0, 0.0)]:
        return timed
    text, words = "", list[TimedWord]()
    for (at, place), (stop, _) in pairwise([*parts, (inf, 0.0)]):
        for _, _, line in timed.lines():
            sung = [word for word in line if place <= word.start < place + stop - at]
            if sung:
                text += "\n" if text else ""
                further = len(text) - sung[0].first
                text += timed.text[sung[0].first : sung[-1].stop]
                words += [_moved(word, at - place, stop, further) for word in sung]
    return TimedLyrics(text, tuple(words))


def last_lyrics_shift(recipe: Recipe) -> float:
    """By how many seconds later the lyrics are, of those with times, that are sung at a song's end by its schedule."""
    timed = timed_lyrics(recipe.labels)
    at, place = (0.0, recipe.start_at) if timed is None else _timed_parts(recipe, timed)[-1]
    return place - (recipe.start_at + at)


def _timed_parts(recipe: Recipe, timed: TimedLyrics) -> list[tuple[float, float]]:
    """From which second of the audio on it is sung on from which second of lyrics with times."""
    parts = [(0.0, recipe.start_at)]
    for change in recipe.schedule:
        place = change.lyrics_at if change.lyrics_line is None else _second_of_line(timed, change.lyrics_line)
        if place is not None:
            parts = [*(one for one in parts if one[0] < change.at), (change.at, place)]
    return parts


def _moved(word: TimedWord, seconds: float, stop: float, further: int) -> TimedWord:
    """A word sung so much later, and over by `stop`, that stands so much further on in the text."""
    end = None if word.end is None else min(word.end + seconds, stop)
    return replace(word, start=max(word.start + seconds, 0.0), end=end, first=word.first + further)


def check_lyrics_places(schedule: tuple[Change, ...], labels: Labels) -> None:
    """BadInput for a change to another place in the lyrics of a song that has none."""
    for change in schedule:
        if labels.lyrics is None and (change.lyrics_at, change.lyrics_line) != (None, None):
            raise BadInput(
                f"the change at {change.at:g} s goes on at another place in the lyrics, and there are none: give them "
                "with --lyrics"
            )
