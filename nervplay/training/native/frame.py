"""What stands behind the last layer: the map to a picture, and how far that is from the frame; each one pass."""

import math
from ctypes import c_double
from typing import Any, Literal

import torch
from torch import Tensor

from nervplay.training.native.library import Kernels
from nervplay.training.native.maps import TYPES, is_dense, laid_as

__all__ = ["Measure", "frame_psnr", "mapped", "mean_error", "takes"]

Measure = Literal["square", "absolute"]
_MEASURES = {"square": 0, "absolute": 1}
"""`enum nt_error`."""
_SCALES = {"tanh": 2.0, "sigmoid": 1.0}
"""0.5 tanh(x) + 0.5 is the sigmoid of 2 x."""


class _Mapped(torch.autograd.Function):
    """(kernels, x, scale) -> sigmoid(scale x)."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, scale: float) -> Tensor:
        y = torch.empty_like(x, dtype=torch.float32)
        kernels.call("nt_picture", TYPES[x.dtype], x.data_ptr(), y.data_ptr(), None, scale, x.numel())
        ctx.kernels, ctx.dtype, ctx.scale = kernels, x.dtype, scale
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        (y,) = ctx.saved_tensors
        grad, to_x = laid_as(grad.float(), y), torch.empty_like(y, dtype=ctx.dtype)
        addresses = (it.data_ptr() for it in (to_x, y, grad))
        ctx.kernels.call("nt_picture", TYPES[ctx.dtype], *addresses, ctx.scale, y.numel())
        return None, to_x, None


def mapped(kernels: Kernels, x: Tensor, output: Any) -> Any:
    """Return what `nervplay.blocks.activation.picture` does for "tanh" and "sigmoid", in float32.

    Args:
        kernels: the library.
        x: float32 or bfloat16 (B, 3, H, W).
        output: the name of the map.

    Returns:
        float32 (B, 3, H, W), or NotImplemented for another map, or values that do not lie side by side.
    """
    if not isinstance(output, str) or output not in _SCALES or not is_dense(x):
        return NotImplemented
    return _Mapped.apply(kernels, x, _SCALES[output])  # type: ignore[no-untyped-call]  # untyped in torch


def _errors(kernels: Kernels, measure: Measure, x: Tensor, y: Tensor, gradient: Tensor | None) -> list[float]:
    """Return the mean error of each item, and fill in the gradient of their mean."""
    items, means, y = len(x), (c_double * len(x))(), laid_as(y, x)
    addresses = x.data_ptr(), y.data_ptr(), None if gradient is None else gradient.data_ptr()
    if kernels.call("nt_error", _MEASURES[measure], *addresses, means, items, x.numel() // items):
        raise MemoryError(f"no memory for the error of {x.numel()} values")
    return list(means)


class _MeanError(torch.autograd.Function):
    """(kernels, measure, x, y) -> the mean error; the gradient goes to x only."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, measure: Measure, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean and keep the gradient, which is worked out with it."""
        gradient = torch.empty_like(x)
        means = _errors(kernels, measure, x, y, gradient)
        ctx.save_for_backward(gradient)
        return x.new_tensor(math.fsum(means) / len(means))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, None]:
        """Return the kept gradient times that of the mean."""
        (gradient,) = ctx.saved_tensors
        return None, None, grad * gradient, None


def takes(prediction: Tensor, target: Tensor) -> bool:
    """Whether the errors of such frames can be computed here.

    Args:
        prediction: (B, C, H, W).
        target: of its shape.
    """
    same = prediction.dtype == target.dtype == torch.float32 and prediction.shape == target.shape
    on_cpu = prediction.device.type == target.device.type == "cpu"
    return same and on_cpu and prediction.numel() > 0 and is_dense(prediction) and not target.requires_grad


def mean_error(kernels: Kernels, measure: Measure, prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared or absolute error, differentiable in `prediction`; what `takes` refuses is refused.

    Args:
        kernels: the library.
        measure: which.
        prediction: float32 (B, C, H, W).
        target: float32 (B, C, H, W).

    Returns:
        float32, a scalar.

    Raises:
        MemoryError: the kernels get no memory.
    """
    error: Tensor = _MeanError.apply(kernels, measure, prediction, target)  # type: ignore[no-untyped-call]  # untyped in torch
    return error


def frame_psnr(kernels: Kernels, prediction: Tensor, target: Tensor, *, epsilon: float = 1e-9) -> Tensor:
    """Return what `nervplay.metrics.float_psnr` does, of frames that `takes` takes.

    Args:
        kernels: the library.
        prediction: float32 (B, C, H, W).
        target: float32 (B, C, H, W) in [0, 1].
        epsilon: added to the mean squared error.

    Returns:
        float32 (B,), dB, no gradient.

    Raises:
        MemoryError: the kernels get no memory.
    """
    errors = torch.tensor(_errors(kernels, "square", prediction, target, None))
    return -10.0 * torch.log10(errors + epsilon)
