"""What hands do on a canvas, the same for both.

The wheel zooms at the cursor; dragging pans; dragging the handle, or anything with Ctrl, wipes; dragging with Shift
marks a region to be measured; a double click fits; moving reads pixels.
"""

from dataclasses import replace
from enum import Enum, auto

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QKeySequence, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from app.core.cache import Picture
from app.core.geometry import Geometry, Pane, PictureSize, lay_out, pan, zoom_at
from app.core.player import Player
from app.core.view import Mode

__all__ = ["CanvasHand", "pane_picture", "picture_size"]

_NEAR = 12
"""Device-independent pixels from the handle that count as on it."""


class _Drag(Enum):
    NOTHING = auto()
    PAN = auto()
    WIPE = auto()
    REGION = auto()


def picture_size(player: Player) -> PictureSize:
    """Return the size that all pictures are shown as: that of the first source."""
    slots = player.open_slots
    if not slots or slots[0].facts is None:
        return PictureSize(16, 9)
    spec = slots[0].facts.spec
    return PictureSize(spec.width, spec.height, float(spec.sample_aspect))


def pane_picture(player: Player, pane: Pane) -> Picture | None:
    """Return the picture that a pane shows: in the grid those of the open slots in order, else A or B by name."""
    if player.shown_mode is not Mode.GRID:
        return player.pictures[pane.picture]
    shown = [picture for slot, picture in zip(player.slots, player.pictures, strict=True) if slot.is_open]
    return shown[pane.picture] if pane.picture < len(shown) else None


class CanvasHand:
    """Mouse handling; a mixin that stands before a QWidget.

    The widget calls `init_hand` in its constructor. Everything it changes is the player's `view`, `region` and `probe`.
    """

    player: Player

    def init_hand(self, player: Player) -> None:
        """Prepare the widget."""
        self.player = player
        self._drag = _Drag.NOTHING
        self._from = (0.0, 0.0)
        self.flip_keys: tuple[str, ...] = ("Tab",)
        self._flipped_from: Mode | None = None
        widget = self._widget()
        widget.setMouseTracking(True)
        widget.setMinimumSize(240, 135)
        widget.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        widget.setAccessibleName("Comparison canvas")
        widget.setAccessibleDescription("Shows A and B; the status bar says which pixel is under the cursor.")

    def _widget(self) -> QWidget:
        assert isinstance(self, QWidget)
        return self

    def device_size(self) -> tuple[int, int]:
        """Return width and height of the canvas in device pixels."""
        widget = self._widget()
        ratio = widget.devicePixelRatioF()
        return max(1, round(widget.width() * ratio)), max(1, round(widget.height() * ratio))

    def geometry_now(self) -> Geometry:
        """Return where everything lies at the moment."""
        count = max(1, len(self.player.open_slots))
        view = replace(self.player.view, mode=self.player.shown_mode)
        return lay_out(view, picture_size(self.player), self.device_size(), count)

    def _point(self, position: QPointF) -> tuple[float, float]:
        ratio = self._widget().devicePixelRatioF()
        return position.x() * ratio, position.y() * ratio

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        steps = event.angleDelta().y() / 120
        if steps and self.player.has_clip:
            zoom_at(self.player.view, self.geometry_now(), *self._point(event.position()), 1.2**steps)
            self.player.events.emit("view")
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to pan, to wipe or to mark a region."""
        if event.button() != Qt.MouseButton.LeftButton or not self.player.has_clip:
            return
        x, y = self._point(event.position())
        self._from = (x, y)
        keys = event.modifiers()
        if keys & Qt.KeyboardModifier.ShiftModifier:
            self._drag = _Drag.REGION
        elif self.player.shown_mode is Mode.WIPE and (keys & Qt.KeyboardModifier.ControlModifier or self._on_handle(x)):
            self._drag = _Drag.WIPE
            self._wipe(x)
        else:
            self._drag = _Drag.PAN

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the hand; tell the player which pixel is under it."""
        x, y = self._point(event.position())
        laid = self.geometry_now()
        if self._drag is _Drag.WIPE:
            self._wipe(x)
        elif self._drag is _Drag.PAN:
            pan(self.player.view, laid, x - self._from[0], y - self._from[1])
            self._from = (x, y)
            self.player.events.emit("view")
        elif self._drag is _Drag.REGION:
            self._mark(laid, x, y)
        self._point_out(laid.pixel_at(x, y) if self.player.has_clip else None)
        near = self._drag is _Drag.WIPE or (self.player.shown_mode is Mode.WIPE and self._on_handle(x))
        self._widget().setCursor(Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.CrossCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002 - Qt's signature
        """End what was begun."""
        self._drag = _Drag.NOTHING

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Fit the picture."""
        self.player.view.fit()
        self.player.events.emit("view")

    def leaveEvent(self, event: QEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Read no pixel any more."""
        self._point_out(None)

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Show that pixels can be read."""
        self._widget().setCursor(Qt.CursorShape.CrossCursor)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002 - Qt's name
        """Keep Tab for flipping A and B; Shift+Tab still moves the focus."""
        if next and self.player.has_pair and "Tab" in self.flip_keys:
            return False
        return bool(super().focusNextPrevChild(next))  # type: ignore[misc]  # the QWidget behind this mixin

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Show the other side as long as the flip key is held."""
        if self._is_flip(event) and not event.isAutoRepeat() and self._flipped_from is None:
            view = self.player.view
            self._flipped_from = view.mode
            view.mode = Mode.A if view.mode is Mode.B else Mode.B
            self.player.events.emit("view")
        elif not self._is_flip(event):
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Go back to what was shown before the flip key was held."""
        if self._is_flip(event) and not event.isAutoRepeat():
            self._end_flip()
        else:
            event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: ARG002 - Qt's signature
        """A key that is released elsewhere counts as released."""
        self._end_flip()

    def _is_flip(self, event: QKeyEvent) -> bool:
        key = QKeySequence(event.keyCombination()).toString(QKeySequence.SequenceFormat.PortableText)
        return self.player.has_pair and key in self.flip_keys

    def _end_flip(self) -> None:
        if self._flipped_from is not None:
            self.player.view.mode, self._flipped_from = self._flipped_from, None
            self.player.events.emit("view")

    def _on_handle(self, x: float) -> bool:
        width = self.device_size()[0]
        return abs(x - self.player.view.split * width) < _NEAR * self._widget().devicePixelRatioF()

    def _wipe(self, x: float) -> None:
        self.player.view.set_split(x / self.device_size()[0])
        self.player.events.emit("view")

    def _mark(self, laid: Geometry, x: float, y: float) -> None:
        """Mark the rectangle between where the drag began and here, cut to the picture."""
        size = laid.picture
        (u0, v0), (u1, v1) = laid.to_picture(*self._from), laid.to_picture(x, y)
        left, right = (min(size.width, max(0, round(value))) for value in sorted((u0, u1)))
        top, bottom = (min(size.height, max(0, round(value))) for value in sorted((v0, v1)))
        if right > left and bottom > top:
            self.player.set_region((left, top, right - left, bottom - top))

    def _point_out(self, pixel: tuple[int, int] | None) -> None:
        if pixel != self.player.probe:
            self.player.probe = pixel
            self.player.events.emit("probe")
