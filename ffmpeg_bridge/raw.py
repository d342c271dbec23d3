"""Frames as raw pictures: planes one behind the other, lines without padding."""

from collections.abc import Iterator
from math import prod

import numpy as np
from av.video.format import VideoFormat
from numpy.typing import NDArray

from ffmpeg_bridge.frames import FrameConverter, check_geometry
from ffmpeg_bridge.planar import planar_source, raw_planes
from nervplay.choices import RAW_FORMATS
from nervplay.errors import UnknownNameError
from nervplay.video.source import Frame, FrameSource
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["RawPacker", "RawPictures", "check_raw", "default_raw_format", "raw_colour"]


def check_raw(spec: VideoSpec, pix_fmt: str) -> None:
    """Raise unless frames of `spec` can be carried as `pix_fmt`.

    Raises:
        UnknownNameError: not one of `RAW_FORMATS`.
        GeometryError: odd sides where the format halves them.
    """
    if pix_fmt not in RAW_FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, RAW_FORMATS)
    if pix_fmt != "rgb24":
        check_geometry(spec, pix_fmt)


def default_raw_format(spec: VideoSpec) -> str:
    """Return yuv420p, which everything takes, or yuv444p for frames of odd size."""
    return "yuv444p" if spec.width % 2 or spec.height % 2 else "yuv420p"


def raw_colour(spec: VideoSpec, pix_fmt: str) -> Colour:
    """Return the four tags of raw frames: those of the clip; RGB has no matrix and is full range."""
    if pix_fmt != "rgb24":
        return spec.colour
    return Colour(matrix="gbr", primaries=spec.colour.primaries, transfer=spec.colour.transfer, range="pc")


class RawPacker:
    """Turns RGB frames into raw pictures of one pixel format.

    Args:
        spec: size and colour of the frames.
        pix_fmt: one of `RAW_FORMATS`.

    Raises:
        UnknownNameError: another pixel format, or a matrix that cannot be made.
        GeometryError: odd sides where the format halves them.
    """

    def __init__(self, spec: VideoSpec, pix_fmt: str) -> None:
        check_raw(spec, pix_fmt)
        self._converter = None if pix_fmt == "rgb24" else FrameConverter(spec.colour, pix_fmt)
        self._shapes = [(spec.height, spec.width * 3)] if pix_fmt == "rgb24" else _plane_shapes(spec, pix_fmt)
        self.size = sum(prod(shape) for shape in self._shapes)
        """Bytes of a picture."""

    def pack(self, frame: Frame, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return a frame as one raw picture, uint8 (size,).

        Args:
            frame: uint8 (H, W, 3) RGB, C-contiguous.
            out: where to write it, uint8 (size,); a new array when None.
        """
        if self._converter is None:
            flat = frame.reshape(-1)
            if out is None:
                return flat
            np.copyto(out, flat)
            return out
        picture = np.empty(self.size, np.uint8) if out is None else out
        start = 0
        for plane, (rows, width) in zip(self._converter.convert(frame).planes, self._shapes, strict=True):
            lines = np.frombuffer(memoryview(plane), np.uint8, count=rows * plane.line_size)
            target = picture[start : start + rows * width].reshape(rows, width)
            np.copyto(target, lines.reshape(rows, plane.line_size)[:, :width])
            start += rows * width
        return picture


class RawPictures:
    """The frames of a clip as raw pictures of one pixel format; a decoder fills the planes itself where it can.

    Args:
        source: the clip.
        pix_fmt: one of `RAW_FORMATS`.

    Raises:
        UnknownNameError: another pixel format, or a matrix that cannot be made.
        GeometryError: odd sides where the format halves them.
    """

    def __init__(self, source: FrameSource, pix_fmt: str) -> None:
        self._source, self._pix_fmt = source, pix_fmt
        self._packer = RawPacker(source.spec, pix_fmt)
        self._planar = planar_source(source, pix_fmt)
        self.size = self._packer.size
        """Bytes of a picture."""

    def read(self, index: int, out: NDArray[np.uint8]) -> None:
        """Write frame `index` to `out`, uint8 (size,).

        Raises:
            NervplayError: what the source raises.
        """
        if self._planar is None:
            self._packer.pack(self._source.frame(index), out)
        else:
            self._planar.yuv_frame(index, raw_planes(self._source.spec, self._pix_fmt, out))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all frames, uint8 (size,) each, which stay until the next is asked for."""
        if self._planar is None:
            buffer = np.empty(self.size, np.uint8)
            for frame in self._source.frames():
                yield self._packer.pack(frame, buffer)
            return
        pictures = [np.empty(self.size, np.uint8) for _ in range(2)]  # one is filled while the other is used
        planes = [raw_planes(self._source.spec, self._pix_fmt, picture) for picture in pictures]
        targets = ((index, planes[index % 2]) for index in range(len(self._source)))
        for index, _ in enumerate(self._planar.yuv_frames(targets)):
            yield pictures[index % 2]


def _plane_shapes(spec: VideoSpec, pix_fmt: str) -> list[tuple[int, int]]:
    """Return (rows, bytes per row) of the planes of a planar YUV format."""
    pixels = VideoFormat(pix_fmt, spec.width, spec.height)
    return [(part.height, part.width * (1 if part.bits == 8 else 2)) for part in pixels.components]
