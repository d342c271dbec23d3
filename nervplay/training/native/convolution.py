"""Convolutions of all channels, 3x3 or 5x5, as large as the map, by Winograd's method in float32."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nervplay.decode.native.packing import transformed
from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LAST

__all__ = ["Products", "convolved", "maps_of"]


@lru_cache
def _transform(taps: int) -> Tensor:
    """Return what Winograd's method makes of a row of a kernel, float32 (8, taps)."""
    each = np.eye(taps, dtype=np.float32).reshape(taps, 1, taps, 1)
    return torch.from_numpy(transformed(each)[:, 0].astype(np.float32))


def maps_of(x: Tensor) -> Tensor:
    """Return maps (B, C, H, W) as float32, channels last."""
    return x.float().contiguous(memory_format=LAST)


class Products(NamedTuple):
    """A convolution without autograd; maps are float32 (B, channels, H, W), channels last.

    Args:
        kernels: the library.
        weight: float32 (O, C, K, K), K 3 or 5.
        factor: r; a map of the O channels has those of one place of a pixel shuffle by r side by side: channel c r^2 +
            i r + j of the weight is number (i r + j) O / r^2 + c of the map.
    """

    kernels: Kernels
    weight: Tensor
    factor: int = 1

    def value(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of a map of C channels."""
        return self._run(x, bias, len(self.weight), turned=False)

    def to_input(self, gradient: Tensor) -> Tensor:
        """Return what the gradient of the value gives to the input."""
        return self._run(gradient, None, self.weight.shape[1], turned=True)

    def to_weights(self, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the gradient of the value gives to weight and bias."""
        weight = torch.empty_like(self.weight, memory_format=LAST)
        bias = torch.empty(len(weight))
        tensors = x, gradient, _transform(weight.shape[-1]), weight, bias
        sizes = len(x), *x.shape[2:], x.shape[1], len(weight), weight.shape[-1], self.factor
        if self.kernels.call("nt_convolve_weights", *(it.data_ptr() for it in tensors), *sizes):
            raise MemoryError(f"no memory for the gradient of weights of {x.shape[1]} to {len(weight)} channels")
        return weight, bias

    def _run(self, x: Tensor, bias: Tensor | None, outputs: int, *, turned: bool) -> Tensor:
        """Run `nt_convolve`."""
        (items, channels, height, width), taps = x.shape, self.weight.shape[-1]
        y = torch.empty((items, outputs, height, width), memory_format=LAST)
        weight, transform = self.weight.contiguous(memory_format=LAST), _transform(taps)
        start = None if bias is None else bias.contiguous()
        addresses = (None if it is None else it.data_ptr() for it in (x, weight, start, transform, y))
        sizes = items, height, width, channels, outputs, taps, self.factor
        if self.kernels.call("nt_convolve", turned, *addresses, *sizes):
            raise MemoryError(f"no memory for a convolution of {width}x{height} with {channels} channels")
        return y

    def gradients(self, ctx: Any, maps: Tensor, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients to input, weight and bias that are asked for, None for others.

        Args:
            ctx: of a function of (anything, input, weight, bias), with `dtype`, that of the input.
            maps: the input, as in `value`.
            grad: to the output, as in `to_input`.
        """
        _, wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        to_x = self.to_input(grad).to(ctx.dtype) if wants_x else None
        to_weight, to_bias = self.to_weights(maps, grad) if wants_weight or wants_bias else (None, None)
        return to_x, to_weight, to_bias if wants_bias else None


class _Convolved(torch.autograd.Function):
    """(kernels, x, weight, bias) -> x convolved."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        maps = maps_of(x)
        ctx.kernels, ctx.dtype = kernels, x.dtype
        ctx.save_for_backward(maps, weight)
        return Products(kernels, weight).value(maps, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        maps, weight = ctx.saved_tensors
        return None, *Products(ctx.kernels, weight).gradients(ctx, maps, maps_of(grad))


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
