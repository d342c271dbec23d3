"""Pictures computed from A and B, and what can be read from a pair: differences, pixel values, PSNR of a region.

Formulas, per sample of A and B in 0 .. 255 and with gain g:

    difference   min(255, g |A - B|)
    signed       128 + g (A - B) / 2, rounded down and cut to 0 .. 255: grey where equal
    heat         a colour for (11 R + 16 G + 5 B) / 32 of the difference picture

Shader and painter use the same ones; tests hold both against a plain version.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.cache import Picture

__all__ = ["HEAT", "Readout", "amplified_difference", "read_pixel", "region_psnr", "same_size", "signed_difference"]


def _heat_table() -> NDArray[np.uint32]:
    """Return 256 colours 0xFFRRGGBB from black over violet and orange to yellow; the shader has the same formulas."""
    t = np.linspace(0, 1, 256)
    red, green = 1.6 * t, 2.2 * t * t - 0.25 * t
    blue = 1.9 * t * (1 - t) ** 2 + 0.6 * t**3
    levels = np.rint(np.clip(np.stack([red, green, blue]) * 255, 0, 255)).astype(np.uint32)
    packed: NDArray[np.uint32] = np.uint32(0xFF000000) | levels[0] << 16 | levels[1] << 8 | levels[2]
    return packed


HEAT = _heat_table()
"""Colours of the heat map by grey level, uint32 0xFFRRGGBB."""


def same_size(a: Picture | None, b: Picture | None) -> bool:
    """Return whether both pictures are there and can be compared sample by sample."""
    return a is not None and b is not None and a.shape == b.shape


def amplified_difference(a: Picture, b: Picture, gain: int, out: Picture) -> Picture:
    """Return min(255, gain |a - b|) in `out`; alpha becomes 255.

    Args:
        a: uint8 (H, W, 4).
        b: uint8 (H, W, 4).
        gain: 1 .. 64.
        out: uint8 (H, W, 4), overwritten.
    """
    np.maximum(a, b, out=out)
    out -= np.minimum(a, b)
    if gain > 1:
        saturated = out > 255 // gain
        out *= np.uint8(gain)
        out[saturated] = 255
    out[..., 3] = 255
    return out


def signed_difference(a: Picture, b: Picture, gain: int, out: Picture) -> Picture:
    """Return 128 + gain (a - b) / 2, rounded down and cut to 0 .. 255, in `out`; alpha becomes 255.

    Args:
        a: uint8 (H, W, 4).
        b: uint8 (H, W, 4).
        gain: 1 .. 64.
        out: uint8 (H, W, 4), overwritten.
    """
    apart = np.subtract(a, b, dtype=np.int16)
    apart *= np.int16(gain)
    apart >>= 1
    apart += 128
    np.clip(apart, 0, 255, out=apart)
    out[...] = apart
    out[..., 3] = 255
    return out


class Readout(NamedTuple):
    """What lies under the cursor.

    Args:
        x, y: column and row of the pixel.
        values: (R, G, B) of each picture, None where it has no such pixel.
    """

    x: int
    y: int
    values: tuple[tuple[int, int, int] | None, ...]

    @property
    def apart(self) -> tuple[int, int, int] | None:
        """B minus A per channel; None unless both are there."""
        a, b = (*self.values, None, None)[:2]
        return None if a is None or b is None else (b[0] - a[0], b[1] - a[1], b[2] - a[2])


def read_pixel(pictures: list[Picture | None], x: int, y: int, size: tuple[int, int]) -> Readout:
    """Return the values of one pixel in all pictures.

    Args:
        pictures: uint8 (H, W, 4) each, or None.
        x: column of the pixel.
        y: its row.
        size: (width, height) that x and y refer to; a picture of another size is read at the same relative place.
    """
    values: list[tuple[int, int, int] | None] = []
    for picture in pictures:
        if picture is None:
            values.append(None)
            continue
        height, width, _ = picture.shape
        column, row = x * width // size[0], y * height // size[1]
        red, green, blue = (int(value) for value in picture[row, column, :3])
        values.append((red, green, blue))
    return Readout(x, y, tuple(values))


def region_psnr(a: Picture, b: Picture, region: tuple[int, int, int, int]) -> float:
    """Return the PSNR of a rectangle in dB, one mean squared error over its pixels and channels.

    Args:
        a: uint8 (H, W, 4).
        b: uint8 (H, W, 4), of the same size.
        region: left, top, width, height in pixels, inside the pictures and not empty.

    Returns:
        dB; `math.inf` where the rectangles are equal.
    """
    x, y, width, height = region
    window = (slice(y, y + height), slice(x, x + width), slice(0, 3))
    apart = np.subtract(a[window], b[window], dtype=np.float64).ravel()
    squares = float(np.dot(apart, apart))
    return math.inf if squares == 0 else 10 * math.log10(255.0**2 * apart.size / squares)
