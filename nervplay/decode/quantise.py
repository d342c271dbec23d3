"""Eight-bit weights and maps: what integers stand for.

    maps      x = (q - zero) * scale[channel]      q in -128 .. 127, a unit per channel; 0 is exact, as padding needs it
    weights   w * scale[channel] = p * unit[output]        p in -127 .. 127

The units of a map are part of the weights that read it, so a product of integers p * (q - zero) is worth unit[output]
whatever the channel: units per channel cost nothing when frames are made. `reconstruct` chooses units and integers.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integers", "Units", "in_steps", "quantised", "restored", "weights8"]

Float = NDArray[np.float32]

_WEIGHT_CLIPS = np.linspace(1.0, 0.7, 31)


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


def weights8(weight: Float) -> tuple[NDArray[np.int8], Float]:
    """Return weights rounded to int8 and the unit of each output, of least squared error per output.

    Args:
        weight: float32 (C', ...).

    Returns:
        int8 (C', ...) and float32 (C',).
    """
    rows = weight.reshape(len(weight), -1)
    peak = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12))
    best = np.full(len(rows), np.inf)
    scale = (peak / 127).astype(np.float32)
    for clip in _WEIGHT_CLIPS:
        unit = (peak * np.float32(clip / 127)).astype(np.float32)[:, None]
        error = np.square(np.clip(np.rint(rows / unit), -127, 127) * unit - rows).sum(axis=1)
        scale = np.where(error < best, unit[:, 0], scale)
        best = np.minimum(error, best)
    whole = np.clip(np.rint(rows / scale[:, None]), -127, 127).astype(np.int8)
    return whole.reshape(weight.shape), scale
