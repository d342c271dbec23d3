"""The spectral end of SNeRV: from feature maps to the Haar bands of a frame, and from bands to the frame.

    last three stages --> [fusion] --+--> [head 3x3, output map] --> LL in [0, 1] --> * (max - min) + min --+
                                     +--> [restorer] --> LH, HL, HH ----------------------------------------+--> frame

The smallest and the largest value of a frame's LL ("bounds") are side information: they are stored per frame.
Source: SNeRV, arXiv 2501.01681; official `model/snerv.py`. The bounds are in the code, not in the paper; the
paper restores the high bands from LL, the code from the fused features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.activation import OutputMap, picture
from nervplay.blocks.fusion import SLOPE, MultiResolutionFusion
from nervplay.blocks.haar import haar_merge

__all__ = ["Bands", "HighFrequencyRestorer", "SpectralHead", "bounds_of", "scale_to_bounds"]


class Bands(NamedTuple):
    """Haar bands of frames.

    Args:
        low: LL scaled to its bounds, float (B, 3, h, w).
        high: LH, HL, HH as they are, float (B, 3, 3, h, w): colour, then band.
    """

    low: Tensor
    high: Tensor

    def frames(self, bounds: Tensor) -> Tensor:
        """Return the frames, float (B, 3, 2h, 2w); nothing keeps them inside [0, 1].

        Args:
            bounds: float (B, 2), smallest and largest value of LL.
        """
        smallest, largest = bounds[:, 0, None, None, None], bounds[:, 1, None, None, None]
        return haar_merge(self.low * (largest - smallest) + smallest, self.high)


def bounds_of(low: Tensor) -> Tensor:
    """Return the smallest and the largest value of each LL, float (B, 2), of float (B, 3, h, w)."""
    return torch.stack([low.amin((1, 2, 3)), low.amax((1, 2, 3))], dim=1)


def scale_to_bounds(low: Tensor, bounds: Tensor) -> Tensor:
    """Return (LL - smallest) / (largest - smallest); 0 where both are equal, where the official code divides by 0.

    Args:
        low: float (B, 3, h, w).
        bounds: float (B, 2).
    """
    smallest, span = bounds[:, 0], bounds[:, 1] - bounds[:, 0]
    span = torch.where(span > 0, span, torch.ones_like(span))
    return (low - smallest[:, None, None, None]) / span[:, None, None, None]


class _Restorer(nn.Module):
    """1x1, LeakyReLU, 3x3 to three colours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        self.restore = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.restore(F.leaky_relu(self.mix(x), SLOPE))
        return out


class HighFrequencyRestorer(nn.Module):
    """HFR: one small branch per band, without an output activation.

    Args:
        channels: of the fused features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lh = _Restorer(channels)
        self.hl = _Restorer(channels)
        self.hh = _Restorer(channels)

    def forward(self, fused: Tensor) -> Tensor:
        """Return LH, HL, HH, float (B, 3, 3, h, w), of features float (B, C, h, w)."""
        return torch.stack([self.lh(fused), self.hl(fused), self.hh(fused)], dim=2)


class SpectralHead(nn.Module):
    """Fusion, head and restorer: see the head of this module.

    Args:
        channels: of the last three stages.
        strides: of the last two stages.
        blocks: N, residual blocks per stack of the fusion.
        output: how the head becomes LL.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], blocks: int, output: OutputMap) -> None:
        super().__init__()
        # Built in the official order: the random numbers then fall in the same order.
        self.restorer = HighFrequencyRestorer(channels[-1])
        self.fusion = MultiResolutionFusion(channels, strides, blocks)
        self.head = nn.Conv2d(channels[-1], 3, 3, padding=1)
        self.output: OutputMap = output

    def bands(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Bands:
        """Return the bands of the outputs of the last three stages, each float (B, C, h', w')."""
        fused = self.fusion(coarse, middle, fine)
        return Bands(picture(self.head(fused), self.output), self.restorer(fused))
