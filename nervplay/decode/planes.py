"""A decoded frame straight into planes of YUV samples: the same bytes on every processor, with kernels and without.

All in float32, each operation rounded by itself; (k_r, k_g, k_b, k_0) from `video.colour.rgb_coefficients`, h = 1/2:

    c = clip(x, 0, 1), NaN as 0, for each channel
    Y = floor(clip(((k_r R + k_g G) + k_b B) + (k_0 + h), 0, top + h))           top = 2**bits - 1
    U, V the same with their own weights: of each pixel (4:4:4), or of the mean of 2x2 pixels (4:2:0),
         mean = ((upper left + upper right) + (lower left + lower right)) / 4

An odd last row or column counts twice in these means. This is the way back of `video.colour.yuv_to_rgb`, which gives a
sample of chroma to all of its four pixels: a network that was fitted to such frames gives the chroma of its source,
wherever that was sited.
"""

import ctypes
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.native.library import Isa, Pool, Yuv, kernels, load, why_not
from nervplay.errors import GeometryError, UsageError
from nervplay.video.colour import rgb_coefficients
from nervplay.video.source import Planes
from nervplay.video.spec import Colour

__all__ = ["check_planes", "write_yuv"]

_BITS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 10}


class _Own(threading.local):
    """What each thread converts with: one call at a time may use a pool."""

    pool: Pool | None = None
    isa: Isa | None = None


_own = _Own()


def write_yuv(frame: NDArray[np.float32], planes: Planes, colour: Colour) -> None:
    """Fill planes of YUV samples from a frame; the formula stands at the head of this module.

    Args:
        frame: float32 (3, H, W), C-contiguous, nominally in [0, 1].
        planes: where the samples go, see `Planes`; writable. uint16 holds 10 bits in the low ones.
        colour: matrix and range of the samples.

    Raises:
        UsageError: a frame or planes of another type or memory order.
        GeometryError: planes whose sizes do not belong to the frame's.
        UnknownNameError: a matrix or range that is not known.
    """
    subsampled = _check(frame, planes)
    bit_depth = _BITS[planes[0].dtype]
    weights = np.array(rgb_coefficients(colour.matrix, colour.range, bit_depth), np.float32)
    weights[:, 3] += np.float32(0.5)
    top = float((1 << bit_depth) - 1) + 0.5
    if why_not() is None:
        _native(frame, planes, weights, top, subsampled=subsampled)
    else:
        _numpy(frame, planes, weights, top, subsampled=subsampled)


def _check(frame: NDArray[np.float32], planes: Planes) -> bool:
    """Raise unless the planes can take the frame; return whether chroma is subsampled."""
    if frame.dtype != np.float32 or frame.ndim != 3 or frame.shape[0] != 3 or not frame.flags.c_contiguous:
        raise UsageError(f"a frame is float32 (3, H, W), C-contiguous; this is {frame.dtype} {frame.shape}")
    return check_planes(planes, frame.shape[1], frame.shape[2])[1]


def check_planes(planes: Planes, height: int, width: int) -> tuple[int, bool]:
    """Return (bits per sample, whether chroma is subsampled); raise unless the planes can take a frame.

    Args:
        planes: where samples would go, see `Planes`.
        height: H of the frame.
        width: W of the frame.

    Raises:
        UsageError: planes of another type or memory order.
        GeometryError: planes whose sizes do not belong to the frame's.
    """
    for plane in planes:
        if plane.dtype not in _BITS or plane.dtype != planes[0].dtype or not _lines(plane):
            raise UsageError(
                f"planes are all uint8 or all uint16, writable, the samples of a line side by side; "
                f"this is {plane.dtype} with strides {plane.strides}"
            )
    y, u, v = (plane.shape for plane in planes)
    half = ((height + 1) // 2, (width + 1) // 2)
    if y != (height, width) or u != v or u not in (y, half):
        raise GeometryError(f"planes {y}, {u} and {v} do not take a frame of {width}x{height}; use 4:4:4 or 4:2:0")
    return _BITS[planes[0].dtype], u != y


def _lines(plane: NDArray[Any]) -> bool:
    """Return whether a plane is made of lines that can be written, one behind the other."""
    step = plane.itemsize
    if plane.ndim != 2 or not plane.flags.writeable or (plane.shape[1] > 1 and plane.strides[1] != step):
        return False
    return plane.shape[0] <= 1 or (plane.strides[0] >= plane.shape[1] * step and plane.strides[0] % step == 0)


def _native(
    frame: NDArray[np.float32], planes: Planes, weights: NDArray[np.float32], top: float, *, subsampled: bool
) -> None:
    if _own.pool is None or _own.isa is None:
        _own.pool, _own.isa = Pool(1), kernels()
    job = Yuv(
        rgb=frame.ctypes.data,
        height=frame.shape[1],
        width=frame.shape[2],
        wide=planes[0].dtype == np.uint16,
        subsampled=subsampled,
        top=top,
        matrix=(ctypes.c_float * 12)(*weights.ravel().tolist()),
        planes=(ctypes.c_void_p * 3)(*(plane.ctypes.data for plane in planes)),
        strides=(ctypes.c_int64 * 3)(*(plane.strides[0] // plane.itemsize for plane in planes)),
    )
    load().nk_to_yuv(_own.pool.handle, _own.isa.number, ctypes.byref(job))


def _numpy(
    frame: NDArray[np.float32], planes: Planes, weights: NDArray[np.float32], top: float, *, subsampled: bool
) -> None:
    rgb = np.clip(np.nan_to_num(frame, nan=0.0, posinf=1.0, neginf=0.0), np.float32(0), np.float32(1))
    _samples(rgb, weights[0], top, planes[0])
    if subsampled:
        rgb = np.pad(rgb, ((0, 0), (0, rgb.shape[1] % 2), (0, rgb.shape[2] % 2)), mode="edge")
        upper, lower = (rgb[:, row::2, 0::2] + rgb[:, row::2, 1::2] for row in (0, 1))
        rgb = (upper + lower) * np.float32(0.25)
    for plane, row in zip(planes[1:], weights[1:], strict=True):
        _samples(rgb, row, top, plane)


def _samples(rgb: NDArray[np.float32], k: NDArray[np.float32], top: float, plane: NDArray[Any]) -> None:
    """Fill one plane."""
    value = k[0] * rgb[0] + k[1] * rgb[1]
    value += k[2] * rgb[2]
    value += k[3]
    plane[...] = np.clip(value, np.float32(0), np.float32(top))  # conversion to integers rounds down
