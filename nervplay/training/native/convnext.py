"""A ConvNeXt block as one function: both ends in C, in float32; the products between them are PyTorch's."""

from typing import Any

import torch
from torch import Tensor

from nervplay.blocks.channel_norm import EPS
from nervplay.training.native.finish import ACTIVATIONS, finish_rows, unfinish_rows
from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import LAST, TYPES

__all__ = ["convnext_block"]


class _ConvNeXtBlock(torch.autograd.Function):
    """(kernels, x, the nine parameters of a block in their order) -> the block of x."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, *parameters: Tensor) -> Tensor:
        weight, bias, norm_weight, norm_bias, expand, expand_bias, project, project_bias, scale = parameters
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        maps = x.float().contiguous(memory_format=LAST)
        items, channels, height, width = sizes = maps.shape
        rows = items * height * width
        normed, unit, deviation = (
            torch.empty(rows, channels, dtype=dtype),
            torch.empty(rows, channels),
            torch.empty(rows),
        )
        tensors = maps, weight, bias, norm_weight, norm_bias, normed, unit, deviation
        _call(kernels, "nt_next_enter", sizes, TYPES[dtype], *(it.data_ptr() for it in tensors), EPS)
        expand, project = expand.to(dtype), project.to(dtype)
        wide, slope = finish_rows(kernels, ACTIVATIONS["gelu"], torch.addmm(expand_bias.to(dtype), normed, expand.t()))
        product = torch.addmm(project_bias.to(dtype), wide, project.t())
        y = torch.empty_like(maps)
        _leave(kernels, "nt_next_leave", maps, product, scale, y)
        ctx.kernels, ctx.dtype = kernels, x.dtype
        ctx.save_for_backward(
            maps, weight, norm_weight, scale, expand, project, normed, unit, deviation, wide, slope, product
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, norm_weight, scale, expand, project, normed, unit, deviation, wide, slope, product = (
            ctx.saved_tensors
        )
        kernels, sizes = ctx.kernels, maps.shape
        grad = grad.float().contiguous(memory_format=LAST)
        to_product, ends = torch.empty_like(product), torch.empty(2, sizes[1])
        _leave(kernels, "nt_next_leave_back", grad, product, scale, to_product, ends)
        to_wide = unfinish_rows(kernels, to_product @ project, slope)
        to_normed = to_wide @ expand
        to_x, to_weight, starts = torch.empty_like(maps), torch.empty_like(weight), torch.empty(3, sizes[1])
        tensors = maps, weight, norm_weight, to_normed, unit, deviation, grad, to_x, to_weight, starts
        kind = TYPES[to_normed.dtype]
        _call(kernels, "nt_next_enter_back", sizes, kind, *(it.data_ptr() for it in tensors))
        to_expand, to_project = (to_wide.t() @ normed).float(), (to_product.t() @ wide).float()
        to_expand_bias = to_wide.sum(0, dtype=torch.float32)
        middle = to_expand, to_expand_bias, to_project
        return None, to_x.to(ctx.dtype), to_weight, *starts, *middle, *ends


def _call(kernels: Kernels, name: str, sizes: tuple[int, ...], *arguments: Any) -> None:
    """Run a function for maps (B, C, H, W) of such sizes."""
    items, channels, height, width = sizes
    if kernels.call(name, *arguments, items, height, width, channels):
        raise MemoryError(f"no memory for a ConvNeXt block of {width}x{height} with {channels} channels")


def _leave(kernels: Kernels, name: str, maps: Tensor, product: Tensor, *others: Tensor) -> None:
    """Run an end of a block behind its products."""
    items, channels, height, width = maps.shape
    tensors = maps, product, *others
    if kernels.call(name, TYPES[product.dtype], *(it.data_ptr() for it in tensors), items * height, width, channels):
        raise MemoryError(f"no memory for a ConvNeXt block of {width}x{height} with {channels} channels")


def convnext_block(kernels: Kernels, x: Tensor, *parameters: Tensor) -> Tensor:
    """Return what `nervplay.blocks.convnext.ConvNeXtBlock` does.

    Args:
        kernels: the library.
        x: float32 or bfloat16 (B, C, H, W).
        parameters: of the block, float32, contiguous, in the order in which it has them, scale last.

    Returns:
        float32 (B, C, H, W), channels last.

    Raises:
        MemoryError: the kernels get no memory.
    """
    y: Tensor = _ConvNeXtBlock.apply(kernels, x, *parameters)  # type: ignore[no-untyped-call]  # untyped in torch
    return y
