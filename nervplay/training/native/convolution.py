"""Convolutions of all channels, 3x3 or 5x5, as large as the map, by Winograd's method in float32."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nervplay.decode.native.packing import transformed
from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LANES, LAST, rounded

__all__ = ["convolved"]


@lru_cache
def _transform(taps: int) -> Tensor:
    """Return what Winograd's method makes of a kernel, float32 (64, taps * taps)."""
    each = np.eye(taps * taps, dtype=np.float32).reshape(-1, 1, taps, taps)
    return torch.from_numpy(transformed(each)[:, 0].astype(np.float32))


def _by_tap(weight: Tensor) -> Tensor:
    """Return float32 (taps * taps, C, O') of weights (O, C, taps, taps)."""
    outputs, channels, taps, _ = weight.shape
    laid = torch.zeros(taps, taps, channels, rounded(outputs, LANES))
    laid[..., :outputs] = weight.permute(2, 3, 1, 0)
    return laid


def _maps(x: Tensor) -> Tensor:
    """Return maps as float32, channels last."""
    return x.float().contiguous(memory_format=LAST)


def _products(kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of `_maps` of x as float32 (B, O, H, W), channels last."""
    (items, channels, height, width), outputs, taps = x.shape, len(weight), weight.shape[-1]
    y = torch.empty((items, outputs, height, width), memory_format=LAST)
    start = torch.zeros(rounded(outputs, LANES))
    if bias is not None:
        start[:outputs] = bias
    tensors = (x, _by_tap(weight), start, _transform(taps), y)
    sizes = (items, height, width, channels, outputs, taps)
    if kernels.call("nt_convolve", *(it.data_ptr() for it in tensors), *sizes):
        raise MemoryError(f"no memory for a convolution of {width}x{height} with {channels} channels")
    return y


class _Convolved(torch.autograd.Function):
    """(kernels, x, weight, bias) -> x convolved."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        maps = _maps(x)
        ctx.kernels, ctx.has_bias, ctx.dtype = kernels, bias is not None, x.dtype
        ctx.save_for_backward(maps, weight)
        return _products(kernels, maps, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        maps, weight = ctx.saved_tensors
        grad = _maps(grad)
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[1]:
            to_x = _products(ctx.kernels, grad, weight.transpose(0, 1).flip(2, 3), None).to(ctx.dtype)
        if ctx.needs_input_grad[2]:
            to_weight = _weight_gradient(ctx.kernels, maps, grad, weight)
        if ctx.has_bias:
            to_bias = grad.sum((0, 2, 3))
        return None, to_x, to_weight, to_bias


def _weight_gradient(kernels: Kernels, maps: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of weights (O, C, taps, taps) from that of the result."""
    (items, channels, height, width), (outputs, _, taps, _) = maps.shape, weight.shape
    laid = torch.empty(taps, taps, channels, rounded(outputs, LANES))
    tensors, sizes = (maps, grad, _transform(taps), laid), (items, height, width, channels, outputs, taps)
    if kernels.call("nt_convolve_weights", *(it.data_ptr() for it in tensors), *sizes):
        raise MemoryError(f"no memory for the gradient of weights of {channels} to {outputs} channels")
    return laid[..., :outputs].permute(3, 2, 0, 1).contiguous(memory_format=LAST)


def convolved(kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of all channels, zero padding, as large as `x`; in float32 by Winograd's method.

    Args:
        kernels: the library.
        x: float32 or bfloat16 (B, C, H, W).
        weight: float32 (O, C, K, K), K 3 or 5.
        bias: float32 (O,), or None.

    Returns:
        float32 (B, O, H, W), channels last.
    """
    y: Tensor = _Convolved.apply(kernels, x, weight, bias)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
