"""YUV to RGB in integers: the same bytes on every processor. And the weights of the way back.

Coefficients in units of 1/8192, n bits per sample, s = n + 5, f fractional bits, `>>` rounding down, chroma replicated:

    y = ((Y - black) * c_y) >> (s - f)        u = U - middle        v = V - middle
    R = (y + ((v * c_rv) >> (s - f)) + h) >> f
    G = (y + ((u * c_gu) >> (s - f)) + ((v * c_gv) >> (s - f)) + h) >> f
    B = (y + ((u * c_bu) >> (s - f)) + h) >> f        each clipped to 0 .. 255

  * f = 0, h = 0 ("ffmpeg"): what FFmpeg's x86 code computes by default for 8-bit 4:2:0, written out so that it does not
    depend on the processor. The frames of Big Buck Bunny that the NeRV papers publish as PNG files are this with BT.601
    limited range, bit for bit. It rounds every term down and so comes out 1 to 1.5 levels dark on average.
  * f = 5, h = 16 ("nearest"): the nearest integer but for 1/20 of a level, without that shift.

Which a stream gets (`ffmpeg_bridge.tags.conversion`): one with a matrix tag is converted by its tags, to nearest. One
without is converted as FFmpeg does it, BT.601 limited whatever its size, because that is what the papers' frames are;
guessing BT.709 from 720 lines on would shift every colour of their clip. How files made from it are tagged is another
question: see `nervplay.video.spec.default_colour`.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nervplay.errors import GeometryError, UnknownNameError, UsageError
from nervplay.video.source import Frame

__all__ = [
    "MATRICES",
    "UNTAGGED_MATRIX",
    "UNTAGGED_RANGE",
    "Rounding",
    "YuvCoefficients",
    "rgb_coefficients",
    "rgb_to_yuv",
    "yuv_coefficients",
    "yuv_to_rgb",
]

UNTAGGED_MATRIX = "smpte170m"
UNTAGGED_RANGE = "tv"

MATRICES: dict[str, tuple[Fraction, Fraction]] = {
    "bt709": (Fraction("0.2126"), Fraction("0.0722")),
    "smpte170m": (Fraction("0.299"), Fraction("0.114")),
    "bt470bg": (Fraction("0.299"), Fraction("0.114")),
    "bt2020nc": (Fraction("0.2627"), Fraction("0.0593")),
    "fcc": (Fraction("0.30"), Fraction("0.11")),
    "smpte240m": (Fraction("0.212"), Fraction("0.087")),
}
"""Weights (Kr, Kb) of red and blue in luma, by FFmpeg's name of the matrix (ITU-T H.273, table 4)."""

Rounding = Literal["ffmpeg", "nearest"]
"""See the head of this module."""

_FRACTION = {"ffmpeg": 0, "nearest": 5}
_ONE = 8192
_BAND = 64


@dataclass(frozen=True, kw_only=True)
class YuvCoefficients:
    """The integers of the formula at the head of this module.

    Args:
        black: sample value of black in luma.
        middle: sample value of zero in chroma.
        shift: s, the places by which a product exceeds a level.
        luma: c_y.
        red_v: c_rv.
        green_u: c_gu, negative.
        green_v: c_gv, negative.
        blue_u: c_bu.
    """

    black: int
    middle: int
    shift: int
    luma: int
    red_v: int
    green_u: int
    green_v: int
    blue_u: int


@lru_cache(maxsize=32)
def yuv_coefficients(matrix: str, colour_range: str, depth: int = 8) -> YuvCoefficients:
    """Return the integers that turn YUV samples into RGB.

    Args:
        matrix: a key of `MATRICES`.
        colour_range: "tv" (black 16, white 235, chroma 16 .. 240, times 2**(depth - 8)) or "pc" (0 .. 2**depth - 1).
        depth: bits per sample, 8 .. 16.

    Raises:
        UnknownNameError: another matrix or range.
        UsageError: another depth.
    """
    if matrix not in MATRICES:
        raise UnknownNameError("colour matrix", matrix, MATRICES)
    if colour_range not in ("tv", "pc"):
        raise UnknownNameError("colour range", colour_range, ("tv", "pc"))
    if not 8 <= depth <= 16:
        raise UsageError(f"{depth} bits per sample; 8 to 16 can be converted")
    kr, kb = MATRICES[matrix]
    kg = 1 - kr - kb
    step = 1 << (depth - 8)
    if colour_range == "tv":
        luma, chroma = Fraction(255, 219), Fraction(255, 224)
    else:
        luma = chroma = Fraction(255 * step, 256 * step - 1)
    return YuvCoefficients(
        black=16 * step if colour_range == "tv" else 0,
        middle=128 * step,
        shift=13 + depth - 8,
        luma=round(luma * _ONE),
        red_v=round(2 * (1 - kr) * chroma * _ONE),
        green_u=round(-2 * kb * (1 - kb) / kg * chroma * _ONE),
        green_v=round(-2 * kr * (1 - kr) / kg * chroma * _ONE),
        blue_u=round(2 * (1 - kb) * chroma * _ONE),
    )


@lru_cache(maxsize=32)
def rgb_coefficients(matrix: str, colour_range: str, depth: int = 8) -> tuple[tuple[float, float, float, float], ...]:
    """Return the weights that turn RGB in [0, 1] into YUV samples (ITU-T H.273, equations 38 to 40 and 20 to 28).

    Args:
        matrix: a key of `MATRICES`.
        colour_range: "tv" or "pc", as in `yuv_coefficients`.
        depth: bits per sample, 8 .. 16.

    Returns:
        For Y, U and V the weights of R, G and B and what is added: the value of black or of zero chroma.

    Raises:
        UnknownNameError: another matrix or range.
        UsageError: another depth.
    """
    yuv_coefficients(matrix, colour_range, depth)  # its checks
    kr, kb = MATRICES[matrix]
    kg = 1 - kr - kb
    step = 1 << (depth - 8)
    whole = Fraction(256 * step - 1)
    luma, chroma, black = (whole, whole, 0) if colour_range == "pc" else (219 * step, 224 * step, 16 * step)
    u, v = chroma / (2 * (1 - kb)), chroma / (2 * (1 - kr))
    rows = (
        (luma * kr, luma * kg, luma * kb, black),
        (-u * kr, -u * kg, u * (1 - kb), 128 * step),
        (v * (1 - kr), -v * kg, -v * kb, 128 * step),
    )
    return tuple((float(r), float(g), float(b), float(add)) for r, g, b, add in rows)


def yuv_to_rgb(
    y: NDArray[Any],
    u: NDArray[Any],
    v: NDArray[Any],
    *,
    matrix: str,
    colour_range: str,
    depth: int = 8,
    rounding: Rounding = "nearest",
) -> Frame:
    """Return one picture as uint8 (H, W, 3) RGB, full range.

    Args:
        y: uint8 or uint16 (H, W) luma samples, 0 .. 2**depth - 1.
        u: samples of the same dtype, (H, W), (H, ceil(W/2)), (ceil(H/2), W) or (ceil(H/2), ceil(W/2)); blue difference.
        v: like `u`; red difference.
        matrix: a key of `MATRICES`.
        colour_range: "tv" or "pc".
        depth: bits per sample, 8 .. 16; values sit in the low bits.
        rounding: "nearest", or "ffmpeg" for the bytes that FFmpeg makes of 8-bit streams.

    Raises:
        UnknownNameError: another matrix or range.
        UsageError: another depth.
        GeometryError: planes whose sizes do not belong together.
    """
    c = yuv_coefficients(matrix, colour_range, depth)
    height, width = y.shape
    down, across = _subsampling(y.shape, u.shape, v.shape)
    fraction = _FRACTION[rounding]
    shift, half = c.shift - fraction, (1 << fraction) >> 1
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND):  # bands keep the temporaries in the processor's cache
        luma = _term(y[top : top + _BAND], c.black, c.luma, shift)
        luma += half
        rows = slice(top // down, -(-min(top + _BAND, height) // down))
        u_band, v_band = u[rows], v[rows]
        green = _term(u_band, c.middle, c.green_u, shift)
        green += _term(v_band, c.middle, c.green_v, shift)
        red = _term(v_band, c.middle, c.red_v, shift)
        blue = _term(u_band, c.middle, c.blue_u, shift)
        for channel, chroma in enumerate((red, green, blue)):
            value = _replicate(chroma, down, across)[: luma.shape[0], :width]
            value += luma
            value >>= fraction
            np.clip(value, 0, 255, out=value)
            rgb[top : top + _BAND, :, channel] = value
    return rgb


def rgb_to_yuv(frame: Frame, matrix: str = "bt709") -> tuple[NDArray[np.float32], ...]:
    """Return a picture as Y, U, V for measuring: limited range, not rounded; files are made in `ffmpeg_bridge.frames`.

    Args:
        frame: uint8 (H, W, 3) RGB, full range.
        matrix: a key of `MATRICES`.

    Returns:
        Three float32 (H, W) arrays: Y in [16, 235], U and V in [16, 240].

    Raises:
        UnknownNameError: another matrix.
    """
    if matrix not in MATRICES:
        raise UnknownNameError("colour matrix", matrix, MATRICES)
    kr, kb = (float(weight) for weight in MATRICES[matrix])
    luma = np.array([kr, 1 - kr - kb, kb])
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - kb))
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - kr))
    weights = np.stack((luma * 219, blue * 224, red * 224), axis=1) / 255
    planes = frame.reshape(-1, 3).astype(np.float32) @ weights.astype(np.float32)
    planes += np.array([16, 128, 128], np.float32)
    return tuple(np.ascontiguousarray(planes[:, part].reshape(frame.shape[:2])) for part in range(3))


def _subsampling(y: tuple[int, ...], u: tuple[int, ...], v: tuple[int, ...]) -> tuple[int, int]:
    """Return how many luma rows and columns share a chroma sample, 1 or 2 each."""
    for down in (1, 2):
        for across in (1, 2):
            if u == v == (-(-y[0] // down), -(-y[1] // across)):
                return down, across
    raise GeometryError(f"planes {y}, {u} and {v} are not 4:4:4, 4:2:2, 4:4:0 or 4:2:0; convert the video first")


def _term(plane: NDArray[Any], zero: int, factor: int, shift: int) -> NDArray[np.int16]:
    """Return ((plane - zero) * factor) >> shift; int32 holds any product, int16 32 levels of any term."""
    work = plane.astype(np.int32)
    work -= zero
    work *= factor
    work >>= shift
    return work.astype(np.int16)


def _replicate(term: NDArray[np.int16], down: int, across: int) -> NDArray[np.int16]:
    """Return a fresh array in which each sample of `term` fills `down` rows and `across` columns."""
    rows, columns = term.shape
    full = np.empty((rows, down, columns, across), np.int16)
    for column in range(across):  # two strided copies: numpy.repeat takes five times as long
        full[..., column] = term[:, None, :]
    return full.reshape(rows * down, columns * across)
