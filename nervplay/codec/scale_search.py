"""Symmetric quantisation with steps that are searched: the least error of the picture, not of the weights.

    value = step * (code - half), half = 2**(bits - 1): 0 is always a code, pruned weights come back as 0 exactly

The step is what makes the error of the picture, sum of importance * (value - weight)**2, least: it may clip a few large
weights to resolve the many small ones. A step is float16 where that holds it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.layout import MAX_BITS, QuantisedTensor

__all__ = ["clip_search", "picture_error", "with_step"]

_SHRINK = np.array([1.5, 1.2, 1.0, 0.95, 0.9, 0.85, 0.8, 0.74, 0.68, 0.62, 0.56, 0.5, 0.42, 0.34], np.float32)
"""Shares of the full range that are tried: with 2 or 3 bits it pays to clip far, or to reach the largest weight."""
_MOST_HALF = 128  # with more codes the 11 digits of a float16 step would move the outermost ones by a tenth of a step
_LEAST_NORMAL = 2.0**-14  # smaller numbers lose digits in float16
_SAMPLE = 1 << 16
"""Weights of a tensor that a search looks at: more do not change the choice."""


def with_step(values: NDArray[np.float32], step: NDArray[Any], bits: int) -> QuantisedTensor:
    """Return `values` with given steps.

    Args:
        values: any shape.
        step: float, () or a shape that broadcasts to `values` with as many dimensions; 0 gives zeros.
        bits: 2 .. 16.
    """
    half = 1 << (bits - 1)
    scale, minimum = _stored(step, half)
    wide = scale.astype(np.float32)
    safe = np.where(wide == 0, np.float32(1), wide)
    codes = np.where(wide == 0, np.float32(0), np.clip(np.rint(values / safe), -half, half - 1)) + half
    kind = np.uint8 if bits <= 8 else np.uint16
    return QuantisedTensor(codes=codes.astype(kind), bits=bits, minimum=minimum, scale=scale)


def _stored(step: NDArray[Any], half: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return step and minimum as they are stored: in float16 where that costs no code of range, else in float32."""
    with np.errstate(over="ignore"):
        scale = np.asarray(step, np.float16)
        minimum = np.asarray(-half * scale.astype(np.float32), np.float16)
    exact = np.array_equal(minimum.astype(np.float32), -half * scale.astype(np.float32))
    normal = (scale == 0) == (np.asarray(step) == 0)
    normal &= (scale == 0) | (np.abs(scale.astype(np.float32)) >= _LEAST_NORMAL)
    if half <= _MOST_HALF and exact and normal.all() and np.isfinite(minimum).all():
        return scale, minimum
    scale = np.asarray(step, np.float32)
    return scale, np.asarray(-half * scale, np.float32)


def picture_error(values: NDArray[np.float32], stored: QuantisedTensor, importance: NDArray[np.float32]) -> float:
    """Return the squared error that `stored` adds to a frame in place of `values`, as `importance` reckons it."""
    return float((importance * np.square(stored.dequantise() - values)).sum(dtype=np.float64))


def clip_search(
    values: NDArray[np.float32], importance: NDArray[np.float32], bits: int, *, axis: int | None = None
) -> QuantisedTensor:
    """Return `values` in `bits` bits with the steps of least error of the picture.

    Args:
        values: float32, at least one element, finite.
        importance: of the same shape, not negative.
        bits: 2 .. 16.
        axis: None for one step, or a dimension of which every index gets a step of its own.
    """
    assert 2 <= bits <= MAX_BITS
    reach = np.float32((1 << (bits - 1)) - 0.5)
    if axis is None:
        rows, weights = _thinned(values.reshape(1, -1), importance.reshape(1, -1))
    else:
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        weights = np.moveaxis(importance, axis, 0).reshape(values.shape[axis], -1)
    weights = weights + np.float32(1e-30)  # of numbers that do nothing the plain error counts
    full = np.abs(rows if axis is not None else values.reshape(1, -1)).max(axis=1) / reach
    errors = np.stack([_row_errors(rows, weights, full * share, bits) for share in _SHRINK])
    step = full * _SHRINK[errors.argmin(axis=0)]
    shape = () if axis is None else tuple(-1 if d == axis else 1 for d in range(values.ndim))
    return with_step(values, step.reshape(shape), bits)


def _thinned(
    rows: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    every = max(1, rows.shape[1] // _SAMPLE)
    return rows[:, ::every], weights[:, ::every]


def _row_errors(
    rows: NDArray[np.float32], weights: NDArray[np.float32], step: NDArray[np.float32], bits: int
) -> NDArray[np.float64]:
    """Return the weighted squared error of each row with its step."""
    half = 1 << (bits - 1)
    safe = np.where(step == 0, np.float32(1), step)[:, None]
    rounded = np.clip(np.rint(rows / safe), -half, half - 1) * safe
    errors: NDArray[np.float64] = (weights * np.square(rounded - rows)).sum(axis=1, dtype=np.float64)
    return errors
