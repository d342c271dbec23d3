"""Rate against distortion: a curve per architecture and encoder. A click on a point loads it as B."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.core.player import Player
from app.core.rd import PlotRange, RdPoint, plot_range
from app.views.theme import colours

__all__ = ["RdPlot"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 22, 10, 20
_REACH = 12.0
"""Device-independent pixels around a point that count as on it."""


class RdPlot(QWidget):
    """Shows the points of a player.

    Args:
        player: whose points.
        parent: the widget around it.
    """

    chosen = Signal(object)
    """The `RdPoint` that was clicked."""

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.setMouseTracking(True)
        self.setAccessibleName("Rate and distortion")
        player.events.on("metrics", self.update)
        player.events.on("clip", self.update)

    def sizeHint(self) -> QSize:
        """Return the usual size."""
        return QSize(260, 200)

    def _points(self) -> list[RdPoint]:
        return [point for curve in self._player.rd.curves().values() for point in curve]

    def place_of(self, point: RdPoint, axes: PlotRange) -> QPointF:
        """Return where a point lies on the widget."""
        across = (point.bpp - axes.low_bpp) / (axes.high_bpp - axes.low_bpp)
        up = (point.psnr - axes.low_psnr) / (axes.high_psnr - axes.low_psnr)
        width, height = self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        return QPointF(_LEFT + across * width, _TOP + (1 - up) * height)

    def point_at(self, place: QPointF) -> RdPoint | None:
        """Return the point under a place of the widget, or None."""
        points = self._points()
        if not points:
            return None
        axes = plot_range(points)
        nearest = min(points, key=lambda point: (self.place_of(point, axes) - place).manhattanLength())
        return nearest if (self.place_of(nearest, axes) - place).manhattanLength() <= _REACH else None

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint axes, curves and points."""
        painter, shade = QPainter(self), colours()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        points = self._points()
        if not points:
            painter.setPen(QColor(shade.faint))
            words = "Measured sources appear here\nas points of rate and PSNR"
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            painter.end()
            return
        axes = plot_range(points)
        self._paint_axes(painter, axes)
        tints = (shade.good, shade.accent, shade.second, shade.bad, shade.faint)
        for number, (series, curve) in enumerate(self._player.rd.curves().items()):
            colour = QColor(tints[number % len(tints)])
            painter.setPen(QPen(colour, 1.5))
            places = [self.place_of(point, axes) for point in curve]
            painter.drawPolyline(places)
            for point, place in zip(curve, places, strict=True):
                painter.setBrush(colour)
                painter.drawEllipse(place, 4, 4)
                if self._is_shown(point):
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawEllipse(place, 8, 8)
            last = places[-1]
            wide = painter.fontMetrics().horizontalAdvance(series)
            left = min(last.x() + 10, self.width() - wide - 2)
            painter.drawText(QPointF(left, last.y() - 8), series)
        painter.end()

    def _paint_axes(self, painter: QPainter, axes: PlotRange) -> None:
        """Paint three round values on each axis."""
        shade = colours()
        width, height = self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        for part in (0.0, 0.5, 1.0):
            y = _TOP + (1 - part) * height
            painter.setPen(QPen(QColor(shade.grid), 1))
            painter.drawLine(QPointF(_LEFT, y), QPointF(_LEFT + width, y))
            painter.setPen(QColor(shade.faint))
            value = axes.low_psnr + part * (axes.high_psnr - axes.low_psnr)
            painter.drawText(QRectF(0, y - 8, _LEFT - 4, 16), Qt.AlignmentFlag.AlignRight, f"{value:.0f}")
            bpp = axes.low_bpp + part * (axes.high_bpp - axes.low_bpp)
            x = _LEFT + part * width
            painter.drawText(QRectF(x - 40, self.height() - 16, 78, 16), Qt.AlignmentFlag.AlignCenter, f"{bpp:.2f}")
        painter.drawText(QPointF(_LEFT + 4, _TOP + 10), "dB")
        painter.drawText(QPointF(_LEFT + width * 0.75 - 10, self.height() - 4), "bpp")

    def _is_shown(self, point: RdPoint) -> bool:
        b = self._player.slots[1]
        return b.ref == point.ref and b.facts is not None and b.facts.precision == point.precision

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the point under the cursor."""
        point = self.point_at(event.position())
        if point is not None:
            self.chosen.emit(point)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the cursor."""
        point = self.point_at(event.position())
        self.setCursor(Qt.CursorShape.PointingHandCursor if point else Qt.CursorShape.ArrowCursor)
        if point is None:
            QToolTip.hideText()
            return
        precision = f" {point.precision.upper()}" if point.precision else ""
        words = f"{point.label}{precision}\n{point.bpp:.4f} bpp, {point.psnr:.2f} dB over {point.frames} frames"
        QToolTip.showText(event.globalPosition().toPoint(), words + "\nclick: load as B", self)
