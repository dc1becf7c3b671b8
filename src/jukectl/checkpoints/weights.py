"""Tensors of one part of a model by our names, in any files: checked before they are read, and read in little memory.

A page of a mapped file that has been touched counts as memory until the file is closed. So whatever has to be copied,
to another type or device, is read within a budget of bytes, after which the file is closed and opened again.
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

BUDGETS = 30  # of a part's bytes: this fraction is in memory in addition to what has been converted
SMALLEST_BUDGET = 2**20  # bytes; below, opening the file takes longer than reading
LARGEST_BUDGET = 2**28  # bytes; above, more memory makes reading no faster
PIECES = 4  # into which a budget is divided, since a piece exists twice while it is converted

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """File and name of a tensor."""

    file: TensorFile
    name: str  # in the file
    described: Described
    first_row: int = 0  # row in the file that is our first; the rows before it are our last

    @property
    def numbers(self) -> int:
        """Number of elements."""
        return prod(self.described.shape)

    def same(self, other: "Place") -> bool:
        """Return True if another tensor of this shape holds the same numbers."""
        if self.file == other.file:
            return self.file.same(self.name, other.name)
        with self.file.opened() as mine, other.file.opened() as theirs:
            return torch.equal(mine(self.name).clone(), theirs(other.name).clone())


@dataclass(frozen=True)
class Weights:
    """Tensors of a part by our names."""

    places: Mapping[str, Place]
    twins: Sequence[tuple[Place, Place]] = ()  # pairs in the files that are a single tensor in our model

    def shape(self, name: str) -> Shape:
        """Return the shape of a tensor."""
        return self.places[name].described.shape

    def dtype(self, name: str) -> torch.dtype:
        """Return the type of a tensor in its file."""
        return self.places[name].described.dtype

    def numbers(self) -> int:
        """Return the number of parameters."""
        return sum(place.numbers for place in self.places.values())

    def bytes(self, dtype: torch.dtype | None = None) -> int:
        """Return the bytes of all tensors, in their own types or in another one."""
        return sum(place.numbers * (dtype or place.described.dtype).itemsize for place in self.places.values())

    def check_twins(self) -> None:
        """Raise BadModel if tied tensors differ, such as an embedding and a head that are stored apart."""
        for one, other in self.twins:
            if not one.same(other):
                raise BadModel(
                    f"{one.file.path} holds both {one.name} and {other.name}, which are one tensor in this model, "
                    "but they differ"
                )

    def load(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Load all tensors to a device in one type.

        Memory in addition to the result is a thirtieth of it. Tensors that need no change are views of a mapped file.
        """
        self.check_twins()

        def is_usable(name: str) -> bool:
            place = self.places[name]
            unchanged = device.type == "cpu" and place.described.dtype == dtype and not place.first_row
            return unchanged and place.file.lasting

        loaded: dict[str, Tensor] = {}
        # views first, with each file opened once: several processes then share these pages of the file
        with ExitStack() as stack:
            kept: dict[TensorFile, Reader] = {}
            for name, place in self.places.items():
                if is_usable(name):
                    if place.file not in kept:
                        kept[place.file] = stack.enter_context(place.file.opened())
                    loaded[name] = kept[place.file](place.name).contiguous()
        with self.reading(dtype) as reading:
            for name in [name for name in self.places if name not in loaded]:
                loaded[name] = reading.tensor(name, device, dtype)
        return loaded

    def reading(self, dtype: torch.dtype | None = None) -> "Reading":
        """Return a reader of pieces that keeps a thirtieth of the tensors' bytes in memory."""
        return Reading(self, min(max(self.bytes(dtype) // BUDGETS, SMALLEST_BUDGET), LARGEST_BUDGET))


class Reading:
    """Context manager that reads tensors piece by piece and releases what has been read."""

    def __init__(self, weights: Weights, budget: int) -> None:
        self.weights = weights
        self.budget = budget  # bytes
        self.read = 0  # bytes of the files that are open
        self.readers: dict[TensorFile, Reader] = {}
        self.stack = ExitStack()  # closes the files

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def tensor(self, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Read a whole tensor to a device in one type."""
        target, done = torch.empty(self.weights.shape(name), dtype=dtype, device=device), 0
        for piece in self.pieces(name):
            # `copy_` converts the type on the way, so no tensor exists in both types at once
            target.view(-1)[done : done + len(piece)].copy_(piece)
            done += len(piece)
        return target

    def pieces(self, name: str, *, skipped: int = 0) -> Iterator[Tensor]:
        """Yield a tensor's numbers in one-dimensional pieces, each valid until the next one is requested.

        The first `skipped` of our rows come last, as in the other formats.
        """
        place = self.weights.places[name]
        shape = place.described.shape
        rows = shape[0] if shape else 1
        row_bytes = prod(shape[1:]) * place.described.dtype.itemsize
        step = max(1, self.budget // PIECES // max(1, row_bytes))
        # a rotation of the rows: from the first one wanted to the end, then those before it
        begin = (place.first_row + skipped) % max(1, rows)
        for first, last in ((begin, rows), (0, begin)):
            for start in range(first, last, step):
                stop = min(start + step, last)
                tensor = self._reader(place.file, (stop - start) * row_bytes)(place.name)
                yield (tensor[start:stop] if shape else tensor).reshape(-1)
                del tensor  # otherwise it would keep the mapping alive when the file is closed

    def _reader(self, file: TensorFile, needed: int) -> Reader:
        """Return the reader of a file, opened again when the budget is used up."""
        if self.read + needed > self.budget:
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
    """Match the tensors of a module with those of files, strictly, before any number is read.

    `names` returns the names that one of our tensors may have in the files; if there are several, they are twins. Every
    tensor found must be used. `first_rows` is for tensors whose rows are in another order in the files. Raise BadModel
    for the first tensor that is missing, has another shape, or is not needed, with `misfit` as the message's start.
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
    # strict: a tensor without a use means another architecture, whose results would be wrong without an error
    if spare := sorted(found.keys() - used):
        raise BadModel(f"{misfit}: {spare[0]} is not known")
    return Weights(places, tuple(twins))


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
