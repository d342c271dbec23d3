"""The refinement step of HiNeRV and SRNeRV: mix neighbours, then channels. Maps are channels-last, float (B, H, W, C).

    x --> [depthwise 3x3] --> [norm] --> [expand C -> hidden] --> [GELU] --> [project] --(+ x where widths agree)--> y

Source: HiNeRV, arXiv 2306.09818, sec. 3; official `models/layers.py` (ConvNeXtBlock): no biases, layer norm without
weights, GELU in its erf form.
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ChannelMixing", "channel_norm", "channels_last_conv", "depthwise", "refine"]

_EPS = 1e-6


def channel_norm(x: Tensor) -> Tensor:
    """Return float (..., C) with mean 0 and variance 1 over C; no weights."""
    return F.layer_norm(x, x.shape[-1:], eps=_EPS)


def channels_last_conv(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a 2-D convolution to channels-last maps, float (B, H, W, C) to (B, H', W', C'); nothing is copied."""
    out: Tensor = conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return out


def depthwise(channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution of each channel by itself, zero padding, no bias."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


class ChannelMixing(nn.Module):
    """Two linear layers with a GELU between; keys `expand.weight` (hidden, C), `project.weight` (C', hidden).

    Args:
        channels_in: C.
        hidden: width between the layers.
        channels: C'.
    """

    def __init__(self, channels_in: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.expand = nn.Linear(channels_in, hidden, bias=False)
        self.project = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (..., C') of float (..., C)."""
        out: Tensor = self.project(F.gelu(self.expand(x)))
        return out


def refine(x: Tensor, mixed: Tensor, mask: Tensor | None) -> Tensor:
    """Return the end of a step: mixed channels, zero outside the frame, plus the input where widths agree.

    Args:
        x: float (B, H, W, C), the input of the step.
        mixed: float (B, H, W, C'), behind the channel mixing.
        mask: (B, H, W, 1) of a `Window`, or None for whole frames.
    """
    if mask is not None:
        mixed = mixed * mask
    return x + mixed if x.shape[-1] == mixed.shape[-1] else mixed
