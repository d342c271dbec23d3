"""What an operation would make: size, order and type of its result, without arithmetic or memory.

On the "meta" device PyTorch answers that for every operation. For most it does so in Python, and the first of them
imports PyTorch's compiler and SymPy, which takes as long as all other imports together. So those that the networks use
have a rule here; all others ask PyTorch.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

__all__ = ["QuietMode", "ShapesOnly", "result_on_meta"]

aten = torch.ops.aten

_RANGES = (aten.arange.default, aten.arange.start, aten.arange.start_step)
"""Short enough to be made and thrown away."""

Made = Tensor | tuple[Tensor, ...] | None


class QuietMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that leaves PyTorch's compiler alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __init_subclass__(cls) -> None:
        """Leave out PyTorch's own, which has the first operation import the compiler, to tell it to look away."""


class ShapesOnly(QuietMode):
    """While it is entered, operations on tensors of the "meta" device make such tensors by `result_on_meta`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _RANGES and torch.device(kwargs.get("device") or "cpu").type == "meta":
            return _on_meta(func(*args, **kwargs | {"device": "cpu"}))
        if not any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in tree_iter((args, kwargs))):
            return func(*args, **kwargs)
        aliases = [item.alias_info for item in func._schema.returns]  # noqa: SLF001 - the schema has no other name
        if any(alias is not None for alias in aliases):
            return args[0] if aliases[0] is not None and aliases[0].is_write else func(*args, **kwargs)
        return result_on_meta(func, args, kwargs)


def _on_meta(leaf: object) -> object:
    """Return a tensor's twin without memory; what is no tensor as it is."""
    if not isinstance(leaf, Tensor) or leaf.is_meta:
        return leaf
    return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")


def result_on_meta(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what an operation makes of tensors, on "meta".

    Args:
        func: an ATen overload that makes new tensors.
        args: its arguments; tensors on any device.
        kwargs: the same by name.
    """
    args, kwargs = tree_map(_on_meta, (args, kwargs))
    rule = _RULES.get(func)
    if rule is None and torch.Tag.pointwise in func.tags:
        rule = partial(_value_by_value, func)
    made = rule(*args, **kwargs) if rule else None
    return func(*args, **kwargs) if made is None else made


def _value_by_value(func: Any, *args: Any, **kwargs: Any) -> Made:
    """The result's size is that of all tensors together, its order that of the largest; its type one value shows."""
    if "memory_format" in kwargs:
        return None
    tensors = [leaf for leaf in tree_iter(args) if isinstance(leaf, Tensor)]
    sides = zip_longest(*(tensor.shape[::-1] for tensor in tensors), fillvalue=1)
    shape = tuple(next((side for side in of_all if side != 1), 1) for of_all in sides)[::-1]
    like = max(tensors, key=lambda tensor: (tensor.ndim, tensor.numel()))
    one = func(*tree_map(_one_value, args), **kwargs)
    return torch.empty_strided(shape, _strides(shape, like), dtype=one.dtype, device="meta")


def _one_value(leaf: object) -> object:
    return torch.ones((1,) * leaf.ndim, dtype=leaf.dtype) if isinstance(leaf, Tensor) else leaf


def _strides(shape: tuple[int, ...], like: Tensor) -> list[int]:
    """Return strides without gaps: in a tensor's order where it has the shape and repeats no values."""
    ordered = like.shape == shape and 0 not in like.stride()
    axes = sorted(range(len(shape)), key=lambda axis: (like.stride()[axis] if ordered else 0, -axis))
    strides, step = [0] * len(shape), 1
    for axis in axes:
        strides[axis], step = step, step * max(shape[axis], 1)
    return strides


def _empty_like(x: Tensor, *, device: torch.device | None = None, dtype: torch.dtype | None = None, **how: Any) -> Made:
    if how.get("memory_format") not in (None, torch.preserve_format):
        return None
    return torch.empty_strided(x.shape, _strides(x.shape, x), dtype=dtype or x.dtype, device=device or x.device)


def _index(table: Tensor, indices: Sequence[Tensor | None]) -> Made:
    first, rest = indices[0], indices[1:]
    if first is None or first.dtype == torch.bool or any(index is not None for index in rest):
        return None  # only numbers along the first axis
    return table.new_empty((*first.shape, *table.shape[1:]))


def _convolution(x: Tensor, weight: Tensor, _: Tensor | None, *how: Any) -> Made:
    """The CPU keeps the order of maps, which "meta" does not."""
    strides, paddings, dilations, transposed, more, groups = how
    sides = list(zip(x.shape[2:], weight.shape[2:], strides, paddings, dilations, more, strict=True))
    if transposed:
        channels = weight.shape[1] * groups
        made = [(side - 1) * s - 2 * p + d * (k - 1) + extra + 1 for side, k, s, p, d, extra in sides]
    else:
        channels = len(weight)
        made = [(side + 2 * p - d * (k - 1) - 1) // s + 1 for side, k, s, p, d, _ in sides]
    kept = _format(x) if x.ndim == 4 else torch.contiguous_format
    return x.new_empty((len(x), channels, *made)).contiguous(memory_format=kept)


def _mm(a: Tensor, b: Tensor) -> Made:
    return a.new_empty((*a.shape[:-1], b.shape[-1]))


def _addmm(_: Tensor, a: Tensor, b: Tensor, **__: Any) -> Made:
    return _mm(a, b)


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Made:
    formats = {_format(tensor) for tensor in tensors}
    if len(formats) > 1 or len({tensor.dtype for tensor in tensors}) > 1:
        return None
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return tensors[0].new_empty(shape).contiguous(memory_format=formats.pop())


def _format(x: Tensor) -> torch.memory_format:
    """Return the order that PyTorch gives to what is made of a tensor."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim, torch.contiguous_format)
    return last if not x.is_contiguous() and x.is_contiguous(memory_format=last) else torch.contiguous_format


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Made:
    shape = list(tensors[0].shape)
    shape.insert(dim % (len(shape) + 1), len(tensors))
    return tensors[0].new_empty(shape)


def _pixel_shuffle(x: Tensor, factor: int) -> Made:
    if not x.is_contiguous():
        return None
    channels, height, width = x.shape[-3:]
    return x.new_empty((*x.shape[:-3], channels // factor**2, height * factor, width * factor))


def _mean(x: Tensor, dims: Sequence[int], keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Made:
    gone = {dim % x.ndim for dim in dims or range(x.ndim)}
    sides = [1 if axis in gone else side for axis, side in enumerate(x.shape) if keepdim or axis not in gone]
    return x.new_empty(sides, dtype=dtype or x.dtype) if x.is_floating_point() else None


def _softmax(x: Tensor, *_: Any) -> Made:
    return x.new_empty(x.shape)


def _layer_norm(x: Tensor, shape: Sequence[int], *_: Any) -> Made:
    outer = (*x.shape[: x.ndim - len(shape)], *(1 for _ in shape))
    return x.new_empty(x.shape), x.new_empty(outer), x.new_empty(outer)


def _batch_norm(x: Tensor, *how: Any) -> Made:
    saved = x.shape[1] if how[4] else 0  # in training: mean and deviation of the batch
    return x.new_empty(x.shape).contiguous(memory_format=_format(x)), x.new_empty(saved), x.new_empty(saved)


def _upsampled(x: Tensor, size: Sequence[int], *_: Any) -> Made:
    return x.new_empty((*x.shape[:2], *size)).contiguous(memory_format=_format(x))


def _grid_sampled(x: Tensor, grid: Tensor, *_: Any) -> Made:
    return x.new_empty((*x.shape[:2], *grid.shape[1:3])) if x.is_contiguous() else None


def _repeat(x: Tensor, times: Sequence[int]) -> Made:
    sides = (*(1 for _ in times[x.ndim :]), *x.shape)
    return x.new_empty([side * count for side, count in zip(sides, times, strict=True)])


_RULES: dict[Any, Callable[..., Made]] = {
    aten.empty_like.default: _empty_like,
    aten.index.Tensor: _index,
    aten.convolution.default: _convolution,
    aten.mm.default: _mm,
    aten.bmm.default: _mm,
    aten.addmm.default: _addmm,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.pixel_shuffle.default: _pixel_shuffle,
    aten.mean.dim: _mean,
    aten.sum.dim_IntList: _mean,
    aten._softmax.default: _softmax,  # noqa: SLF001 - the overload has no other name
    aten.native_batch_norm.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.upsample_bilinear2d.default: _upsampled,
    aten.upsample_nearest2d.default: _upsampled,
    aten.grid_sampler_2d.default: _grid_sampled,
    aten.repeat.default: _repeat,
}
"""What makes the results of operations; None where the rule does not cover how they are called."""
