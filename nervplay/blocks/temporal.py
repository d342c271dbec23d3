"""Enlarging with neighbours in time: the blocks of SNeRV's temporal extension.

    2-D block        x --> [up] --> r --> r + LeakyReLU([3x3](LeakyReLU([3x3](r)))),  C -> 2C -> C
    temporal block   current, previous and next frame each through an [up] of its own, then the same over all three:
                     "3d" a 3x3x3 over the stack in the order previous, current, next; "2d" a 3x3 over their channels
    last block       gives the current frame alone: "3d" without padding in time, "2d" to a third of the channels

[up] is a transposed convolution with kernel = stride. Source: SNeRV, arXiv 2501.01681, there called TUB; official
`model/layers.py`, `model/snerv_t.py`.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.conv_kinds import StageConv, convolution
from nervplay.blocks.fusion import SLOPE
from nervplay.errors import UsageError

__all__ = ["Mixing", "SpatialUp", "TemporalUp"]

Mixing = Literal["3d", "2d"]
"""How a temporal block mixes three frames; see the head of this module."""


def _up(channels_in: int, channels: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels, stride, stride)


class SpatialUp(nn.Module):
    """The 2-D block: see the head of this module.

    Args:
        channels_in: channels before.
        channels: C, channels behind.
        stride: factor of enlargement.
        choice: what the two 3x3 are; None for dense convolutions.

    Raises:
        UsageError: channels that the chosen kind cannot have.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, *, choice: StageConv | None = None) -> None:
        super().__init__()
        self.up = _up(channels_in, channels, stride)
        self.widen = convolution(choice, channels, 2 * channels, 3, padding=1)
        self.narrow = convolution(choice, 2 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C, stride * h, stride * w) of float (B, channels_in, h, w)."""
        large: Tensor = self.up(x)
        return F.leaky_relu(self.narrow(F.leaky_relu(self.widen(large), SLOPE)), SLOPE) + large


class TemporalUp(nn.Module):
    """The temporal block: see the head of this module.

    Args:
        channels_in: channels before, of the frame and of its neighbours.
        channels: C, channels behind.
        stride: factor of enlargement.
        mixing: "3d" or "2d".
        last: whether the current frame alone goes on.
        choice: what the two 3x3 of "2d" are; None for dense convolutions, the only ones that "3d" can have.

    Raises:
        UsageError: channels or a mixing that the chosen kind cannot have.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        stride: int,
        *,
        mixing: Mixing,
        last: bool,
        choice: StageConv | None = None,
    ) -> None:
        super().__init__()
        self.up = _up(channels_in, channels, stride)
        self.up_previous = _up(channels_in, channels, stride)
        self.up_next = _up(channels_in, channels, stride)
        self.widen: nn.Module
        self.narrow: nn.Module
        if mixing == "3d":
            if choice is not None:
                raise UsageError(f"a 3-D convolution cannot be {choice.kind}; use mixing '2d'")
            self.widen = nn.Conv3d(channels, 2 * channels, 3, padding=1)
            self.narrow = nn.Conv3d(2 * channels, channels, 3, padding=(0 if last else 1, 1, 1))
        else:
            self.widen = convolution(choice, 3 * channels, 6 * channels, 3, padding=1)
            self.narrow = convolution(choice, 6 * channels, channels if last else 3 * channels, 3, padding=1)
        self.mixing, self.last = mixing, last

    def forward(self, three: Tensor) -> Tensor:
        """Return the three frames enlarged, or the current one alone from the last block.

        Args:
            three: previous, current and next, float (B, channels_in, 3, h, w).

        Returns:
            float (B, C, 3, stride * h, stride * w); (B, C, 1, ...) from the last block.
        """
        before, frame, after = three.unbind(2)
        joined = torch.stack([self.up_previous(before), self.up(frame), self.up_next(after)], dim=2)
        if self.mixing == "3d":
            mixed = self._mix(joined)
        else:
            B, C, _, h, w = joined.shape
            mixed = self._mix(joined.transpose(1, 2).reshape(B, 3 * C, h, w)).view(B, -1, C, h, w).transpose(1, 2)
        return mixed + (joined[:, :, 1:2] if self.last else joined)

    def _mix(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.narrow(F.leaky_relu(self.widen(x), SLOPE)), SLOPE)
