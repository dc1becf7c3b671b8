"""Modules on the meta device: shapes without memory or numbers, to be counted or filled with loaded weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

RANDOM = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_})


class _Uninitialised(TorchFunctionMode):
    """Leave out the random numbers of initial weights.

    torch draws them even on the meta device, where there is nothing to fill, and imports its compiler for it: 800
    modules, 1.5 s and 100 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in RANDOM:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


@contextmanager
def unallocated() -> Iterator[None]:
    """Make the modules that are constructed in this context on the meta device, without initial weights."""
    with torch.device("meta"), _Uninitialised():
        yield
