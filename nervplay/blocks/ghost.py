"""A convolution of which half the output is computed and the other half derived from it: the ghost modules.

    x --> [k x k, C to m] --> primary (B,m,H',W') --+--> first m channels of y
                                                    +--> [depth-wise 3 x 3] --> the other C' - m      m = ceil(C' / 2)
    version 2:  y * gate(x)      gate: x --> [depth-wise 1 x 3] --> [depth-wise 3 x 1] --> [1 x 1, C to C'] --> sigmoid

Source: GhostNet, arXiv 1911.11907, sec. 3.1 with s = 2, d = 3; GhostNetV2, arXiv 2211.12905, for the gate.
Neither normalisation nor activation stands inside. The gate is not that of the public GhostNetV2 code, which works at
half the resolution and behind the point-wise convolution: that does not cost what is published for Ghost-NeRV v2, this
does (`nervplay.models.ghost_nerv`).
"""

import torch
from torch import Tensor, nn

from nervplay.errors import UsageError

__all__ = ["GhostConv2d"]

_CHEAP_KERNEL = 3


class GhostConv2d(nn.Module):
    """The module of the head of this file. Keys: `primary.*`, `cheap.*`; with a gate `gate.N.*` as well.

    Of an odd number of output channels, GhostNet computes one ghost too many and cuts it off; it is not computed here.

    Args:
        channels_in: C.
        channels_out: C', before a pixel shuffle; 2 or more.
        kernel: k, in pixels; with a gate odd, and `padding` (k - 1) / 2.
        padding: zeros on each side for the primary convolution, in pixels.
        gated: version 2.

    Raises:
        UsageError: one output channel; a gate where the primary convolution changes the size.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, padding: int, gated: bool = False) -> None:
        super().__init__()
        if channels_out < 2:
            raise UsageError(
                f"a ghost convolution has {channels_out} output channel; it needs 2 or more, widen the stage"
            )
        if gated and kernel != 2 * padding + 1:
            raise UsageError(f"a gated ghost convolution of {kernel} taps changes the size; use an odd kernel")
        primary = -(-channels_out // 2)
        self.ghosts = channels_out - primary
        self.primary = nn.Conv2d(channels_in, primary, kernel, padding=padding)
        self.cheap = nn.Conv2d(self.ghosts, self.ghosts, _CHEAP_KERNEL, padding=_CHEAP_KERNEL // 2, groups=self.ghosts)
        self.gate = _gate(channels_in, channels_out) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', H', W') from float (B, C, H, W)."""
        primary = self.primary(x)
        y = torch.cat([primary, self.cheap(primary[:, : self.ghosts])], dim=1)
        return y if self.gate is None else y * self.gate(x)


def _gate(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return the gate: (B, C, H, W) to (B, C', H, W) in (0, 1). Only its last convolution has a bias."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, (1, 3), padding=(0, 1), groups=channels_in, bias=False),
        nn.Conv2d(channels_in, channels_in, (3, 1), padding=(1, 0), groups=channels_in, bias=False),
        nn.Conv2d(channels_in, channels_out, 1),
        nn.Sigmoid(),
    )
