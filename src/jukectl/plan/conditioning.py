"""Conditioning of a level from a recipe: labels, length, lyrics, notes and beats; warnings about what a model lacks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, inf
from typing import Any

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.beat import grid_of
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Labels, LevelSampling, Recipe
from jukectl.codes.schedule import Change
from jukectl.errors import BadInput
from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.tokens import NO_LYRICS, spell
from jukectl.lyrics.value import Lyrics
from jukectl.midi.phases import Beats
from jukectl.midi.roll import CoveredNotes
from jukectl.plan.request import Request
from jukectl.prior.config import PriorConfig
from jukectl.prior.labels import Conditioning, Segment
from jukectl.sampling.windows import song_offset
from jukectl.vqvae.config import VQVAEConfig


def conditioning_of(
    recipe: Recipe,
    card: ModelCard,
    level: Level,
    total: int,
    warn: Callable[[str], None],
    *,
    notes: CoveredNotes | None = None,
) -> Conditioning:
    """Return the conditioning of a level's prior for `total` codes; warn of everything that the prior does not support.

    Raises BadInput if the song is too short for that many codes. `check_labels` refuses names and lyrics before.
    """
    config, lyrics = card.priors[level], recipe.labels.lyrics
    segments = segments_of(recipe, card, level)
    if unknown := unknown_names(recipe, card, level):
        warn(f"the {level.label} prior has no label for {', '.join(unknown)}: that level is made without")
    _warn_of_guidance(recipe, card, level, warn)
    check_length(recipe.song_seconds, config, total, recipe.start_at)
    _warn_of_length(recipe, config, total, warn)
    tokens = NO_LYRICS
    if lyrics is not None and config.lyrics is not None:
        tokens = card.spell(level, lyrics)
        if tokens.left_out:
            warn(f"{card.name} has no characters for these of the lyrics, so they are left out: {tokens.remark}")
        for remark in out_of_time(lyrics, recipe.song_seconds, last_lyrics_shift(recipe)):
            warn(remark)
    elif lyrics is not None and level is Level.TOP:
        warn(f"{card.name} takes no lyrics, so they are left out")
    return Conditioning(
        song_samples=song_samples(recipe.song_seconds, config),
        start_samples=begun_samples(recipe.start_at, config),
        segments=segments,
        lyrics=tokens,
        notes=notes,
        # the last window may extend past the last code, and so does the grid
        beats=beats_of(recipe, (total + config.context) * config.hop / config.sample_rate) if config.beats else None,
    )


def check_labels(labels: Labels, card: ModelCard, levels: tuple[Level, ...]) -> None:
    """Raise UnknownName for names that no level has, BadInput for too many, or for lyrics that a model cannot use."""
    for level in levels:
        card.mixtures(level, labels.artist, labels.genres)
    if labels.lyrics is not None:
        card.spell(Level.TOP, labels.lyrics)


def check_notes(card: ModelCard) -> None:
    """Raise BadInput if a model's top prior is not conditioned on notes."""
    if Level.TOP in card.priors and card.priors[Level.TOP].midi is None:
        raise BadInput(
            f"{card.name} has no MIDI conditioner: leave --midi out, or train one with: "
            "jukectl train prior RECIPE.toml --from MODEL --add-midi"
        )


def beats_of(recipe: Recipe, seconds: float) -> Beats | None:
    """Return the beats that a recipe's song of `seconds` is conditioned on; None without."""
    if recipe.beat is None:
        return None
    return Beats(grid_of(recipe.beat, recipe.schedule, seconds), bars=recipe.beat.bars, begin=recipe.beat.start)


def check_length(song_seconds: float, config: PriorConfig, total: int, start_at: float = 0.0) -> None:
    """Raise BadInput if the last window of `total` codes would begin after the song's end."""
    if config.timing is None and config.lyrics is None:
        return
    begins = song_offset(max(total - config.context, 0), config, begun_samples(start_at, config))
    if begins >= song_samples(song_seconds, config):
        made, begun = (samples / config.sample_rate for samples in (total * config.hop, begins))
        made += start_at
        if start_at >= song_seconds:
            raise BadInput(
                f"--start-at {start_at:g} lies past the end of the song, which has {song_seconds:g} s: give an earlier "
                f"time, or a longer song with --song-seconds {ceil(made)}"
            )
        where = f", from {start_at:g} s of the song on" if start_at else ""
        raise BadInput(
            f"--song-seconds {song_seconds:g} is too short: {made - start_at:g} s are to be made{where}, and the last "
            f"window begins at {begun:g} s, after the song's end. Give {ceil(made)} or more, or leave it out"
        )


def placed(request: Request, made: float, config: PriorConfig) -> tuple[float, float]:
    """Return the total song length that the prior is conditioned on, and the second of it at which the music begins.

    By default the song is the `made` seconds of music, and ends with them. With `ending` the music is the end of a
    longer song, or of the shortest song in the top prior's range.
    """
    if not request.ending:
        start_at = request.start_at or 0.0
        return (start_at + made if request.song_seconds is None else request.song_seconds), start_at
    shortest = config.timing.min_seconds if config.timing is not None else 0.0
    song_seconds = max(made, shortest) if request.song_seconds is None else request.song_seconds
    return song_seconds, max(song_seconds - made, 0.0)


def begun_samples(start_at: float, config: PriorConfig) -> int:
    """Return the audio samples of the song before a level's first code, in whole codes."""
    return round(start_at * config.sample_rate / config.hop) * config.hop


def song_samples(seconds: float, config: PriorConfig) -> int:
    """Return the song's total length in audio samples, clamped to the range that the prior was trained on.

    The range includes its minimum and excludes its maximum, as published.
    """
    total = max(round(seconds * config.sample_rate), 1)
    if config.timing is None:
        return total
    shortest, longest = (
        ceil(round(limit * config.sample_rate, 3)) for limit in (config.timing.min_seconds, config.timing.max_seconds)
    )
    return max(min(total, longest - 1), shortest)


def _warn_of_guidance(recipe: Recipe, card: ModelCard, level: Level, warn: Callable[[str], None]) -> None:
    """Warn once, at the first guided level, of guided priors that may not have been trained without labels."""
    guided = [one for one in TOP_DOWN if one in recipe.sampling and rows_of(recipe, one) > 1]
    doubtful = [one.label for one in guided if not card.label_dropout.get(one.label)]
    if doubtful[:1] == [level.label]:
        warn(
            f"{card.name} does not say that its {' and '.join(doubtful)} prior was also trained without labels, which "
            "guidance needs: it may not help there"
        )


def _warn_of_length(recipe: Recipe, config: PriorConfig, total: int, warn: Callable[[str], None]) -> None:
    """Warn if the prior is conditioned on another length than the recipe's, or if that is shorter than the music."""
    if config.timing is None:
        return
    seconds, given = recipe.song_seconds, recipe.prompt.samples / config.sample_rate if recipe.prompt else 0.0
    given = recipe.prefix.frames[Level.TOP] * config.hop / config.sample_rate if recipe.prefix else given
    asked = seconds != recipe.start_at + given + recipe.seconds  # otherwise it follows from the music's length
    made = recipe.start_at + total * config.hop / config.sample_rate
    if seconds >= config.timing.max_seconds:
        warn(
            f"the model was trained on songs shorter than {config.timing.max_seconds:g} s, so it is conditioned on "
            f"just under that instead of {seconds:g} s"
            + (", and treats everything after it as the end" if made > config.timing.max_seconds else "")
        )
    elif seconds < config.timing.min_seconds and (asked or recipe.labels.lyrics is not None):
        warn(
            f"the model was trained on songs of {config.timing.min_seconds:g} s or more, so it is conditioned on that "
            f"instead of {seconds:g} s"
        )
    elif made - seconds >= config.hop / config.sample_rate:
        warn(f"the model is conditioned on a song of {seconds:g} s, but {made:g} s are made: the rest is past its end")


@dataclass(frozen=True)
class _State:
    """Labels and settings that hold from one second on."""

    at: float  # seconds from the beginning of the audio
    labels: Labels
    sampling: LevelSampling
    lyrics_shift: float = 0.0  # seconds

    def changed(self, change: Change, level: Level, recipe: Recipe, card: ModelCard) -> "_State":
        """Return the state after a change."""
        labels = self.labels
        if change.artist is not None:
            labels = replace(labels, artist=change.artist if change.artist.strip() else None)
        if change.genres is not None:
            labels = replace(labels, genres=change.genres)
        shift = self.lyrics_shift
        if (place := _place_in_lyrics(change, recipe, card)) is not None:
            shift = place - (recipe.start_at + change.at)
        return _State(change.at, labels, _with_settings(self.sampling, change, level), shift)


def segments_of(recipe: Recipe, card: ModelCard, level: Level) -> tuple[Segment, ...]:
    """Return the segments of a level, the first from code 0 on.

    A change takes effect at the top code that begins nearest to it, at all levels alike. UnknownName and BadInput if a
    change asks for something that the level does not have.
    """
    segments: dict[int, Segment] = {}
    for state in _states(recipe, card, level):
        start = change_code(state.at, card.vqvae, level)
        artist, genres = card.mixtures(level, state.labels.artist, state.labels.genres)
        segments[start] = Segment(
            start=start,
            artist=artist,
            genres=genres,
            sampling=state.sampling,
            lyrics_shift=round(state.lyrics_shift * card.vqvae.sample_rate),
        )
    return tuple(segments.values())


def unknown_names(recipe: Recipe, card: ModelCard, level: Level) -> tuple[str, ...]:
    """Return the names that the level's prior does not have, of the recipe's labels and its schedule."""
    states = _states(recipe, card, level)
    named = [name for one in states for name in card.unknown_at(level, one.labels.artist, one.labels.genres)]
    return tuple(dict.fromkeys(named))


def cuts_at(recipe: Recipe, config: VQVAEConfig, level: Level) -> tuple[int, ...]:
    """Return the codes of a level at which something changes."""
    codes = {change_code(change.at, config, level) for change in recipe.schedule}
    return tuple(sorted(codes - {0}))


def change_code(at: float, config: VQVAEConfig, level: Level) -> int:
    """Return the code of a level at which a change at a second takes effect: the nearest start of a top code."""
    top = config.hop(Level.TOP)
    return round(at * config.sample_rate / top) * (top // config.hop(level))


def check_schedule(recipe: Recipe, card: ModelCard, total: int) -> None:
    """Raise BadInput for changes after the last of `total` top codes, UnknownName for names that no level has."""
    for change in recipe.schedule:
        if change_code(change.at, card.vqvae, Level.TOP) >= total:
            seconds = total / card.vqvae.codes_per_second(Level.TOP)
            raise BadInput(f"a change is scheduled for {change.at:g} s, and the song is over at {seconds:g} s")
    for level in recipe.levels:
        if level in recipe.sampling:
            segments_of(recipe, card, level)


def rows_of(recipe: Recipe, level: Level) -> int:
    """Return the rows of a batch that a sample of a level takes at most: two if guidance is used at any time."""
    guidance = [change.settings.get("guidance", {}).get(level, 1.0) for change in recipe.schedule]
    return 2 if recipe.sampling[level].rows == 2 or any(one != 1 for one in guidance) else 1


def _states(recipe: Recipe, card: ModelCard, level: Level) -> list[_State]:
    """Return the states from the beginning and from each change on."""
    states = [_State(0.0, recipe.labels, recipe.sampling[level])]
    for change in recipe.schedule:
        states.append(states[-1].changed(change, level, recipe, card))
    return states


def _with_settings(sampling: LevelSampling, change: Change, level: Level) -> LevelSampling:
    """Return a level's settings after a change. Raises BadInput for a value out of range."""
    settings: dict[str, Any] = {name: values[level] for name, values in change.settings.items() if level in values}
    try:
        if settings.get("top_k", 0) % 1:
            raise BadInput(f"top_k is a whole number of codes, got {settings['top_k']:g}")
        top_k = int(settings.pop("top_k", sampling.top_k))
        return replace(sampling, top_k=top_k, **settings)
    except BadInput as error:
        raise BadInput(f"the change at {change.at:g} s: {error}") from error


def _place_in_lyrics(change: Change, recipe: Recipe, card: ModelCard) -> float | None:
    """Return the second of the song whose place in the lyrics is sung from a change on; None if it does not move."""
    labels, config = recipe.labels, card.priors[Level.TOP]
    if change.lyrics_at is not None or change.lyrics_line is None or labels.lyrics is None or config.lyrics is None:
        return change.lyrics_at
    text = labels.lyrics.text
    lines = text.splitlines(keepends=True)
    if change.lyrics_line > len(lines):
        raise BadInput(
            f"the change at {change.at:g} s continues at line {change.lyrics_line} of the lyrics, which have "
            f"{len(lines)}"
        )
    if labels.lyrics.timed is not None:
        return _second_of_line(labels.lyrics.timed, change.lyrics_line)
    before = "".join(lines[: change.lyrics_line - 1])
    alphabet = card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet)
    return len(spell(before, alphabet).ids) / len(spell(text, alphabet).ids) * recipe.song_seconds


def _second_of_line(timed: TimedLyrics, line: int) -> float:
    """Return the second at which a line, counted from 1, starts; of an empty one the next, or the end of all."""
    rest = list(timed.lines())[line - 1 :]
    return next((words[0].start for _, _, words in rest if words), timed.last)


def sung_by_schedule(recipe: Recipe) -> TimedLyrics | None:
    """Return timed lyrics as they are sung in a song's audio: moved, omitted and repeated by its schedule.

    Times are seconds of the audio, which begins at `start_at` of the whole song. None for lyrics without times.
    """
    timed = _timed(recipe.labels.lyrics)
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
    """Return the seconds by which timed lyrics at a song's end are taken from a later place, by its schedule."""
    timed = _timed(recipe.labels.lyrics)
    at, place = (0.0, recipe.start_at) if timed is None else _timed_parts(recipe, timed)[-1]
    return place - (recipe.start_at + at)


def _timed_parts(recipe: Recipe, timed: TimedLyrics) -> list[tuple[float, float]]:
    """Return pairs of seconds: of the audio, and of the timed lyrics that are sung from there on."""
    parts = [(0.0, recipe.start_at)]
    for change in recipe.schedule:
        place = change.lyrics_at if change.lyrics_line is None else _second_of_line(timed, change.lyrics_line)
        if place is not None:
            parts = [*(one for one in parts if one[0] < change.at), (change.at, place)]
    return parts


def _moved(word: TimedWord, seconds: float, stop: float, further: int) -> TimedWord:
    """Return a word later by `seconds`, ending by `stop`, and `further` characters later in the text."""
    end = None if word.end is None else min(word.end + seconds, stop)
    return replace(word, start=max(word.start + seconds, 0.0), end=end, first=word.first + further)


def check_lyrics_places(schedule: tuple[Change, ...], labels: Labels) -> None:
    """Raise BadInput for a change to another place in the lyrics of a song without lyrics."""
    for change in schedule:
        if labels.lyrics is None and (change.lyrics_at, change.lyrics_line) != (None, None):
            raise BadInput(
                f"the change at {change.at:g} s continues at another place in the lyrics, but the song has none: give "
                "them with --lyrics"
            )


def _timed(lyrics: Lyrics | None) -> TimedLyrics | None:
    return None if lyrics is None else lyrics.timed


def out_of_time(lyrics: Lyrics, song_seconds: float, shift: float = 0.0) -> Iterator[str]:
    """Yield a remark if words of timed lyrics are sung after the song has ended.

    With a `shift`, in seconds, lyrics from that much later are sung at the song's end, as by a schedule.
    """
    timed = lyrics.timed
    late = [word for word in timed.words if word.start - shift >= song_seconds and not word.guessed] if timed else []
    if timed and late:
        moved = f", which the schedule moves to {late[0].start - shift:g} s," if shift else ""
        yield (
            f"the lyrics from {late[0].text!r} at {late[0].start:g} s on{moved} come after the song's end at "
            f"{song_seconds:g} s: give more --seconds or --song-seconds to have them sung"
        )
