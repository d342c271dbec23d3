"""The orthonormal Haar wavelet, one level: a picture as its half-size average and three differences, and back.

For each 2x2 block of pixels [[a, b], [c, d]]:

    LL = (a + b + c + d) / 2      LH = (a + b - c - d) / 2      HL = (a - b + c - d) / 2      HH = (a - b - c + d) / 2

LH is the difference between rows, HL between columns, HH across. Values of [0, 1] give LL in [0, 2], the rest in
[-1, 1]. Source: SNeRV, arXiv 2501.01681; its official code takes the transforms of pytorch_wavelets ("haar", mode
"periodization"), whose order of bands and treatment of odd sizes this is.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["haar_merge", "haar_split", "low_pass"]


def haar_split(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return (low, high) of pictures.

    Args:
        frames: float (B, C, H, W); where a side is odd, its last row or column counts twice.

    Returns:
        low float (B, C, h, w) and high float (B, C, 3, h, w) with LH, HL, HH; h = ceil(H / 2), w = ceil(W / 2).
    """
    rows, columns = (side % 2 for side in frames.shape[-2:])
    if rows or columns:
        frames = F.pad(frames, (0, columns, 0, rows), mode="replicate")
    a, b = frames[..., 0::2, 0::2], frames[..., 0::2, 1::2]
    c, d = frames[..., 1::2, 0::2], frames[..., 1::2, 1::2]
    high = torch.stack([(a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2], dim=2)
    return (a + b + c + d) / 2, high


def haar_merge(low: Tensor, high: Tensor) -> Tensor:
    """Return the pictures whose `haar_split` is (low, high).

    Args:
        low: float (B, C, h, w).
        high: float (B, C, 3, h, w): LH, HL, HH.

    Returns:
        float (B, C, 2h, 2w).
    """
    lh, hl, hh = high.unbind(dim=2)
    a, b = (low + lh + hl + hh) / 2, (low + lh - hl - hh) / 2
    c, d = (low - lh + hl - hh) / 2, (low - lh - hl + hh) / 2
    B, C, h, w = low.shape
    return torch.stack([a, b, c, d], dim=2).view(B, C, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(B, C, 2 * h, 2 * w)


def low_pass(first: Tensor, second: Tensor) -> Tensor:
    """Return the average band of two neighbours in time, (first + second) / sqrt 2: float, the shape of both."""
    return (first + second) * math.sqrt(0.5)
