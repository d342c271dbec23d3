"""Instance normalisation with a gradient that is right for every memory layout.

On the CPU, PyTorch 2.13 returns a wrong gradient of `instance_norm` when the one that comes in lies with its channels
last: off by more than its own length, with the right forward pass. So the incoming gradient is laid contiguously here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["InstanceNorm2d", "instance_norm"]


def _guarded(x: Tensor) -> Tensor:
    """Return `x`, whose incoming gradient will be contiguous; where nothing is differentiated nothing is added.

    A hook and no `autograd.Function`: the output of one may not be changed in place, and an activation does that.
    """
    if x.requires_grad:
        x.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]  # untyped in torch
    return x


def instance_norm(x: Tensor, *, eps: float) -> Tensor:
    """Return `x` with mean 0 and variance 1 in every channel of every item.

    Args:
        x: float (B, C, H, W).
        eps: added to the biased variance.
    """
    return _guarded(F.instance_norm(x, eps=eps))


class InstanceNorm2d(nn.InstanceNorm2d):
    """`torch.nn.InstanceNorm2d`, arguments, names and values alike, with the gradient of this module."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return `input`, float (B, C, H, W), normalised."""
        return _guarded(super().forward(input))
