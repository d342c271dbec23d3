"""Layer norm over the channels of a map, position by position, as ConvNeXt has it (arXiv 2201.03545)."""

from torch import Tensor, nn

__all__ = ["EPS", "ChannelNorm"]

EPS = 1e-6
"""What is added to the variance in ConvNeXt blocks and around them."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over C of (B, C, H, W). Keys: `weight`, `bias`.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C, H, W) of float (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
