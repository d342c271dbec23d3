"""Peak signal-to-noise ratio: of 8-bit frames, for reports, and of float frames, as the official code has it."""

import math

import numpy as np
import torch
from torch import Tensor

from nervplay.errors import GeometryError
from nervplay.video.source import Frame

__all__ = ["float_psnr", "psnr"]

PEAK = 255.0


def psnr(frame: Frame, reference: Frame) -> float:
    """Return the PSNR of an 8-bit frame in dB: 10 log10(255^2 / MSE), one MSE over all rows, columns and channels.

    Args:
        frame: uint8 (H, W, 3).
        reference: uint8 (H, W, 3).

    Returns:
        dB; `math.inf` for identical frames.

    Raises:
        GeometryError: frames of different shapes.
    """
    if frame.shape != reference.shape:
        raise GeometryError(f"a frame of shape {frame.shape} cannot be compared with {reference.shape}; use one size")
    # float64 holds the sum of squares exactly, up to 10^11 samples
    difference = np.subtract(frame, reference, dtype=np.float64).ravel()
    squares = float(np.dot(difference, difference))
    return math.inf if squares == 0.0 else 10.0 * math.log10(PEAK**2 * difference.size / squares)


def float_psnr(prediction: Tensor, target: Tensor, *, epsilon: float = 1e-9) -> Tensor:
    """Return the PSNR of each frame of a batch in dB, peak 1, frames neither rounded nor clipped.

    Source: official HNeRV, hnerv_utils.py (psnr_fn_single): -10 log10(MSE + 1e-9), so identical frames give 90 dB.

    Args:
        prediction: float (B, C, H, W).
        target: float (B, C, H, W) in [0, 1].
        epsilon: added to the mean squared error.

    Returns:
        float (B,), on the device of `prediction`, no gradient.
    """
    with torch.no_grad():
        error: Tensor = (prediction - target).square_().flatten(1).mean(1)
        return -10.0 * torch.log10(error + epsilon)
