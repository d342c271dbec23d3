"""Frames down a pipe, in the carrier that the reader wants.

carrier  pixel formats     says of itself                                   sound
mkv      all               everything: format, rate, all four colour tags   yes
y4m      YUV               size, rate, aspect, siting, range                no
nut      all               format, size, rate                               yes
raw      all               nothing                                          no
"""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ffmpeg_bridge.matroska import VirtualMatroska
from ffmpeg_bridge.nut import write_nut
from ffmpeg_bridge.raw import RawPictures, raw_colour
from ffmpeg_bridge.sink import Piece, Sink
from ffmpeg_bridge.y4m import FRAME_MARK, y4m_header
from nervplay.bitstream.layout import Audio
from nervplay.choices import CARRIERS
from nervplay.errors import Interrupted, OutputError, UnknownNameError
from nervplay.video.source import FrameSource
from nervplay.video.spec import VideoSpec

__all__ = ["SOUND_CARRIERS", "input_options", "write_pipe"]

SOUND_CARRIERS = ("mkv", "nut")
"""Carriers that take sound beside the pictures."""


def input_options(spec: VideoSpec, carrier: str, pix_fmt: str) -> list[str]:
    """Return the options for ffmpeg, to be given before `-i`, that say what a carrier does not say of itself."""
    if carrier == "mkv":
        return []
    tags = raw_colour(spec, pix_fmt)
    matrix = "rgb" if tags.matrix == "gbr" else tags.matrix  # options have their own name for it
    colour = ["-color_range", tags.range, "-colorspace", matrix]
    colour += ["-color_primaries", tags.primaries, "-color_trc", tags.transfer]
    if carrier != "raw":
        return colour
    rate = f"{spec.rate.numerator}/{spec.rate.denominator}"
    size = f"{spec.width}x{spec.height}"
    return ["-f", "rawvideo", "-pixel_format", pix_fmt, "-video_size", size, "-framerate", rate, *colour]


def write_pipe(
    stream: int | BinaryIO, source: FrameSource, carrier: str, pix_fmt: str = "yuv420p", audio: Audio | None = None
) -> int:
    """Write a clip to a pipe; return the number of frames that were written.

    A reader that closes the pipe early is no error: writing ends, and the descriptor then leads to the null device, so
    that nothing complains later, not even at the end of the interpreter.

    Args:
        stream: a file descriptor, or a binary file.
        source: the clip.
        carrier: one of `CARRIERS`.
        pix_fmt: one of `nervplay.choices.RAW_FORMATS`; y4m has no rgb24.
        audio: sound to copy beside the pictures; left out by carriers that are not in `SOUND_CARRIERS`.

    Raises:
        UnknownNameError: another carrier, or a pixel format that it does not have.
        GeometryError: odd sides where the pixel format halves them.
        BitstreamError: no sound that can be read.
        UsageError: sound that the carrier cannot hold.
        OutputError: writing fails otherwise, for example on a full disk.
        Interrupted: decoding was cancelled.
    """
    if carrier not in CARRIERS:
        raise UnknownNameError("carrier", carrier, CARRIERS)
    pictures = _Pictures(RawPictures(source, pix_fmt), len(source))
    sink = Sink(stream)
    try:
        if carrier == "nut":
            write_nut(sink, source.spec, pix_fmt, iter(pictures), audio)
        else:
            for pieces in _pieces(source.spec, carrier, pix_fmt, pictures, audio):
                sink.write(pieces)
        sink.finish()
    except BrokenPipeError:
        sink.abandon()
    except OSError as error:
        raise OutputError(f"the pipe cannot be written ({error.strerror}); {pictures.count - 1} frames were") from error
    return pictures.count


class _Pictures:
    """Raw pictures that are counted, and must be as many as were promised."""

    def __init__(self, pictures: RawPictures, promised: int) -> None:
        self._pictures, self._promised = pictures, promised
        self.size, self.count = pictures.size, 0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for picture in self._pictures:
            self.count += 1
            yield picture
        if self.count < self._promised:
            raise Interrupted(f"decoding was stopped after {self.count} of {self._promised} frames")


def _pieces(
    spec: VideoSpec, carrier: str, pix_fmt: str, pictures: _Pictures, audio: Audio | None
) -> Iterator[list[Piece]]:
    """Yield what is written at once: a picture with what stands before it."""
    if carrier == "mkv":
        layout = VirtualMatroska(spec, pix_fmt, pictures.size, audio)
        following = iter(pictures)
        waiting: list[Piece] = []
        for piece in layout.pieces(0, layout.size, lambda _: next(following).data):
            waiting.append(piece)
            if isinstance(piece, memoryview):
                yield waiting
                waiting = []
        yield waiting
        return
    mark = []
    if carrier == "y4m":
        yield [y4m_header(spec, pix_fmt)]
        mark = [FRAME_MARK]
    for picture in pictures:
        yield [*mark, picture.data]
