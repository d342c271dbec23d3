"""RGB frames to what encoders and pipes take: explicit matrix, explicit range, all four colour tags.

FFmpeg and PyAV convert RGB by BT.601 whatever a file is tagged with, unless told; here they are told. Frames of a
decoder need not come this way, see `ffmpeg_bridge.planar`.
"""

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from nervplay.choices import PIXEL_FORMATS
from nervplay.errors import GeometryError, UnknownNameError
from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, RANGE_CODES, TRANSFER_CODES, code
from nervplay.video.source import Frame
from nervplay.video.spec import Colour, VideoSpec

__all__ = ["FrameConverter", "check_geometry", "set_colour_tags", "tag_codes"]

_SCALER_MATRIX = {
    "bt709": Colorspace.ITU709,
    "smpte170m": Colorspace.ITU601,
    "bt470bg": Colorspace.ITU601,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020nc": Colorspace.BT2020,
}
_SCALER_RANGE = {"tv": ColorRange.MPEG, "pc": ColorRange.JPEG}
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


def check_geometry(spec: VideoSpec, pix_fmt: str) -> None:
    """Raise unless frames of `spec` can be stored as `pix_fmt`.

    Raises:
        UnknownNameError: not one of `PIXEL_FORMATS`.
        GeometryError: odd sides where the format halves them.
    """
    if pix_fmt not in PIXEL_FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, PIXEL_FORMATS)
    pixels = VideoFormat(pix_fmt)
    across, down = 64 // pixels.chroma_width(64), 64 // pixels.chroma_height(64)
    if spec.width % across or spec.height % down:
        even = f"{spec.width - spec.width % across}x{spec.height - spec.height % down}"
        raise GeometryError(
            f"frames of {spec.width}x{spec.height} cannot be {pix_fmt}, which shares a colour sample among "
            f"{across}x{down} pixels; pass --pix-fmt yuv444p, or crop or scale to {even}"
        )


class FrameConverter:
    """Turns RGB frames into one pixel format; holds one scaler for the whole job (each has tables and threads).

    Args:
        colour: matrix and range to convert to; all four tags are put on the frames.
        pix_fmt: one of `PIXEL_FORMATS`.
        threads: threads of the scaler.

    Raises:
        UnknownNameError: a matrix, range or pixel format that cannot be made.
    """

    def __init__(self, colour: Colour, pix_fmt: str, threads: int = 1) -> None:
        if pix_fmt not in PIXEL_FORMATS:
            raise UnknownNameError("pixel format", pix_fmt, PIXEL_FORMATS)
        if colour.matrix not in _SCALER_MATRIX:
            raise UnknownNameError("colour matrix", colour.matrix, _SCALER_MATRIX)
        self._tags = tag_codes(colour)
        self._matrix, self._range = _SCALER_MATRIX[colour.matrix], _SCALER_RANGE[colour.range]
        self._pix_fmt, self._threads = pix_fmt, threads
        self._scaler = VideoReformatter()

    def convert(self, frame: Frame) -> VideoFrame:
        """Return a fresh frame in the pixel format, tagged, without time stamp.

        Args:
            frame: uint8 (H, W, 3) RGB, C-contiguous; not kept.
        """
        converted = self._scaler.reformat(
            VideoFrame.from_numpy_buffer(frame, format="rgb24"),
            format=self._pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=self._matrix,
            dst_color_range=self._range,
            interpolation=_SCALING,
            threads=self._threads,
        )
        converted.colorspace, converted.color_primaries, converted.color_trc, converted.color_range = self._tags
        return converted


def set_colour_tags(context: VideoCodecContext, colour: Colour) -> None:
    """Put all four colour tags on an encoder.

    Raises:
        UnknownNameError: a tag that has no code point.
    """
    context.colorspace, context.color_primaries, context.color_trc, context.color_range = tag_codes(colour)


def tag_codes(colour: Colour) -> tuple[int, int, int, int]:
    """Return the code points of matrix, primaries, transfer and range.

    Raises:
        UnknownNameError: a tag that has none.
    """
    return (
        code("colour matrix", colour.matrix, MATRIX_CODES),
        code("colour primaries", colour.primaries, PRIMARIES_CODES),
        code("colour transfer", colour.transfer, TRANSFER_CODES),
        code("colour range", colour.range, RANGE_CODES),
    )
