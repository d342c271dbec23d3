"""Decoded frames to RGB: planes of any usual pixel format through `nervplay.video.colour`.

8 to 16 bits; 4:2:0, 4:2:2, 4:4:0, 4:4:4, grey, RGB, palettes; transparency is dropped. swscale rearranges what does not
lie in planes (nv12, p010le, yuyv422, packed RGB); it never applies a colour matrix here, for its result depends on the
processor.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from ffmpeg_bridge.tags import conversion
from nervplay.errors import VideoInputError
from nervplay.video.colour import yuv_to_rgb
from nervplay.video.source import Frame

__all__ = ["rgb_reader"]

_YUV_NAMES = ("yuv", "yuyv", "uyvy", "yvyu", "nv", "p0", "p2", "p4", "y2", "ayuv", "uyva", "vuya", "vuyx", "xv")
_SUBSAMPLING = {(1, 1): "444", (1, 2): "422", (2, 1): "440", (2, 2): "420"}


def rgb_reader(first: VideoFrame) -> Callable[[VideoFrame], Frame]:
    """Return the function that turns frames of a clip into uint8 (H, W, 3) RGB.

    Args:
        first: a decoded frame; its pixel format and colour tags hold for the whole clip.

    Raises:
        VideoInputError: a pixel format or colour matrix that cannot be converted.
    """
    pixels = first.format
    layout = VideoReformatter()  # one for the clip: each holds a scaler with its tables
    if pixels.is_rgb or pixels.has_palette or pixels.name in {"monob", "monow"}:
        if max(part.bits for part in pixels.components) <= 8:
            return lambda frame: _packed(layout.reformat(frame, format="rgb24"))
        if pixels.is_planar and not pixels.is_big_endian:
            return _deep_planar_rgb
        return lambda frame: _deep_rgb(layout.reformat(frame, format="rgb48le"))
    matrix, colour_range, rounding = conversion(first)
    planar = _planar_name(pixels)
    depth = pixels.components[0].bits

    def read(frame: VideoFrame) -> Frame:
        if frame.format.name != planar:
            frame = layout.reformat(frame, format=planar)
        planes = [_samples(plane, depth) for plane in frame.planes[:3]]
        if len(planes) < 3:
            grey = np.full_like(planes[0], 1 << (depth - 1))
            planes = [planes[0], grey, grey]
        return yuv_to_rgb(*planes, matrix=matrix, colour_range=colour_range, depth=depth, rounding=rounding)

    return read


def _planar_name(pixels: VideoFormat) -> str:
    """Return the planar little-endian format that holds the same samples; the format itself when it is one."""
    parts = pixels.components
    depth = parts[0].bits
    suffix = "" if depth == 8 else f"{depth}le"
    if len(parts) <= 2 and parts[0].is_luma:
        return f"gray{suffix}"
    if len(parts) < 3 or not pixels.name.startswith(_YUV_NAMES) or not 8 <= depth <= 16:
        raise VideoInputError(_unknown(pixels))
    if pixels.name.startswith("yuvj"):  # the old names of full-range formats; the same planes
        return pixels.name
    shape = (-(-64 // pixels.chroma_height(64)), -(-64 // pixels.chroma_width(64)))
    if shape not in _SUBSAMPLING:
        raise VideoInputError(_unknown(pixels))
    alpha = "a" if pixels.is_planar and len(parts) == 4 else ""
    return f"yuv{alpha}{_SUBSAMPLING[shape]}p{suffix}"


def _unknown(pixels: VideoFormat) -> str:
    """Return the words for a pixel format that has no way to RGB here."""
    return f"its pixel format {pixels.name} cannot be converted; convert it first: ffmpeg -i IN -pix_fmt yuv420p OUT"


def _samples(plane: VideoPlane, depth: int) -> NDArray[Any]:
    """Return a view of a plane as uint8 or uint16 (rows, columns), without the padding of its lines."""
    return _lines(plane, np.dtype(np.uint8 if depth == 8 else "<u2"), plane.height)[:, : plane.width]


def _lines(plane: VideoPlane, dtype: np.dtype[Any], height: int) -> NDArray[Any]:
    """Return a view of a plane as (height, samples per line), padding included."""
    stride = plane.line_size // dtype.itemsize
    return np.frombuffer(memoryview(plane), dtype, count=height * stride).reshape(height, stride)


def _packed(frame: VideoFrame) -> Frame:
    """Return a copy of an rgb24 frame as uint8 (H, W, 3)."""
    lines = _lines(frame.planes[0], np.dtype(np.uint8), frame.height)
    return lines[:, : frame.width * 3].reshape(frame.height, frame.width, 3).copy()


def _deep_planar_rgb(frame: VideoFrame) -> Frame:
    """Return a gbrp frame of 9 to 16 bits rounded to uint8 (H, W, 3): round(sample * 255 / peak)."""
    depth = frame.format.components[0].bits
    peak = (1 << depth) - 1
    green, blue, red = (_samples(plane, depth).astype(np.uint32) for plane in frame.planes[:3])
    return ((np.stack((red, green, blue), axis=-1) * 255 + peak // 2) // peak).astype(np.uint8)


def _deep_rgb(frame: VideoFrame) -> Frame:
    """Return an rgb48le frame rounded to uint8 (H, W, 3): round(sample * 255 / 65535)."""
    lines = _lines(frame.planes[0], np.dtype("<u2"), frame.height)
    samples = lines[:, : frame.width * 3].reshape(frame.height, frame.width, 3).astype(np.uint32)
    return ((samples + 128) // 257).astype(np.uint8)
