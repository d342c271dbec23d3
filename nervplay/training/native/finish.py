"""What follows a convolution, in one pass: pixel shuffle and activation, whose slope is worked out with its value."""

from typing import Any

import torch
from torch import Tensor

from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LAST, TYPES

__all__ = ["ACTIVATIONS", "MOST_CHANNELS", "activated", "finished"]

ACTIVATIONS = {"gelu": 0, "silu": 1}
"""`enum nt_act`."""
MOST_CHANNELS = 4096
"""Channels before a pixel shuffle that `nt_finish` has room for."""


class _Finished(torch.autograd.Function):
    """(kernels, name, x, factor) -> act(pixel shuffle of x)."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, name: str, x: Tensor, factor: int) -> Tensor:
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
        x = x.contiguous(memory_format=LAST)
        items, channels, height, width = x.shape
        shape = (items, channels // factor**2, height * factor, width * factor)
        y = torch.empty(shape, dtype=dtype, memory_format=LAST)
        slope = torch.empty_like(x, dtype=dtype)
        ctx.kernels, ctx.dtype, ctx.factor = kernels, x.dtype, factor
        _run(kernels, (x, y, slope), factor, act=ACTIVATIONS[name], back=False)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, None]:
        (slope,) = ctx.saved_tensors
        x = torch.empty_like(slope, dtype=ctx.dtype)
        maps = x, grad.contiguous(memory_format=LAST), slope
        _run(ctx.kernels, maps, ctx.factor, act=0, back=True)
        return None, None, x, None


class _Activated(torch.autograd.Function):
    """(kernels, name, x) -> act(x)."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, name: str, x: Tensor) -> Tensor:
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
        y, slope = (torch.empty_like(x, dtype=dtype) for _ in range(2))
        ctx.kernels, ctx.dtype = kernels, x.dtype
        _call(kernels, (x, y, slope), _sizes(x), act=ACTIVATIONS[name], back=False)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        (slope,) = ctx.saved_tensors
        x = torch.empty_like(slope, dtype=ctx.dtype)
        _call(ctx.kernels, (x, grad.contiguous(), slope), _sizes(slope), act=0, back=True)
        return None, None, x


def _sizes(x: Tensor) -> tuple[int, ...]:
    """Return a contiguous tensor (..., W, C) as rows, width, channels and factor."""
    width, channels = x.shape[-2:]
    return x.numel() // (width * channels), width, channels, 1


def _run(kernels: Kernels, maps: tuple[Tensor, Tensor, Tensor], factor: int, *, act: int, back: bool) -> None:
    """Run `nt_finish` on x, y and slope, channels last."""
    items, channels, height, width = maps[0].shape
    sizes = (items * height, width, channels // factor**2, factor)
    _call(kernels, maps, sizes, act=act, back=back)


def _call(
    kernels: Kernels, maps: tuple[Tensor, Tensor, Tensor], sizes: tuple[int, ...], *, act: int, back: bool
) -> None:
    """Run `nt_finish` on x, y and slope."""
    x, y, _ = maps
    addresses = (it.data_ptr() for it in maps)
    kernels.call("nt_finish", back, act, TYPES[x.dtype], TYPES[y.dtype], *addresses, *sizes)


def activated(kernels: Kernels, name: str, x: Tensor) -> Tensor:
    """Return GELU in its erf form, or SiLU, of what lies one place after the other.

    Args:
        kernels: the library.
        name: one of `ACTIVATIONS`.
        x: float32 or bfloat16 (..., W, C), contiguous, C at most 4096.

    Returns:
        Of the form of `x`; bfloat16 where `x` is or autocast says so, else float32.
    """
    y: Tensor = _Activated.apply(kernels, name, x)  # type: ignore[no-untyped-call]  # untyped in torch
    return y


def finished(kernels: Kernels, name: str, x: Tensor, factor: int = 1) -> Tensor:
    """Return what follows a convolution: pixel shuffle, then GELU in its erf form or SiLU.

    Args:
        kernels: the library.
        name: one of `ACTIVATIONS`.
        x: float32 or bfloat16 (B, C r^2, H, W), at most 4096 channels.
        factor: r.

    Returns:
        (B, C, r H, r W), channels last; bfloat16 where `x` is or autocast says so, else float32.
    """
    y: Tensor = _Finished.apply(kernels, name, x, factor)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
