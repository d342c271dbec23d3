"""Colour tags of clips that are read: what they say, and what follows where they say nothing."""

from av import VideoFrame

from nervplay.errors import VideoInputError
from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, RANGE_CODES, TRANSFER_CODES
from nervplay.video.colour import MATRICES, UNTAGGED_MATRIX, UNTAGGED_RANGE, Rounding
from nervplay.video.spec import Colour, default_colour

__all__ = ["clip_colour", "conversion"]

_USUAL_WITH_MATRIX = {
    "bt709": ("bt709", "bt709"),
    "bt470bg": ("bt470bg", "smpte170m"),
    "bt2020nc": ("bt2020", "bt2020-10"),
    "smpte240m": ("smpte240m", "smpte240m"),
}


def conversion(frame: VideoFrame) -> tuple[str, str, Rounding]:
    """Return (matrix, range, rounding) by which a decoded YUV frame becomes RGB.

    The rule and its reason stand at the head of `nervplay.video.colour`.

    Raises:
        VideoInputError: tagged with a matrix that cannot be converted.
    """
    matrix = _name(frame.colorspace, MATRIX_CODES)
    if matrix is None or matrix == "gbr":  # on a YUV stream a mistake of its writer; FFmpeg passes over it, too
        eight_bits = frame.format.components[0].bits == 8
        return UNTAGGED_MATRIX, _range(frame), "ffmpeg" if eight_bits else "nearest"
    if matrix not in MATRICES:
        raise VideoInputError(
            f"its colour matrix {matrix} cannot be converted; "
            "convert the clip first: ffmpeg -i IN -vf colorspace=bt709 OUT"
        )
    return matrix, _range(frame), "nearest"


def clip_colour(frame: VideoFrame, height: int) -> Colour:
    """Return how files made from a clip are tagged: as the clip is; what it leaves open follows from the rest.

    Args:
        frame: the first decoded frame.
        height: lines of the clip, for the default of an untagged one.
    """
    matrix = _name(frame.colorspace, MATRIX_CODES)
    usual = default_colour(height)
    if matrix in MATRICES:
        primaries, transfer = _USUAL_WITH_MATRIX.get(matrix, ("smpte170m", "smpte170m"))
        usual = Colour(matrix=matrix, primaries=primaries, transfer=transfer)
    return Colour(
        matrix=usual.matrix,
        primaries=_name(frame.color_primaries, PRIMARIES_CODES) or usual.primaries,
        transfer=_name(frame.color_trc, TRANSFER_CODES) or usual.transfer,
        range=usual.range if frame.format.is_rgb else _range(frame),
    )


def _range(frame: VideoFrame) -> str:
    """Return "tv" or "pc"; yuvj formats are full range by name, untagged grey is full range by FFmpeg's habit."""
    if frame.format.name.startswith("yuvj"):
        return "pc"
    tagged = _name(frame.color_range, RANGE_CODES)
    if tagged is None and frame.format.name.startswith(("gray", "ya", "mono", "pal8")):
        return "pc"
    return tagged or UNTAGGED_RANGE


def _name(value: int, table: dict[str, int]) -> str | None:
    """Return the name of a code point, None for "unspecified" and for what no table knows."""
    return next((name for name, number in table.items() if number == value), None)
