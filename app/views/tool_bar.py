"""The row of modes: A, B, wipe and so on, gain, fit, 1:1, snapshot, export."""

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QLabel, QToolBar, QToolButton, QWidget

from app.core.player import Player
from app.core.view import DERIVED, GAINS

__all__ = ["ModeBar"]

_SHORT = {
    "mode-a": "A",
    "mode-b": "B",
    "mode-side": "Side by side",
    "mode-signed": "Signed",
    "snapshot": "Snapshot",
    "export": "Export…",
}
_GROUPS = (
    ("mode-a", "mode-b", "mode-wipe", "mode-side", "mode-difference", "mode-signed", "mode-heat", "mode-grid"),
    ("fit", "one-to-one"),
    ("worst", "snapshot", "export"),
)


class ModeBar(QToolBar):
    """Buttons for what is used most.

    Args:
        player: whose view.
        actions: by command name.
        parent: the window.
    """

    def __init__(self, player: Player, actions: Mapping[str, QAction], parent: QWidget) -> None:
        super().__init__("Modes", parent)
        self._player = player
        self.setObjectName("modes")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        for number, group in enumerate(_GROUPS):
            for name in group:
                self.addWidget(self._button(actions[name], name))
            if number == 0:
                self._add_gain()
            self.addSeparator()
        player.events.on("view", self._refresh)
        self._refresh()

    def _button(self, action: QAction, name: str) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(action)
        button.setAutoRaise(True)
        button.setAccessibleName(action.text())
        short = _SHORT.get(name, action.text().rstrip("…"))
        action.changed.connect(lambda: button.setText(short))
        button.setText(short)
        return button

    def _add_gain(self) -> None:
        label = QLabel("  gain ")
        self.gain = QComboBox()
        self.gain.setAccessibleName("Gain of differences")
        self.gain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.gain.addItems([f"x{gain}" for gain in GAINS])
        self.gain.activated.connect(self._choose)
        self._gain_widgets = [self.addWidget(label), self.addWidget(self.gain)]

    def _choose(self, place: int) -> None:
        self._player.view.gain = GAINS[place]
        self._player.events.emit("view")

    def _refresh(self) -> None:
        """Show the gain in use; it means something for differences only."""
        self.gain.setCurrentIndex(GAINS.index(self._player.view.gain))
        self.gain.setEnabled(self._player.view.mode in DERIVED)
