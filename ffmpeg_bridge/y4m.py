"""Frames down a pipe as YUV4MPEG2, which every video tool reads.

The carrier holds size, rate, sample aspect, chroma siting and range, but no matrix: who makes a tagged file from it
names the matrix, with the words that `matrix_options` returns.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from ffmpeg_bridge.frames import FrameConverter, check_geometry
from nervplay.errors import OutputError, UnknownNameError
from nervplay.video.source import FrameSource
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["Y4M_PIXEL_FORMATS", "matrix_options", "write_y4m"]

Y4M_PIXEL_FORMATS = {"yuv420p": "420mpeg2", "yuv444p": "444"}
"""Pixel formats that can be piped, and what the header calls them."""

_RANGES = {"tv": "LIMITED", "pc": "FULL"}
_PIPE_BYTES = 1 << 20
_FRAME = b"FRAME\n"


def matrix_options(colour: Colour) -> str:
    """Return the input options for ffmpeg that replace the tags which the carrier lacks; to be given before `-i -`."""
    return f"-colorspace {colour.matrix} -color_primaries {colour.primaries} -color_trc {colour.transfer}"


def write_y4m(
    stream: int | BinaryIO, source: FrameSource, pix_fmt: str = "yuv420p", frames: Iterable[int] | None = None
) -> int:
    """Write a clip as YUV4MPEG2; return the number of frames that were written whole.

    A reader that closes the pipe early is no error: writing ends, and the descriptor then leads to the null device, so
    that nothing complains later, not even at the end of the interpreter.

    Args:
        stream: a file descriptor, or a binary file.
        source: the clip.
        pix_fmt: "yuv420p" or "yuv444p".
        frames: indices to write, in that order; all when None.

    Raises:
        UnknownNameError: another pixel format.
        GeometryError: odd sides with yuv420p.
        OutputError: writing fails otherwise, for example on a full disk.
    """
    if pix_fmt not in Y4M_PIXEL_FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, Y4M_PIXEL_FORMATS)
    spec = source.spec
    check_geometry(spec, pix_fmt)
    converter, planes, written = FrameConverter(spec.colour, pix_fmt), _Planes(), 0
    sink = _Sink(stream)
    try:
        sink.write([memoryview(_header(spec, pix_fmt))])
        for frame in source.frames(frames):
            sink.write([memoryview(_FRAME), *planes.packed(converter.convert(frame))])
            written += 1
        sink.finish()
    except BrokenPipeError:
        sink.abandon()
    except OSError as error:
        raise OutputError(f"the pipe cannot be written ({error.strerror}); {written} frames were") from error
    return written


def _header(spec: VideoSpec, pix_fmt: str) -> bytes:
    """Return the stream header."""
    rate, aspect = spec.rate, spec.sample_aspect
    return (
        f"YUV4MPEG2 W{spec.width} H{spec.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{aspect.numerator}:{aspect.denominator} C{Y4M_PIXEL_FORMATS[pix_fmt]} "
        f"XCOLORRANGE={_RANGES[spec.colour.range]}\n"
    ).encode("ascii")


class _Planes:
    """Planes without the padding of their lines, in buffers that are made once."""

    def __init__(self) -> None:
        self._buffers: list[NDArray[np.uint8]] = []

    def packed(self, frame: VideoFrame) -> list[memoryview]:
        """Return the planes of an 8-bit planar frame; valid until the next call."""
        if not self._buffers:
            self._buffers = [np.empty((plane.height, plane.width), np.uint8) for plane in frame.planes]
        for plane, buffer in zip(frame.planes, self._buffers, strict=True):
            lines = np.frombuffer(memoryview(plane), np.uint8, count=plane.height * plane.line_size)
            np.copyto(buffer, lines.reshape(plane.height, plane.line_size)[:, : plane.width])
        return [buffer.data.cast("B") for buffer in self._buffers]


class _Sink:
    """A descriptor written with gathered writes, or a file without a descriptor."""

    def __init__(self, stream: int | BinaryIO) -> None:
        self._file = None if isinstance(stream, int) else stream
        self._descriptor: int | None = stream if isinstance(stream, int) else None
        if self._file is not None:
            with suppress(OSError):  # a file in memory has no descriptor
                self._descriptor = self._file.fileno()
                self._file.flush()
        if self._descriptor is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # no pipe, or a smaller limit: slower, not wrong
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def write(self, parts: list[memoryview]) -> None:
        """Write all of `parts`, in order."""
        if self._descriptor is None:
            assert self._file is not None
            self._file.writelines(parts)
            return
        while parts:
            count = os.writev(self._descriptor, parts)
            while parts and count >= len(parts[0]):
                count -= len(parts.pop(0))
            if count:
                parts[0] = parts[0][count:]

    def finish(self) -> None:
        """Hand on what a file without a descriptor may hold back."""
        if self._descriptor is None and self._file is not None:
            self._file.flush()

    def abandon(self) -> None:
        """Lead the descriptor to the null device: what is flushed into it later, by whomever, is lost in silence."""
        if self._descriptor is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
