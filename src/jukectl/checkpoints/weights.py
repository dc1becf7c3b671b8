"""The tensors of one part of a model by our names, whatever files they lie in: checked before they are read, and read
in little memory.

A page of a mapped file that was touched counts as memory until the file is let go. So what has to be copied, into
another type of number or to another device, is read in portions, and the file is opened again after each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from jukectl.checkpoints.tensorfile import Described, Reader, TensorFile
from jukectl.errors import BadModel

PORTIONS = 30  # of a part: one of them is in memory besides what was made of the others
SMALLEST_PORTION = 2**20  # bytes
LARGEST_PORTION = 2**28
PIECES = 4  # of a portion, which are handed on one by one

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies."""

    file: TensorFile
    name: str  # there
    described: Described
    first_row: int = 0  # the row there that is our first; those before it come last

    @property
    def numbers(self) -> int:
        """How many it holds."""
        return prod(self.described.shape)

    def same(self, other: "Place") -> bool:
        """Whether another place holds the same numbers."""
        if self.file == other.file:
            return self.file.same(self.name, other.name)
        with self.file.opened() as mine, other.file.opened() as theirs:
            return torch.equal(mine(self.name).clone(), theirs(other.name).clone())


@dataclass(frozen=True)
class Weights:
    """The tensors of a part by our names."""

    places: Mapping[str, Place]
    twins: Sequence[tuple[Place, Place]] = ()  # tensors that are one and the same in our model

    def shape(self, name: str) -> Shape:
        """Of a tensor."""
        return self.places[name].described.shape

    def dtype(self, name: str) -> torch.dtype:
        """Its type of number, as it is kept."""
        return self.places[name].described.dtype

    def numbers(self) -> int:
        """In all tensors together."""
        return sum(place.numbers for place in self.places.values())

    def bytes(self, dtype: torch.dtype | None = None) -> int:
        """What the tensors take, as they are kept or in another type of number."""
        return sum(place.numbers * (dtype or place.described.dtype).itemsize for place in self.places.values())

    def check_twins(self) -> None:
        """BadModel where tensors differ that are to be the same."""
        for one, other in self.twins:
            if not one.same(other):
                raise BadModel(
                    f"{one.file.path} holds both {one.name} and {other.name}, which are one tensor in this model, "
                    "but they differ"
                )

    def load(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """All tensors, on a device and in a type of number.

        Besides them, a thirtieth of what they take is in memory. Those that need no change are views of a mapped file.
        """
        self.check_twins()

        def as_it_is(name: str) -> bool:
            place = self.places[name]
            unchanged = device.type == "cpu" and place.described.dtype == dtype and not place.first_row
            return unchanged and place.file.lasting

        loaded: dict[str, Tensor] = {}
        with ExitStack() as stack:
            kept: dict[TensorFile, Reader] = {}
            for name, place in self.places.items():
                if as_it_is(name):
                    if place.file not in kept:
                        kept[place.file] = stack.enter_context(place.file.opened())
                    loaded[name] = kept[place.file](place.name).contiguous()
        with self.reading(dtype) as reading:
            for name in [name for name in self.places if name not in loaded]:
                target, done = torch.empty(self.shape(name), dtype=dtype, device=device), 0
                for piece in reading.pieces(name):
                    target.view(-1)[done : done + len(piece)].copy_(piece)
                    done += len(piece)
                loaded[name] = target
        return loaded

    def reading(self, dtype: torch.dtype | None = None) -> "Reading":
        """To read them piece by piece, with a thirtieth of what they take, all in all, in memory."""
        return Reading(self, min(max(self.bytes(dtype) // PORTIONS, SMALLEST_PORTION), LARGEST_PORTION))


class Reading:
    """Reads tensors piece by piece, and lets go of what was read as it goes. A context manager."""

    def __init__(self, weights: Weights, portion: int) -> None:
        self.weights = weights
        self.portion = portion  # bytes
        self.read = 0  # bytes, of the files that are open
        self.readers: dict[TensorFile, Reader] = {}
        self.stack = ExitStack()  # closes them

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def pieces(self, name: str, *, skipped: int = 0) -> Iterator[Tensor]:
        """A tensor's numbers one after another, as one-dimensional pieces. Each is to be used before the next.

        Our first `skipped` rows come last.
        """
        place = self.weights.places[name]
        shape = place.described.shape
        rows = shape[0] if shape else 1
        row_bytes = prod(shape[1:]) * place.described.dtype.itemsize
        step = max(1, self.portion // PIECES // max(1, row_bytes))
        begin = (place.first_row + skipped) % max(1, rows)
        for first, last in ((begin, rows), (0, begin)):
            for start in range(first, last, step):
                stop = min(start + step, last)
                tensor = self._reader(place.file, (stop - start) * row_bytes)(place.name)
                yield (tensor[start:stop] if shape else tensor).reshape(-1)
                del tensor

    def _reader(self, file: TensorFile, needed: int) -> Reader:
        """Of a file, opened again where a portion was read."""
        if self.read + needed > self.portion:
            self._close()
        if file not in self.readers:
            self.readers[file] = self.stack.enter_context(file.opened())
        self.read += needed
        return self.readers[file]

    def _close(self) -> None:
        self.readers, self.read = {}, 0
        self.stack.close()


def matched(
    wanted: Mapping[str, Shape],
    found: Mapping[str, Place],
    names: Callable[[str], Sequence[str]],
    misfit: str,
    first_rows: Mapping[str, int] | None = None,
) -> Weights:
    """The places of the tensors that a module takes, strictly: no number is read before all is seen to fit.

    `names` gives the names that one of ours may have in the files. Where several of them are there, they must hold the
    same. Everything found must be in use. `first_rows` is of those of our tensors whose rows are in another order in
    the files. BadModel names the first tensor that is missing, misshapen or too much, after the words of `misfit`.
    """
    places, twins, used = {}, [], set()
    for ours, shape in wanted.items():
        theirs = names(ours)
        there = [name for name in theirs if name in found]
        if not there:
            raise BadModel(f"{misfit}: {theirs[0]} is missing")
        for name in there:
            if (other := found[name].described.shape) != shape:
                raise BadModel(f"{misfit}: {name} has the shape {_shape(other)}, not {_shape(shape)}")
        first, *others = (found[name] for name in there)
        first_row = (first_rows or {}).get(ours, 0)
        places[ours] = Place(first.file, first.name, first.described, first_row)
        twins += [(first, other) for other in others]
        used.update(there)
    if spare := sorted(found.keys() - used):
        raise BadModel(f"{misfit}: {spare[0]} is not known")
    return Weights(places, tuple(twins))


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
