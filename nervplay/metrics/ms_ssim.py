"""Structural similarity at one scale and at five, by pytorch_msssim with the settings of the field's papers.

Gaussian window of 11 taps, sigma 1.5, no padding, K = (0.01, 0.03), mean over the colour channels. The weights of the
scales are those of Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003.
Four halvings must leave more than the window, so MS-SSIM needs frames of more than 160 pixels on both sides.
"""

import warnings

import pytorch_msssim  # type: ignore[import-untyped]  # the package ships no types
import torch
from torch import Tensor

from nervplay.errors import GeometryError
from nervplay.video.source import Frame

__all__ = ["float_ms_ssim", "float_ssim", "ms_ssim", "ms_ssim_obstacle", "ssim", "ssim_obstacle"]

WINDOW = 11


def ms_ssim_obstacle(width: int, height: int, *, window: int = WINDOW) -> str | None:
    """Return why frames of this size have no MS-SSIM, in words for the user; None when they have one.

    Args:
        width: columns, in pixels.
        height: rows, in pixels.
        window: taps of the Gaussian, an odd number.
    """
    min_side = 16 * (window - 1) + 1
    if min(width, height) >= min_side:
        return None
    return f"MS-SSIM needs at least {min_side} pixels on each side; these frames are {width}x{height}"


def ms_ssim(frame: Frame, reference: Frame) -> float | None:
    """Return the MS-SSIM of an 8-bit frame.

    Args:
        frame: uint8 (H, W, 3).
        reference: uint8 (H, W, 3).

    Returns:
        At most 1, which means identical; None when a side is under 161 pixels (see `ms_ssim_obstacle`).

    Raises:
        GeometryError: frames of different shapes.
    """
    prediction, target = _batches(frame, reference)
    height, width, _ = frame.shape
    if ms_ssim_obstacle(width, height):
        return None
    with torch.no_grad():
        return float(float_ms_ssim(prediction, target))


def ssim_obstacle(width: int, height: int) -> str | None:
    """Return why frames of this size have no SSIM, in words for the user; None when they have one.

    Args:
        width: columns, in pixels.
        height: rows, in pixels.
    """
    if min(width, height) >= WINDOW:
        return None
    return f"SSIM needs at least {WINDOW} pixels on each side; these frames are {width}x{height}"


def ssim(frame: Frame, reference: Frame) -> float | None:
    """Return the SSIM of an 8-bit frame, the mean over R, G and B.

    Args:
        frame: uint8 (H, W, 3).
        reference: uint8 (H, W, 3).

    Returns:
        At most 1, which means identical; None when a side is under 11 pixels (see `ssim_obstacle`).

    Raises:
        GeometryError: frames of different shapes.
    """
    prediction, target = _batches(frame, reference)
    height, width, _ = frame.shape
    if ssim_obstacle(width, height):
        return None
    with torch.no_grad():
        return float(float_ssim(prediction, target))


def _batches(frame: Frame, reference: Frame) -> tuple[Tensor, Tensor]:
    """Return two 8-bit frames as float32 (1, 3, H, W) in [0, 1]."""
    if frame.shape != reference.shape:
        raise GeometryError(f"a frame of shape {frame.shape} cannot be compared with {reference.shape}; use one size")
    first, second = (torch.from_numpy(image).permute(2, 0, 1)[None].float().div_(255.0) for image in (frame, reference))
    return first, second


def float_ms_ssim(prediction: Tensor, target: Tensor, *, window: int = WINDOW) -> Tensor:
    """Return the MS-SSIM of each frame of a batch, differentiable, data range 1.

    Args:
        prediction: float (B, C, H, W).
        target: float (B, C, H, W) in [0, 1].
        window: taps of the Gaussian, an odd number; HiNeRV's loss has 5, all else 11.

    Returns:
        float (B,).

    Raises:
        GeometryError: a side under 161 pixels; under 65 with 5 taps.
    """
    obstacle = ms_ssim_obstacle(prediction.shape[-1], prediction.shape[-2], window=window)
    if obstacle:
        raise GeometryError(f"{obstacle}; choose a measure without it, or larger frames")
    score: Tensor = pytorch_msssim.ms_ssim(prediction, target, data_range=1.0, size_average=False, win_size=window)
    return score


def float_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the SSIM of each frame of a batch, differentiable, data range 1.

    An axis shorter than the window is not smoothed, as in the official code: NeRV's low-resolution heads need it.

    Args:
        prediction: float (B, C, H, W).
        target: float (B, C, H, W) in [0, 1].

    Returns:
        float (B,).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping Gaussian Smoothing")
        score: Tensor = pytorch_msssim.ssim(prediction, target, data_range=1.0, size_average=False)
    return score
