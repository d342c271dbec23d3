"""The Hub browser: search, look at metadata without a download, pull, open as A or B."""

from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.hub_words import SEARCH_HINT, parse_query
from app.views.hub_details import HubDetails
from app.views.hub_list import HubList
from app.workers.hub_desk import HubDesk

__all__ = ["HubDialog"]

_REFRESH = 30
"""Milliseconds between two looks at what has changed: pulls report hundreds of times a second."""


class HubDialog(QDialog):
    """A view of the window's desk; closing it stops nothing.

    Args:
        desk: connection and browser.
        parent: the window.
    """

    def __init__(self, desk: HubDesk, parent: QWidget) -> None:
        super().__init__(parent)
        self._desk = desk
        self.setWindowTitle("Neural videos on the Hub")
        self.resize(980, 620)
        column = QVBoxLayout(self)
        self.endpoint = QLabel()
        self.endpoint.setTextFormat(Qt.TextFormat.PlainText)
        self.endpoint.setWordWrap(True)
        self.endpoint.setAccessibleName("Which Hub this is")
        column.addWidget(self.endpoint)
        column.addLayout(self._build_search())
        middle = QHBoxLayout()
        self.list = HubList(desk)
        self.details = HubDetails(desk)
        middle.addWidget(self.list, 1)
        middle.addWidget(self.details)
        column.addLayout(middle, 1)
        column.addLayout(self._build_foot())
        self.list.chosen.connect(self._row_chosen)
        self.list.itemActivated.connect(lambda _item: self.details.buttons["b"].click())
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_REFRESH)
        self._soon.timeout.connect(self.refresh)
        desk.changed.connect(self._changed)
        desk.connect_hub()
        if desk.browser is not None and desk.browser.error:
            self.search()
        self.refresh()
        self.field.setFocus()

    def _build_search(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.field = QLineEdit()
        self.field.setPlaceholderText(f"Search: {SEARCH_HINT}")
        self.field.setAccessibleName("Search the Hub")
        self.field.setAccessibleDescription(SEARCH_HINT)
        self.field.setClearButtonEnabled(True)
        self.field.returnPressed.connect(self.search)
        self.button = QPushButton("&Search")
        self.button.setAutoDefault(False)  # Enter in the list opens a video; in the field it searches
        self.button.clicked.connect(self.search)
        self.local = QCheckBox("On this &computer")
        self.local.setToolTip("Only what was pulled before; the Hub is not asked")
        self.local.clicked.connect(self.search)
        for widget in (self.field, self.button, self.local):
            row.addWidget(widget)
        return row

    def _build_foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        self.note.setAccessibleName("State of the search")
        row.addWidget(self.note, 1)
        self.more = QPushButton("Show &more")
        self.more.setAutoDefault(False)
        self.more.clicked.connect(lambda: self._desk.browser.more() if self._desk.browser is not None else None)
        close = QPushButton("Close")
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        row.addWidget(self.more)
        row.addWidget(close)
        return row

    def search(self) -> None:
        """Search for what the field says; on this computer only where that is ticked."""
        browser = self._desk.browser
        if browser is None:
            self._desk.connect_hub()
            return
        query = parse_query(self.field.text())
        if self.local.isChecked():
            browser.query = query
            browser.show_local()
        else:
            browser.search(query)

    def _changed(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show what has changed."""
        desk, browser = self._desk, self._desk.browser
        if desk.hub is not None and not desk.hub.is_official:
            self.endpoint.setText(f"This is {desk.hub.endpoint}, not huggingface.co; it gets your login, too.")
        self.endpoint.setVisible(bool(self.endpoint.text()))
        self.list.sync()
        self.list.viewport().update()
        self.note.setText(self._words())
        self.more.setEnabled(browser is not None and not browser.searching and not browser.complete)
        if browser is not None:
            self.local.setChecked(browser.local and not browser.error)

    def _words(self) -> str:
        """Return one line on the search."""
        desk, browser = self._desk, self._desk.browser
        if browser is None:
            return desk.problem or "connecting …"
        count = len(browser.rows)
        videos = f"{count} video{'' if count == 1 else 's'}"
        if browser.searching:
            return desk.notice or "asking the Hub …"
        if browser.error:
            here = f". Shown: {videos} on this computer" if browser.local else ""
            return f"{browser.error}{here}"
        return f"{videos} on this computer" if browser.local else f"{videos}{'' if browser.complete else ' so far'}"

    def _row_chosen(self) -> None:
        """Show the chosen row, and ask its file what it is."""
        row, browser = self.list.current, self._desk.browser
        self.details.show_row(row)
        if row is not None and browser is not None and not row.problem:
            browser.look(row.key)

    def keyPressEvent(self, event: Any) -> None:
        """Let the arrow keys reach the list from the search field."""
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up) and self.field.hasFocus():
            self.list.setFocus()
        super().keyPressEvent(event)
