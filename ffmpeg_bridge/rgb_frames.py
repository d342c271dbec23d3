"""RGB frames for encoders that keep RGB: no matrix, full range, not one bit changed."""

from dataclasses import replace

from av import VideoFrame
from av.video.reformatter import VideoReformatter

from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, RANGE_CODES, TRANSFER_CODES, code
from nervplay.video.source import Frame
from nervplay.video.spec import Colour

__all__ = ["RGB_FORMATS", "RgbConverter", "stored_colour"]

RGB_FORMATS = ("rgb24", "bgr0", "gbrp")
"""Pixel formats with 8 bits of red, green and blue."""


def stored_colour(colour: Colour, pix_fmt: str) -> Colour:
    """Return how frames of a clip are tagged in a pixel format: RGB has no matrix and is full range."""
    return replace(colour, matrix="gbr", range="pc") if pix_fmt in RGB_FORMATS else colour


class RgbConverter:
    """Puts the samples of RGB frames into the order of one pixel format; the values stay.

    Args:
        colour: of the clip; primaries and transfer are put on the frames.
        pix_fmt: one of `RGB_FORMATS`.

    Raises:
        UnknownNameError: a tag that has no code point.
    """

    def __init__(self, colour: Colour, pix_fmt: str) -> None:
        tags = stored_colour(colour, pix_fmt)
        self._tags = (
            code("colour matrix", tags.matrix, MATRIX_CODES),
            code("colour primaries", tags.primaries, PRIMARIES_CODES),
            code("colour transfer", tags.transfer, TRANSFER_CODES),
            code("colour range", tags.range, RANGE_CODES),
        )
        self._pix_fmt, self._order = pix_fmt, VideoReformatter()

    def convert(self, frame: Frame) -> VideoFrame:
        """Return a fresh frame in the pixel format, tagged, without time stamp.

        Args:
            frame: uint8 (H, W, 3) RGB, C-contiguous; not kept.
        """
        if self._pix_fmt == "rgb24":
            converted = VideoFrame.from_ndarray(frame, format="rgb24")
        else:
            converted = self._order.reformat(VideoFrame.from_numpy_buffer(frame, format="rgb24"), format=self._pix_fmt)
        converted.colorspace, converted.color_primaries, converted.color_trc, converted.color_range = self._tags
        return converted
