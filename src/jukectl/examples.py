"""Examples that come with jukectl: a riff, scripts and training recipes, copied to a folder of the user."""

import os
from dataclasses import dataclass
from pathlib import Path

from jukectl.errors import BadInput, MissingTool
from jukectl.files import atomic_write, make_folder, read_bytes
from jukectl.folders import check_inside


@dataclass(frozen=True)
class CopiedExamples:
    """Files of the examples in a folder, by their paths in it."""

    new: tuple[Path, ...]
    unchanged: tuple[Path, ...]  # copied by an earlier run
    kept: tuple[Path, ...]  # other files, of the user


def examples_folder() -> Path:
    """Return the folder of the examples: inside the package, or in the source of an editable installation."""
    places = (Path(__file__).parent / "assets/examples", Path(__file__).parents[2] / "examples")
    for place in places:
        if (place / "riff.wav").is_file():
            return place
    raise MissingTool("this installation of jukectl has no examples. Install it from a wheel, or from its source")


def copy_examples(out: Path) -> CopiedExamples:
    """Copy the examples to a folder. Files that are there stay as they are, so a second run adds what is missing.

    Raises BadInput if `out` is a file or has links in place of folders, CannotWrite.
    """
    source = examples_folder()
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file: give the name of a folder for the examples")
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    names = [name for name in names if "__pycache__" not in name.parts]
    check_inside(out, sorted({str(folder) for name in names for folder in name.parents if folder.name}))
    new, unchanged, kept = [], [], []
    for name in names:
        content = read_bytes(source / name, MissingTool, "example")
        target = out / name
        if not os.path.lexists(target):
            _write(target, content, executable=os.access(source / name, os.X_OK))
            new.append(name)
        elif target.is_file() and read_bytes(target, BadInput, largest=2**30) == content:
            unchanged.append(name)
        else:
            kept.append(name)
    return CopiedExamples(tuple(new), tuple(unchanged), tuple(kept))


def _write(path: Path, content: bytes, *, executable: bool) -> None:
    make_folder(path.parent)
    with atomic_write(path) as file:
        file.write(content)
    if executable:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)  # for everybody who may read it
