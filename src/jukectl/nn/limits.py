"""Limits on the sizes of a model, far above any that exists.

Descriptions of models come from strangers. Without limits one of a few bytes could describe terabytes, or numbers that
no tensor can have.
"""

import math
from collections.abc import Iterable
from dataclasses import fields

LARGEST: dict[str, float] = {
    "codebook_size": 2**16,  # codes are kept as uint16
    "cycle": 1_024,
    "depth": 1_024,
    "dilation_cycle": 1_024,
    "dilation_growth": 64,
    "downs": 16,
    "growth": 64,
    "heads": 1_024,
    "latent_width": 2**14,
    "stride": 256,
    "width": 2**17,
    "attention_ratio": 64,
    "hidden_multiplier": 64,
    "mlp_ratio": 64,
}
"""Largest values by the name of a field."""

LARGEST_WHOLE = 2**20
LARGEST_NUMBER = 1e9
LARGEST_DILATION = 2**24  # frames


def check_positive(config: object, *names: str, optional: tuple[str, ...] = ()) -> None:
    """Raise ValueError for the first of the named fields that is not a positive number of its type, or too large."""
    types = {field.name: field.type for field in fields(config)}  # type: ignore[arg-type]
    for name in names + optional:
        value = getattr(config, name)
        if value is not None or name not in optional:
            check_number(name, value, whole=types[name] is not float)


def check_number(name: str, value: object, *, whole: bool = True) -> None:
    """Raise ValueError unless a value is a positive number, or a whole one, within the limit of its name."""
    numbers = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, numbers) or not value > 0:
        raise ValueError(f"{name} must be a positive {'integer' if whole else 'number'}, got {value!r:.80}")
    largest = LARGEST.get(name, LARGEST_WHOLE if whole else LARGEST_NUMBER)
    if not value <= largest:
        raise ValueError(f"{name} must be at most {largest:.10g}, got {value!r:.80}")


def check_dilations(growth: int, cycle: int | None, depths: Iterable[int]) -> None:
    """Raise ValueError if a residual stack of one of these depths dilates too far."""
    for depth in depths:
        last = min(cycle or depth, depth) - 1  # exponent of the largest dilation
        if last * math.log2(growth) > math.log2(LARGEST_DILATION):
            raise ValueError(
                f"a dilation that grows by {growth} over {last + 1} blocks is larger than any music: "
                "lower the growth, or give a cycle"
            )
