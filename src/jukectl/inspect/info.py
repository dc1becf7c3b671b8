"""Facts of a song folder, a code file or a model, and the work left to do."""

from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.configurations import CODEC, published_priors
from jukectl.checkpoints.layout import abilities
from jukectl.checkpoints.published import LICENCE, PUBLISHED, TERMS, PublishedModel, memory
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import PrefixRef, Recipe
from jukectl.codes.song import Song, audio_paths
from jukectl.codes.tree import is_tree
from jukectl.errors import BadInput, BadModel
from jukectl.plan.recipes import frames_wanted
from jukectl.prior.config import PriorConfig
from jukectl.variations.tree import describe_tree
from jukectl.vqvae.config import VQVAEConfig

NOT_HERE = "not here"  # state of a published model that was not pulled


def describe_path(path: Path) -> dict[str, Any]:
    """Return facts of a song folder, a level's .npz, a tree or a model folder."""
    if path.is_file() and path.suffix == ".npz":
        return _describe_codes(Codes.load(path))
    if is_tree(path):
        return describe_tree(path)
    if catalogue.is_model(path):
        return describe_model(str(path))
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is neither a song folder, nor a level's .npz, nor a model folder")
    return _describe_song(Song.open(path))


def _describe_codes(codes: Codes) -> dict[str, Any]:
    """Return facts of a level's .npz."""
    return {
        "level": codes.level.label,
        "samples": codes.samples,
        "done": codes.done,
        "prompt": codes.prompt,
        "seconds": round(codes.seconds, 3),
        "hop": codes.hop,
        "sample_rate": codes.sample_rate,
        "codebook_size": codes.codebook_size,
        "vqvae": codes.vqvae,
    }


def _describe_song(song: Song) -> dict[str, Any]:
    """Return facts of a song folder."""
    recipe = song.recipe()
    found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    frames = {level: codes.done for level, codes in found.items()}
    if recipe is not None and (config := _codec(recipe)) is not None:
        frames |= frames_wanted(recipe, config, frames)
    levels = {level.label: _level_facts(found.get(level), frames[level]) for level in TOP_DOWN if level in frames}
    unfinished = [name for name, facts in levels.items() if facts["done"] < facts["frames"]]
    if recipe is not None and not unfinished and not _has_audio(song, recipe, found):
        unfinished = ["audio"]
    samples = [codes.samples for codes in found.values()] + ([recipe.samples] if recipe else [])
    return {
        "song": str(song.path),
        "kind": recipe.kind if recipe else None,
        "model": recipe.model.name if recipe else None,
        "artist": recipe.labels.artist if recipe else None,
        "genres": list(recipe.labels.genres) if recipe else [],
        "origins": dict(recipe.origins) if recipe else {},
        "seed": recipe.seed if recipe else None,
        "samples": samples[0],
        "prompt_seconds": recipe.prompt.seconds if recipe and recipe.prompt else 0.0,
        "trunk": _prefix_facts(recipe.prefix) if recipe and recipe.prefix else None,
        "midi": recipe.midi.source if recipe and recipe.midi else None,
        "levels": levels,
        "unfinished": unfinished,
        "audio": sorted(str(path) for path in (song.path / "audio").glob("[!.]*")),
    }


def _prefix_facts(prefix: PrefixRef) -> dict[str, Any]:
    return {"source": prefix.source, "sample": prefix.sample, "seconds": round(prefix.seconds, 3)}


def _codec(recipe: Recipe) -> VQVAEConfig | None:
    """Return the codec of a recipe's model; None if the model is not on this machine."""
    try:
        return catalogue.find(recipe.model.path or recipe.model.name).card.vqvae
    except BadModel:
        return None


def _level_facts(codes: Codes | None, frames: int) -> dict[str, Any]:
    return {
        "frames": frames,
        "done": codes.done if codes is not None else 0,
        "seconds": round(codes.seconds, 3) if codes is not None else 0.0,
    }


def _has_audio(song: Song, recipe: Recipe, found: dict[Level, Codes]) -> bool:
    """Return True if every sample of the recipe's lowest level is decoded, or none need be."""
    if recipe.kind == "encode" and not recipe.sampling:
        return True
    codes = found.get(lowest := recipe.levels[-1])
    if codes is None:
        return False
    return all(path.exists() for path in audio_paths(song, lowest, range(codes.samples), None).values())


def describe_model(name: str) -> dict[str, Any]:
    """Return facts of a model, by name or folder; of a published one also if it is not on this machine."""
    published = PUBLISHED.get(name)
    try:
        folder = catalogue.find(name)
    except BadModel:
        if published is None:
            raise
        return _published_facts(published)
    card = folder.card
    parts = {part: folder.weights(part).numbers() for part in folder.parts}
    licence = card.licence or (LICENCE if published else "")
    return {
        "name": card.name,
        "version": card.version,
        "summary": card.summary,
        "state": _state(folder),
        "path": str(folder.path),
        "parts": list(parts),
        "missing": list(folder.layout.missing),
        "abilities": abilities(folder.parts),
        "sample_rate": card.vqvae.sample_rate,
        "hops": {level.label: card.vqvae.hop(level) for level in Level},
        "codebook_size": card.vqvae.codebook_size,
        "contexts": {level.label: config.context for level, config in card.priors.items()},
        "artists": list(card.names.artists),
        "genres": list(card.names.genres),
        **_takes(card.priors.get(Level.TOP)),
        "label_dropout": dict(card.label_dropout),
        "parameters": sum(parts.values()),
        "bytes": _bytes(folder),
        "memory": memory(parts),
        "licence": licence,
        "terms": TERMS if licence == LICENCE else "",
        "sources": [dict(source) for source in card.sources],
        "fingerprints": dict(card.fingerprints),
    }


def _takes(top: PriorConfig | None) -> dict[str, Any]:
    """Return what a model takes, by the config of its top prior: ids of labels, the longest song, lyrics, notes."""
    return {
        "artist_ids": top.artists if top else 0,
        "genre_ids": top.genres if top else 0,
        "genre_slots": top.genre_slots if top else 0,
        "longest_song": top.timing.max_seconds if top and top.timing else None,
        "lyrics": top is not None and top.lyrics is not None,
        "midi": top is not None and top.midi is not None,
        "beats": top is not None and top.beats is not None,
    }


def _published_facts(model: PublishedModel) -> dict[str, Any]:
    """Return the same facts of a published model that is not on this machine, None or empty if unknown."""
    return {
        "name": model.name,
        "version": "",
        "summary": model.summary,
        "state": NOT_HERE,
        "path": None,
        "parts": [],
        "missing": [],
        "abilities": "",
        "sample_rate": CODEC.sample_rate,
        "hops": {level.label: CODEC.hop(level) for level in Level},
        "codebook_size": CODEC.codebook_size,
        "contexts": {level.label: config.context for level, config in published_priors(model.name).items()},
        "artists": [],
        "genres": [],
        **_takes(published_priors(model.name)[Level.TOP]),
        "label_dropout": {},
        "parameters": sum(model.parameters.values()),
        "bytes": model.bytes,
        "memory": memory(model.parameters),
        "licence": LICENCE,
        "terms": TERMS,
        "sources": [],
        "fingerprints": {},
        "get": model.how_to_get,
    }


def list_models() -> list[dict[str, Any]]:
    """List all available and published models, with a few facts; the summary of an unreadable one is its error."""
    models = catalogue.available()
    missing = [published for name, published in PUBLISHED.items() if name not in models]
    return [_line(name, folder) for name, folder in models.items()] + [_published_line(model) for model in missing]


def _line(name: str, folder: ModelFolder) -> dict[str, Any]:
    about = {"name": name, "state": _state(folder), "path": str(folder.path)}
    try:
        card = folder.card
        return {
            **about,
            "bytes": _bytes(folder),
            "version": card.version,
            "sample_rate": card.vqvae.sample_rate,
            "parameters": folder.parameters(),
            "licence": card.licence or (LICENCE if name in PUBLISHED else ""),
            "summary": card.summary,
        }
    except BadModel as error:
        return {**about, "summary": str(error)}


def _published_line(model: PublishedModel) -> dict[str, Any]:
    facts = _published_facts(model)
    kept = ("name", "state", "path", "bytes", "version", "sample_rate", "parameters", "licence", "summary", "get")
    return {key: facts[key] for key in kept}


def _state(folder: ModelFolder) -> str:
    """Return the origin of a model: embedded, own (among the user's models), pulled, or folder (anywhere else)."""
    if folder.path.parent.name == "snapshots":  # in the hub's cache
        return "pulled"
    places = {catalogue.assets(): "embedded", catalogue.user_models(): "own"}
    return places.get(folder.path.parent, "folder")


def _bytes(folder: ModelFolder) -> int:
    """Return the size of the weights on disk."""
    files = {file for part in folder.parts for file in folder.layout.files(part)}
    return sum(file.stat().st_size for file in files if file.suffix in (".safetensors", ".bin", ".tar"))
