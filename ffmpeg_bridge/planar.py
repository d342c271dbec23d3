"""Frames whose planes the decoder fills itself, from floats to samples in one step: no RGB between, and no copy.

Samples are rounded once, where the way over 8-bit RGB rounds twice: they may differ from it by a level, and with 10
bits they hold what 8-bit RGB has lost. What keeps RGB (rgb24, PNG, GIF, exports without loss) carries the frames of
`decode` to the bit. Frames that are scaled, repeated or composed of several clips go over RGB, and so does 4:2:2.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from numpy.typing import NDArray

from ffmpeg_bridge.frames import tag_codes
from nervplay.video.colour import rgb_coefficients
from nervplay.video.source import FrameSource, PlanarSource, Planes
from nervplay.video.spec import VideoSpec

__all__ = ["PLANAR_FORMATS", "planar_frames", "planar_source", "raw_planes"]

PLANAR_FORMATS = ("yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le")
"""Pixel formats of such frames."""


def planar_source(source: FrameSource, pix_fmt: str) -> PlanarSource | None:
    """Return a source as one that fills planes of a pixel format; None where it must go over RGB.

    Raises:
        UnknownNameError: a colour matrix or range that cannot be made.
    """
    if pix_fmt not in PLANAR_FORMATS or not isinstance(source, PlanarSource):
        return None
    rgb_coefficients(source.spec.colour.matrix, source.spec.colour.range)
    return source


def planar_frames(source: PlanarSource, pix_fmt: str) -> Iterator[VideoFrame]:
    """Yield all frames, tagged, without time stamps; the next one may be filled meanwhile.

    Args:
        source: the clip.
        pix_fmt: one of `PLANAR_FORMATS`.

    Raises:
        NervplayError: what the decoder raises.
    """
    given: deque[VideoFrame] = deque()

    def targets() -> Iterator[tuple[int, Planes]]:
        for index in range(len(source)):
            frame = _blank(source.spec, pix_fmt)
            given.append(frame)
            yield index, _frame_planes(frame)

    for _ in source.yuv_frames(targets()):
        yield given.popleft()


def raw_planes(spec: VideoSpec, pix_fmt: str, picture: NDArray[np.uint8]) -> Planes:
    """Return the planes that lie in a raw picture, one behind the other, as views of it.

    Args:
        spec: size of the frames.
        pix_fmt: one of `PLANAR_FORMATS`.
        picture: uint8 (bytes of a picture,).
    """
    planes, start = [], 0
    for part in VideoFormat(pix_fmt, spec.width, spec.height).components:
        dtype = np.dtype(np.uint8 if part.bits == 8 else "<u2")
        end = start + part.width * part.height * dtype.itemsize
        planes.append(picture[start:end].view(dtype).reshape(part.height, part.width))
        start = end
    return _three(planes)


def _blank(spec: VideoSpec, pix_fmt: str) -> VideoFrame:
    """Return a frame to be filled."""
    frame = VideoFrame(spec.width, spec.height, pix_fmt)
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = tag_codes(spec.colour)
    return frame


def _frame_planes(frame: VideoFrame) -> Planes:
    """Return the planes of a frame as views of its memory; they keep it alive."""
    planes = []
    for plane, part in zip(frame.planes, frame.format.components, strict=True):
        dtype = np.dtype(np.uint8 if part.bits == 8 else "<u2")
        lines = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        planes.append(lines[:, : plane.width])
    return _three(planes)


def _three(planes: Iterable[NDArray[Any]]) -> Planes:
    y, u, v = planes
    return y, u, v
