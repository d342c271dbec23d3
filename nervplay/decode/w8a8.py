"""What W8A8 engines share in calibration: they show the inputs of convolutions, and get integers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.observed import Moments, Spread, as_rows
from nervplay.decode.quantise import Integers, Units
from nervplay.decode.reconstruct import fit_units, integers

__all__ = ["KIND", "Observer", "channels_of", "importance", "integers_from"]

KIND = "w8a8 3"
"""What is cached, `Integers.to_bytes`, and how it is found; another number when either changes."""


def integers_from(found: Mapping[Conv, NDArray[np.uint8]]) -> dict[Conv, Integers]:
    """Return what engines need, from what calibration gave."""
    return {conv: Integers.from_bytes(data, conv.weight.shape, channels_of(conv)) for conv, data in found.items()}


def channels_of(conv: Conv) -> int:
    """Return how many channels the input of a convolution has, C."""
    return int(conv.weight.shape[0 if conv.depthwise else 1])


def importance(conv: Conv) -> NDArray[np.float64]:
    """Return what an error in each input channel counts, (C,): the sum of the squares of the weights that read it."""
    axes = (1, 2, 3) if conv.depthwise else (0, 2, 3)
    return np.asarray(np.square(conv.weight, dtype=np.float64).sum(axis=axes))


class Observer:
    """Looks at the inputs of convolutions in float32 and finds integers for them.

    Convolutions that read the same map share its units.

    Args:
        convs: those that could have integer products.
    """

    def __init__(self, convs: Sequence[Conv]) -> None:
        self._moments = {conv: Moments(conv) for conv in convs}
        self._spread = {conv.source: Spread(channels_of(conv)) for conv in convs}
        self._first = {conv.source: conv for conv in reversed(convs)}
        self._importance = {conv.source: np.zeros(channels_of(conv)) for conv in convs}
        for conv in convs:
            self._importance[conv.source] += importance(conv)
        self._units: dict[Value, Units] = {}

    def look(self, conv: Conv, maps: Tensor) -> None:
        """Look at the input of a convolution, float32 (B, C, H, W), or (P, C) for rows."""
        if self._first[conv.source] is conv:
            self._spread[conv.source].add(as_rows(maps))
        self._moments[conv].add(maps)

    def settle(self, conv: Conv) -> NDArray[np.uint8]:
        """Return the integers of a convolution as they are cached, of all that has been seen until now."""
        spread = self._spread[conv.source]
        if conv.source not in self._units:
            self._units[conv.source] = fit_units(spread, self._importance[conv.source])
        return integers(conv, self._units[conv.source], spread, self._moments[conv]).to_bytes()
