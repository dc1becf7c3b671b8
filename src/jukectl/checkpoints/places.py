"""Folders in which models lie by name. Nothing here loads torch, so that the shell can complete names."""

import os
from pathlib import Path

import platformdirs

CARD = "model.toml"
"""File that describes a model, in its folder."""


def assets() -> Path:
    """Return the folder of models inside the package."""
    return Path(__file__).parent.parent / "assets"


def user_models() -> Path:
    """Return the folder of the user's own model folders."""
    return platformdirs.user_data_path("jukectl") / "models"


def native_folders(*places: Path) -> dict[str, Path]:
    """Return the model folders in some places by their names. A later place replaces names of an earlier one."""
    there = [place for place in places if place.is_dir()]
    return {path.parent.name: path.parent for place in there for path in sorted(place.glob(f"*/{CARD}"))}


def hub_snapshots(repository: str) -> list[Path]:
    """Return the folders of a repository in the cache of huggingface_hub, the newest first, complete or not."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    found = (cache / f"models--{repository.replace('/', '--')}" / "snapshots").glob("*")
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)
