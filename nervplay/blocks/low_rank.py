"""A convolution as two thin ones: k x 1 down to r channels, then 1 x k up to all of them.

    x (B,C,H,W) --> [k x 1, C to r] --> [1 x k, r to C'] --> (B,C',H',W')        r = ceil(rho * min(C, C'))

Source: LRConv-NeRV, arXiv 2603.18261, eq. (4): a pure composition, so nothing stands between the two, and the first has
no bias (the second has one per output channel, as the convolution that it replaces).
"""

import math
from fractions import Fraction

from torch import nn

__all__ = ["LowRankConv2d", "rank_of"]


def rank_of(rho: float, channels_in: int, channels_out: int) -> int:
    """Return r = ceil(rho * min(C, C')), rho taken as it is written: 0.07 of 100 channels is 7, not 8.

    Args:
        rho: in (0, 1].
        channels_in: C.
        channels_out: C'.
    """
    return math.ceil(Fraction(repr(rho)) * min(channels_in, channels_out))


class LowRankConv2d(nn.Sequential):
    """The two convolutions of the head of this file. Keys: `0.weight` (r, C, k, 1), `1.weight` (C', r, 1, k), `1.bias`.

    Args:
        channels_in: C.
        channels_out: C', before a pixel shuffle.
        kernel: k, in pixels.
        padding: zeros on each side, in pixels: rows for the first convolution, columns for the second.
        rho: in (0, 1].
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, padding: int, rho: float) -> None:
        rank = rank_of(rho, channels_in, channels_out)
        super().__init__(
            nn.Conv2d(channels_in, rank, (kernel, 1), padding=(padding, 0), bias=False),
            nn.Conv2d(rank, channels_out, (1, kernel), padding=(0, padding)),
        )
