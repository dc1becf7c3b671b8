"""Which adapters a song's model wears: those asked for, and those that its recipe was begun with."""

from collections.abc import Sequence
from pathlib import Path

from jukectl.checkpoints.adapters import AdaptedModel, AdapterFile, Worn
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.recipe import AdapterRef, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAdapter
from jukectl.pipeline.request import AdapterChoice, Request


def dressed(folder: ModelFolder, choices: Sequence[AdapterChoice]) -> AdaptedModel:
    """A model with adapters on, or with none. BadAdapter where one does not belong to it."""
    return AdaptedModel.wear(folder, _given(choices))


def redressed(folder: ModelFolder, song: Song, recipe: Recipe, request: Request) -> ModelFolder:
    """A model with the adapters of a song's recipe, and with others that the request names.

    A file of the request that the recipe names is that one, wherever it lies now. Any other takes the place of the
    recipe's at its level. BadAdapter where a file is gone or has changed, unless that is forced.
    """
    given = _given(request.adapters)
    strengths = {choice.path: choice.strength for choice in request.adapters}
    places = {worn.adapter.fingerprint: worn for worn in given}
    kept = {
        one.sha256: one
        for one in recipe.adapters
        if one.sha256 not in places or strengths[places[one.sha256].adapter.path] in (None, one.strength)
    }
    others = [worn for worn in given if worn.adapter.fingerprint not in kept]
    replaced = {worn.adapter.card.level for worn in others}
    found = [_found(one, places, song, request) for one in kept.values() if one.level not in replaced]
    return AdaptedModel.wear(folder, [*found, *others]) if found or others else folder


def references(folder: ModelFolder) -> tuple[AdapterRef, ...]:
    """How a recipe names the adapters that a model wears."""
    worn = folder.adapters if isinstance(folder, AdaptedModel) else ()
    return tuple(
        AdapterRef(
            level=one.adapter.card.level,
            path=str(one.adapter.path.resolve()),
            sha256=one.adapter.fingerprint,
            strength=one.strength,
        )
        for one in worn
    )


def differ(some: Sequence[AdapterRef], others: Sequence[AdapterRef]) -> bool:
    """Whether these are not the same adapters, wherever their files lie."""
    first, second = (sorted((one.level, one.sha256, one.strength) for one in refs) for refs in (some, others))
    return first != second


def _given(choices: Sequence[AdapterChoice]) -> list[Worn]:
    return [
        Worn(AdapterFile.load(choice.path), 1.0 if choice.strength is None else choice.strength) for choice in choices
    ]


def _found(one: AdapterRef, places: dict[str, Worn], song: Song, request: Request) -> Worn:
    """An adapter of a recipe: from where the request says it is, or from where it lay."""
    if one.sha256 in places:
        return Worn(places[one.sha256].adapter, one.strength)
    try:
        adapter = AdapterFile.load(Path(one.path))
    except BadAdapter as error:
        raise BadAdapter(f"{error}. {song.path} was begun with it: say where it is now with --adapter") from error
    if adapter.fingerprint != one.sha256 and not request.force:
        raise BadAdapter(
            f"{one.path} is not the adapter that {song.path} was begun with ({adapter.fingerprint[:12]} here, "
            f"{one.sha256[:12]} in the recipe). Say where that one is with --adapter, or use this one with --force"
        )
    return Worn(adapter, one.strength)
