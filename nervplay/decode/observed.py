"""What is seen of a map while frames run: how its channels are distributed, and how its pixels hang together.

Sums, but for a few pixels that are kept: all take little memory, whatever the size of maps. Tensors are worked on where
they are.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.lowering import Conv
from nervplay.errors import CapabilityError

__all__ = ["Moments", "Spread", "as_rows"]

_HALF = 1024
"""Bins of a channel on either side of 0."""
_VALUES = 1 << 22
"""Values of a map that are counted, at most; of more, whole pixels are left out."""
_KEPT = 256
"""Pixels of a map that are kept as they are."""
_PATCHES = 1024
"""Places of a convolution that are looked at per map."""
_LARGEST_BLOCK = 2048
"""Inputs of an output whose second moments are kept together; beyond, channels are told apart in groups."""


def as_rows(maps: Tensor) -> Tensor:
    """Return maps, (B, C, H, W) or (P, C), as pixels, (P, C)."""
    return maps if maps.ndim == 2 else maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


class Spread:
    """How the values of each channel of a map are distributed.

    Bins are as wide as a power of two, by channel, and grow with the values: two become one, exactly.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._width = np.full(channels, 2.0**-60)
        self._counts = np.zeros((channels, 2 * _HALF))
        self._low, self._high = np.zeros(channels), np.zeros(channels)
        self._kept: list[NDArray[np.float32]] = []

    @property
    def low(self) -> NDArray[np.float64]:
        """Smallest value of each channel, or 0, (C,)."""
        return self._low

    @property
    def high(self) -> NDArray[np.float64]:
        """Largest value of each channel, or 0, (C,)."""
        return self._high

    @property
    def counts(self) -> NDArray[np.float64]:
        """Values in each bin, (C, bins)."""
        return self._counts

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each bin, (C, bins)."""
        return np.asarray((np.arange(2 * _HALF) - _HALF + 0.5) * self._width[:, None])

    @property
    def kept(self) -> NDArray[np.float32]:
        """Some pixels, (P, C)."""
        return np.concatenate(self._kept)

    def add(self, pixels: Tensor) -> None:
        """Count the values of pixels, float32 (P, C).

        Raises:
            CapabilityError: values that are not finite; the weights are, but what they lead to leaves float32.
        """
        self._kept.append(pixels[:: -(-len(pixels) // _KEPT) | 1].cpu().numpy().copy())
        low, high = (np.asarray(ends.cpu().numpy(), np.float64) for ends in (pixels.amin(0), pixels.amax(0)))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise CapabilityError("maps of this network leave float32, which integers cannot follow; take fp32")
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        self._widen(np.maximum(-self._low, self._high))
        channels = pixels.shape[1]
        step = -(-pixels.numel() // _VALUES) | 1  # an odd step meets all columns of a map
        width = torch.from_numpy(self._width.astype(np.float32)).to(pixels.device)
        places = (pixels[::step] / width).floor_().clamp_(-_HALF, _HALF - 1).long()
        places += torch.arange(channels, device=pixels.device) * 2 * _HALF + _HALF
        counted = torch.bincount(places.ravel(), minlength=channels * 2 * _HALF)
        self._counts += counted.reshape(channels, -1).cpu().numpy()

    def _widen(self, reach: NDArray[np.float64]) -> None:
        """Make bins wide enough for values of this size."""
        wanted = 2.0 ** np.ceil(np.log2(np.maximum(reach, 2.0**-40) / _HALF))
        for channel in np.flatnonzero(wanted > self._width):
            factor = int(min(wanted[channel] / self._width[channel], 2 * _HALF))
            places = (np.arange(2 * _HALF) - _HALF) // factor + _HALF
            self._counts[channel] = np.bincount(places, self._counts[channel], minlength=2 * _HALF)
            self._width[channel] = wanted[channel]


class Moments:
    """Means and second moments of what a convolution multiplies: the patches of its input, K = C * kh * kw values each.

    Args:
        conv: the convolution. Of a depthwise one, whose outputs read a few values each, only means are kept.
        products: whether second moments are wanted.
    """

    def __init__(self, conv: Conv, *, products: bool = True) -> None:
        self._conv = conv
        self._taps = conv.weight.shape[2] * conv.weight.shape[3]
        channels = conv.weight.shape[0] if conv.depthwise else conv.weight.shape[1]
        group = max(_LARGEST_BLOCK // self._taps // 2, 1) * 2 * self._taps  # whole pairs of channels
        inner = channels * self._taps
        apart = conv.depthwise or not products
        self.blocks = [] if apart else [slice(a, min(a + group, inner)) for a in range(0, inner, group)]
        self._sum = torch.zeros(inner)
        self._products = [torch.zeros(block.stop - block.start, block.stop - block.start) for block in self.blocks]
        self._seen = self._maps = 0

    def add(self, maps: Tensor) -> None:
        """Look at patches of an input, float32 (B, C, H, W), or (P, C) for rows."""
        patches = self._patches(maps)
        if not self._seen:
            self._sum = self._sum.to(maps.device)
            self._products = [products.to(maps.device) for products in self._products]
        self._seen += len(patches)
        self._maps += 1
        self._sum += patches.sum(0)
        for number, block in enumerate(self.blocks):
            self._products[number] += patches[:, block].T @ patches[:, block]

    def _patches(self, maps: Tensor) -> Tensor:
        """Return patches at places that differ from map to map, (P, K), in the order of the weights."""
        conv = self._conv
        places = conv.out_size[0] * conv.out_size[1]
        step = -(-places // _PATCHES) | 1
        at = torch.arange(self._maps * (step // 2 + 1) % step, places, step, device=maps.device)
        if conv.rows:
            return maps[at]
        (height, width), (top, left) = conv.size, conv.padding
        down, across = at // conv.out_size[1] - top, at % conv.out_size[1] - left
        taken = []
        for i in range(conv.weight.shape[2]):
            for j in range(conv.weight.shape[3]):
                y, x = down + i, across + j
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                taken.append(maps[:, :, y.clamp(0, height - 1), x.clamp(0, width - 1)] * inside)
        return torch.stack(taken, 2).permute(0, 3, 1, 2).reshape(-1, self._sum.numel())

    def mean(self) -> NDArray[np.float64]:
        """Return the mean patch, (K,)."""
        return self._sum.cpu().numpy().astype(np.float64) / self._seen

    def covariance(self, number: int) -> NDArray[np.float64]:
        """Return the covariance within block `number` of the patch, (k, k)."""
        mean = self.mean()[self.blocks[number]]
        products = self._products[number].cpu().numpy().astype(np.float64) / self._seen
        return np.asarray(products - np.outer(mean, mean))
