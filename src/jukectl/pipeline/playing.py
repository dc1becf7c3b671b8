"""Which files a song, a leaf of a tree, or a path is heard from."""

from pathlib import Path

from jukectl.audio.player import play as play_files
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.codes.tree import Place, Tree, is_tree, name_of
from jukectl.errors import BadInput, NotASong
from jukectl.pipeline.decoding import FORMATS, audio_paths


def to_be_heard(path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = ()) -> list[Path]:
    """The audio of `path`: a file, a song's sample at its finest level that was decoded, or the way to a tree's leaf.

    NotASong where nothing was decoded yet, BadInput where there is no such sample or leaf.
    """
    if path.is_file() and path.suffix != ".npz":
        return [path]
    if is_tree(path):
        return _of_tree(path, level, leaf)
    if leaf:
        raise BadInput(f"{path} is no tree: leave --leaf out")
    song = Song.open(path)
    codes = next((codes for one in TOP_DOWN if (codes := song.codes(one)) is not None), None)
    if codes is not None and not 0 <= sample < codes.samples:
        raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
    for one in (level,) if level is not None else reversed(TOP_DOWN):
        for suffix in FORMATS:
            (audio,) = audio_paths(song, one, [sample], f".{suffix}").values()
            if audio.exists():
                return [audio]
    where = "" if level is None else f" --level {level.label}"
    raise NotASong(f"nothing of {path} was decoded yet to be heard. Make audio with: jukectl decode {path}{where}")


def play(
    path: Path, *, sample: int = 0, level: Level | None = None, leaf: Place = (), player: str | None = None
) -> tuple[list[Path], str]:
    """Play what `path` is heard from; the files, and the name of the player."""
    files = to_be_heard(path, sample=sample, level=level, leaf=leaf)
    return files, play_files(files, player).command[0]


def _of_tree(path: Path, level: Level | None, leaf: Place) -> list[Path]:
    tree = Tree.open(path)
    recipe = tree.recipe()
    if recipe is None or not leaf:
        raise BadInput(f"{path} is a tree: say which leaf, such as --leaf 0.1 (see jukectl info {path})")
    for one in (level,) if level is not None else reversed(TOP_DOWN):
        audio = [tree.audio_path(leaf[:step], one) for step in range(1, len(leaf) + 1)]
        if all(file.exists() for file in audio):
            return audio
    raise BadInput(f"{path} has no audio of {name_of(leaf)}. See what it has with: jukectl info {path}")
