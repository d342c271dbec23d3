"""Codes of a convolution's weights as differences to what their neighbours in the same kernel foretell (clause 5.12).

The kernels of late stages are smooth: a tap is told well by the taps left of it and above it. All arithmetic is on
integers, but for the zero points, which are one division in float64 each.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_INPUTS",
    "MAX_KERNEL",
    "NEIGHBOURS",
    "WEIGHT_BITS",
    "fit_weights",
    "foretell",
    "is_kernel",
    "undo",
    "undo_steps",
    "zero_points",
]

MAX_KERNEL: Final = 16
"""Taps along one side of a kernel, at most."""
MAX_INPUTS: Final = 4096
"""Input channels, at most: with `MAX_KERNEL` it bounds what is taken at once."""

NEIGHBOURS: Final = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
"""(row, column) of the taps that foretell a tap, relative to it; those outside the kernel count nothing."""

WEIGHT_BITS: Final = 6
"""Weights of neighbours are integers -128 .. 127 in steps of 2**-6."""

_HALF = 1 << (WEIGHT_BITS - 1)
_BLOCK = 1 << 20  # codes that are taken at once: memory stays near that of the result
_FITTED_KERNELS = 1 << 14  # kernels that the weights are fitted to: more do not change them


def is_kernel(shape: tuple[int, ...]) -> bool:
    """Return whether a tensor of this shape holds kernels, (outputs, inputs, height, width), with neighbours."""
    if len(shape) != 4:
        return False
    _, inputs, height, width = shape
    return inputs <= MAX_INPUTS and max(height, width) <= MAX_KERNEL and height * width > 1


def _block(shape: tuple[int, ...]) -> int:
    """Return how many output channels are taken at once, 1 or more."""
    return max(1, _BLOCK // math.prod(shape[1:]))


def undo_steps(shape: tuple[int, ...]) -> int:
    """Return the steps that `undo` takes for a tensor of this shape, for which `is_kernel` holds."""
    return -(-shape[0] // _block(shape)) * shape[2] * shape[3]


def zero_points(minimum: NDArray[Any], scale: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Return the code that stands for the value 0 under each map, int32 of the maps' shape, 0 .. 2**bits - 1.

    Args:
        minimum: float16 or float32, of any shape; any bit patterns, as files hold them.
        scale: of the same shape.
        bits: 1 .. 16.
    """
    with np.errstate(all="ignore"):
        zero = np.floor(0.5 - minimum.astype(np.float64) / scale.astype(np.float64))
    zero = np.where(np.isnan(zero), 1 << (bits - 1), zero)
    return np.clip(zero, 0, (1 << bits) - 1).astype(np.int32)


def _taps(tensor: NDArray[Any]) -> NDArray[np.int32]:
    """Return a tensor (O, I, H, W) as int32 (H, W, O * I): a tap of all kernels lies in one row."""
    outputs, inputs, height, width = tensor.shape
    return np.ascontiguousarray(tensor.reshape(outputs * inputs, height, width).transpose(1, 2, 0), np.int32)


def _shifted(taps: NDArray[np.int32], row: int, column: int) -> NDArray[np.int32]:
    """Return for every tap the one that lies (row, column) from it, 0 where it is outside."""
    height, width = taps.shape[:2]
    moved = np.zeros_like(taps)
    right, left = max(column, 0), max(-column, 0)
    moved[-row:, left : width - right] = taps[: height + row, right : width - left]
    return moved


def fit_weights(codes: NDArray[Any], zero: NDArray[Any]) -> tuple[NDArray[np.int32], float]:
    """Return weights of the neighbours, int32 (6,), and the share of the energy that they foretell, 0 .. 1.

    Args:
        codes: unsigned (O, I, H, W) for which `is_kernel` holds.
        zero: zero points, int32, broadcasts to `codes`.
    """
    step = -(-codes.shape[0] * codes.shape[1] // _FITTED_KERNELS)
    centred = _taps(codes[::step]) - _taps(np.broadcast_to(zero, codes.shape)[::step])
    columns = np.stack([_shifted(centred, *place).reshape(-1) for place in NEIGHBOURS]).astype(np.float64)
    target = centred.reshape(-1).astype(np.float64)
    energy = float(target @ target)
    if not energy:
        return np.zeros(len(NEIGHBOURS), np.int32), 0.0
    weights = np.linalg.lstsq(columns @ columns.T, columns @ target, rcond=None)[0]
    steps = np.clip(np.rint(weights * (1 << WEIGHT_BITS)), -128, 127).astype(np.int32)
    rest = target - (steps / (1 << WEIGHT_BITS)) @ columns
    return steps, max(0.0, 1 - float(rest @ rest) / energy)


def foretell(codes: NDArray[Any], zero: NDArray[Any], weights: NDArray[np.int32], bits: int) -> NDArray[np.uint16]:
    """Return what the neighbours foretell of every code, uint16 (O, I, H, W), 0 .. 2**bits - 1.

    Args:
        codes: unsigned (O, I, H, W).
        zero: zero points, int32, broadcasts to `codes`.
        weights: int32 (6,), -128 .. 127, in the order of `NEIGHBOURS`.
        bits: 1 .. 16.
    """
    told = np.empty(codes.shape, np.uint16)
    for part, zeros in _blocks(zero, codes.shape):
        centred = _taps(codes[part]) - zeros
        total = np.full_like(centred, _HALF)
        for weight, place in zip(weights, NEIGHBOURS, strict=True):
            if weight:
                total += weight * _shifted(centred, *place)
        guess = np.clip(zeros + (total >> WEIGHT_BITS), 0, (1 << bits) - 1)
        told[part] = guess.transpose(2, 0, 1).reshape(told[part].shape)
    return told


def _blocks(zero: NDArray[Any], shape: tuple[int, ...]) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Yield slices of the output channels and the zero points of every code in them, laid out as by `_taps`."""
    everywhere, block = np.broadcast_to(zero, shape), _block(shape)
    for first in range(0, shape[0], block):
        part = slice(first, first + block)
        yield part, _taps(everywhere[part])


def undo(steps: NDArray[Any], zero: NDArray[Any], weights: NDArray[np.int32], bits: int) -> NDArray[np.uint16]:
    """Return the codes, uint16 (O, I, H, W), from what `foretell` left of them.

    Args:
        steps: (code - foretold) modulo 2**bits, unsigned (O, I, H, W).
        zero: zero points, int32, broadcasts to `steps`.
        weights: int32 (6,), -128 .. 127.
        bits: 1 .. 16.
    """
    codes = np.empty(steps.shape, np.uint16)
    for part, zeros in _blocks(zero, steps.shape):
        found = _undo_taps(_taps(steps[part]), zeros, weights, (1 << bits) - 1)
        codes[part] = found.transpose(2, 0, 1).reshape(codes[part].shape)
    return codes


def _undo_taps(
    taps: NDArray[np.int32], zeros: NDArray[np.int32], weights: NDArray[np.int32], top: int
) -> NDArray[np.int32]:
    """Return codes (H, W, N) from their steps, of the same layout; the steps are overwritten with codes - zeros."""
    height, width, kernels = taps.shape
    for y in range(height):
        for x in range(width):
            total = np.full(kernels, _HALF, np.int32)
            for weight, (row, column) in zip(weights, NEIGHBOURS, strict=True):
                if weight and y + row >= 0 and 0 <= x + column < width:
                    total += weight * taps[y + row, x + column]
            told = np.clip(zeros[y, x] + (total >> WEIGHT_BITS), 0, top)
            taps[y, x] = ((taps[y, x] + told) & top) - zeros[y, x]
    return taps + zeros
