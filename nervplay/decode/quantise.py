"""Eight-bit weights and maps: units and zeros of least squared error, and the bias that undoes the mean error.

    weights   w = q * scale[output]                q in -127 .. 127, one unit per output channel
    maps      x = (q - zero) * scale               q in -128 .. 127, one unit per map; 0 is exact, as padding needs it

Ranges are clipped where that makes the squared error smaller: rare large values cost more steps than they are worth.
Bias correction (Nagel et al., arXiv 1906.04721, section 4.2, with means that are measured): the mean of what
quantisation adds to an output is known from the means of each input channel, before and after rounding, and is taken
off its bias.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Range", "best_range", "correction", "quantised", "restored", "weights8"]

Float = NDArray[np.float32]

_CLIPS = np.linspace(1.0, 0.2, 41)
_WEIGHT_CLIPS = np.linspace(1.0, 0.7, 31)


class Range(NamedTuple):
    """What int8 values of a map stand for: (q - zero) * scale.

    Args:
        scale: the unit, a float32 value.
        zero: -128 .. 127, the value of 0.
    """

    scale: float
    zero: int

    @property
    def low(self) -> float:
        """The smallest value that there is."""
        return (-128 - self.zero) * self.scale

    @property
    def high(self) -> float:
        """The largest value that there is."""
        return (127 - self.zero) * self.scale


def quantised(values: Float, unit: Range) -> NDArray[np.int8]:
    """Return values as int8: floor(x / scale + zero + 1/2), clipped."""
    steps = values * np.float32(1 / unit.scale) + np.float32(unit.zero) + np.float32(0.5)
    clipped: NDArray[np.int8] = np.clip(np.floor(steps), -128, 127).astype(np.int8)
    return clipped


def restored(values: NDArray[np.int8], unit: Range) -> Float:
    """Return what int8 values stand for, float32."""
    return (values.astype(np.float32) - np.float32(unit.zero)) * np.float32(unit.scale)


def _range(low: float, high: float) -> Range:
    """Return the range from `low` <= 0 to `high` >= 0, moved so that 0 is exact."""
    scale = float(np.float32(max((high - low) / 255, 1e-12)))
    return Range(scale, int(np.clip(np.floor(-128 - low / scale + 0.5), -128, 127)))


def best_range(samples: Float, low: float, high: float) -> Range:
    """Return the range of least squared error: first both ends are moved in alike, then each by itself.

    Args:
        samples: float32, values of a map.
        low: its smallest value.
        high: its largest value.
    """
    low, high = min(low, 0.0), max(high, 0.0)

    def error(unit: Range) -> float:
        return float(np.square(restored(quantised(samples, unit), unit) - samples).sum(dtype=np.float64))

    def best(candidates: list[tuple[float, float]]) -> tuple[float, float]:
        return min(candidates, key=lambda ends: error(_range(*ends)))

    low, high = best([(low * clip, high * clip) for clip in _CLIPS] + [(low, high * clip) for clip in _CLIPS])
    low, high = best([(low * clip, high) for clip in _CLIPS])
    return _range(low, high)


def weights8(weight: Float) -> tuple[NDArray[np.int8], Float]:
    """Return weights as int8 and the unit of each output, of least squared error per output.

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


def correction(weight: Float, samples: Float, unit: Range, *, depthwise: bool = False) -> Float:
    """Return what to add to the bias so that the mean of each output is what it is in float32.

    Args:
        weight: float32 (C', C, kh, kw); (C, 1, kh, kw) for `depthwise`.
        samples: float32 (P, C), pixels of the input. Borders are not told from the rest.
        unit: range of the input.
        depthwise: whether each channel is by itself.
    """
    whole, scale = weights8(weight)
    coarse = whole.sum(axis=(2, 3), dtype=np.float64) * scale[:, None]
    exact = weight.sum(axis=(2, 3), dtype=np.float64)
    means = samples.mean(axis=0, dtype=np.float64)
    rounded = restored(quantised(samples, unit), unit).mean(axis=0, dtype=np.float64)
    added = exact[:, 0] * means - coarse[:, 0] * rounded if depthwise else exact @ means - coarse @ rounded
    return np.asarray(added, dtype=np.float32)
