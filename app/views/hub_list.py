"""The list of the Hub browser: poster, name, a line of figures, how far a pull is. Posters are asked for when seen."""

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from app.core.hub_browser import Row
from app.core.hub_words import row_line, transfer_words
from app.views.theme import colours
from app.workers.hub_desk import HubDesk

__all__ = ["HubList"]

_THUMB = QSize(128, 72)
_KEY = Qt.ItemDataRole.UserRole
_SOON = 120
"""Milliseconds after the last scroll until posters are asked for."""


class HubList(QListWidget):
    """Shows the rows of a browser.

    Args:
        desk: has the rows and their posters.
        parent: the widget around it.
    """

    chosen = Signal()
    """Another row is the current one, or it has changed."""

    def __init__(self, desk: HubDesk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._shown: dict[str, Row] = {}
        self._pictured: set[str] = set()
        self.setAccessibleName("Videos on the Hub")
        self.setIconSize(_THUMB)
        self.setSpacing(2)
        self.setWordWrap(True)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON)
        self._soon.timeout.connect(self.ask_for_posters)
        self.verticalScrollBar().valueChanged.connect(lambda _value: self._soon.start())
        self.currentItemChanged.connect(lambda *_: self.chosen.emit())

    @property
    def current(self) -> Row | None:
        """The row that is chosen."""
        item, browser = self.currentItem(), self._desk.browser
        if item is None or browser is None:
            return None
        return next((row for row in browser.rows if row.key == item.data(_KEY)), None)

    def sync(self) -> None:
        """Show the rows as they are now; the chosen one stays chosen."""
        rows = self._desk.browser.rows if self._desk.browser is not None else ()
        if [row.key for row in rows] != list(self._shown):
            self._rebuild(rows)
        changed = False
        for place, row in enumerate(rows):
            item, before = self.item(place), self._shown[row.key]
            if before is not row:
                self._shown[row.key] = row
                self._fill(item, row)
                changed = changed or item is self.currentItem()
            if row.key not in self._pictured and (image := self._desk.poster(row)) is not None:
                self._pictured.add(row.key)
                self._set_icon(item, self._thumb(row, QPixmap.fromImage(image)))
                changed = changed or item is self.currentItem()
        if changed:
            self.chosen.emit()

    def _rebuild(self, rows: tuple[Row, ...]) -> None:
        """Put other rows in."""
        kept = self.currentItem().data(_KEY) if self.currentItem() is not None else None
        self.blockSignals(True)
        self.clear()
        self._shown, self._pictured = {}, set()
        for row in rows:
            item = QListWidgetItem()
            item.setData(_KEY, row.key)
            item.setSizeHint(QSize(0, _THUMB.height() + 10))
            self.addItem(item)
            self._shown[row.key] = row
            self._fill(item, row)
        places = [place for place, row in enumerate(rows) if row.key == kept]
        self.setCurrentRow(places[0] if places else min(0, len(rows) - 1))
        self.blockSignals(False)
        self.chosen.emit()
        self._soon.start()

    def _fill(self, item: QListWidgetItem, row: Row) -> None:
        """Show a row in its item; a poster that is there stays."""
        lines = [row.entry.repository, row_line(row), transfer_words(row.transfer)]
        item.setText("\n".join(line for line in lines if line))
        item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(line for line in lines if line))
        if row.key not in self._pictured:
            self._set_icon(item, self._thumb(row, None))

    @staticmethod
    def _set_icon(item: QListWidgetItem, thumb: QPixmap) -> None:
        """Give an item its picture, which is not tinted when the item is chosen."""
        icon = QIcon(thumb)
        icon.addPixmap(thumb, QIcon.Mode.Selected)
        item.setIcon(icon)

    def _thumb(self, row: Row, poster: QPixmap | None) -> QPixmap:
        """Return the poster on the theme's ground; without one, the name of the network."""
        ratio = self.devicePixelRatioF()
        thumb = QPixmap(_THUMB * ratio)
        thumb.setDevicePixelRatio(ratio)
        thumb.fill(QColor(colours().grid))
        painter = QPainter(thumb)
        if poster is not None:
            small = poster.scaled(
                _THUMB * ratio, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            small.setDevicePixelRatio(ratio)
            wide, high = small.width() / ratio, small.height() / ratio
            painter.drawPixmap(round((_THUMB.width() - wide) / 2), round((_THUMB.height() - high) / 2), small)
        else:
            painter.setPen(QColor(colours().faint))
            words = row.peek.header.architecture if row.peek is not None else "…" if row.poster is None else "no poster"
            painter.drawText(0, 0, _THUMB.width(), _THUMB.height(), Qt.AlignmentFlag.AlignCenter, words)
        painter.end()
        return thumb

    def ask_for_posters(self) -> None:
        """Ask for the posters of the rows that can be seen, the chosen one first."""
        browser = self._desk.browser
        if browser is None or browser.local or not self.count():
            return
        area = self.viewport().rect()
        seen = [
            self.item(place).data(_KEY)
            for place in range(self.count())
            if self.visualItemRect(self.item(place)).intersects(area)
        ]
        browser.show(seen)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for the posters that come into sight."""
        super().resizeEvent(event)
        self._soon.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the list; say something where it is empty."""
        super().paintEvent(event)
        browser = self._desk.browser
        if self.count():
            return
        if browser is None or browser.searching:
            words = self._desk.problem or "asking the Hub …"
        elif browser.local:
            words = "no video of the Hub is on this computer"
        else:
            words = "nothing found; try fewer words or tags"
        painter = QPainter(self.viewport())
        painter.setPen(QColor(colours().faint))
        wrapped = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.viewport().rect().adjusted(20, 0, -20, 0), wrapped, words)
        painter.end()
