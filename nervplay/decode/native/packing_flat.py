"""Weights of `NK_FLAT16`, a 1x1 convolution, as the kernels read them: [panel][channel pair][L * vectors][2], int16."""

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.native.packing import LIMIT, padded, settled, tops
from nervplay.decode.native.packing_mix import Product16, in_panels

__all__ = ["MOST_CHANNELS", "pack_flat16"]

Float = NDArray[np.float32]

MOST_CHANNELS = 1024
"""More inputs would leave weights coarse units."""


def pack_flat16(weight: Float, peak: Float, lanes: int, most: int, *, norms: Float | None = None) -> Product16:
    """Return the weights of a 1x1 convolution of integers: the finest for which no sum can leave 32 bits.

    Args:
        weight: float32 (C', C), outputs in stored order.
        peak: float32 (C,), largest magnitudes of the input; from calibration.
        lanes: L.
        most: vectors of the widest panel.
        norms: float32 (C,), integers to 1 of the input where that is settled, 0 where peaks decide; None for all.
    """
    outputs, channels = weight.shape
    top = settled(tops(peak), norms)
    u = weight * (top / LIMIT)
    # Inputs are within 2^15; rounding adds at most 1/2 to each weight.
    room = 2.0**16 - channels
    scale = np.maximum(np.maximum(np.abs(u).sum(axis=1) / room, np.abs(u).max(axis=1) / 32767), 1e-30)
    pairs = np.zeros((outputs, padded(channels, 2)), np.int16)
    pairs[:, :channels] = np.rint(u / scale[:, None])
    wide, units = np.zeros(padded(outputs, lanes), np.float32), np.zeros(padded(channels, lanes), np.float32)
    wide[:outputs], units[:channels] = scale, LIMIT / top
    return Product16(in_panels(pairs.reshape(outputs, -1, 2).transpose(1, 0, 2), outputs, lanes, most), wide, units)
