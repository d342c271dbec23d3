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
from nervplay.decode.quantise import Range, weights8

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
        source: what int8 inputs stand for; None for floats.
        target: what the int8 values that it stores stand for; None for floats.
    """

    conv: Conv
    tile: Tile
    channels: int
    weight: Tensor
    scale: Tensor
    offset: Tensor
    shift: Tensor
    source: Range | None
    target: Range | None

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
    source: Range | None = None,
    target: Range | None = None,
    bias: Float | None = None,
    dtype: torch.dtype = torch.bfloat16,
    tile: Tile | None = None,
) -> Layer:
    """Return a convolution for the kernel.

    Args:
        conv: one that `takes` accepts.
        device: where it runs.
        source: what its int8 inputs stand for; None for products of floats.
        target: what the int8 values that it stores stand for; None for floats.
        bias: float32 (C',) instead of the convolution's own.
        dtype: type of weights and inputs, for products of floats.
        tile: sizes of blocks; None for `choose_tile`.
    """
    tile = tile or choose_tile(conv, integer=source is not None)
    outputs, inputs, rows, columns = conv.weight.shape
    channels = padded(inputs, ALIGNMENT)
    order = shuffle_order(outputs, conv.shuffle)
    whole = padded(outputs, tile.n)
    scale, offset, shift = np.ones(whole, np.float32), np.zeros(whole, np.int32), np.zeros(whole, np.float32)
    shift[:outputs] = (conv.bias if bias is None else bias)[order]
    values: NDArray[np.int8] | Float = conv.weight[order]
    if source is not None:
        values, units = weights8(conv.weight[order])
        scale[:outputs] = units * np.float32(source.scale)
        offset[:outputs] = -source.zero * values.sum(axis=(1, 2, 3), dtype=np.int32)
    wide = np.zeros((whole, rows, columns, channels), values.dtype)
    wide[:outputs, :, :, :inputs] = values.transpose(0, 2, 3, 1)
    inner = rows * columns * channels
    flat = torch.zeros(whole, padded(inner, tile.k), dtype=torch.int8 if source else dtype)
    flat[:, :inner] = torch.from_numpy(wide.reshape(whole, inner))
    per_output = [torch.from_numpy(array).to(device) for array in (scale, offset, shift)]
    return Layer(conv, tile, channels, flat.to(device), per_output[0], per_output[1], per_output[2], source, target)
