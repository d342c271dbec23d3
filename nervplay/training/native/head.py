"""The last layer, three channels of a picture from all of a map by 3x3 taps: too narrow for other kernels."""

from typing import Any

import torch
from torch import Tensor

from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LANES, LAST, TYPES, rounded

__all__ = ["OUTPUTS", "head"]

OUTPUTS = 3
"""Channels of a picture."""


class _Head(torch.autograd.Function):
    """(kernels, x, weight, bias) -> three channels of x convolved."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = x.contiguous(memory_format=LAST)
        laid = torch.zeros(9, OUTPUTS, rounded(x.shape[1], LANES))
        laid[..., : x.shape[1]] = weight.permute(2, 3, 0, 1).reshape(9, OUTPUTS, -1)
        y = torch.empty((len(x), OUTPUTS, *x.shape[2:]), dtype=x.dtype, memory_format=LAST)
        _run(kernels, 0, x, y, laid, bias.contiguous())
        ctx.kernels = kernels
        ctx.save_for_backward(x, laid)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor]:
        x, laid = ctx.saved_tensors
        grad = grad.contiguous(memory_format=LAST)
        to_x = to_weight = None
        if ctx.needs_input_grad[1]:
            to_x = torch.empty_like(x)
            _run(ctx.kernels, 1, to_x, grad, laid)
        if ctx.needs_input_grad[2]:
            sums = torch.empty_like(laid)
            _run(ctx.kernels, 2, x, grad, sums)
            to_weight = sums[..., : x.shape[1]].view(3, 3, OUTPUTS, -1).permute(2, 3, 0, 1)
            to_weight = to_weight.contiguous(memory_format=LAST)
        return None, to_x, to_weight, grad.sum((0, 2, 3), dtype=torch.float32)


def _run(kernels: Kernels, what: int, x: Tensor, y: Tensor, *weights: Tensor) -> None:
    """Run `nt_head` with weights and, for the value, the bias; `what` is one of its enum."""
    items, channels, height, width = x.shape
    weight, bias = (*(it.data_ptr() for it in weights), None)[:2]
    sizes = items, height, width, channels
    if kernels.call("nt_head", what, TYPES[x.dtype], x.data_ptr(), weight, bias, y.data_ptr(), *sizes):
        raise MemoryError(f"no memory for a last layer of {width}x{height} with {channels} channels")


def head(kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the three channels of a picture: a 3x3 convolution, zero padding; products in float32.

    Args:
        kernels: the library.
        x: float32 or bfloat16 (B, C, H, W).
        weight: float32 (3, C, 3, 3).
        bias: float32 (3,).

    Returns:
        (B, 3, H, W) of the type of `x`, channels last.
    """
    y: Tensor = _Head.apply(kernels, x, weight, bias)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
