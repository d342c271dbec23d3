"""YUV4MPEG2, the carrier that every video tool reads from a pipe.

It holds size, rate, sample aspect, chroma siting and range, but no matrix: who makes a tagged file from it names the
matrix, see `ffmpeg_bridge.pipe.input_options`.
"""

from nervplay.errors import UnknownNameError
from nervplay.video.spec import VideoSpec

__all__ = ["FRAME_MARK", "Y4M_FORMATS", "y4m_header"]

Y4M_FORMATS = {
    "yuv420p": "420mpeg2",
    "yuv422p": "422",
    "yuv444p": "444",
    "yuv420p10le": "420p10",
    "yuv422p10le": "422p10",
    "yuv444p10le": "444p10",
}
"""Pixel formats that can be carried, and what the header calls them."""

FRAME_MARK = b"FRAME\n"
"""What stands before every picture."""

_RANGES = {"tv": "LIMITED", "pc": "FULL"}


def y4m_header(spec: VideoSpec, pix_fmt: str) -> bytes:
    """Return the header of a stream.

    Raises:
        UnknownNameError: a pixel format that the carrier does not have.
    """
    if pix_fmt not in Y4M_FORMATS:
        raise UnknownNameError("pixel format", pix_fmt, Y4M_FORMATS)
    rate, aspect = spec.rate, spec.sample_aspect
    return (
        f"YUV4MPEG2 W{spec.width} H{spec.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{aspect.numerator}:{aspect.denominator} C{Y4M_FORMATS[pix_fmt]} "
        f"XCOLORRANGE={_RANGES[spec.colour.range]}\n"
    ).encode("ascii")
