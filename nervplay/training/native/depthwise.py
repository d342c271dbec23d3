"""Convolutions of each channel by itself: 3x3, 5x5 or 7x7, as large as the map; computed in float32."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LANES, rounded

__all__ = ["depthwise"]

_COLUMNS = 8
"""Results of one row that `nt_depthwise` computes together."""


def _padded(x: Tensor, border: int) -> Tensor:
    """Return float32 (B, H + 2 border, W' + 2 border, C') with zeros around (B, C, H, W), W' and C' whole steps."""
    items, channels, height, width = x.shape
    wide = rounded(width, _COLUMNS) + 2 * border
    out = torch.zeros(items, height + 2 * border, wide, rounded(channels, LANES))
    out[:, border : border + height, border : border + width, :channels] = x.permute(0, 2, 3, 1)
    return out


def _packed(weight: Tensor) -> Tensor:
    """Return float32 (taps * taps, C') of weights (C, 1, taps, taps)."""
    channels = len(weight)
    packed = torch.zeros(weight[0].numel(), rounded(channels, LANES))
    packed[:, :channels] = weight.reshape(channels, -1).T
    return packed


def _convolved(kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None, like: Tensor) -> Tensor:
    """Return the convolution of padded maps as (B, C, H, W) of the form of `like`."""
    items, channels, height, width = like.shape
    taps = weight.shape[-1]
    out = torch.empty(items, height, x.shape[2] - taps + 1, x.shape[3])
    start = None if bias is None else F.pad(bias.float(), (0, x.shape[3] - channels))
    packed = _packed(weight)
    addresses = (x.data_ptr(), packed.data_ptr(), None if start is None else start.data_ptr(), out.data_ptr())
    kernels.call("nt_depthwise", *addresses, *out.shape, taps)
    return out[:, :, :width, :channels].to(like.dtype).permute(0, 3, 1, 2)


class _Depthwise(torch.autograd.Function):
    """(kernels, x, weight, bias) -> every channel of x convolved by itself."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        maps = _padded(x, weight.shape[-1] // 2)
        ctx.kernels, ctx.has_bias = kernels, bias is not None
        ctx.save_for_backward(maps, weight)
        return _convolved(kernels, maps, weight, bias, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        maps, weight = ctx.saved_tensors
        taps, kernels = weight.shape[-1], ctx.kernels
        padded = _padded(grad, taps // 2)
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[1]:
            to_x = _convolved(kernels, padded, weight.flip(2, 3), None, grad)
        if ctx.needs_input_grad[2]:
            edge = taps // 2
            inner = padded[:, edge : padded.shape[1] - edge, edge : padded.shape[2] - edge].contiguous()
            sums = torch.empty(taps * taps, inner.shape[3])
            kernels.call("nt_depthwise_weights", maps.data_ptr(), inner.data_ptr(), sums.data_ptr(), *inner.shape, taps)
            to_weight = sums[:, : len(weight)].T.reshape(weight.shape)
        if ctx.has_bias:
            to_bias = grad.sum((0, 2, 3), dtype=torch.float32)
        return None, to_x, to_weight, to_bias


def depthwise(kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of each channel by itself, zero padding, as large as `x`; computed in float32.

    Args:
        kernels: the library.
        x: float32 or bfloat16 (B, C, H, W).
        weight: float32 (C, 1, K, K), K 3, 5 or 7.
        bias: float32 (C,), or None.

    Returns:
        (B, C, H, W) of the type of `x`, channels last.
    """
    y: Tensor = _Depthwise.apply(kernels, x, weight, bias)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
