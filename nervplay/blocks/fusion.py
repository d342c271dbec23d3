"""Multi-resolution fusion (MFU) of SNeRV: the last three stages of a decoder become one map of the finest size.

    coarse --> [up] --(cat middle)--> [residual stack] --> [up] --(cat fine)--> [residual stack] --> fused

    residual stack:  [3x3] --> N times  x + [3x3](LeakyReLU([3x3](x)))

Source: SNeRV, arXiv 2501.01681; official `model/snerv.py`, `model/residual_block.py`. The first 3x3 of a stack is in
the code, not in the paper.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SLOPE", "MultiResolutionFusion"]

SLOPE = 0.1
"""Slope of every LeakyReLU in SNeRV."""


class _ResidualBlock(nn.Module):
    """x + conv2(LeakyReLU(conv1(x))), both 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.leaky_relu(self.conv1(x), SLOPE))
        return out


class _ResidualStack(nn.Module):
    """A 3x3 that joins two maps, then residual blocks."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(_ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, low: Tensor, same: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.enter(torch.cat([low, same], dim=1)))
        return out


class MultiResolutionFusion(nn.Module):
    """The unit: see the head of this module.

    Args:
        channels: of the coarse, the middle and the fine map.
        strides: from coarse to middle, from middle to fine.
        blocks: N, residual blocks per stack.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], blocks: int) -> None:
        super().__init__()
        coarse, middle, fine = channels
        first, second = strides
        # In turns, as the official code builds them: the random numbers then fall in the same order.
        self.up_coarse = nn.ConvTranspose2d(coarse, coarse, first, first)
        self.join_middle = _ResidualStack(coarse + middle, middle, blocks)
        self.up_middle = nn.ConvTranspose2d(middle, middle, second, second)
        self.join_fine = _ResidualStack(middle + fine, fine, blocks)

    def forward(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """Return float (B, fine, h, w) of maps float (B, C, h', w'), each larger than the one before."""
        x = self.join_middle(self.up_coarse(coarse), middle)
        out: Tensor = self.join_fine(self.up_middle(x), fine)
        return out
