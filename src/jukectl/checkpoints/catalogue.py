"""Model name -> folder: the embedded one, the user's own, what was pulled, or any folder given by path."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import platformdirs

from jukectl.checkpoints.card import CARD
from jukectl.checkpoints.hub import find_pulled
from jukectl.checkpoints.published import PUBLISHED
from jukectl.checkpoints.store import ModelFolder, holds_model
from jukectl.errors import BadModel

EMBEDDED = "mini"


def assets() -> Path:
    """The models shipped inside the package."""
    return Path(__file__).parent.parent / "assets"


def user_models() -> Path:
    """Where the user's own models lie: a folder of model folders."""
    return platformdirs.user_data_path("jukectl") / "models"


def available() -> dict[str, ModelFolder]:
    """Every model at hand, by the name that finds it: the embedded ones, the user's, the published ones pulled."""
    places = [place for place in (assets(), user_models()) if place.is_dir()]
    folders = {path.parent.name: path.parent for place in places for path in sorted(place.glob(f"*/{CARD}"))}
    for name in PUBLISHED:
        if name not in folders and (pulled := find_pulled(name)) is not None:
            folders[name] = pulled
    return {name: ModelFolder(path) for name, path in folders.items()}


def find(name: str) -> ModelFolder:
    """The model called `name`, or in the folder `name`; BadModel tells how to get it, or lists what is at hand."""
    folder = Path(name)
    if is_model(folder):
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
    if near := get_close_matches(name, set(PUBLISHED) - set(models)):
        published = PUBLISHED[near[0]]
        raise BadModel(f"there is no model or model folder {name!r}; {published.name} is one. {published.how_to_get}")
    raise BadModel(f"there is no model or model folder {name!r}. {_at_hand(name, models)}")


def is_model(folder: Path) -> bool:
    """Whether a folder looks like a model: ours, one in Hugging Face layout, or original files."""
    return holds_model(folder)


def _at_hand(name: str, models: Collection[str]) -> str:
    near = get_close_matches(name, models) or sorted(models) or ["none"]
    return f"At hand: {', '.join(near)}. See: jukectl models list"
