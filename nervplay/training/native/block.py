"""A block of a decoder as one function: convolution, pixel shuffle, activation; float32 maps.

Kernels of 3x3 and 5x5 go by Winograd's method, 1x1 by a matrix product.
"""

from typing import Any

import torch
from torch import Tensor

from nervplay.training.native.convolution import Products, maps_of
from nervplay.training.native.finish import finish_map, unfinish_map
from nervplay.training.native.library import Kernels
from nervplay.training.native.matrix import Matrix

__all__ = ["block"]


_How = tuple[Kernels, str, int]
"""Library, name of the activation, factor of the shuffle."""


class _Block(torch.autograd.Function):
    """((kernels, name, factor), x, weight, bias) -> act(pixel shuffle of x convolved)."""

    @staticmethod
    def forward(ctx: Any, how: _How, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kernels, name, factor = how
        maps = maps_of(x)
        value = Products(kernels, weight, factor).value(maps, bias)
        y, slope = finish_map(kernels, name, value, factor, ordered=True)
        ctx.kernels, ctx.factor, ctx.dtype = kernels, factor, x.dtype
        ctx.save_for_backward(maps, weight, slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        maps, weight, slope = ctx.saved_tensors
        grad = unfinish_map(ctx.kernels, grad.float(), slope, ctx.factor, dtype=torch.float32, ordered=True)
        return None, *Products(ctx.kernels, weight, ctx.factor).gradients(ctx, maps, grad)


class _PointBlock(torch.autograd.Function):
    """The same of a convolution of 1x1, which is a matrix product."""

    @staticmethod
    def forward(ctx: Any, how: _How, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kernels, name, factor = how
        matrix = Matrix(weight, torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32, factor)
        rows, columns = matrix.rows(x), matrix.columns()
        (items, _, height, width), outputs = x.shape, len(weight)
        value = matrix.value(rows, columns, bias).view(items, height, width, outputs).permute(0, 3, 1, 2)
        y, slope = finish_map(kernels, name, value, factor, ordered=True)
        ctx.kernels, ctx.matrix, ctx.shape, ctx.dtype = (
            kernels,
            matrix._replace(weight=weight.detach()),
            x.shape,
            x.dtype,
        )
        ctx.save_for_backward(rows, columns, slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        rows, columns, slope = ctx.saved_tensors
        maps = unfinish_map(ctx.kernels, grad.float(), slope, ctx.matrix.factor, dtype=rows.dtype, ordered=True)
        grad = maps.permute(0, 2, 3, 1).view(len(rows), -1)
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[1]:
            to_x = ctx.matrix.maps(grad @ columns, ctx.shape).to(ctx.dtype)
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            to_weight, to_bias = ctx.matrix.to_weights(rows, grad)
        return None, to_x, to_weight, to_bias if ctx.needs_input_grad[3] else None


def block(kernels: Kernels, name: str, x: Tensor, weight: Tensor, bias: Tensor | None, factor: int = 1) -> Tensor:  # noqa: PLR0917 - as `finished`
    """Return the activation of the pixel shuffle of a convolution as large as `x`, with zero padding.

    Between convolution and activation, channels lie in the order in which the shuffle wants them.

    Args:
        kernels: the library.
        name: one of `ACTIVATIONS`.
        x: float32 or bfloat16 (B, C, H, W).
        weight: float32 (O r^2, C, K, K), K 1, 3 or 5.
        bias: float32 (O r^2,), or None.
        factor: r.

    Returns:
        float32 (B, O, r H, r W), channels last.
    """
    function = _PointBlock if weight.shape[-1] == 1 else _Block
    y: Tensor = function.apply((kernels, name, factor), x, weight, bias)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
