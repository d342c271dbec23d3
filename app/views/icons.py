"""Icons of the transport buttons, drawn in the text colour: no fonts or themes have to have them."""

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QPolygonF

from app.views.theme import colours

__all__ = ["ICON_SIZE", "transport_icon"]

ICON_SIZE = QSize(18, 18)

_RIGHT = ((0.25, 0.15), (0.8, 0.5), (0.25, 0.85))
_SHAPES: dict[
    str, tuple[tuple[tuple[tuple[float, float], ...], ...], tuple[tuple[float, float, float, float], ...]]
] = {
    "play": ((_RIGHT,), ()),
    "pause": ((), ((0.22, 0.15, 0.2, 0.7), (0.58, 0.15, 0.2, 0.7))),
    "step-on": ((((0.15, 0.2), (0.6, 0.5), (0.15, 0.8)),), ((0.68, 0.2, 0.13, 0.6),)),
    "step-back": ((((0.85, 0.2), (0.4, 0.5), (0.85, 0.8)),), ((0.19, 0.2, 0.13, 0.6),)),
    "last": (
        (((0.08, 0.2), (0.42, 0.5), (0.08, 0.8)), ((0.42, 0.2), (0.76, 0.5), (0.42, 0.8))),
        ((0.8, 0.2, 0.11, 0.6),),
    ),
    "first": (
        (((0.92, 0.2), (0.58, 0.5), (0.92, 0.8)), ((0.58, 0.2), (0.24, 0.5), (0.58, 0.8))),
        ((0.09, 0.2, 0.11, 0.6),),
    ),
}
"""By name: polygons, and rectangles as left, top, width, height; on a square of side 1."""


def transport_icon(name: str, ratio: float) -> QIcon:
    """Return an icon in the colours of the theme, its greyed form for disabled buttons included.

    Args:
        name: "play", "pause", "step-on", "step-back", "first" or "last".
        ratio: device pixels per pixel.
    """
    icon = QIcon()
    for mode, colour in ((QIcon.Mode.Normal, colours().text), (QIcon.Mode.Disabled, colours().faint)):
        icon.addPixmap(_paint(name, colour, ratio), mode)
    return icon


def _paint(name: str, colour: str, ratio: float) -> QPixmap:
    side = ICON_SIZE.width()
    pixmap = QPixmap(round(side * ratio), round(side * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(QColor(0, 0, 0, 0))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(0, 0, 0, 0))
    painter.setBrush(QColor(colour))
    polygons, boxes = _SHAPES[name]
    for polygon in polygons:
        painter.drawPolygon(QPolygonF([QPointF(x * side, y * side) for x, y in polygon]))
    for x, y, width, height in boxes:
        painter.drawRect(QRectF(x * side, y * side, width * side, height * side))
    painter.end()
    return pixmap
