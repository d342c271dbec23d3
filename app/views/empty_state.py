"""What is seen when nothing is open: where to drop A and B, the sample, recent sources."""

from collections.abc import Callable

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.player import Player
from app.views.theme import colours

__all__ = ["DropZone", "EmptyState"]

_RECENT = 5


class DropZone(QWidget):
    """A dashed frame with a letter; a click opens a file dialog.

    Args:
        letter: "A" or "B".
        title: what belongs there.
        hint: which files that may be.
    """

    clicked = Signal()

    def __init__(self, letter: str, title: str, hint: str) -> None:
        super().__init__()
        self._letter, self._title, self._hint = letter, title, hint
        self.setMinimumSize(220, 150)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(f"{letter}: {title}")
        self.setAccessibleDescription(hint)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Ask for a file."""
        self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ask for a file on Enter and Space, as a button does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint frame and words."""
        painter, shade = QPainter(self), colours()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(shade.accent if self.hasFocus() else shade.faint), 1.5, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(shade.base))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), 10, 10)
        middle, width = self.height() // 2, self.width()
        font = painter.font()
        usual = font.pointSizeF()
        for top, height, size, bold, colour, text in (
            (middle - 58, 48, 2.6, True, shade.accent, self._letter),
            (middle - 4, 26, 1.15, False, shade.text, self._title),
            (middle + 24, 24, 0.95, False, shade.faint, self._hint),
        ):
            font.setPointSizeF(usual * size)
            font.setBold(bold)
            painter.setFont(font)
            painter.setPen(QColor(colour))
            painter.drawText(QRect(4, top, width - 8, height), Qt.AlignmentFlag.AlignCenter, text)
        painter.end()


class EmptyState(QWidget):
    """The page behind the canvas.

    Args:
        player: whose recent sources are offered.
        run: carries a command out, by name.
        open_recent: opens a recent source, given as text.
    """

    def __init__(self, player: Player, run: Callable[[str], None], open_recent: Callable[[str], None]) -> None:
        super().__init__()
        self._player, self._open_recent = player, open_recent
        column = QVBoxLayout(self)
        column.setContentsMargins(40, 24, 40, 24)
        column.addStretch(2)
        title = QLabel("Look at neural video beside its source")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.6)
        title.setFont(font)
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(title)
        column.addSpacing(16)
        zones = QHBoxLayout()
        zones.setSpacing(16)
        for letter, words, hint, name in (
            ("A", "reference", "video file or folder of pictures", "open-a"),
            ("B", "neural video", ".nerv, checkpoint, hf:// or video", "open-b"),
        ):
            zone = DropZone(letter, words, hint)
            zone.clicked.connect(lambda name=name: run(name))
            zones.addWidget(zone, 1)
        column.addLayout(zones, 4)
        column.addSpacing(12)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        self.sample = QPushButton("Open the sample")
        self.sample.setDefault(True)
        self.sample.setToolTip("Big Buck Bunny, and the neural video that was fitted to it")
        self.sample.clicked.connect(lambda: run("open-sample"))
        buttons.addWidget(self.sample)
        for words, name in (("Open address…", "open-address"), ("Browse the Hub…", "browse-hub")):
            button = QPushButton(words)
            button.clicked.connect(lambda _on=False, name=name: run(name))
            buttons.addWidget(button)
        buttons.addStretch(1)
        column.addLayout(buttons)
        self._recent = QVBoxLayout()
        column.addLayout(self._recent)
        column.addStretch(3)
        player.events.on("options", self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Offer the recent sources."""
        while self._recent.count():
            item = self._recent.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        for text in self._player.settings.recent[:_RECENT]:
            words = text if len(text) < 80 else "…" + text[-79:]
            button = QPushButton(words.replace("&", "&&"))  # a single one would underline what follows
            button.setFlat(True)
            button.clicked.connect(lambda _on=False, text=text: self._open_recent(text))
            self._recent.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
