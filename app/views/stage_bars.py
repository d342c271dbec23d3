"""Bars of milliseconds per stage of a network."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.views.theme import colours

__all__ = ["StageBars"]

_ROW = 17
_NAME, _VALUE = 150, 70


class StageBars(QWidget):
    """Shows (name, milliseconds) rows.

    Args:
        parent: the widget around it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stages: tuple[tuple[str, float], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Milliseconds per stage")

    def show_stages(self, stages: tuple[tuple[str, float], ...]) -> None:
        """Show these rows."""
        if stages != self._stages:
            self._stages = stages
            words = [f"{name} {value:.2f} ms" for name, value in stages]
            self.setAccessibleDescription(", ".join(words))
            self.setToolTip("\n".join(words))
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """Return room for all rows."""
        return QSize(200, _ROW * len(self._stages))

    def minimumSizeHint(self) -> QSize:
        """Return the same as `sizeHint`."""
        return QSize(120, _ROW * len(self._stages))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint name, bar and value of every stage."""
        painter, shade = QPainter(self), colours()
        longest = max((value for _, value in self._stages), default=1.0) or 1.0
        room = max(10, self.width() - _NAME - _VALUE)
        for row, (name, value) in enumerate(self._stages):
            top = row * _ROW
            painter.setPen(QColor(shade.text))
            text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, _NAME - 6)
            painter.drawText(QRect(0, top, _NAME, _ROW), Qt.AlignmentFlag.AlignVCenter, text)
            painter.fillRect(QRect(_NAME, top + 3, room, _ROW - 6), QColor(shade.grid))
            painter.fillRect(
                QRect(_NAME, top + 3, max(1, round(room * value / longest)), _ROW - 6), QColor(shade.accent)
            )
            box = QRect(_NAME + room, top, _VALUE, _ROW)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, f"{value:.2f} ms")
        painter.end()
