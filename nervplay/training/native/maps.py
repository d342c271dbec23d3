"""What the layers on the kernels of a fit share: types, sizes, forms of maps."""

import torch
from torch import Tensor

__all__ = ["LANES", "LAST", "TYPES", "is_dense", "is_ours", "laid_as", "rounded"]

TYPES = {torch.float32: 0, torch.bfloat16: 1}
"""`enum nt_type`."""
LANES = 16
"""Channels are padded to a multiple of this: a whole number of vectors of every instruction set."""
LAST = torch.channels_last


def rounded(count: int, step: int) -> int:
    """Return the smallest multiple of `step` that is at least `count`."""
    return -(-count // step) * step


def is_ours(x: Tensor) -> bool:
    """Whether the kernels can read a tensor."""
    return x.device.type == "cpu" and x.dtype in TYPES


def is_dense(x: Tensor) -> bool:
    """Whether the values of a tensor lie side by side, those of maps also with their channels last."""
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=LAST))


def laid_as(x: Tensor, form: Tensor) -> Tensor:
    """Return a tensor with its values in the order of another, dense one."""
    steps = zip(x.shape, x.stride(), form.stride(), strict=True)
    if all(step == other for count, step, other in steps if count > 1):
        return x
    return torch.empty_like(form, dtype=x.dtype).copy_(x)
