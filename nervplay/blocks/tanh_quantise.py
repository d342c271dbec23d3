"""Weights on 2**(b - 1) - 1 levels per sign, in training and in decoding: the quantiser of FFNeRV.

    t = tanh(w)      q(w) = sign(t) floor(|t| n) / n      n = 2**(b - 1) - 1      gradient of q with respect to t: 1

What is stored is w, before the tanh; every layer quantises it on its way in. 32 bits mean: weights as they are.
Source: FFNeRV, arXiv 2212.12294; official `model.py` (weight_quantize_fn).
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FULL_PRECISION", "QuantisedConv2d", "tanh_quantise"]

FULL_PRECISION = 32
"""Number of bits that leaves weights as they are."""


def tanh_quantise(weight: Tensor, bits: int) -> Tensor:
    """Return a weight as the layers use it: see the head of this module.

    Args:
        weight: float, any shape.
        bits: 2 .. 8, or 32 for no change.

    Returns:
        float of the same shape; in [-1, 1] unless bits is 32.
    """
    if bits == FULL_PRECISION:
        return weight
    squashed = torch.tanh(weight)
    exact = squashed.detach()
    n = float(2 ** (bits - 1) - 1)
    levels = torch.floor(exact.abs() * n) / n * exact.sign()
    return levels + (squashed - exact)  # the bracket is 0: it only carries the gradient


class QuantisedConv2d(nn.Conv2d):
    """A convolution that quantises its weight and its bias; arguments as of `nn.Conv2d`.

    Args:
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: taps per side.
        bits: 2 .. 8, or 32 for no change.
        options: further arguments of `nn.Conv2d`.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, bits: int, **options: Any) -> None:
        super().__init__(channels_in, channels_out, kernel, **options)
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', H', W') from float (B, C, H, W)."""
        bias = None if self.bias is None else tanh_quantise(self.bias, self.bits)
        out: Tensor = self._conv_forward(x, tanh_quantise(self.weight, self.bits), bias)
        return out
