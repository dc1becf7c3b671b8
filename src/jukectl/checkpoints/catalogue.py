"""Models by name: the embedded one, the user's own, pulled ones, or any folder by its path."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from jukectl.checkpoints.hub import find_pulled
from jukectl.checkpoints.places import CARD, assets, native_folders, user_models
from jukectl.checkpoints.published import PUBLISHED
from jukectl.checkpoints.store import ModelFolder, holds_model
from jukectl.errors import BadModel

__all__ = ["EMBEDDED", "assets", "available", "find", "is_model", "user_models"]

EMBEDDED = "mini"


def available() -> dict[str, ModelFolder]:
    """Return every model on this machine by its name: embedded, the user's own, and pulled published ones."""
    # the user's folder comes second and replaces an embedded model of the same name
    folders = native_folders(assets(), user_models())
    for name in PUBLISHED:
        # a converted copy of that name is preferred to the download
        if name not in folders and (pulled := find_pulled(name)) is not None:
            folders[name] = pulled
    return {name: ModelFolder(path) for name, path in folders.items()}


def find(name: str) -> ModelFolder:
    """Return the model called `name`, or in the folder `name`. Raise BadModel with the way to get it, or near names."""
    folder = Path(name)
    if is_model(folder):  # a folder that is no model does not hide a model of that name
        return ModelFolder(folder.resolve())
    models = available()
    if name in models:
        return models[name]
    if (pulled := find_pulled(name)) is not None:  # owner/repository
        return ModelFolder(pulled)
    if name in PUBLISHED:
        raise BadModel(f"{name} is not here. {PUBLISHED[name].how_to_get}")
    if folder.is_dir():
        raise BadModel(f"{name} is a folder without a {CARD}. {_at_hand(name, models)}")
    # the spelling of a published model comes before that of local ones: it has an instruction, and those a list
    if near := get_close_matches(name, set(PUBLISHED) - set(models)):
        published = PUBLISHED[near[0]]
        raise BadModel(f"there is no model or model folder {name!r}; {published.name} is one. {published.how_to_get}")
    raise BadModel(f"there is no model or model folder {name!r}. {_at_hand(name, models)}")


def is_model(folder: Path) -> bool:
    """Return True for a folder that looks like a model: native, in Hugging Face layout, or original files."""
    return holds_model(folder)


def _at_hand(name: str, models: Collection[str]) -> str:
    near = get_close_matches(name, models) or sorted(models) or ["none"]
    return f"At hand: {', '.join(near)}. See: jukectl models list"
