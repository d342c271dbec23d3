"""The status bar: the pixel under the cursor in all pictures, skipped frames, zoom, which canvas paints."""

from collections.abc import Callable

from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from app.core.pictures import read_pixel
from app.core.player import Player
from app.views.words import probe_words

__all__ = ["StatusLine"]


class StatusLine(QStatusBar):
    """Shows what is under the cursor.

    Args:
        player: whose pictures.
        canvas: says how the canvas paints, and its scale.
        parent: the window.
    """

    def __init__(self, player: Player, canvas: Callable[[], tuple[str, float]], parent: QWidget) -> None:
        super().__init__(parent)
        self._player, self._canvas = player, canvas
        self.setSizeGripEnabled(False)
        self.setContentsMargins(8, 0, 8, 0)
        self.pixel = QLabel("")
        self.pixel.setAccessibleName("Pixel under the cursor")
        self._kind = QLabel("")
        self._kind.setAccessibleName("Canvas")
        self.addWidget(self.pixel, 1)
        self.addPermanentWidget(self._kind)
        for event in ("probe", "frame"):
            player.events.on(event, self._show_pixel)
        for event in ("view", "clip", "transport"):
            player.events.on(event, self._show_canvas)

    def _show_pixel(self) -> None:
        """Show the values under the cursor; those in the middle of the view where there is no cursor."""
        player, first = self._player, self._player.pictures[0]
        shown = first if first is not None else next((item for item in player.pictures if item is not None), None)
        if shown is None:
            self.pixel.setText("")
            return
        height, width, _ = shown.shape
        middle = (
            min(width - 1, int(player.view.centre[0] * width)),
            min(height - 1, int(player.view.centre[1] * height)),
        )
        x, y = player.probe or middle
        if x < width and y < height:
            self.pixel.setText(probe_words(read_pixel(player.pictures, x, y, (width, height))))

    def _show_canvas(self) -> None:
        kind, scale = self._canvas()
        skipped = f"{self._player.transport.skipped} skipped    " if self._player.transport.skipped else ""
        zoom = f"{100 * scale:.0f} %    " if self._player.has_clip else ""
        self._kind.setText(f"{skipped}{zoom}{kind}")
