"""Free choice of the convolutions of a network's stages, for any architecture with NeRV-style blocks.

The kinds are in `blocks.conv_kinds`; the fixed choices of the papers are presets (`stage_variants.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from nervplay.blocks.conv_kinds import StageConv
from nervplay.errors import UsageError
from nervplay.models.base import Architecture, ModelConfig, architecture_names, get_architecture
from nervplay.models.cost import count_parameters

__all__ = ["near_size", "stage_count", "takes_convolutions", "with_convolutions"]

_ROUNDS = 8
"""Most networks that `near_size` looks at behind the first."""
_CLOSE = 0.02
"""How near is near enough, as a part of the size: widths come in steps."""


def takes_convolutions(entry: Architecture) -> bool:
    """Return whether the convolutions of an architecture's stages can be chosen: its blocks are NeRV-style."""
    return any(field.name == "convolutions" for field in fields(entry.config))


def stage_count(entry: Architecture, config: ModelConfig) -> int:
    """Return how many stages a network has whose convolutions can be chosen.

    Args:
        entry: its architecture.
        config: its configuration.

    Raises:
        UsageError: an architecture without such stages.
    """
    if not takes_convolutions(entry):
        able = [name for name in architecture_names() if takes_convolutions(get_architecture(name))]
        raise UsageError(
            f"{entry.name} has no stages of dense convolutions that others could replace; leave convolutions out, or "
            f"take one of {', '.join(able)}"
        )
    plain: Any = config
    return len(plain.strides)


def with_convolutions(entry: Architecture, config: ModelConfig, convolutions: Sequence[StageConv]) -> ModelConfig:
    """Return a configuration with other convolutions in place of its own; the network is built once to check it.

    Args:
        entry: its architecture.
        config: the configuration.
        convolutions: the stages that are not dense, in rising order.

    Raises:
        UsageError: an architecture without such stages; stages or kinds that the network cannot have.
    """
    stage_count(entry, config)
    change: dict[str, Any] = {"convolutions": tuple(convolutions)}
    changed = replace(config, **change)
    _count(entry, changed)
    return changed


def near_size(
    entry: Architecture,
    configure: Callable[[int], ModelConfig],
    change: Callable[[ModelConfig], ModelConfig],
    parameters: int,
) -> ModelConfig:
    """Return a configuration whose network stores about `parameters` numbers after a change that saves or costs some.

    The network before the change is asked for in proportion, again and again, until the one behind it fits.

    Args:
        entry: its architecture.
        configure: parameters -> configuration before the change.
        change: configuration -> configuration, e.g. `with_convolutions`.
        parameters: wanted number after the change.

    Raises:
        UsageError: nothing found within a tenth of `parameters`.
    """
    asked = parameters
    best = change(configure(asked))
    found = nearest = _count(entry, best)
    for _ in range(_ROUNDS):
        if abs(nearest - parameters) <= _CLOSE * parameters:
            break
        asked = max(1, round(asked * parameters / found))
        try:
            config = change(configure(asked))
        except UsageError:  # asked for too much or too little: the best so far stays
            break
        found = _count(entry, config)
        if abs(found - parameters) < abs(nearest - parameters):
            best, nearest = config, found
    if abs(nearest - parameters) > parameters / 10:
        raise UsageError(
            f"no {entry.name} with these convolutions has about {parameters} parameters; the nearest found has "
            f"{nearest}: ask for that, or change the convolutions"
        )
    return best


def _count(entry: Architecture, config: ModelConfig) -> int:
    """Return the stored parameters of a configuration's network; nothing is allocated.

    Raises:
        UsageError: a network that cannot be had.
    """
    with torch.device("meta"):
        return count_parameters(entry.model(config))
