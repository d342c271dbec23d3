"""Drag and drop: the left half of the window opens as A, the right half as B; both are shown while something hovers."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QMimeData, QRect, Qt
from PySide6.QtGui import QColor, QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.views.theme import colours

__all__ = ["DropArea", "texts_of"]


def texts_of(data: QMimeData) -> list[str]:
    """Return what was dragged as paths and addresses."""
    texts = [url.toLocalFile() or url.toString() for url in data.urls()]
    if not texts and data.hasText():
        texts = [line.strip() for line in data.text().splitlines()]
    return [text for text in texts if text]


class _Overlay(QWidget):
    """Two halves with letters, over everything."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.slot = 0
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint the half that would take the drop brighter."""
        painter, shade = QPainter(self), colours()
        half = self.width() // 2
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 3)
        painter.setFont(font)
        for number, (left, words) in enumerate(((0, "A: reference"), (half, "B: neural video"))):
            box = QRect(left, 0, half, self.height()).adjusted(8, 8, -8, -8)
            fill = QColor(shade.accent if number == self.slot else shade.window)
            fill.setAlpha(150)
            painter.fillRect(box, fill)
            painter.setPen(QColor(shade.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        painter.end()


class DropArea(QWidget):
    """A widget that takes files and addresses.

    Args:
        dropped: called with what was dropped, and 0 for the left half or 1 for the right.
    """

    def __init__(self, dropped: Callable[[Sequence[str], int], None]) -> None:
        super().__init__()
        self._dropped = dropped
        self._overlay = _Overlay(self)
        self.setAcceptDrops(True)

    def _side(self, x: float) -> int:
        return int(x >= self.width() / 2)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Show the halves when something useful comes in."""
        if texts_of(event.mimeData()):
            self._overlay.setGeometry(self.rect())
            self._overlay.show()
            self._overlay.raise_()
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Mark the half under the cursor."""
        self._overlay.slot = self._side(event.position().x())
        self._overlay.update()
        event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Hide the halves."""
        self._overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self._overlay.hide()
        texts = texts_of(event.mimeData())
        if texts:
            event.acceptProposedAction()
            self._dropped(texts, self._side(event.position().x()))
