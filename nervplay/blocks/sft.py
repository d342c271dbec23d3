"""Modulation by time: the temporal affine transform of Boosting-NeRV, and the residual block around it.

    SFT(x, t)   x * (scale(t) + 1) + shift(t)         scale, shift:  [1x1] --> ReLU --> [1x1], one value per channel
    block       x + [3x3](SFT1(GELU([3x3](SFT0(x, t))), t))

ReLU and GELU are fixed, whatever the network's activation. Source: Boosting Neural Representations for Videos with a
Conditional Decoder, CVPR 2024, arXiv 2402.18152; official `model_blocks.py` (SFTLayer, ResBlock_SFT).
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SFTResidual"]


class _Modulation(nn.Module):
    """One value per channel from the time vector."""

    def __init__(self, time_channels: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(time_channels, time_channels, 1)
        self.out = nn.Conv2d(time_channels, channels, 1)

    def forward(self, time: Tensor) -> Tensor:
        out: Tensor = self.out(F.relu(self.hidden(time)))
        return out


class _SFT(nn.Module):
    """The affine transform."""

    def __init__(self, time_channels: int, channels: int) -> None:
        super().__init__()
        self.scale = _Modulation(time_channels, channels)
        self.shift = _Modulation(time_channels, channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        out: Tensor = x * (self.scale(time) + 1) + self.shift(time)
        return out


class SFTResidual(nn.Module):
    """The residual block: see the head of this module.

    Args:
        time_channels: of the time vector.
        channels: C of the features.
    """

    def __init__(self, time_channels: int, channels: int) -> None:
        super().__init__()
        self.sft0 = _SFT(time_channels, channels)
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.sft1 = _SFT(time_channels, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return float (B, C, H, W).

        Args:
            x: features, float (B, C, H, W).
            time: float (B, time_channels, 1, 1).
        """
        hidden = F.gelu(self.conv0(self.sft0(x, time)))
        out: Tensor = x + self.conv1(self.sft1(hidden, time))
        return out
