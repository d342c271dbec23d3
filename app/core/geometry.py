"""Where pictures lie on a canvas: the one owner of the maths of zoom, pan, wipe and tiles, for every canvas and test.

All lengths on the canvas are device pixels. A canvas is divided into cells (one; two side by side; up to four in a
grid). Every cell shows the same part of its picture, at the same scale. The picture's corner is rounded to whole device
pixels, so that at scale 1 a picture pixel is exactly a device pixel.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from app.core.view import DERIVED, MAX_ZOOM, MIN_ZOOM, Mode, View

__all__ = ["COMPUTED", "Geometry", "Pane", "PictureSize", "Rect", "lay_out", "pan", "zoom_at"]

COMPUTED = -1
"""`Pane.picture` of the picture that is computed from A and B."""


class Rect(NamedTuple):
    """A rectangle of device pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


class PictureSize(NamedTuple):
    """Columns and rows of a picture, and the width of a pixel divided by its height."""

    width: int
    height: int
    aspect: float = 1.0


class Pane(NamedTuple):
    """One picture on the canvas.

    Args:
        picture: 0 for A, 1 for B, 2 and 3 for C and D; `COMPUTED` for the difference pictures.
        clip: the part of the canvas that it may paint.
        left, top: where its corner lies, in device pixels; may be outside the clip.
    """

    picture: int
    clip: Rect
    left: int
    top: int


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A view laid out on a canvas.

    Args:
        canvas: (width, height) in device pixels.
        picture: size of the pictures; all are shown as if they had this size.
        scale: device pixels per picture pixel, across and down; they differ where pixels are not square.
        panes: what is painted where, in painting order.
        dividers: columns of device pixels where a border line stands.
        smooth: whether pixels are blended; picture pixels stay sharp squares from scale 2 on.
    """

    canvas: tuple[int, int]
    picture: PictureSize
    scale: tuple[float, float]
    panes: tuple[Pane, ...]
    dividers: tuple[int, ...]
    smooth: bool

    def pane_at(self, x: float, y: float) -> Pane:
        """Return the pane under a point; the nearest one for a point outside all."""

        def distance(pane: Pane) -> float:
            clip = pane.clip
            across = max(clip.x - x, 0, x - (clip.x + clip.width))
            down = max(clip.y - y, 0, y - (clip.y + clip.height))
            return across + down

        return min(self.panes, key=distance)

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the picture under a point of the canvas, in picture pixels; may be outside it."""
        pane = self.pane_at(x, y)
        return (x - pane.left) / self.scale[0], (y - pane.top) / self.scale[1]

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return (column, row) of the picture pixel under a point of the canvas; None beside the picture."""
        u, v = (math.floor(value) for value in self.to_picture(x, y))
        return (u, v) if 0 <= u < self.picture.width and 0 <= v < self.picture.height else None

    def to_canvas(self, u: float, v: float, pane: Pane) -> tuple[float, float]:
        """Return where the point (u, v) of the picture, in picture pixels, lies on the canvas in `pane`."""
        return pane.left + u * self.scale[0], pane.top + v * self.scale[1]


def _cells(mode: Mode, count: int) -> tuple[int, int]:
    """Return columns and rows of cells."""
    if mode is Mode.SIDE:
        return 2, 1
    if mode is Mode.GRID and count > 1:
        return 2, (count + 1) // 2
    return 1, 1


def _scale(view: View, picture: PictureSize, cell: tuple[float, float]) -> tuple[float, float]:
    """Return device pixels per picture pixel, across and down."""
    down = view.zoom
    if down is None:
        down = min(cell[0] / (picture.width * picture.aspect), cell[1] / picture.height)
        down = max(down, 1e-3)
    return down * picture.aspect, down


def lay_out(view: View, picture: PictureSize, canvas: tuple[int, int], count: int = 2) -> Geometry:
    """Return where everything lies.

    Args:
        view: what is looked at, and how.
        picture: size of the pictures.
        canvas: (width, height) in device pixels, at least 1 each.
        count: number of pictures there are, 1 to 4; decides the grid.
    """
    width, height = max(1, canvas[0]), max(1, canvas[1])
    columns, rows = _cells(view.mode, count)
    scale = _scale(view, picture, (width / columns, height / rows))

    def pane(number: int, cell: int, clip: Rect | None = None) -> Pane:
        column, row = cell % columns, cell // columns
        x0, x1 = round(column * width / columns), round((column + 1) * width / columns)
        y0, y1 = round(row * height / rows), round((row + 1) * height / rows)
        left = round((x0 + x1) / 2 - view.centre[0] * picture.width * scale[0])
        top = round((y0 + y1) / 2 - view.centre[1] * picture.height * scale[1])
        return Pane(number, clip or Rect(x0, y0, x1 - x0, y1 - y0), left, top)

    dividers: tuple[int, ...] = ()
    if view.mode is Mode.WIPE:
        border = round(view.split * width)
        left, right = Rect(0, 0, border, height), Rect(border, 0, width - border, height)
        panes = [pane(0, 0, left), pane(1, 0, right)]
        dividers = (border,)
    elif view.mode is Mode.SIDE:
        panes, dividers = [pane(0, 0), pane(1, 1)], (round(width / 2),)
    elif view.mode is Mode.GRID:
        panes = [pane(number, number) for number in range(max(1, count))]
    elif view.mode in DERIVED:
        panes = [pane(COMPUTED, 0)]
    else:
        panes = [pane(0 if view.mode is Mode.A else 1, 0)]
    whole = scale[0] == scale[1] == 1.0
    smooth = not whole and (view.zoom is None or view.zoom < 2.0)
    return Geometry(
        canvas=(width, height), picture=picture, scale=scale, panes=tuple(panes), dividers=dividers, smooth=smooth
    )


def zoom_at(view: View, geometry: Geometry, x: float, y: float, factor: float) -> None:
    """Zoom by a factor so that the picture's point under the cursor stays there, unless the picture's edge forbids it.

    Args:
        view: changed.
        geometry: how it is laid out now.
        x: column of the cursor, in device pixels.
        y: its row.
        factor: above 1 magnifies.
    """
    old = geometry.scale[1]
    new = min(MAX_ZOOM, max(MIN_ZOOM, old * factor))
    if abs(math.log2(new)) < 0.05:
        new = 1.0  # steps of the wheel find 1:1 again
    u, v = geometry.to_picture(x, y)
    centre_u, centre_v = view.centre[0] * geometry.picture.width, view.centre[1] * geometry.picture.height
    keep = old / new
    view.zoom = new
    view.move_centre(
        (u - centre_u) * (1 - keep) / geometry.picture.width, (v - centre_v) * (1 - keep) / geometry.picture.height
    )


def pan(view: View, geometry: Geometry, dx: float, dy: float) -> None:
    """Move the picture by (dx, dy) device pixels, as a hand drags it."""
    view.move_centre(
        -dx / (geometry.scale[0] * geometry.picture.width), -dy / (geometry.scale[1] * geometry.picture.height)
    )
