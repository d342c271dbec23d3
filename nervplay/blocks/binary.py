"""A convolution whose weights are one bit each, times one factor per output channel.

    W_hat = alpha * sign(W)        alpha = mean |W| of the output channel        sign(0) = +1

W is what training moves, W_hat what convolves; features and biases stay float. Source: XNOR-Net, arXiv 1603.05279,
sec. 3.1 (binary weights). The gradient of the sign is the straight-through estimator, 1 where |W| <= 1 and 0 elsewhere;
alpha is differentiated as it stands.

W_hat may take the place of W: binarising it again gives the same numbers, exactly (`binarise` says why). So a file
holds W_hat, as one bit per weight with alpha in the map back to floats, and an opened network needs no second form.
"""

import torch
from torch import Tensor, nn

__all__ = ["BinaryConv2d", "binarise"]


def binarise(weight: Tensor) -> Tensor:
    """Return alpha * sign(W); `binarise(binarise(W))` equals it exactly.

    The mean is taken in float64: a sum of 2**29 or fewer equal float32 numbers is exact there, in any order, and so is
    the mean once it is rounded to float32.

    Args:
        weight: W, float32 (C', C, k, k).
    """
    alpha = weight.abs().mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64).to(weight.dtype)
    sign = torch.where(weight < 0, -1.0, 1.0).to(weight.dtype)
    clipped = weight.clamp(-1, 1)
    return alpha * (sign + (clipped - clipped.detach()))  # adds 0, and the straight-through gradient


class BinaryConv2d(nn.Conv2d):
    """An `nn.Conv2d` that convolves with `binarise(weight)`; same keys, same initial weights.

    In a network that was opened from a file, `weight` is what it convolves with already.
    """

    weight_bits = 1
    """Bits that hold a value of `stored_weight` exactly, given one affine map per output channel."""

    def stored_weight(self) -> Tensor:
        """Return what decoding needs in place of `weight`: float (C', C, k, k), two values per output channel."""
        return binarise(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', H', W') from float (B, C, H, W)."""
        out: Tensor = self._conv_forward(x, binarise(self.weight), self.bias)
        return out
