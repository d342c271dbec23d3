"""Convolutions whose kernels do not overlap, 1x1 or as large as the stride, as one matrix product.

It is PyTorch's product, in bfloat16 where autocast says so, without what PyTorch does around a convolution.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nervplay.training.native.maps import LAST

__all__ = ["Matrix", "patched"]


class Matrix(NamedTuple):
    """Such a convolution without autograd.

    Args:
        weight: float32 (O, C, K, K).
        dtype: of the product, float32 or bfloat16.
        factor: r; the O channels of one place of a pixel shuffle by r come out side by side, as of `Products`.
    """

    weight: Tensor
    dtype: torch.dtype
    factor: int = 1

    def columns(self) -> Tensor:
        """Return the weight as (O, K K C)."""
        outputs, area = len(self.weight), self.factor**2
        flat = self.weight.permute(0, 2, 3, 1).reshape(outputs, -1).to(self.dtype)
        return flat.view(outputs // area, area, -1).transpose(0, 1).reshape(outputs, -1) if area > 1 else flat

    def rows(self, x: Tensor) -> Tensor:
        """Return what each place of the result is computed from: (B h w, K K C) of maps (B, C, K h, K w)."""
        (items, channels, height, width), side = x.shape, self.weight.shape[-1]
        cut = x.permute(0, 2, 3, 1).reshape(items, height // side, side, width // side, side, channels)
        return cut.transpose(2, 3).reshape(-1, side * side * channels).to(self.dtype)

    def maps(self, rows: Tensor, shape: torch.Size) -> Tensor:
        """Return what `rows` was made of."""
        (items, channels, height, width), side = shape, self.weight.shape[-1]
        cut = rows.view(items, height // side, width // side, side, side, channels)
        return cut.transpose(2, 3).reshape(items, height, width, channels).permute(0, 3, 1, 2)

    def value(self, rows: Tensor, columns: Tensor, bias: Tensor | None) -> Tensor:
        """Return the result as (B h w, O)."""
        if bias is None:
            return rows @ columns.t()
        if self.factor > 1:
            bias = bias.view(-1, self.factor**2).t().flatten()
        return torch.addmm(bias.to(self.dtype), rows, columns.t())

    def to_weights(self, rows: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the gradient of the value gives to weight and bias, float32."""
        outputs, channels, side, _ = self.weight.shape
        weight, bias = (gradient.t() @ rows).float(), gradient.sum(0, dtype=torch.float32)
        if self.factor > 1:
            area = self.factor**2
            weight = weight.view(area, outputs // area, -1).transpose(0, 1).reshape(outputs, -1)
            bias = bias.view(area, -1).t().flatten()
        return weight.view(outputs, side, side, channels).permute(0, 3, 1, 2), bias


class _Patched(torch.autograd.Function):
    """(x, weight, bias) -> x convolved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        matrix = Matrix(weight, torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype)
        rows, columns = matrix.rows(x), matrix.columns()
        ctx.matrix, ctx.shape, ctx.dtype = matrix._replace(weight=weight.detach()), x.shape, x.dtype
        ctx.save_for_backward(rows, columns)
        (items, _, height, width), side = x.shape, weight.shape[-1]
        y = matrix.value(rows, columns, bias)
        return y.view(items, height // side, width // side, len(weight)).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, columns = ctx.saved_tensors
        grad = grad.to(rows.dtype).permute(0, 2, 3, 1).reshape(len(rows), -1)
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = ctx.matrix.maps(grad @ columns, ctx.shape).to(ctx.dtype)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            to_weight, to_bias = ctx.matrix.to_weights(rows, grad)
        return to_x, to_weight, to_bias if ctx.needs_input_grad[2] else None


def patched(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return a convolution whose stride is its kernel, without padding.

    Args:
        x: float32 or bfloat16 (B, C, H, W), both sides multiples of K.
        weight: float32 (O, C, K, K).
        bias: float32 (O,), or None.

    Returns:
        (B, O, H / K, W / K), channels last; bfloat16 where autocast says so, else of the type of `x`.
    """
    y: Tensor = _Patched.apply(x.contiguous(memory_format=LAST), weight, bias)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
