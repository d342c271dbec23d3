"""The ConvNeXt encoder of HNeRV and its kin: frame to embedding, in training only.

A ConvNet for the 2020s, arXiv 2201.03545. Source of this arrangement: class ConvNeXt of the official HNeRV code,
`model_all.py`, equal in HNeRV, Boosting-NeRV and SNeRV.

    frame --> [downsample 0: conv k=s, norm] --> [blocks] --> [downsample i: norm, conv k=s] --> [blocks] --> embedding

Differences from the official code: none in value; keys have readable names (see `rename_upstream_keys` in the models).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.channel_norm import EPS, ChannelNorm

__all__ = ["ConvNeXt", "ConvNeXtBlock"]

_INIT_STD = 0.02
_INIT_SCALE = 1e-6


class _Downsample(nn.Module):
    """Convolution with kernel = stride and a channel norm: behind it in the first stage, before it later."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, stride, stride)
        self.norm = ChannelNorm(channels_out if first else channels_in)
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x)) if self.first else self.conv(self.norm(x))
        return out


class ConvNeXtBlock(nn.Module):
    """Depth-wise 7x7, norm, C -> 4C, GELU, 4C -> C, times a learnt scale per channel, plus the input.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), _INIT_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C, H, W) of float (B, C, H, W)."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.project(F.gelu(self.expand(y)))
        out: Tensor = x + y.permute(0, 3, 1, 2)
        return out


class ConvNeXt(nn.Module):
    """The encoder: see the head of this module.

    Args:
        widths: channels of each stage; the last is the embedding's.
        strides: stride of each stage; their product divides H and W.
        blocks: ConvNeXt blocks per stage.
    """

    def __init__(self, widths: Sequence[int], strides: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.downsample = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = 3
        for i, (width, stride) in enumerate(zip(widths, strides, strict=True)):
            # Built in turns, as the official code does: the random numbers then fall in the same order.
            self.downsample.append(_Downsample(before, width, stride, first=i == 0))
            self.stages.append(nn.Sequential(*(ConvNeXtBlock(width) for _ in range(blocks))))
            before = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_INIT_STD)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Return embeddings float (B, C, h, w) of frames float (B, 3, H, W) in [0, 1]; h = H / strides, w likewise."""
        x = frames
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            x = stage(downsample(x))
        return x
