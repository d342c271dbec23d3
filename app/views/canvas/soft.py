"""The canvas on the CPU: QPainter. Exact at 1:1 and at whole zooms; on machines without a GPU it is the fast one."""

import math

from PySide6.QtCore import QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.core.geometry import COMPUTED, Geometry, Pane
from app.core.player import Player
from app.views.canvas.hand import CanvasHand, pane_picture
from app.views.canvas.images import ComputedPicture, wrap

__all__ = ["BACKGROUND", "DIVIDER", "REGION", "SoftCanvas"]

BACKGROUND = (18, 18, 20)
DIVIDER = (255, 255, 255)
REGION = (255, 200, 0)
"""Colours of what is not picture: R, G, B."""


class SoftCanvas(CanvasHand, QWidget):
    """Paints what the player shows.

    Args:
        player: whose pictures and view.
        parent: the widget around it.
    """

    failed = Signal(str)
    """Why this canvas cannot go on; the other kind takes its place. Never sent by this one."""

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.init_hand(player)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._computed = ComputedPicture()
        self.paints = 0

    @property
    def description(self) -> str:
        """How it paints, for the status bar."""
        return "QPainter, CPU"

    def pictures_changed(self) -> None:
        """Paint other pictures."""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint panes, dividers and the measured region."""
        self.paints += 1
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        laid = self.geometry_now()
        painter.fillRect(0, 0, laid.canvas[0], laid.canvas[1], QColor(*BACKGROUND))
        if any(picture is not None for picture in self.player.pictures):
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, laid.smooth)
            for pane in laid.panes:
                image = self._image(pane)
                if image is not None:
                    painter.setClipRect(QRect(*pane.clip))
                    self._draw(painter, laid, pane, image)
                    self._outline(painter, laid, pane)
            painter.setClipping(False)
            for column in laid.dividers:
                painter.fillRect(column - 1, 0, 2, laid.canvas[1], QColor(*DIVIDER))
        painter.end()

    def _image(self, pane: Pane) -> QImage | None:
        """Return what a pane shows."""
        pictures, view = self.player.pictures, self.player.view
        if pane.picture == COMPUTED:
            return self._computed.image(view.mode, view.gain, pictures[0], pictures[1])
        picture = pane_picture(self.player, pane)
        return wrap(picture) if picture is not None else None

    @staticmethod
    def _draw(painter: QPainter, laid: Geometry, pane: Pane, image: QImage) -> None:
        """Draw the visible part of a picture, widened to whole picture pixels; the clip cuts it to size."""
        clip, (across, down) = pane.clip, laid.scale
        across, down = across * laid.picture.width / image.width(), down * laid.picture.height / image.height()
        u0 = max(0, math.floor((clip.x - pane.left) / across) - 1)
        v0 = max(0, math.floor((clip.y - pane.top) / down) - 1)
        u1 = min(image.width(), math.ceil((clip.x + clip.width - pane.left) / across) + 1)
        v1 = min(image.height(), math.ceil((clip.y + clip.height - pane.top) / down) + 1)
        if u1 <= u0 or v1 <= v0:
            return
        target = QRectF(pane.left + u0 * across, pane.top + v0 * down, (u1 - u0) * across, (v1 - v0) * down)
        part = QRect(u0, v0, u1 - u0, v1 - v0)
        if (across, down) != (1, 1) and image.format() == QImage.Format.Format_RGBX8888:
            # Qt scales its own order of colours more than twice as fast
            image = image.copy(part) if part != image.rect() else image
            image = image.convertToFormat(QImage.Format.Format_RGB32)
            part = image.rect()
        painter.drawImage(target, image, QRectF(part))

    def _outline(self, painter: QPainter, laid: Geometry, pane: Pane) -> None:
        """Draw a frame of one device pixel around the measured region."""
        if self.player.region is None:
            return
        x, y, width, height = self.player.region
        left, top = (round(value) for value in laid.to_canvas(x, y, pane))
        right, bottom = (round(value) for value in laid.to_canvas(x + width, y + height, pane))
        painter.setPen(QColor(*REGION))
        painter.drawRect(left, top, max(0, right - left - 1), max(0, bottom - top - 1))
