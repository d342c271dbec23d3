"""The quantisers of the official NeRV and HiNeRV code; HNeRV's is `nervplay.codec.quantise`.

    NeRV    step = (max - min of the non-zeros) / 2**bits, code = round((w - min) / step), not clamped
    HiNeRV  scale = 2 max|w| / (2**bits - 1) + 1e-6, integer = round(w / scale) clamped, float16 scale in the file

Sources: official NeRV, utils.py (quantize_per_tensor); official HiNeRV, compression/quant_utils.py. Both round half to
even, in float32. Parity in tests/nervplay/codec/test_official_quantisers.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.bitstream.layout import QuantisedTensor

__all__ = ["NeRVCodes", "hinerv_axis", "hinerv_quantise", "hinerv_scale", "nerv_quantise"]

_LONG_AXIS = 20
"""HiNeRV gives an axis a scale of its own for every position of the others when it is longer."""
_EPSILON = 1e-6
_TINY = 1e-19


class NeRVCodes(NamedTuple):
    """What NeRV's quantiser makes of a tensor.

    Args:
        codes: float32, whole numbers, mostly 0 .. 2**bits; zeros of a slice of one sign fall outside.
        values: float32, what the codes stand for.
    """

    codes: Tensor
    values: Tensor


def nerv_quantise(tensor: Tensor, bits: int, axis: int) -> NeRVCodes:
    """Quantise as the official NeRV evaluation does.

    Args:
        tensor: float32, at least one element that is not 0.
        bits: 1 .. 8.
        axis: dimension with a map for every index, 0 (official default: output channels) or 1; -1 for one map in all.
    """
    if axis == -1:
        chosen = tensor[tensor != 0]
        low, high = chosen.min(), chosen.max()
    else:
        rows = tensor.transpose(0, axis).reshape(tensor.shape[axis], -1)
        lows, highs = [], []
        for row in rows:
            present = row[row != 0]
            lows.append(present.min() if present.numel() else row.new_zeros(()))
            highs.append(present.max() if present.numel() else row.new_zeros(()))
        shape = [-1 if d == axis else 1 for d in range(tensor.ndim)]
        low, high = torch.stack(lows).reshape(shape), torch.stack(highs).reshape(shape)
    step = (high - low) / 2**bits
    codes = torch.round((tensor - low) / (step + _TINY))
    return NeRVCodes(codes, low + step * codes)


def hinerv_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis along which HiNeRV takes the largest magnitude: the longest of more than 20, else None."""
    long = [axis for axis, size in enumerate(shape) if size > _LONG_AXIS]
    return max(long, key=lambda axis: (shape[axis], -axis)) if long else None


def hinerv_scale(values: Tensor, bits: int) -> Tensor:
    """Return HiNeRV's scale, differentiable: 0-dim, or of the shape of `values` with 1 along `hinerv_axis`."""
    axis = hinerv_axis(tuple(values.shape))
    largest = values.abs().max() if axis is None else values.abs().amax(axis, keepdim=True)
    scale: Tensor = 2 * largest / (2**bits - 1) + _EPSILON
    return scale


def hinerv_quantise(tensor: Tensor, bits: int) -> QuantisedTensor:
    """Return a tensor as the integers that HiNeRV writes: symmetric, so that 0 is a code.

    Args:
        tensor: float, any shape, at least one element.
        bits: 2 .. 16.
    """
    values = tensor.detach().float().cpu()
    scale = hinerv_scale(values, bits)
    half = 1 << (bits - 1)
    integers: NDArray[np.int64] = torch.round(values / scale).clamp(-half, half - 1).long().numpy()
    step = scale.numpy().astype(np.float16)
    return QuantisedTensor(
        codes=(integers + half).astype(np.uint8 if bits <= 8 else np.uint16),
        bits=bits,
        minimum=(-half * step.astype(np.float32)).astype(np.float16),
        scale=step,
    )
