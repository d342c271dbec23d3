"""Eight-bit weights and maps: what integers stand for.

    maps      x = (q - zero) * scale[channel]      q in -128 .. 127, a unit per channel; 0 is exact, as padding needs it
    weights   w * scale[channel] = p * unit[output]        p in -127 .. 127

The units of a map are part of the weights that read it, so a product of integers p * (q - zero) is worth unit[output]
whatever the channel: units per channel cost nothing when frames are made. `reconstruct` chooses units and integers.

x86 processors without VNNI add the products of channels 2 i and 2 i + 1 in 16 bits (`vpmaddubsw`), and cut off what is
too large for that. There weights are found `paired`: two of one sign are 128 together at most, for 255 * 128 < 2^15.
Weights of 7 bits would do, too, but lose more: of the published HNeRV video 1.7 dB against float32 instead of 0.4 dB.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["PAIR_SUM", "Integers", "Units", "in_steps", "quantised", "restored", "weights8"]

Float = NDArray[np.float32]

PAIR_SUM = 128
"""What two paired weights of one sign may be together."""

_WEIGHT_CLIPS = np.linspace(1.0, 0.7, 31)
_PAIRED_CLIPS = np.linspace(2.0, 0.7, 66)
"""The first halves all weights, so that nothing is too large."""


class Units(NamedTuple):
    """What int8 values of a map stand for: (q - zero) * scale[channel].

    Args:
        scale: float32 (C,), above 0: one step of each channel.
        zero: -128 .. 127, the value of 0.
    """

    scale: Float
    zero: int

    @property
    def low(self) -> Float:
        """The smallest value that there is in each channel, (C,)."""
        return np.asarray((-128 - self.zero) * self.scale, np.float32)

    @property
    def high(self) -> Float:
        """The largest value that there is in each channel, (C,)."""
        return np.asarray((127 - self.zero) * self.scale, np.float32)


class Integers(NamedTuple):
    """A convolution of integers.

    Args:
        units: of its input, C channels.
        weight: int8, shaped as the convolution's.
        unit: float32 (C',), what a product of integers is worth, by output.
        bias: float32 (C',), corrected.
    """

    units: Units
    weight: NDArray[np.int8]
    unit: Float
    bias: Float

    def to_bytes(self) -> NDArray[np.uint8]:
        """Return all of it in one flat array: zero, scale, unit, bias in float32, then the weights."""
        head = np.concatenate([np.array([self.units.zero], np.float32), self.units.scale, self.unit, self.bias])
        return np.concatenate([head.astype(np.float32).view(np.uint8), self.weight.ravel().view(np.uint8)])

    @classmethod
    def from_bytes(cls, data: NDArray[np.uint8], shape: tuple[int, ...], channels: int) -> Self:
        """Return what `to_bytes` stored.

        Args:
            data: its array.
            shape: of the weights.
            channels: of the input, C.
        """
        outputs = shape[0]
        count = 1 + channels + 2 * outputs
        head, weight = np.split(data, [4 * count])
        zero, scale, unit, bias = np.split(head.view(np.float32), np.cumsum([1, channels, outputs]))
        return cls(Units(scale, int(zero[0])), weight.view(np.int8).reshape(shape), unit, bias)


def quantised(values: Float, units: Units) -> NDArray[np.int8]:
    """Return values, (..., C), as int8: floor(x / scale + zero + 1/2), clipped."""
    steps = values * (np.float32(1) / units.scale) + np.float32(units.zero) + np.float32(0.5)
    clipped: NDArray[np.int8] = np.clip(np.floor(steps), -128, 127).astype(np.int8)
    return clipped


def restored(values: NDArray[np.int8], units: Units) -> Float:
    """Return what int8 values, (..., C), stand for, float32."""
    return np.asarray((values.astype(np.float32) - np.float32(units.zero)) * units.scale, np.float32)


def in_steps(weight: Float, units: Units, *, depthwise: bool = False) -> Float:
    """Return weights, float32 (C', C, kh, kw) or (C, 1, kh, kw) for `depthwise`, for an input counted in steps."""
    scale = units.scale[:, None, None]
    return np.asarray(weight * (scale[:, None] if depthwise else scale), np.float32)


def weights8(weight: Float, *, paired: bool = False) -> tuple[NDArray[np.int8], Float]:
    """Return weights rounded to int8 and the unit of each output, of least squared error per output.

    Args:
        weight: float32 (C', ...); for `paired` (C', C, kh, kw).
        paired: whether two weights have to fit together; see the head of this module.

    Returns:
        int8 (C', ...) and float32 (C',).
    """

    def whole(unit: Float) -> NDArray[np.int8]:
        found = np.clip(np.rint(rows / unit[:, None]), -127, 127).astype(np.int8)
        return _fitting(found.reshape(weight.shape)).reshape(rows.shape) if paired else found

    rows = weight.reshape(len(weight), -1)
    peak = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12))
    best = np.full(len(rows), np.inf)
    scale = (peak / 127).astype(np.float32)
    for clip in _PAIRED_CLIPS if paired else _WEIGHT_CLIPS:
        unit = (peak * np.float32(clip / 127)).astype(np.float32)
        error = np.square(whole(unit) * unit[:, None] - rows).sum(axis=1)
        scale = np.where(error < best, unit, scale)
        best = np.minimum(error, best)
    return whole(scale).reshape(weight.shape), scale


def _fitting(whole: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights, (C', C, kh, kw), of which pairs that are too large together have come nearer to 0 alike."""
    end = whole.shape[1] // 2 * 2
    one, other = (whole[:, start:end:2].astype(np.int16) for start in (0, 1))
    excess = np.where((one > 0) == (other > 0), np.abs(one + other) - PAIR_SUM, 0).clip(0)
    result = whole.copy()
    result[:, 0:end:2] = one - np.sign(one) * (excess - excess // 2)
    result[:, 1:end:2] = other - np.sign(other) * (excess // 2)
    return result
