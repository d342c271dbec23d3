"""What is known of one video on the Hub: poster, facts, how far its pull is, and what to do with it."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.core.hub_browser import Row
from app.core.hub_words import row_facts, transfer_words
from app.workers.hub_desk import HubDesk

__all__ = ["HubDetails"]

_POSTER = QSize(320, 180)
_FACTS = ("Network", "Picture", "Size", "Quality", "Licence", "Version", "Liked")


class HubDetails(QWidget):
    """The pane beside the list.

    Args:
        desk: has the browser.
        parent: the widget around it.
    """

    def __init__(self, desk: HubDesk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._row: Row | None = None
        self.setMinimumWidth(_POSTER.width() + 24)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 0, 0)
        self._poster = QLabel()
        self._poster.setFixedSize(_POSTER)
        self._poster.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._poster.setAccessibleName("Poster")
        column.addWidget(self._poster, 0, Qt.AlignmentFlag.AlignHCenter)
        self.name = QLabel()
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.name)
        self._form = form = QFormLayout()
        form.setVerticalSpacing(3)
        self.facts: dict[str, QLabel] = {}
        for fact in _FACTS:
            value = QLabel()
            value.setTextFormat(Qt.TextFormat.PlainText)  # strangers wrote it
            value.setWordWrap(True)
            value.setAccessibleName(fact)
            form.addRow(fact, value)
            self.facts[fact] = value
        column.addLayout(form)
        column.addStretch(1)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the pull")
        column.addWidget(self.bar)
        self.state = QLabel()
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.state.setWordWrap(True)
        self.state.setAccessibleName("State of the pull")
        column.addWidget(self.state)
        column.addLayout(self._build_buttons())
        self.show_row(None)

    def _build_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.buttons: dict[str, QPushButton] = {}
        for name, words, tip in (
            ("a", "Open as &A", "Pull it where it is not here yet, and show it as A"),
            ("b", "Open as &B", "Pull it where it is not here yet, and show it as B"),
            ("pull", "&Pull", "Fetch it to this computer, and open it later"),
            ("cancel", "&Stop", "Stop the pull; nothing is kept of it"),
        ):
            button = QPushButton(words)
            button.setToolTip(tip)
            button.setAutoDefault(False)
            row.addWidget(button)
            self.buttons[name] = button
        self.buttons["a"].clicked.connect(lambda: self._pull(0))
        self.buttons["b"].clicked.connect(lambda: self._pull(1))
        self.buttons["pull"].clicked.connect(lambda: self._pull(None))
        self.buttons["cancel"].clicked.connect(self._stop)
        return row

    def _pull(self, slot: int | None) -> None:
        if self._row is not None and self._desk.browser is not None:
            self._desk.browser.pull(self._row.key, slot)

    def _stop(self) -> None:
        if self._row is not None and self._desk.browser is not None:
            self._desk.browser.cancel_pull(self._row.key)

    def show_row(self, row: Row | None) -> None:
        """Show a row, or nothing."""
        self._row = row
        here = row is not None and row.transfer is not None and row.transfer.clip is not None
        running = row is not None and row.transfer is not None and row.transfer.running
        for name, on in (("a", row is not None), ("b", row is not None), ("pull", row is not None and not here)):
            self.buttons[name].setEnabled(on)
        self.buttons["pull"].setVisible(not running)
        self.buttons["cancel"].setVisible(running)
        self.bar.setVisible(running)
        self.name.setText(row.entry.repository if row is not None else "")
        facts = dict(row_facts(row)) if row is not None else {}
        for name, label in self.facts.items():
            label.setText(facts.get(name, ""))
            self._form.setRowVisible(label, name in facts)
        self.state.setText(transfer_words(row.transfer) if row is not None else "")
        if row is not None and row.transfer is not None:
            self.bar.setRange(0, row.transfer.total)
            self.bar.setValue(row.transfer.done)
        image = self._desk.poster(row) if row is not None else None
        if image is None:
            self._poster.setText("no poster" if row is not None and row.poster == b"" else "")
        else:
            self._poster.setPixmap(QPixmap.fromImage(image))
