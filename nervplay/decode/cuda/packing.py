"""Convolutions as the Triton kernel reads them: padded weights, units, sizes of blocks.

weights   [output, padded to blocks][tap][channel, padded to 16], padded to blocks of the inner dimension
outputs   in the order (i, j, c) of the pixel shuffle, see `native.packing.shuffle_order`; where a map of the kernel
          is stored, c runs over its padding, too
maps      (B, H, W, Cp) with the borders that their reader needs, which hold its zero; channels innermost, padded to 16;
          what the padding holds meets weights of zero
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.lowering import Conv
from nervplay.decode.native.packing import padded, shuffle_order
from nervplay.decode.quantise import Integers, Units

__all__ = ["ALIGNMENT", "FEWEST_PIXELS", "Layer", "Tile", "choose_tile", "inside", "map_size", "pack", "takes"]

Float = NDArray[np.float32]

ALIGNMENT = 16
"""Channels of a map are padded to a multiple of this: 16 bytes of int8, the widest load."""
FEWEST_PIXELS = 16
"""Layers over fewer pixels or rows only read their weights and stay with PyTorch."""
_LARGEST_SUM = 2**31 // (127 * 255)


class Tile(NamedTuple):
    """Sizes of a block, and how the GPU runs it; no bit of an integer result depends on them.

    Args:
        m: output pixels.
        n: output channels.
        k: inner elements, (tap, channel) pairs.
        across: pixels in a row of the rectangle that a block's are.
        warps: of 32 threads each.
        stages: depth of the software pipeline; 1 for none, where many blocks that run at once hide what they wait for.
        cached: whether the pipeline copies the map through the first-level cache, 8 bytes at a time, or past it, 16.
    """

    m: int
    n: int
    k: int
    across: int
    warps: int
    stages: int
    cached: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution, ready for the kernel.

    Args:
        conv: what it computes.
        tile: sizes of blocks.
        channels: Cp.
        stored: channels that it stores, behind the pixel shuffle and with padding.
        weight: int8 or float (padded C', padded taps * Cp).
        scale: float32 (padded C',), unit of a sum; ones for floats.
        offset: int32 (padded C',), -zero times the sum of an output's weights; zeros for floats.
        shift: float32 (padded C',), the bias.
        per_step: float32 (padded C',), 1 / unit of the int8 values that it stores; ones for floats.
        source_zero: value of 0 in int8 inputs; None for floats.
        target_zero: value of 0 in the int8 values that it stores; None for floats.
    """

    conv: Conv
    tile: Tile
    channels: int
    stored: int
    weight: Tensor
    scale: Tensor
    offset: Tensor
    shift: Tensor
    per_step: Tensor
    source_zero: int | None
    target_zero: int | None


def takes(conv: Conv) -> bool:
    """Whether the kernel computes a convolution; the others stay with PyTorch."""
    enough = conv.batch * conv.out_size[0] * conv.out_size[1] >= FEWEST_PIXELS
    return not conv.depthwise and enough and int(np.prod(conv.weight.shape[1:])) < _LARGEST_SUM


def map_size(conv: Conv) -> tuple[int, int, int, int]:
    """Return the shape of the map (B, H, W, Cp) that a convolution reads, with borders and padded channels."""
    (height, width), (_, inputs, rows, columns) = conv.out_size, conv.weight.shape
    return conv.batch, height + rows - 1, width + columns - 1, padded(inputs, ALIGNMENT)


def inside(maps: Tensor, conv: Conv) -> Tensor:
    """Return the view (B, H, W, Cp) of a convolution's map that leaves its borders out."""
    (top, left), (height, width) = conv.padding, conv.size
    return maps[:, top : top + height, left : left + width]


def choose_tile(conv: Conv, stored: int, *, integer: bool) -> Tile:
    """Return sizes of blocks for a GPU of the Ampere or a later generation.

    Narrow blocks pad the outputs less, but read the map more often: the width is taken whose padded outputs are fewest,
    32 added to each block. Small maps get low blocks, so that there is one for every multiprocessor. The pixels of a
    rectangle share most of what their taps read, which the first-level cache holds. Where outputs are few, reading the
    map is all the work. The inner size depends on the convolution alone: it decides the order of float sums.

    Args:
        conv: the convolution.
        stored: see `Layer`.
        integer: whether its products are of integers.
    """
    outputs, inner = stored * conv.shuffle**2, int(np.prod(conv.weight.shape[2:])) * map_size(conv)[3]
    n = min((128, 64, 32, 16), key=lambda width: padded(outputs, width) * (1 + 32 / width))
    m = 128 if conv.batch * conv.out_size[0] * conv.out_size[1] >= 128 * 128 else 64
    k = 64 if integer and inner > 32 else 32
    across = m if conv.out_size[0] == 1 else 16
    warps, stages = 8 if m * n >= 128 * 128 else 4, 1 if n == 16 else 3
    return Tile(m, n, k, across, warps, stages, cached=stages > 1 and conv.weight[0, 0].size > 1)


def pack(
    conv: Conv,
    device: torch.device,
    *,
    integers: Integers | None = None,
    target: Units | None = None,
    dtype: torch.dtype = torch.bfloat16,
    stored: int | None = None,
    tile: Tile | None = None,
) -> Layer:
    """Return a convolution for the kernel.

    Args:
        conv: one that `takes` accepts.
        device: where it runs.
        integers: what it multiplies; None for products of floats.
        target: what the int8 values that it stores stand for; None for floats.
        dtype: type of weights and inputs, for products of floats.
        stored: channels that it stores, with padding; None for those that there are.
        tile: sizes of blocks; None for `choose_tile`.
    """
    outputs, inputs, rows, columns = conv.weight.shape
    there = outputs // conv.shuffle**2
    stored = stored or there
    tile = tile or choose_tile(conv, stored, integer=integers is not None)
    channels = padded(inputs, ALIGNMENT)
    # `at` is where an output channel, in the order of the shuffle, is among those that are stored
    order = shuffle_order(outputs, conv.shuffle)
    at = np.arange(outputs) // there * stored + np.arange(outputs) % there
    whole = padded(stored * conv.shuffle**2, tile.n)
    scale, offset, shift = np.ones(whole, np.float32), np.zeros(whole, np.int32), np.zeros(whole, np.float32)
    shift[at] = (conv.bias if integers is None else integers.bias)[order]
    values: NDArray[np.int8] | Float = conv.weight[order]
    if integers is not None:
        values = integers.weight[order]
        scale[at] = integers.unit[order]
        offset[at] = -integers.units.zero * values.sum(axis=(1, 2, 3), dtype=np.int32)
    per_step = np.ones(whole, np.float32)
    if target is not None:
        per_step[at] = np.tile(np.float32(1) / target.scale, conv.shuffle**2)
    wide = np.zeros((whole, rows, columns, channels), values.dtype)
    wide[at, :, :, :inputs] = values.transpose(0, 2, 3, 1)
    inner = rows * columns * channels
    flat = torch.zeros(whole, padded(inner, tile.k), dtype=dtype if integers is None else torch.int8)
    flat[:, :inner] = torch.from_numpy(wide.reshape(whole, inner))
    scales, offsets, shifts, steps = (torch.from_numpy(it).to(device) for it in (scale, offset, shift, per_step))
    source_zero = None if integers is None else integers.units.zero
    target_zero = None if target is None else target.zero
    tensors = (flat.to(device), scales, offsets, shifts, steps)
    return Layer(conv, tile, channels, stored, *tensors, source_zero, target_zero)
