"""Which picture is which: a small letter in the corner of every pane, where several are shown apart; or why none is.

They are widgets over the canvas, the same for both kinds, and move only when the layout changes: a label that changed
with every frame would make a GPU canvas paint twice.
"""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QLabel

from app.core.player import Player
from app.core.view import DERIVED, Mode
from app.views.canvas.pick import Canvas
from app.views.words import sizes_words

__all__ = ["PaneLabels"]

_STYLE = "background: #131518; color: #e6e8ec; padding: 2px 7px; font-weight: bold;"
_MARGIN = 8


class PaneLabels(QObject):
    """The labels of one canvas; owned by it.

    Args:
        player: whose slots are named.
        canvas: where they lie.
    """

    def __init__(self, player: Player, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._player, self._canvas = player, canvas
        self.labels = [QLabel(canvas) for _ in player.slots]
        for label in self.labels:
            label.setStyleSheet(_STYLE)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.ensurePolished()  # its bold letters are what has to fit
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.hide()
        self.reason = QLabel(canvas)
        self.reason.setStyleSheet(_STYLE)
        self.reason.setWordWrap(True)
        self.reason.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.reason.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.reason.hide()
        canvas.installEventFilter(self)
        self.refresh()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move with the size of the canvas."""
        if event.type() == QEvent.Type.Resize:
            self.refresh()
        return super().eventFilter(watched, event)

    def refresh(self) -> None:
        """Put the labels where the panes are; say why there is no difference where there is none."""
        player = self._player
        self._explain()
        mode = player.shown_mode
        slots = player.open_slots if mode is Mode.GRID else list(player.slots[:2])
        apart = mode in (Mode.GRID, Mode.SIDE, Mode.WIPE) and len(player.open_slots) > 1
        laid = self._canvas.geometry_now()
        ratio = self._canvas.devicePixelRatioF()
        for number, label in enumerate(self.labels):
            if not apart or number >= len(laid.panes) or number >= len(slots) or slots[number].facts is None:
                label.hide()
                continue
            slot, clip = slots[number], laid.panes[number].clip
            facts = slot.facts
            words = slot.name if facts is None or mode is Mode.WIPE else f"{slot.name}   {facts.title}"
            if mode is not Mode.WIPE:
                room = max(0, round(clip.width / ratio) - 6 * _MARGIN)
                words = label.fontMetrics().elidedText(words, Qt.TextElideMode.ElideMiddle, room)
            if label.text() != words:
                label.setText(words)
                label.adjustSize()
            left = clip.x / ratio + _MARGIN
            if mode is Mode.WIPE and number == 1:
                left = (clip.x + clip.width) / ratio - label.width() - _MARGIN
            label.move(round(left), round(clip.y / ratio) + _MARGIN)
            label.setVisible(clip.width / ratio > label.width() + 2 * _MARGIN)

    def _explain(self) -> None:
        """Say in the middle of the canvas why a mode has nothing to show."""
        player, canvas = self._player, self._canvas
        hidden = player.shown_mode in DERIVED and not player.comparable
        self.reason.setVisible(hidden)
        if hidden:
            self.reason.setText(f"{sizes_words(player)}: differences need one size. Wipe and side by side show both.")
            self.reason.setFixedWidth(min(canvas.width(), 480))
            self.reason.adjustSize()
            self.reason.move((canvas.width() - self.reason.width()) // 2, (canvas.height() - self.reason.height()) // 2)
