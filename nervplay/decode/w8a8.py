"""What W8A8 engines share in calibration: they show the inputs of convolutions, and get integers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.carried import every_convolution, from_powers, to_powers
from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv, Lowered
from nervplay.decode.observed import Moments, Spread, as_rows
from nervplay.decode.quantise import Integers, Units
from nervplay.decode.reconstruct import corrected, fit_units, integers, rounded

__all__ = [
    "KIND",
    "RECORD",
    "Observer",
    "PortableBench",
    "channels_of",
    "code_sizes",
    "from_codes",
    "importance",
    "integers_from",
    "to_codes",
]

KIND = "w8a8 4"
"""What is cached, `Integers.to_bytes`, and how it is found; another number when either changes."""
RECORD = "w8a8 1"
"""Name of what a file carries; another number when that changes."""
_UNIT_BITS, _UNITS_PER_OCTAVE = 10, 8
_MOST = 127
"""Steps of a correction."""


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


def code_sizes(conv: Conv) -> list[tuple[int, int]]:
    """Return (count, bits) of `to_codes`: units of the input, its zero and the step of corrections, corrections."""
    return [(channels_of(conv), _UNIT_BITS), (2, _UNIT_BITS), (len(conv.weight), 8)]


def to_codes(conv: Conv, found: Integers) -> list[NDArray[np.uint16]]:
    """Return what a file carries of a convolution's integers: not the weights, which the file has.

    Args:
        conv: the convolution.
        found: `reconstruct.rounded` of it.
    """
    added = found.bias.astype(np.float64) - conv.bias
    step = to_powers(np.abs(added).max(keepdims=True) / _MOST, _UNITS_PER_OCTAVE, _UNIT_BITS)
    steps = np.rint(added / from_powers(step, _UNITS_PER_OCTAVE, _UNIT_BITS))
    head = [found.units.zero + 128, int(step[0])]
    return [_unit_codes(found.units.scale), np.array(head, np.uint16), np.asarray(steps + 128, np.uint16)]


def from_codes(conv: Conv, codes: Sequence[NDArray[Any]], *, paired: bool = False) -> Integers:
    """Return the integers of a convolution from what a file carries of them.

    Args:
        conv: the convolution.
        codes: of the sizes of `code_sizes`, whatever is in them.
        paired: how its weights are rounded; see `quantise`.
    """
    scale, head, steps = codes
    units = Units(from_powers(scale, _UNITS_PER_OCTAVE, _UNIT_BITS), int(head[0]) % 256 - 128)
    step = from_powers(head[1:], _UNITS_PER_OCTAVE, _UNIT_BITS)
    bias = conv.bias + (steps.astype(np.float64) - 128) * step
    return rounded(conv, units, paired=paired)._replace(bias=np.asarray(bias, np.float32))


def _unit_codes(scale: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the codes of the nearest units that there are in files."""
    return to_powers(scale * 2 ** (-0.5 / _UNITS_PER_OCTAVE), _UNITS_PER_OCTAVE, _UNIT_BITS)


class PortableBench:
    """What benches of W8A8 engines share: their convolutions, and what a file carries of them (`carried.Layout`).

    Args:
        lowered: the network.
        convs: those that could have integer products, in order of execution.
        paired: how the engine needs weights; see `quantise`.
    """

    def __init__(self, lowered: Lowered, convs: Sequence[Conv], *, paired: bool = False) -> None:
        self._convs, self._every, self._paired = convs, every_convolution(lowered), paired

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have integer products, in order of execution."""
        return self._convs

    def numbered(self) -> Sequence[Conv]:
        """Return all convolutions of the network, in order of execution."""
        return self._every

    def sizes(self, conv: Conv) -> Sequence[tuple[int, int]]:
        """Return (count, bits) of what a file carries of a convolution; see `code_sizes`."""
        return code_sizes(conv)

    def to_codes(self, conv: Conv, found: NDArray[np.uint8]) -> Sequence[NDArray[Any]]:
        """Return what a file carries of a convolution; see `w8a8.to_codes`."""
        return to_codes(conv, integers_from({conv: found})[conv])

    def from_codes(self, conv: Conv, codes: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        """Return the integers of a convolution, `Integers.to_bytes`, from what a file carries."""
        return from_codes(conv, codes, paired=self._paired).to_bytes()


class Observer:
    """Looks at the inputs of convolutions in float32 and finds integers for them.

    Convolutions that read the same map share its units.

    Args:
        convs: those that could have integer products.
        portable: whether a file is to carry them: each weight is rounded by itself, so that it need not be stored, and
            units are those that files have.
        paired: how the engine needs weights; see `quantise`.
    """

    def __init__(self, convs: Sequence[Conv], *, portable: bool = False, paired: bool = False) -> None:
        self._portable, self._paired = portable, paired
        self._moments = {conv: Moments(conv, products=not portable) for conv in convs}
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
        moments = self._moments[conv]
        if conv.source not in self._units:
            units = fit_units(spread, self._importance[conv.source])
            if self._portable:
                codes = _unit_codes(units.scale)
                units = units._replace(scale=from_powers(codes, _UNITS_PER_OCTAVE, _UNIT_BITS))
            self._units[conv.source] = units
        units = self._units[conv.source]
        if not self._portable:
            return integers(conv, units, spread, moments, paired=self._paired).to_bytes()
        found = corrected(conv, rounded(conv, units, paired=self._paired), spread, moments)
        return from_codes(conv, to_codes(conv, found), paired=self._paired).to_bytes()
