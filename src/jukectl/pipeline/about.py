"""What a song folder, a code file or a model holds, and what is left to do."""

from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import CARD, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, BadModel
from jukectl.pipeline.rendering import total_frames


def describe_path(path: Path) -> dict[str, Any]:
    """Facts of whatever lies at `path`: a song folder, a level's .npz, or a model folder."""
    if path.is_file() and path.suffix == ".npz":
        return _describe_codes(Codes.load(path))
    if (path / CARD).exists():
        return describe_model(str(path))
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is neither a song folder, nor a level's .npz, nor a model folder")
    return _describe_song(Song.open(path))


def _describe_codes(codes: Codes) -> dict[str, Any]:
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
    recipe = song.recipe()
    found = {level: song.codes(level) for level in TOP_DOWN}
    asked = recipe.levels if recipe else ()
    frames = _frames(recipe, found)
    levels = {
        level.label: _level_facts(codes, frames.get(level))
        for level, codes in found.items()
        if codes is not None or level in asked
    }
    unfinished = [name for name, facts in levels.items() if facts["done"] < facts["frames"]]
    if recipe is not None and recipe.kind != "encode" and not unfinished and not _has_audio(song, recipe, found):
        unfinished = ["audio"]
    first = next((codes for codes in found.values() if codes is not None), None)
    return {
        "song": str(song.path),
        "kind": recipe.kind if recipe else None,
        "model": recipe.model.name if recipe else None,
        "artist": recipe.labels.artist if recipe else None,
        "genres": list(recipe.labels.genres) if recipe else [],
        "seed": recipe.seed if recipe else None,
        "samples": first.samples if first is not None else recipe.samples if recipe else 0,
        "prompt_seconds": recipe.prompt.seconds if recipe and recipe.prompt else 0.0,
        "levels": levels,
        "unfinished": unfinished,
        "audio": [str(path) for path in sorted((song.path / "audio").glob("*"))]
        if (song.path / "audio").is_dir()
        else [],
    }


def _frames(recipe: Recipe | None, found: dict[Level, Codes | None]) -> dict[Level, int]:
    """Codes that each level of a recipe shall have."""
    if recipe is None:
        return {}
    if recipe.kind == "encode":
        return {}
    try:
        folder = catalogue.find(recipe.model.path or recipe.model.name)
    except BadModel:  # gone, or of another machine: then the folder can only tell what it holds
        return {}
    frames: dict[Level, int] = {}
    for level in recipe.levels:
        codes = found[level]
        if level is Level.TOP:
            wanted = total_frames(recipe, folder, level, None)
            keep = recipe.kind == "upsample" and codes is not None
            frames[level] = (
                codes.done if keep and codes is not None else max(wanted, codes.done if codes is not None else 0)
            )
        else:
            frames[level] = frames[level.above] * folder.card.vqvae.ratio(level)
    return frames


def _level_facts(codes: Codes | None, frames: int | None) -> dict[str, Any]:
    done = codes.done if codes is not None else 0
    return {
        "frames": frames if frames is not None else done,
        "done": done,
        "seconds": round(codes.seconds, 3) if codes is not None else 0.0,
    }


def _has_audio(song: Song, recipe: Recipe, found: dict[Level, Codes | None]) -> bool:
    """Whether every sample of the recipe's lowest level was decoded."""
    lowest = recipe.levels[-1]
    codes = found[lowest]
    if codes is None:
        return False
    path = song.audio_path if lowest is Level.BOTTOM else lambda sample: song.preview_path(lowest, sample)
    return all(path(sample).exists() for sample in range(codes.samples))


def describe_model(name: str) -> dict[str, Any]:
    """Facts of a model, by name or folder."""
    folder = catalogue.find(name)
    card = folder.card
    return {
        "name": card.name,
        "version": card.version,
        "summary": card.summary,
        "path": str(folder.path),
        "sample_rate": card.vqvae.sample_rate,
        "hops": {level.label: card.vqvae.hop(level) for level in Level},
        "codebook_size": card.vqvae.codebook_size,
        "contexts": {level.label: config.context for level, config in card.priors.items()},
        "artists": list(card.vocabulary.artists),
        "genres": list(card.vocabulary.genres),
        "parameters": folder.parameters(),
        "bytes": sum(file.stat().st_size for file in folder.path.glob("*.safetensors")),
        "licence": card.licence,
        "sources": [dict(source) for source in card.sources],
        "fingerprints": dict(card.fingerprints),
    }


def list_models() -> list[dict[str, Any]]:
    """Every model at hand, a few facts each; one that cannot be read says so in its summary."""
    return [_line(folder) for folder in catalogue.known()]


def _line(folder: ModelFolder) -> dict[str, Any]:
    try:
        card = folder.card
    except BadModel as error:
        return {"name": folder.path.name, "summary": str(error), "path": str(folder.path)}
    return {
        "name": folder.path.name,
        "version": card.version,
        "sample_rate": card.vqvae.sample_rate,
        "parameters": folder.parameters(),
        "licence": card.licence,
        "summary": card.summary,
        "path": str(folder.path),
    }
