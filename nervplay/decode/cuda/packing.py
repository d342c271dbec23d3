"""Convolutions as the Triton kernel reads them: padded weights, units, sizes of blocks.

weights   [output, padded to blocks][tap][channel, padded to 16], padded to blocks of the inner dimension
outputs   in the order (i, j, c) of the pixel shuffle, see `native.packing.shuffle_order`
maps      (B, H, W, Cp): channels innermost, padded to 16; what the padding holds meets weights of zero
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

__all__ = ["ALIGNMENT", "FEWEST_PIXELS", "Layer", "Tile", "choose_tile", "map_size", "pack", "takes"]

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
        warps: of 32 threads each.
        stages: depth of the software pipeline.
    """

    m: int
    n: int
    k: int
    warps: int
    stages: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution, ready for the kernel.

    Args:
        conv: what it computes.
        tile: sizes of blocks.
        channels: Cp.
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
    weight: Tensor
    scale: Tensor
    offset: Tensor
    shift: Tensor
    per_step: Tensor
    source_zero: int | None
    target_zero: int | None

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        rows, columns = self.conv.weight.shape[2:]
        return rows, columns


def takes(conv: Conv) -> bool:
    """Whether the kernel computes a convolution; the others stay with PyTorch."""
    enough = conv.batch * conv.out_size[0] * conv.out_size[1] >= FEWEST_PIXELS
    return not conv.depthwise and enough and int(np.prod(conv.weight.shape[1:])) < _LARGEST_SUM


def map_size(conv: Conv) -> tuple[int, int, int, int]:
    """Return the shape of the padded map (B, H, W, Cp) that a convolution reads."""
    return conv.batch, *conv.size, padded(conv.weight.shape[1], ALIGNMENT)


def choose_tile(conv: Conv, *, integer: bool) -> Tile:
    """Return sizes of blocks for a GPU of the Ampere or a later generation.

    Wide blocks of outputs read the map fewer times; small maps get low blocks, so that there is one for every
    multiprocessor. The inner size depends on the convolution alone: it decides the order of float sums.
    """
    outputs, inner = conv.weight.shape[0], int(np.prod(conv.weight.shape[2:])) * map_size(conv)[3]
    n = min(128, max(16, 1 << (outputs - 1).bit_length()))
    pixels = conv.batch * conv.out_size[0] * conv.out_size[1]
    m = 128 if pixels >= 128 * 128 else 64
    k = 64 if integer else 32
    if inner <= 32:
        k = 32
    return Tile(m, n, k, 8 if m * n >= 128 * 128 else 4, 3)


def pack(
    conv: Conv,
    device: torch.device,
    *,
    integers: Integers | None = None,
    target: Units | None = None,
    dtype: torch.dtype = torch.bfloat16,
    tile: Tile | None = None,
) -> Layer:
    """Return a convolution for the kernel.

    Args:
        conv: one that `takes` accepts.
        device: where it runs.
        integers: what it multiplies; None for products of floats.
        target: what the int8 values that it stores stand for; None for floats.
        dtype: type of weights and inputs, for products of floats.
        tile: sizes of blocks; None for `choose_tile`.
    """
    tile = tile or choose_tile(conv, integer=integers is not None)
    outputs, inputs, rows, columns = conv.weight.shape
    channels = padded(inputs, ALIGNMENT)
    order = shuffle_order(outputs, conv.shuffle)
    whole = padded(outputs, tile.n)
    scale, offset, shift = np.ones(whole, np.float32), np.zeros(whole, np.int32), np.zeros(whole, np.float32)
    shift[:outputs] = (conv.bias if integers is None else integers.bias)[order]
    values: NDArray[np.int8] | Float = conv.weight[order]
    if integers is not None:
        values = integers.weight[order]
        scale[:outputs] = integers.unit[order]
        offset[:outputs] = -integers.units.zero * values.sum(axis=(1, 2, 3), dtype=np.int32)
    per_step = np.ones(whole, np.float32)
    if target is not None:
        per_step[:outputs] = np.tile(np.float32(1) / target.scale, conv.shuffle**2)
    wide = np.zeros((whole, rows, columns, channels), values.dtype)
    wide[:outputs, :, :, :inputs] = values.transpose(0, 2, 3, 1)
    inner = rows * columns * channels
    flat = torch.zeros(whole, padded(inner, tile.k), dtype=dtype if integers is None else torch.int8)
    flat[:, :inner] = torch.from_numpy(wide.reshape(whole, inner))
    scales, offsets, shifts, steps = (torch.from_numpy(it).to(device) for it in (scale, offset, shift, per_step))
    source_zero = None if integers is None else integers.units.zero
    target_zero = None if target is None else target.zero
    return Layer(conv, tile, channels, flat.to(device), scales, offsets, shifts, steps, source_zero, target_zero)
