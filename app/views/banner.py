"""A line above the canvas for what went wrong and what to do; it never stops playing and goes when it is closed."""

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from app.core.player import Player
from app.views.theme import colours

__all__ = ["Banner"]

_MILLISECONDS = 12_000


class Banner(QFrame):
    """Shows the player's messages.

    Args:
        player: who has something to say.
        parent: the widget around it.
    """

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.setAccessibleName("Message")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self.label, 1)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setAccessibleName("Close the message")
        close.clicked.connect(self.hide)
        row.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        player.events.on("message", self._show)
        self.hide()

    def _show(self) -> None:
        """Show the newest message for a while; an empty one takes it away."""
        self.label.setText(self._player.message)
        shade = colours()
        self.setStyleSheet(f"Banner {{ background: {shade.band}; border-bottom: 1px solid {shade.accent}; }}")
        self.setVisible(bool(self._player.message))
        self._timer.start(_MILLISECONDS)
