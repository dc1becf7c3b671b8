"""The model of a song, which a request or a recipe names, with adapters; and checks that codes are of its codec."""

from collections.abc import Collection, Sequence
from pathlib import Path

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.adapters import AdaptedModel, AdapterFile, AppliedAdapter
from jukectl.checkpoints.planned import PlannedModel
from jukectl.checkpoints.published import PUBLISHED
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN
from jukectl.codes.prefix import Codeset
from jukectl.codes.recipe import AdapterRef, ModelRef, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAdapter, BadModel, WrongCodec
from jukectl.plan.request import AdapterChoice, Request


def requested_model(request: Request) -> AdaptedModel:
    """Return the model that a request names, or the embedded one, with the request's adapters."""
    return with_adapters(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)


def planned_model(request: Request) -> ModelFolder:
    """Return the model that a request names, for an estimate: a published one need not be on this machine."""
    try:
        return requested_model(request)
    except BadModel:
        if request.model not in PUBLISHED or request.adapters:
            raise
        return PlannedModel.called(request.model)


def with_adapters(folder: ModelFolder, choices: Sequence[AdapterChoice]) -> AdaptedModel:
    """Return a model with adapters, or with none. BadAdapter if one was made for another model."""
    return AdaptedModel.with_adapters(folder, _loaded(choices))


def model_of(song: Song, recipe: Recipe, request: Request, parts: Collection[str] | None = None) -> ModelFolder:
    """Return the model of a recipe, or the one requested instead, with the adapters of both.

    BadModel if one of its `parts` (default: all) is not the recipe's, unless forced. BadAdapter if an adapter's file is
    gone or has changed, unless that is forced.
    """
    try:
        folder: ModelFolder = catalogue.find(request.model or recipe.model.path or recipe.model.name)
    except BadModel as error:
        if request.model:
            raise
        raise BadModel(f"{error}. {song.path} was begun with it: say where it is now with --model") from error
    present = model_ref(folder).fingerprints
    for part, fingerprint in recipe.model.fingerprints.items():
        if (parts is None or part in parts) and present.get(part) != fingerprint and not request.force:
            raise BadModel(
                f"the {part} part of {folder.card.name} is not the one {song.path} was begun with "
                f"({present.get(part, 'missing')[:12]} here, {fingerprint[:12]} in the recipe). Choose the right model "
                "with --model, or use this one all the same with --force"
            )
    return _with_recipe_adapters(folder, song, recipe, request)


def model_for(song: Song, model: str | None) -> ModelFolder:
    """Return the model that is asked for, or the recipe's, or the embedded one; without adapters."""
    recipe = song.recipe()
    return catalogue.find(model or (recipe and (recipe.model.path or recipe.model.name)) or catalogue.EMBEDDED)


def model_ref(folder: ModelFolder) -> ModelRef:
    """Return a recipe's entry for a model, with the fingerprints of its parts."""
    by_path = folder.path.parent not in (catalogue.assets(), catalogue.user_models())
    parts = [part for part in (VQVAE_PART, *(level.label for level in TOP_DOWN)) if folder.has(part)]
    return ModelRef(
        name=folder.card.name,
        path=str(folder.path) if by_path else None,
        fingerprints={part: folder.fingerprint(part) for part in parts},
    )


def adapter_refs(folder: ModelFolder) -> tuple[AdapterRef, ...]:
    """Return a recipe's entries for the adapters of a model."""
    adapters = folder.adapters if isinstance(folder, AdaptedModel) else ()
    return tuple(
        AdapterRef(
            level=one.adapter.card.level,
            path=str(one.adapter.path.resolve()),
            sha256=one.adapter.fingerprint,
            strength=one.strength,
        )
        for one in adapters
    )


def same_adapters(some: Sequence[AdapterRef], others: Sequence[AdapterRef]) -> bool:
    """Return True for the same adapters at the same strengths, wherever their files lie."""
    first, second = (sorted((one.level, one.sha256, one.strength) for one in refs) for refs in (some, others))
    return first == second


def check_codec(song: Song, codes: Codes, folder: ModelFolder, *, force: bool) -> None:
    """Refuse codes made by another codec than the model's, unless forced and small enough. WrongCodec."""
    here, size = folder.fingerprint(VQVAE_PART), folder.card.vqvae.codebook_size
    where = f"{song.codes_path(codes.level)} holds codes of the VQ-VAE {codes.vqvae[:12]}"
    if codes.vqvae != here and not force:
        raise WrongCodec(
            f"{where}, and {folder.card.name}'s is {here[:12]}. "
            "Choose their model with --model, or use them all the same with --force"
        )
    config = folder.card.vqvae
    if codes.vqvae == here and (codes.hop, codes.sample_rate) != (config.hop(codes.level), config.sample_rate):
        raise WrongCodec(
            f"{where} at {codes.sample_rate} Hz and {codes.hop} samples a code, and that VQ-VAE has "
            f"{config.sample_rate} Hz and {config.hop(codes.level)}: the file is damaged. Move it away "
            f"and make it again with: jukectl resume {song.path}"
        )
    if codes.codebook_size > size:
        raise WrongCodec(
            f"{where}, up to code {codes.codebook_size - 1}, and {folder.card.name}'s go to {size - 1}. "
            "Choose their model with --model"
        )


def check_codecs(song: Song, codes: Codeset, folder: ModelFolder, request: Request) -> None:
    """Refuse codes of any level made by another codec than the model's, unless forced. WrongCodec."""
    for one in codes.values():
        check_codec(song, one, folder, force=request.force)


def _with_recipe_adapters(folder: ModelFolder, song: Song, recipe: Recipe, request: Request) -> ModelFolder:
    """Return a model with the adapters of a song's recipe, and with others that the request names.

    A file of the request that the recipe names is that one, wherever it lies now. Any other replaces the recipe's at
    its level.
    """
    given = _loaded(request.adapters)
    strengths = {choice.path: choice.strength for choice in request.adapters}
    by_hash = {one.adapter.fingerprint: one for one in given}
    kept = {
        one.sha256: one
        for one in recipe.adapters
        if one.sha256 not in by_hash or strengths[by_hash[one.sha256].adapter.path] in (None, one.strength)
    }
    others = [one for one in given if one.adapter.fingerprint not in kept]
    replaced = {one.adapter.card.level for one in others}
    found = [_find(one, by_hash, song, request) for one in kept.values() if one.level not in replaced]
    return AdaptedModel.with_adapters(folder, [*found, *others]) if found or others else folder


def _loaded(choices: Sequence[AdapterChoice]) -> list[AppliedAdapter]:
    return [
        AppliedAdapter(AdapterFile.load(choice.path), 1.0 if choice.strength is None else choice.strength)
        for choice in choices
    ]


def _find(one: AdapterRef, by_hash: dict[str, AppliedAdapter], song: Song, request: Request) -> AppliedAdapter:
    """Return an adapter of a recipe, from where the request says it is, or from the path in the recipe."""
    if one.sha256 in by_hash:
        return AppliedAdapter(by_hash[one.sha256].adapter, one.strength)
    try:
        adapter = AdapterFile.load(Path(one.path))
    except BadAdapter as error:
        raise BadAdapter(f"{error}. {song.path} was begun with it: say where it is now with --adapter") from error
    if adapter.fingerprint != one.sha256 and not request.force:
        raise BadAdapter(
            f"{one.path} is not the adapter that {song.path} was begun with ({adapter.fingerprint[:12]} here, "
            f"{one.sha256[:12]} in the recipe). Say where that one is with --adapter, or use this one with --force"
        )
    return AppliedAdapter(adapter, one.strength)
