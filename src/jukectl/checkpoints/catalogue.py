"""Model name -> folder: the embedded one, the user's own, or any folder given by path."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import platformdirs

from jukectl.checkpoints.card import CARD
from jukectl.checkpoints.store import ModelFolder
from jukectl.errors import BadModel

EMBEDDED = "mini"


def assets() -> Path:
    """The models shipped inside the package."""
    return Path(__file__).parent.parent / "assets"


def user_models() -> Path:
    """Where the user's own models lie: a folder of model folders."""
    return platformdirs.user_data_path("jukectl") / "models"


def known() -> Iterator[ModelFolder]:
    """Every model at hand: the embedded ones, then the user's."""
    for place in (assets(), user_models()):
        if place.is_dir():
            yield from (ModelFolder(path.parent) for path in sorted(place.glob(f"*/{CARD}")))


def find(name: str) -> ModelFolder:
    """The model called `name`, or in the folder `name`; BadModel lists what is at hand."""
    folder = Path(name)
    if folder.is_dir() and (folder / CARD).exists():
        return ModelFolder(folder.resolve())
    at_hand = {model.path.name: model for model in known()}
    if name in at_hand:
        return at_hand[name]
    near = get_close_matches(name, at_hand) or sorted(at_hand) or ["none"]
    what = f"{name} is a folder without a {CARD}" if folder.is_dir() else f"there is no model or model folder {name!r}"
    raise BadModel(f"{what}. At hand: {', '.join(near)}. See: jukectl models list")
