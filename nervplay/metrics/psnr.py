"""Peak signal-to-noise ratio: of 8-bit frames, in RGB and in YUV, and of float frames, as the official code has it."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.errors import GeometryError
from nervplay.video.colour import rgb_to_yuv
from nervplay.video.source import Frame

__all__ = ["float_psnr", "psnr", "yuv_psnr"]

PEAK = 255.0
PLANE_LIMIT = 100.0
"""dB of a plane without error beside planes with one, so that it does not hide theirs."""


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
    _check_shapes(frame, reference)
    # float64 holds the sum of squares exactly, up to 10^11 samples
    difference = np.subtract(frame, reference, dtype=np.float64).ravel()
    squares = float(np.dot(difference, difference))
    return math.inf if squares == 0.0 else 10.0 * math.log10(PEAK**2 * difference.size / squares)


def yuv_psnr(frame: Frame, reference: Frame) -> float:
    """Return the PSNR of an 8-bit frame in YUV 4:2:0 in dB: (6 PSNR(Y) + PSNR(U) + PSNR(V)) / 8, peak 255.

    The weighting is that of the common test conditions of HEVC, in which learned codecs are compared. Frames become
    BT.709 in limited range, whatever the clip is tagged with, and are not rounded; chroma is the mean of 2x2 pixels.

    Args:
        frame: uint8 (H, W, 3) RGB.
        reference: uint8 (H, W, 3) RGB.

    Returns:
        dB; `math.inf` for identical frames, else each plane counts 100 dB at most.

    Raises:
        GeometryError: frames of different shapes.
    """
    _check_shapes(frame, reference)
    if np.array_equal(frame, reference):
        return math.inf
    y, u, v = (plane - other for plane, other in zip(rgb_to_yuv(frame), rgb_to_yuv(reference), strict=True))
    return (6 * _plane_psnr(y) + _plane_psnr(_halved(u)) + _plane_psnr(_halved(v))) / 8


def _plane_psnr(error: NDArray[np.float32]) -> float:
    """Return the PSNR of one plane in dB, at most `PLANE_LIMIT`."""
    squares = float(np.mean(np.square(error, dtype=np.float64)))
    return min(10.0 * math.log10(PEAK**2 / squares), PLANE_LIMIT) if squares > 0.0 else PLANE_LIMIT


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of 2x2 samples; the last row and column of an odd size count twice."""
    rows, columns = plane.shape
    even = np.pad(plane, ((0, rows % 2), (0, columns % 2)), mode="edge")
    means: NDArray[np.float32] = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))
    return means


def _check_shapes(frame: Frame, reference: Frame) -> None:
    if frame.shape != reference.shape:
        raise GeometryError(f"a frame of shape {frame.shape} cannot be compared with {reference.shape}; use one size")


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
