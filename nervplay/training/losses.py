"""Training losses by the names of the official code: L2, L1, SSIM and their mixtures Fusion1 to Fusion12.

    Fusion1  .3 L2 + .7 (1-S)    Fusion5  .7 L2 + .3 (1-S)    Fusion9   .9 L1 + .1 (1-S)
    Fusion2  .3 L1 + .7 (1-S)    Fusion6  .7 L1 + .3 (1-S)    Fusion10  .7 L1 + .3 (1-M)
    Fusion3  .5 L2 + .5 (1-S)    Fusion7  .7 L2 + .3 L1       Fusion11  .9 L1 + .1 (1-M)
    Fusion4  .5 L1 + .5 (1-S)    Fusion8  .5 L2 + .5 L1       Fusion12  .8 L1 + .2 (1-M)

    Fusion10_5x5    .7 L1 + .3 (1-M5)       HiNeRV: `--loss 0.7 l1 0.3 ms-ssim_5x5`
    Fusion10_freq   60 Fusion10 + D         HNeRV-Boost
    L1_freq         60 L1 + D               HNeRV-Boost
    L1_ssim_freq    60 Fusion6 + D          HNeRV-Boost

S is SSIM, M is MS-SSIM, M5 is MS-SSIM with a window of 5 taps instead of 11, all with data range 1. D is the mean
absolute difference of the real and imaginary parts of both 2-D Fourier transforms, not normalised. Source: official
NeRV, utils.py (loss_fn); HNeRV has the same names; official Boosting-NeRV and HiNeRV for the four below.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from nervplay.errors import UnknownNameError
from nervplay.metrics.ms_ssim import float_ms_ssim, float_ssim
from nervplay.training.fused_ssim import fused_ssim, takes
from nervplay.training.native.frame import Measure, mean_error
from nervplay.training.native.frame import takes as takes_error
from nervplay.training.native.library import Kernels

__all__ = ["LOSS_NAMES", "Loss", "get_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""(prediction, target), both float (B, C, H, W) in [0, 1] -> scalar, the mean over the batch, differentiable."""


def _ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - SSIM, mean over the batch."""
    return 1.0 - float_ssim(prediction, target).mean()


def _fused_ssim_loss(prediction: Tensor, target: Tensor, kernels: Kernels | None) -> Tensor:
    """Return what `_ssim_loss` does, up to rounding, by one function where the frames allow it."""
    return 1.0 - fused_ssim(prediction, target, kernels) if takes(prediction) else _ssim_loss(prediction, target)


def _native_error(otherwise: Loss, measure: Measure, kernels: Kernels, prediction: Tensor, target: Tensor) -> Tensor:
    """Return a mean error by one function where the frames allow it."""
    if takes_error(prediction, target):
        return mean_error(kernels, measure, prediction, target)
    return otherwise(prediction, target)


def _ms_ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - MS-SSIM, mean over the batch.

    Raises:
        GeometryError: a side under 161 pixels.
    """
    return 1.0 - float_ms_ssim(prediction, target).mean()


def _small_ms_ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 - MS-SSIM with a window of 5 taps, mean over the batch.

    Raises:
        GeometryError: a side under 65 pixels.
    """
    return 1.0 - float_ms_ssim(prediction, target, window=5).mean()


def _spectrum_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the parts of two spectra."""
    ours, wanted = (torch.view_as_real(torch.fft.fft2(frames)) for frames in (prediction, target))
    return F.l1_loss(ours, wanted)


_TERMS: dict[str, tuple[tuple[float, Loss], ...]] = {
    "L2": ((1.0, F.mse_loss),),
    "L1": ((1.0, F.l1_loss),),
    "SSIM": ((1.0, _ssim_loss),),
    "Fusion1": ((0.3, F.mse_loss), (0.7, _ssim_loss)),
    "Fusion2": ((0.3, F.l1_loss), (0.7, _ssim_loss)),
    "Fusion3": ((0.5, F.mse_loss), (0.5, _ssim_loss)),
    "Fusion4": ((0.5, F.l1_loss), (0.5, _ssim_loss)),
    "Fusion5": ((0.7, F.mse_loss), (0.3, _ssim_loss)),
    "Fusion6": ((0.7, F.l1_loss), (0.3, _ssim_loss)),
    "Fusion7": ((0.7, F.mse_loss), (0.3, F.l1_loss)),
    "Fusion8": ((0.5, F.mse_loss), (0.5, F.l1_loss)),
    "Fusion9": ((0.9, F.l1_loss), (0.1, _ssim_loss)),
    "Fusion10": ((0.7, F.l1_loss), (0.3, _ms_ssim_loss)),
    "Fusion11": ((0.9, F.l1_loss), (0.1, _ms_ssim_loss)),
    "Fusion12": ((0.8, F.l1_loss), (0.2, _ms_ssim_loss)),
    "Fusion10_5x5": ((0.7, F.l1_loss), (0.3, _small_ms_ssim_loss)),
    "Fusion10_freq": ((60 * 0.7, F.l1_loss), (60 * 0.3, _ms_ssim_loss), (1.0, _spectrum_loss)),
    "L1_freq": ((60.0, F.l1_loss), (1.0, _spectrum_loss)),
    "L1_ssim_freq": ((60 * 0.7, F.l1_loss), (60 * 0.3, _ssim_loss), (1.0, _spectrum_loss)),
}

LOSS_NAMES = tuple(_TERMS)
"""All names that `get_loss` knows."""


def get_loss(name: str, *, fused: bool = False, kernels: Kernels | None = None) -> Loss:
    """Return the loss called `name`.

    The returned function raises `GeometryError` when the loss contains MS-SSIM and a side is under 161 pixels,
    under 65 for Fusion10_5x5.

    Args:
        name: one of `LOSS_NAMES`; case matters.
        fused: whether SSIM is computed by `fused_ssim`, which rounds otherwise.
        kernels: what this and mean errors are computed with; None for PyTorch.

    Raises:
        UnknownNameError: no such loss.
    """
    if name not in _TERMS:
        raise UnknownNameError("loss", name, _TERMS)
    faster: dict[Loss, Loss] = {_ssim_loss: partial(_fused_ssim_loss, kernels=kernels)} if fused else {}
    if kernels is not None:
        faster[F.mse_loss] = partial(_native_error, F.mse_loss, "square", kernels)
        faster[F.l1_loss] = partial(_native_error, F.l1_loss, "absolute", kernels)
    terms = ((share, faster.get(term, term)) for share, term in _TERMS[name])
    (weight, first), *rest = terms

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        total = weight * first(prediction, target)
        for share, term in rest:
            total = total + share * term(prediction, target)
        return total

    return loss
