"""A tree of songs: one folder with its recipe, the root as a song, and the codes that each node adds."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Self

from jukectl.codes import recipe_toml
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import SONG, Song
from jukectl.errors import BadInput, NotASong, NotCodes
from jukectl.files import atomic_write, make_folder, remove_file, remove_folder
from jukectl.folders import Kind, check_inside
from jukectl.tables import check_format, parse_toml, read_text_if_any, structure

FORMAT = 1
"""Version of the [tree] table; a reader refuses a higher one."""

DEEPEST = 6  # steps: a sample's number has three digits a step
WIDEST = 1_000
MOST_NODES = 10_000

_PLACE, _LEVEL = r"\d{1,3}(\.\d{1,3})*", f"({'|'.join(level.label for level in TOP_DOWN)})"
_MADE = {  # what is made in the folders of a tree, and so may be removed
    "nodes": re.compile(rf"{_PLACE}\.{_LEVEL}\.npz"),
    "audio": re.compile(rf"{_PLACE}\.wav"),
    "previews": re.compile(rf"{_LEVEL}-{_PLACE}\.wav"),
}

Place = tuple[int, ...]
"""A node: the branch taken at each step from the root, which is (); written 2.3."""


def parse_place(text: str) -> Place:
    """Parse the name of a node, "2.3". Raise BadInput if it is malformed."""
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})*", text.strip()):
        raise BadInput(f"a node of a tree is named by the branches that lead to it, such as 2.3, got {text!r}")
    return tuple(map(int, text.strip().split(".")))


def name_of(place: Place) -> str:
    """Return the name of a node: 2.3."""
    return ".".join(map(str, place)) or "root"


def check_shape(branches: int, depth: int, leaf: Place = ()) -> None:
    """Raise BadInput for a tree with an impossible shape, or for a leaf that is not one of its leaves."""
    if not 1 <= depth <= DEEPEST:
        raise BadInput(f"a tree is 1 to {DEEPEST} steps deep, got {depth}")
    if not 1 <= branches <= WIDEST:
        raise BadInput(f"a tree has 1 to {WIDEST} branches at a node, got {branches}")
    if leaf and len(leaf) != depth:
        raise BadInput(f"a leaf of this tree is {depth} steps from the root, and {name_of(leaf)} is not")
    if max(leaf, default=0) >= branches:
        raise BadInput(f"the branches are 0 to {branches - 1}, so there is no {name_of(leaf)}")
    count = len(leaf) or sum(branches**step for step in range(1, depth + 1))
    if count > MOST_NODES:
        shape = f"{branches} branches, {depth} deep"
        raise BadInput(f"a tree has at most {MOST_NODES} nodes, and this one ({shape}) would have {count}")


@dataclass(frozen=True, kw_only=True)
class TreeRecipe:
    """Content of tree.toml: the recipe of each step, and the shape of the tree. Raises BadInput for invalid values."""

    step: Recipe  # of the first step: its prefix codes are the root, its samples the branches, its seconds a step's
    depth: int  # steps from the root to a leaf
    number: int = 0  # random stream of the root
    leaf: Place = ()  # only the nodes that lead there are made; (): the whole tree

    def __post_init__(self) -> None:
        check_shape(self.branches, self.depth, self.leaf)
        if self.step.prefix is None:
            raise BadInput("a tree continues from the codes of its root, and its recipe names none")

    @property
    def branches(self) -> int:
        """Number of continuations of each node."""
        return self.step.samples

    def places(self, step: int) -> list[Place]:
        """Return the nodes that many steps from the root, in order."""
        if self.leaf:
            return [self.leaf[:step]]
        return list(product(range(self.branches), repeat=step))

    def all_places(self) -> list[Place]:
        """Return the nodes of all steps, those nearest to the root first."""
        return [place for step in range(1, self.depth + 1) for place in self.places(step)]

    def to_toml(self) -> str:
        """Return the text of tree.toml."""
        import tomlkit

        about = tomlkit.table()
        about.add("format", FORMAT)
        about.add("depth", self.depth)
        about.add("number", self.number)
        about["number"].comment("random stream of the root")
        if self.leaf:
            about.add("leaf", name_of(self.leaf))
            about["leaf"].comment("only the nodes that lead there are made")
        document = tomlkit.parse(recipe_toml.dumps(self.step))
        document.add("tree", about)
        return document.as_string()

    @classmethod
    def from_toml(cls, text: str, where: Path) -> "TreeRecipe":
        """Parse the recipe in `text`, read from the file `where`. Raise NotASong if it is none."""
        step = recipe_toml.loads(text, where)
        try:
            about = parse_toml(text).get("tree")
            if not isinstance(about, dict):
                raise BadInput("it has no table [tree] with its format and depth")
            check_format(about.get("format"), FORMAT, f"{where} has tree format", error=NotASong)
            return structure(TreeForm, about, "tree", strict=False).tree(step)
        except NotASong:
            raise
        except (BadInput, ValueError) as error:
            raise NotASong(f"{where} is no recipe of a tree: {error}") from error


@dataclass(frozen=True, kw_only=True)
class TreeForm:
    """Layout of the table [tree], beside the recipe of the first step."""

    depth: int
    number: int = 0
    leaf: str | None = None

    def tree(self, step: Recipe) -> TreeRecipe:
        """Return the tree that grows by `step`."""
        leaf = () if self.leaf is None else parse_place(self.leaf)
        return TreeRecipe(step=step, depth=self.depth, number=self.number, leaf=leaf)


class Tree:
    """A tree's folder. Making the object touches no file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._song = Song(path)  # for its lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the tree in `path`. Raise NotASong if there is none."""
        if not is_tree(path):
            raise NotASong(f"{path} is no tree: it has no tree.toml. Grow one with: jukectl tree SONG --out {path}")
        return cls(path)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Open the tree's folder `path`, creating it if needed. Raise BadInput if it holds other files, CannotWrite."""
        TREE.claim(path)
        return cls(path)

    @property
    def toml_path(self) -> Path:
        """The recipe."""
        return self.path / "tree.toml"

    @property
    def root(self) -> Song:
        """The song that all begins with."""
        return Song(self.path / "root")

    @property
    def growing(self) -> Song:
        """The nodes that are in progress, side by side as the samples of a song; it is there only then."""
        return Song(self.path / "growing")

    def recipe(self) -> TreeRecipe | None:
        """Return the recipe, None if there is none yet. NotASong if it cannot be read."""
        text = read_text_if_any(self.toml_path, NotASong)
        return None if text is None else TreeRecipe.from_toml(text, self.toml_path)

    def write_recipe(self, recipe: TreeRecipe) -> None:
        """Put `recipe` in place of the one there is, in one step."""
        with atomic_write(self.toml_path) as file:
            file.write(recipe.to_toml().encode())

    def node_path(self, place: Place, level: Level) -> Path:
        """Return the path of the codes that a node adds at a level; it may not exist."""
        return self.path / "nodes" / f"{name_of(place)}.{level.label}.npz"

    def audio_path(self, place: Place, level: Level) -> Path:
        """Return the path of the audio that a node adds at a level; it may not exist."""
        if level is Level.BOTTOM:
            return self.path / "audio" / f"{name_of(place)}.wav"
        return self.path / "previews" / f"{level.label}-{name_of(place)}.wav"

    def node(self, place: Place, level: Level) -> Codes | None:
        """Load the codes (1, frames) that a node adds at a level, None if there are none yet."""
        path = self.node_path(place, level)
        if not path.exists():
            return None
        codes = Codes.load(path)
        if codes.level is not level or codes.samples != 1:
            raise NotCodes(
                f"{path} is no node of the {level.label} level. Remove it, then run: jukectl tree {self.path}"
            )
        return codes

    def save_node(self, place: Place, codes: Codes) -> None:
        """Write the codes (1, frames) that a node adds at their level, in one step."""
        path = self.node_path(place, codes.level)
        make_folder(path.parent)
        codes.save(path)

    def clear(self) -> None:
        """Remove what was grown here; other files stay. The recipe goes last. Hold the lock. Raises CannotWrite."""
        TREE.put_mark(self.path)
        remove_folder(self.growing.path)
        for name, made in _MADE.items():
            folder = self.path / name
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if made.fullmatch(path.name):
                    remove_file(path)
        if self.root.path.is_dir():
            self.root.clear()
        remove_file(self.toml_path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from growing the tree; what those that were killed left half written is removed."""
        check_inside(self.path, (*_MADE, "root", "growing"))
        with self._song.lock():
            if self.growing.path.is_dir() and not self.growing.begun:
                remove_folder(self.growing.path)  # a run was killed while it made or removed it
            make_folder(self.path / "nodes")
            with Song(self.path / "nodes").lock():
                yield


def _is_grown(folder: Path) -> bool:
    """Return True if a folder holds a tree, or the root of one."""
    return is_tree(folder) or SONG.is_begun(folder / "root")


TREE = Kind("tree", _is_grown)


def is_tree(path: Path) -> bool:
    """Return True if a folder holds a tree."""
    return (path / "tree.toml").is_file()
