"""Weights that are quantised while they are trained: HiNeRV's symmetric quantiser, and two ways to pass gradients.

Source: official HiNeRV (github.com/hmkx/HiNeRV at fdb92ec), its quantiser and Quant-Noise; Quant-Noise is from Fan et
al., "Training with Quantization Noise for Extreme Model Compression", ICLR 2021.

    scale = 2 max|w| / (2^bits - 1) + 1e-6      codes = clamp(round(w / scale), -2^(bits-1), 2^(bits-1) - 1)
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["quant_noise", "straight_through", "symmetric_codes"]

_SHARE = 0.05
"""A tensor may have scales of its own along an axis when they are less than this share of its values."""


def _axis(shape: Sequence[int]) -> int | None:
    """Return the axis that one scale holds for: the longest of more than 20, the first on a tie; None: one for all."""
    long = [length for length in shape if 1 / length < _SHARE]
    return list(shape).index(max(long)) if long else None


def symmetric_codes(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Return the integers of a weight, and the scale that turns them back.

    The integers have no gradient. The scale has: it goes to the largest magnitude of each group, as officially.

    Args:
        weight: float, any shape.
        bits: 2 or more.

    Returns:
        codes, whole numbers as float, in the shape of `weight`; scale, float, that multiplies with them.
    """
    axis = _axis(weight.shape)
    largest = weight.abs().max() if axis is None else weight.abs().max(dim=axis, keepdim=True).values
    scale = 2 * largest / (2.0**bits - 1) + 1e-6
    half = 2 ** (bits - 1)
    codes = torch.round(weight.detach() / scale.detach()).clamp(-half, half - 1)
    return codes, scale


def quant_noise(weight: Tensor, quantised: Tensor, share: float) -> Tensor:
    """Return a mixture: each weight is quantised with probability `share`, drawn from PyTorch's generator.

    Args:
        weight: float.
        quantised: the same weight after the quantiser, with the gradient that it gives.
        share: in [0, 1].
    """
    return torch.where(torch.rand_like(weight) > share, weight, quantised)


def straight_through(weight: Tensor, quantised: Tensor) -> Tensor:
    """Return the values of `quantised` with the gradient of `weight`.

    Source: Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

    Args:
        weight: float.
        quantised: the same weight after the quantiser.
    """
    return weight + (quantised - weight).detach()
