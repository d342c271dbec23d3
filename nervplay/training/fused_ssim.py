"""SSIM with its gradient in closed form: four smoothed maps are computed once, in one pass, and kept for nothing.

With G the Gaussian, m = G x, n = G y, and S = A1 A2 / (B1 B2) where A1 = 2 m n + c1, A2 = 2 (G xy - m n) + c2,
B1 = m^2 + n^2 + c1, B2 = (G x^2 - m^2) + (G y^2 - n^2) + c2:

    dS/d(G x^2) = -S / B2          dS/d(G xy) = 2 A1 / (B1 B2)
    dS/dm = 2 n (A2 - A1) / (B1 B2) - 2 m S (1/B1 - 1/B2)
    dS/dx = G' dS/dm + 2 x G' dS/d(G x^2) + y G' dS/d(G xy)          G': the transposed Gaussian

G x^2 and G y^2 are only needed as their sum. The figures are those of pytorch_msssim with the settings of
`nervplay.metrics.ms_ssim`, up to rounding. Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from
error visibility to structural similarity", 2004, eq. (13).
"""

from ctypes import byref, c_double
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.training.native.library import Kernels

__all__ = ["fused_ssim", "takes"]

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def takes(prediction: Tensor) -> bool:
    """Whether frames of this form can have it: (B, C, H, W), no side shorter than the window."""
    return prediction.ndim == 4 and min(prediction.shape[-2:]) >= WINDOW


def _taps(like: Tensor) -> Tensor:
    """Return the Gaussian (11,) that sums to 1, rounded to float32 as the reference's is."""
    place = torch.arange(WINDOW, dtype=torch.float32, device=like.device) - WINDOW // 2
    taps = torch.exp(-(place**2) / (2 * SIGMA**2))
    return (taps / taps.sum()).to(like.dtype)


def _smooth(maps: Tensor, padding: int) -> Tensor:
    """Return maps (B, C, H, W) smoothed along both axes; padding 0 shrinks them by 10, 10 is the transposed map."""
    channels, taps = maps.shape[1], _taps(maps)
    column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    maps = F.conv2d(maps, column, padding=(padding, 0), groups=channels)
    return F.conv2d(maps, row, padding=(0, padding), groups=channels)


class _MeanSsim(torch.autograd.Function):
    """(x, y) -> mean SSIM, a scalar; the gradient goes to x only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean and keep the gradient, which costs less than the maps that it comes from."""
        count = x.shape[1]
        maps = _smooth(torch.cat((x, y, torch.addcmul(x * x, y, y), x * y), dim=1), 0)
        m, n, power, xy = torch.split(maps, count, dim=1)
        mn, squares = m * n, torch.addcmul(m * m, n, n)
        a1, a2 = 2 * mn + _C1, 2 * (xy - mn) + _C2
        b1, b2 = squares + _C1, power - squares + _C2
        both = 1 / (b1 * b2)
        score = a1 * a2 * both
        to_m = 2 * both * (n * (a2 - a1) - m * score * (b2 - b1))
        back = _smooth(torch.cat((to_m, -score / b2, 2 * a1 * both), dim=1), WINDOW - 1)
        to_m, to_xx, to_xy = torch.split(back, count, dim=1)
        gradient = torch.addcmul(torch.addcmul(to_m, x, to_xx, value=2), y, to_xy)
        ctx.save_for_backward(gradient / score.numel())
        mean: Tensor = score.mean()
        return mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the kept gradient times that of the mean."""
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None


class _NativeSsim(torch.autograd.Function):
    """(kernels, x, y) -> mean SSIM of float32 frames on the CPU; the gradient goes to x only."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean and keep the gradient."""
        x, y, taps, mean = x.contiguous(), y.contiguous(), _taps(x), c_double()
        gradient = torch.empty_like(x)
        sizes = (x.shape[0] * x.shape[1], *x.shape[2:])
        addresses = (it.data_ptr() for it in (x, y, taps))
        if kernels.call("nt_ssim", *addresses, *sizes, gradient.data_ptr(), byref(mean)):
            raise MemoryError(f"no memory for the SSIM of frames of {x.shape[3]}x{x.shape[2]}")
        ctx.save_for_backward(gradient)
        return x.new_tensor(mean.value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        """Return the kept gradient times that of the mean."""
        (gradient,) = ctx.saved_tensors
        return None, grad * gradient, None


def fused_ssim(prediction: Tensor, target: Tensor, kernels: Kernels | None = None) -> Tensor:
    """Return the SSIM of a batch, mean over everything, data range 1, differentiable in `prediction`.

    Args:
        prediction: float32 (B, C, H, W), sides of 11 or more.
        target: float32 (B, C, H, W) in [0, 1].
        kernels: what computes it in float32 on the CPU; None for PyTorch.

    Returns:
        float32, a scalar.

    Raises:
        MemoryError: the kernels get no memory.
    """
    frames = prediction, target
    if kernels is None or prediction.device.type != "cpu" or prediction.dtype != torch.float32:
        mean: Tensor = _MeanSsim.apply(*frames)  # type: ignore[no-untyped-call]  # untyped in torch
        return mean
    native: Tensor = _NativeSsim.apply(kernels, *frames)  # type: ignore[no-untyped-call]  # untyped in torch
    return native
