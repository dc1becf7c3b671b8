"""What a song folder, a code file or a model holds, and what is left to do."""

from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.card import CARD
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, BadModel
from jukectl.pipeline.decoding import audio_paths
from jukectl.pipeline.recipes import frames_wanted
from jukectl.vqvae.config import VQVAEConfig


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
        "seed": recipe.seed if recipe else None,
        "samples": samples[0],
        "prompt_seconds": recipe.prompt.seconds if recipe and recipe.prompt else 0.0,
        "levels": levels,
        "unfinished": unfinished,
        "audio": sorted(str(path) for path in (song.path / "audio").glob("[!.]*")),
    }


def _codec(recipe: Recipe) -> VQVAEConfig | None:
    """The codec of a recipe's model; None where that is gone or on another machine."""
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
    """Whether every sample of the recipe's lowest level was decoded, or need not be."""
    if recipe.kind == "encode" and not recipe.sampling:
        return True
    codes = found.get(lowest := recipe.levels[-1])
    return codes is not None and all(path.exists() for path in audio_paths(song, lowest, range(codes.samples)).values())


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
