"""The precisions that a prior may be sampled in, and what it takes of memory in each."""

from dataclasses import replace

from jukectl.plan.device import Machine, half_precision
from jukectl.prior.config import PriorConfig
from jukectl.prior.matrices import keeps_packed
from jukectl.sampling.footprint import Footprint


def precisions(machine: Machine, config: PriorConfig, *, given: bool, before: str | None = None) -> list[str]:
    """Return the precisions a prior may be sampled in, best first: the `given` one, or the one before, or others."""
    if given:
        return [machine.precision]
    choices = [before, quickest(machine, config), machine.precision, half_precision(machine.device)]
    return list(dict.fromkeys(one for one in choices if one is not None))


def quickest(machine: Machine, config: PriorConfig) -> str:
    """Return the precision in which a prior is sampled fastest on a machine, if that costs next to no quality.

    On a CPU, reading the weights of a large prior takes the time, a quarter as long in int8. Of a small one the weights
    stay in the caches.
    """
    large = machine.device.type == "cpu" and keeps_packed(config, "int8")
    return "int8" if large else machine.precision


def footprints(
    config: PriorConfig,
    machine: Machine,
    choices: list[str],
    *,
    retains_freed: bool,
    rows_per_sample: int = 1,
    adapted: bool = False,
) -> list[Footprint]:
    """Return what a prior takes of a machine's memory in each precision; one that is `adapted` is whole in torch."""
    cpu = machine.device.type == "cpu"
    one = Footprint(
        config,
        choices[0],
        row_by_row=cpu,
        retains_freed=cpu and retains_freed,
        rows_per_sample=rows_per_sample,
        whole=adapted,
    )
    return [replace(one, precision=choice) for choice in choices]
