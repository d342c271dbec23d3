"""Which strides: from the size of a frame to the stages of a decoder, and the way out where none fit."""

import math

from nervplay.errors import GeometryError

__all__ = ["choose_strides", "nearest_fitting_size"]

_SMALLEST_SIDE = 2
_LARGEST_AREA = 600
_FACTORS = (5, 3, 2)
_STAGES = 5


def _usable(scale: int, width: int, height: int) -> bool:
    """Whether the grid (height / scale, width / scale) is neither a single line nor too large to be worth a network."""
    rows, columns = height // scale, width // scale
    return min(rows, columns) >= _SMALLEST_SIDE and rows * columns <= _LARGEST_AREA


def _scales(limit: int) -> list[int]:
    """Return the products of 5, 3 and 2 from 2 to `limit`, rising."""
    found = {1}
    for factor in _FACTORS:
        for start in sorted(found):
            scale = start
            while scale * factor <= limit:
                scale *= factor
                found.add(scale)
    return sorted(found - {1})


def _factorise(scale: int) -> tuple[int, ...]:
    """Return strides 5, 4, 3, 2, falling; twos are joined to fours while there are more than five stages."""
    strides = []
    for factor in _FACTORS:
        while scale % factor == 0:
            strides.append(factor)
            scale //= factor
    while len(strides) > _STAGES and strides.count(2) >= 2:
        strides.remove(2)
        strides.remove(2)
        strides.append(4)
    return tuple(sorted(strides, reverse=True))


def choose_strides(width: int, height: int, *, area: int) -> tuple[int, ...]:
    """Return decoder strides for a frame size, the largest first: 640x1280 gives 5 4 4 2 2, 720x1280 gives 5 2 2 2 2.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        area: wanted positions of the grid that the decoder starts from; the nearest possible (by ratio) is taken.

    Raises:
        GeometryError: no product of 2, 3 and 5 divides both sides into a grid of 2x2 .. 600 positions.
    """
    fitting = [
        scale
        for scale in _scales(math.gcd(width, height))
        if width % scale == height % scale == 0 and _usable(scale, width, height)
    ]
    if not fitting:
        near = nearest_fitting_size(width, height)
        way = f"crop or scale it to {near[0]}x{near[1]} (--crop {near[0]}x{near[1]})" if near else "enlarge it"
        raise GeometryError(
            f"{width}x{height} frames do not divide into stages: both sides need a common multiple of 2, 3 and 5 that "
            f"leaves a grid of 2x2 to {_LARGEST_AREA} positions; {way}"
        )
    return _factorise(min(fitting, key=lambda scale: (abs(math.log(width * height / scale**2 / area)), -scale)))


def nearest_fitting_size(width: int, height: int) -> tuple[int, int] | None:
    """Return the largest even (width, height) inside a frame size that `choose_strides` takes, or None below 4x4.

    Args:
        width: columns, in pixels.
        height: rows, in pixels.
    """
    sizes = [
        (width // scale * scale, height // scale * scale)
        for scale in _scales(min(width, height) // _SMALLEST_SIDE)
        if _usable(scale, width, height)
    ]
    sizes = [size for size in sizes if size[0] % 2 == size[1] % 2 == 0]  # video formats halve the chroma
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
