"""Buttons under the timeline: first, back, play, on, last; frame and time; position between frames; speed and pace."""

from collections.abc import Mapping
from fractions import Fraction

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from app.core.between import between_obstacle
from app.core.player import Player
from app.core.transport import SPEEDS
from app.views.icons import ICON_SIZE, transport_icon
from app.views.words import frame_words

__all__ = ["TransportBar"]

_BETWEEN_TIP = "A picture between two frames, made by the network (outside what it was fitted to)"

_PARTS = 8
"""Steps of the slider between two frames."""


class TransportBar(QWidget):
    """Shows and changes how the player plays.

    Args:
        player: whose transport.
        actions: by command name; buttons carry them out.
        parent: the widget around it.
    """

    def __init__(self, player: Player, actions: Mapping[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 8, 4)
        self._buttons: dict[str, QToolButton] = {}
        for name in ("first", "step-back", "play", "step-on", "last"):
            row.addWidget(self._button(actions[name], name))
        self._place = QLabel()
        self._place.setAccessibleName("Frame and time")
        self._place.setMinimumWidth(210)
        self._place.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self._place)
        self._between = QSlider(Qt.Orientation.Horizontal)
        self._between.setRange(0, _PARTS - 1)
        self._between.setMinimumWidth(40)
        self._between.setMaximumWidth(110)
        self._between.setAccessibleName("Position between two frames")
        self._between.valueChanged.connect(self._slide)
        self._between_label = QLabel("between")
        row.addWidget(self._between_label)
        row.addWidget(self._between)
        row.addStretch(1)
        self._loop = QLabel()
        row.addWidget(self._loop)
        self._speed = QComboBox()
        self._speed.setAccessibleName("Speed")
        for speed in SPEEDS:
            self._speed.addItem(f"{float(speed):g}x")
        self._speed.activated.connect(self._choose_speed)
        self._pace = QComboBox()
        self._pace.setAccessibleName("Pace")
        self._pace.addItems(["Real time (skip)", "Every frame"])
        self._pace.activated.connect(lambda place: actions["every-frame"].trigger() if self._other(place) else None)
        for box, least in ((self._speed, 64), (self._pace, 84)):
            box.setMinimumWidth(least)  # in a small window
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(box)
        self._draw_icons()
        for event in ("frame", "transport", "clip", "options"):
            player.events.on(event, self._refresh)
        self._refresh()

    def _button(self, action: QAction, name: str) -> QToolButton:
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        button.setAccessibleName(action.text())
        button.setIconSize(ICON_SIZE)
        button.setMinimumSize(34, 28)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(action.trigger)
        action.changed.connect(lambda: self._follow(button, action))
        self._follow(button, action)
        self._buttons[name] = button
        return button

    @staticmethod
    def _follow(button: QToolButton, action: QAction) -> None:
        """Take over what an action says of itself; its text does not belong on the button."""
        button.setEnabled(action.isEnabled())
        button.setToolTip(action.toolTip())

    def changeEvent(self, event: QEvent) -> None:
        """Draw the icons in the colours of another theme."""
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_icons()
        super().changeEvent(event)

    def _draw_icons(self) -> None:
        """Give the buttons their icons; play becomes pause while playing."""
        playing = self._player.transport.playing
        for name, button in self._buttons.items():
            shown = "pause" if name == "play" and playing else name
            button.setIcon(transport_icon(shown, self.devicePixelRatioF()))
        self._icons_for = playing

    def _other(self, place: int) -> bool:
        return bool(place) != self._player.transport.every_frame

    def _choose_speed(self, place: int) -> None:
        self._player.transport.set_speed(SPEEDS[place])
        self._player.events.emit("transport")

    def _slide(self, part: int) -> None:
        """Go to a position between frames."""
        if Fraction(part, _PARTS) != self._player.between:
            self._player.transport.pause()
            self._player.seek(self._player.transport.frame, Fraction(part, _PARTS))

    def _refresh(self) -> None:
        """Show where the player is."""
        player, transport = self._player, self._player.transport
        self._place.setText(frame_words(player) if player.has_clip else "")
        obstacle = between_obstacle(player)
        for widget in (self._between, self._between_label):
            widget.setVisible(player.neural is not None)
            widget.setEnabled(not obstacle)
            widget.setToolTip(obstacle or _BETWEEN_TIP)
        self._between.setAccessibleDescription(obstacle or _BETWEEN_TIP)
        self._between.blockSignals(True)
        self._between.setValue(int(player.between * _PARTS))
        self._between.blockSignals(False)
        if self._icons_for != transport.playing:
            self._draw_icons()
        first, last = transport.bounds
        words = f"loop {first}-{last}" if transport.range else ("loop" if transport.loop else "once")
        self._loop.setText(words if player.has_clip else "")
        self._speed.setCurrentIndex(SPEEDS.index(transport.speed) if transport.speed in SPEEDS else -1)
        self._pace.setCurrentIndex(int(transport.every_frame))
