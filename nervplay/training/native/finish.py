"""What follows a convolution, in one pass: pixel shuffle and activation, whose slope is worked out with its value."""

from typing import Any

import torch
from torch import Tensor

from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LAST, TYPES

__all__ = [
    "ACTIVATIONS",
    "MOST_CHANNELS",
    "activated",
    "finish_map",
    "finish_rows",
    "finished",
    "unfinish_map",
    "unfinish_rows",
]

ACTIVATIONS = {"gelu": 0, "silu": 1}
"""`enum nt_act`."""
MOST_CHANNELS = 4096
"""Channels before a pixel shuffle that `nt_finish` has room for."""


class _Finished(torch.autograd.Function):
    """(kernels, name, x, factor) -> act(pixel shuffle of x)."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, name: str, x: Tensor, factor: int) -> Tensor:
        ctx.kernels, ctx.dtype, ctx.factor = kernels, x.dtype, factor
        y, slope = finish_map(kernels, name, x.contiguous(memory_format=LAST), factor, ordered=False)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, None]:
        (slope,) = ctx.saved_tensors
        x = unfinish_map(ctx.kernels, grad, slope, ctx.factor, dtype=ctx.dtype, ordered=False)
        return None, None, x, None


class _Activated(torch.autograd.Function):
    """(kernels, name, x) -> act(x)."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, name: str, x: Tensor) -> Tensor:
        ctx.kernels, ctx.dtype = kernels, x.dtype
        y, slope = finish_rows(kernels, ACTIVATIONS[name], x)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        (slope,) = ctx.saved_tensors
        return None, None, unfinish_rows(ctx.kernels, grad.contiguous(), slope, ctx.dtype)


def _type_of(x: Tensor) -> torch.dtype:
    """Return the type of what is computed from a tensor and need not be exact."""
    return torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype


def finish_map(kernels: Kernels, name: str, x: Tensor, factor: int, *, ordered: bool) -> tuple[Tensor, Tensor]:
    """Return what `finished` does, and the slope, without autograd.

    Args:
        kernels: the library.
        name: one of `ACTIVATIONS`.
        x: float32 or bfloat16 (B, C r^2, H, W), channels last.
        factor: r.
        ordered: whether the channels of one place of the shuffle are neighbours, as `Products` leaves them.

    Returns:
        (B, C, r H, r W), float32 where ordered, else of the type of `x`; and the slope of the activation at `x`, of its
        form; channels last.
    """
    items, channels, height, width = x.shape
    shape = (items, channels // factor**2, height * factor, width * factor)
    y = torch.empty(shape, dtype=torch.float32 if ordered else x.dtype, memory_format=LAST)
    slope = torch.empty_like(x, dtype=_type_of(x))
    _call(kernels, (x, y, slope), _map_sizes(x, factor), act=ACTIVATIONS[name], ordered=ordered)
    return y, slope


def unfinish_map(
    kernels: Kernels, grad: Tensor, slope: Tensor, factor: int, *, dtype: torch.dtype, ordered: bool
) -> Tensor:
    """Return the gradient of the input of `finish_map`, of type `dtype`, from that of its result."""
    x = torch.empty_like(slope, dtype=dtype)
    maps = x, grad.contiguous(memory_format=LAST), slope
    _call(kernels, maps, _map_sizes(x, factor), back=True, ordered=ordered)
    return x


def finish_rows(kernels: Kernels, act: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `activated` does, and the slope, without autograd.

    Args:
        kernels: the library.
        act: of `ACTIVATIONS`.
        x: float32 or bfloat16 (..., C), contiguous.
    """
    y, slope = (torch.empty_like(x, dtype=_type_of(x)) for _ in range(2))
    _call(kernels, (x, y, slope), _sizes(x), act=act)
    return y, slope


def unfinish_rows(kernels: Kernels, grad: Tensor, slope: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return the gradient of the input of `finish_rows`, of type `dtype` or that of the slope."""
    x = torch.empty_like(slope, dtype=dtype or slope.dtype)
    _call(kernels, (x, grad, slope), _sizes(slope), back=True)
    return x


def _sizes(x: Tensor) -> tuple[int, ...]:
    """Return a contiguous tensor (..., C) as rows, width, channels and factor; a row is a piece of work."""
    count, channels = x.numel() // x.shape[-1], x.shape[-1]
    width = next(it for it in (16, 8, 4, 2, 1) if count % it == 0)
    return count // width, width, channels, 1


def _map_sizes(x: Tensor, factor: int) -> tuple[int, ...]:
    """Return a map with its channels last as rows, width, channels behind the shuffle and its factor."""
    items, channels, height, width = x.shape
    return items * height, width, channels // factor**2, factor


def _call(
    kernels: Kernels,
    maps: tuple[Tensor, Tensor, Tensor],
    sizes: tuple[int, ...],
    *,
    act: int = 0,
    back: bool = False,
    ordered: bool = False,
) -> None:
    """Run `nt_finish` on x, y and slope."""
    types = (TYPES[it.dtype] for it in maps)
    kernels.call("nt_finish", back, ordered, act, *types, *(it.data_ptr() for it in maps), *sizes)


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
        (B, C, r H, r W) of the type of `x`, channels last.
    """
    y: Tensor = _Finished.apply(kernels, name, x, factor)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
