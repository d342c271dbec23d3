"""Weights of `NK_MIX` as the kernels read them: panels of vectors, in float32 or as pairs of 16-bit integers.

[panel][channel][L * vectors]            float32
[panel][channel pair][L * vectors][2]    int16
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.native.packing import padded, panels

__all__ = ["CHUNK", "LIMIT", "Product16", "in_panels", "pack_product", "pack_product16"]

Float = NDArray[np.float32]

LIMIT = 4095
"""What the calibrated maximum of an input becomes: 13 bits with sign. Another frame may have twice as much before
anything saturates (`MIX_LIMIT` of `mix.h`)."""
CHUNK = 256
"""`MIX_CHUNK`: channels whose products are summed as integers."""


class Product16(NamedTuple):
    """Weights of 16-bit products.

    Args:
        weights: int16, flat.
        scale: float32 (padded outputs), what one unit of a sum is worth.
        units: float32 (padded inputs), integers to 1 of the input.
    """

    weights: NDArray[np.int16]
    scale: Float
    units: Float


def in_panels(columns: NDArray[Any], outputs: int, lanes: int, most: int) -> NDArray[Any]:
    """Return (inputs, outputs, ...) padded to whole vectors of outputs, panel by panel, flat."""
    wide = np.zeros((len(columns), padded(outputs, lanes), *columns.shape[2:]), columns.dtype)
    wide[:, :outputs] = columns
    return np.concatenate([wide[:, a:b].ravel() for a, b in panels(outputs, lanes, most)])


def pack_product(weight: Float, lanes: int, most: int) -> Float:
    """Return the weights of a product in float32, flat.

    Args:
        weight: float32 (C', C).
        lanes: L.
        most: vectors of the widest panel.
    """
    return in_panels(np.ascontiguousarray(weight.T), len(weight), lanes, most)


def pack_product16(weight: Float, peak: Float, lanes: int, most: int) -> Product16:
    """Return the weights of a product of integers: the finest of which no sum of `CHUNK` inputs leaves 32 bits.

    Args:
        weight: float32 (C', C).
        peak: float32 (C,), largest magnitudes of the input; from calibration.
        lanes: L.
        most: vectors of the widest panel.
    """
    outputs, channels = weight.shape
    top = peak.astype(np.float64)
    top = np.maximum(top, top.max() * 0.02 + 1e-9)  # a silent channel may speak elsewhere
    u = weight * (top / LIMIT)
    chunks = [np.abs(u[:, start : start + CHUNK]).sum(axis=1) for start in range(0, channels, CHUNK)]
    # Inputs lie within 2 LIMIT + 1; rounding adds at most 1/2 to each weight.
    room = 2.0**31 / (2 * LIMIT + 2) - CHUNK / 2 - 1
    scale = np.maximum(np.maximum(np.max(chunks, axis=0) / room, np.abs(u).max(axis=1) / 32767), 1e-30)
    pairs = np.zeros((outputs, padded(channels, 2)), np.int16)
    pairs[:, :channels] = np.rint(u / scale[:, None])
    columns = pairs.reshape(outputs, -1, 2).transpose(1, 0, 2)
    wide = np.zeros(padded(outputs, lanes), np.float32)
    wide[:outputs] = scale
    units = np.zeros(padded(channels, lanes), np.float32)
    units[:channels] = LIMIT / top
    return Product16(in_panels(columns, outputs, lanes, most), wide, units)
