"""The timeline: quality over time, loop, what is cached, worst frame, playhead. It seeks, loops and zooms by mouse.

The plot is painted once into a pixmap and again only when values, size or range change; the playhead is a line over it.
"""

import math

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.core.player import Player
from app.core.quality import PLOTTED, VMAF
from app.core.tracks import MetricTrack, Track, columns_of
from app.views.theme import colours
from app.views.words import unmeasured_words

__all__ = ["Timeline"]

_TOP, _BOTTOM = 16, 12
_CACHE_HEIGHT = 3


class Timeline(QWidget):
    """Shows and changes where the player is.

    Args:
        player: whose transport and quality.
        parent: the widget around it.
    """

    def __init__(self, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self._plot: QPixmap | None = None
        self._key: tuple[object, ...] = ()
        self._loop_from: int | None = None
        self.setMinimumHeight(96)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("Timeline")
        self.setAccessibleDescription("PSNR over time. Click to seek; Shift and drag to loop a range.")
        self.setToolTip("Click or drag: seek.  Shift+drag: loop a range.  Wheel: zoom in time.")
        for event in ("frame", "metrics", "transport", "clip", "options"):
            player.events.on(event, self.update)

    def sizeHint(self) -> QSize:
        """Return the usual size."""
        return QSize(640, 110)

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame that are visible."""
        return self._player.span.visible(self._player.transport.frame_count)

    def x_of(self, frame: float) -> float:
        """Return the column of a frame."""
        first, last = self.span
        return (frame - first) * (self.width() - 1) / max(1, last - first)

    def frame_at(self, x: float) -> int:
        """Return the frame nearest to a column, inside the clip."""
        first, last = self.span
        frame = round(first + x * (last - first) / max(1, self.width() - 1))
        return min(self._player.transport.frame_count - 1, max(0, frame))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint the kept plot, and the playhead over it."""
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._kept_plot())
        if self._player.has_clip:
            shade = colours()
            self._paint_cache(painter)
            x = min(self.width() - 2, round(self.x_of(self._player.shown_frame + float(self._player.between))))
            painter.fillRect(QRect(x, 0, 2, self.height()), QColor(shade.text))
        painter.end()

    def _kept_plot(self) -> QPixmap:
        """Return the plot, painted anew where something in it changed."""
        player = self._player
        track = player.track
        version = sum(item.version for item in track.tracks.values()) if track else -1
        ratio = self.devicePixelRatioF()
        words = player.quality.vmaf_words, unmeasured_words(player)
        key = (id(track), version, words, self.size(), self.span, player.transport.range, ratio, colours())
        if self._plot is None or key != self._key:
            plot = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
            plot.setDevicePixelRatio(ratio)
            plot.fill(QColor(colours().base))
            painter = QPainter(plot)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_plot(painter)
            painter.end()
            self._plot, self._key = plot, key
        return self._plot

    def _paint_plot(self, painter: QPainter) -> None:
        player, shade = self._player, colours()
        if player.transport.range is not None:
            first, last = player.transport.range
            left, right = self.x_of(first), self.x_of(last)
            painter.fillRect(QRect(round(left), 0, max(2, round(right - left)), self.height()), QColor(shade.band))
        track = player.track
        psnr = track.tracks[PLOTTED] if track is not None else None
        if track is None or psnr is None or not psnr.known:
            painter.setPen(QColor(shade.faint))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, unmeasured_words(player))
            return
        others = player.quality.others(player.slots[0], player.slots[1])
        low, high = _range([psnr, *(other for _, other in others)])
        self._paint_grid(painter, low, high)
        for _, other in others:
            self._paint_line(painter, other, low, high, shade.faint)
        similarity = track.tracks.get("ms-ssim")
        if similarity is not None and similarity.known:
            lowest = min(value for value in similarity.values if math.isfinite(value))
            self._paint_line(painter, similarity, lowest - 0.02, 1.0, shade.second)
        vmaf = track.tracks[VMAF]
        if vmaf.known:
            lowest = min(value for value in vmaf.values if math.isfinite(value))
            self._paint_line(painter, vmaf, min(60.0, lowest - 5), 100.0, shade.accent)
        self._paint_line(painter, psnr, low, high, shade.good)
        self._paint_legend(painter, track, others)

    def _paint_grid(self, painter: QPainter, low: float, high: float) -> None:
        """Paint lines at round values of dB."""
        shade = colours()
        step = next(size for size in (0.5, 1, 2, 5, 10, 20, 50) if (high - low) / size <= 4 or size == 50)
        value = math.ceil(low / step) * step
        while value <= high:
            y = self._y_of(value, low, high)
            painter.setPen(QPen(QColor(shade.grid), 1))
            painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
            painter.setPen(QColor(shade.faint))
            painter.drawText(QPointF(4, y - 2), f"{value:g} dB")
            value += step

    def _y_of(self, value: float, low: float, high: float) -> float:
        room = self.height() - _TOP - _BOTTOM
        return _TOP + room * (1 - (value - low) / max(1e-9, high - low))

    def _paint_line(self, painter: QPainter, track: Track, low: float, high: float, colour: str) -> None:
        """Paint one metric: extremes of every column, joined."""
        first, last = self.span
        points: list[QPointF] = []
        for column in columns_of(track.values, first, last, max(2, self.width())):
            points.append(QPointF(column.x, self._y_of(column.high, low, high)))
            if column.low != column.high:
                points.append(QPointF(column.x, self._y_of(column.low, low, high)))
        painter.setPen(QPen(QColor(colour), 1.4))
        painter.drawPolyline(QPolygonF(points))

    def _paint_legend(self, painter: QPainter, track: MetricTrack, others: list[tuple[str, Track]]) -> None:
        """Paint which line is what, and mark the worst frame."""
        shade, psnr, vmaf = colours(), track.tracks[PLOTTED], track.tracks[VMAF]
        words = [("PSNR", shade.good)]
        if "ms-ssim" in track.tracks and track.tracks["ms-ssim"].known:
            words.append(("MS-SSIM", shade.second))
        if vmaf.known or self._player.quality.vmaf_words:
            words.append((self._player.quality.vmaf_words or "VMAF", shade.accent))
        words += [(f"PSNR {name.upper()}", shade.faint) for name, _ in others]
        x = self.width() - 8
        for text, colour in reversed(words):
            x -= painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(x, 12), text)
            x -= 12
        worst = psnr.worst()
        if worst is not None:
            at = self.x_of(worst)
            painter.setPen(QPen(QColor(shade.bad), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(at, _TOP), QPointF(at, self.height() - _BOTTOM))
            text = f"worst #{worst}"
            wide = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(QColor(shade.bad))
            painter.drawText(QPointF(min(max(60, at - wide / 2), x - wide), 12), text)

    def _paint_cache(self, painter: QPainter) -> None:
        """Paint a bar under the frames that all sources have in memory."""
        slots = self._player.open_slots
        ready = [frame - slots[0].offset for frame in slots[0].cache.frames()]
        runs: list[list[int]] = []
        for frame in ready:
            if not self._player.ready(frame):
                continue
            if runs and frame == runs[-1][1] + 1:
                runs[-1][1] = frame
            else:
                runs.append([frame, frame])
        for first, last in runs:
            left, right = round(self.x_of(first - 0.5)), round(self.x_of(last + 0.5))
            bar = QRect(left, self.height() - _CACHE_HEIGHT, max(2, right - left), _CACHE_HEIGHT)
            painter.fillRect(bar, QColor(colours().good))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Seek, or begin a loop."""
        if event.button() != Qt.MouseButton.LeftButton or not self._player.has_clip:
            return
        frame = self.frame_at(event.position().x())
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._loop_from = frame
        else:
            self._loop_from = None
            self._player.seek(frame)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub, or stretch the loop."""
        if not event.buttons() & Qt.MouseButton.LeftButton or not self._player.has_clip:
            return
        frame = self.frame_at(event.position().x())
        if self._loop_from is not None:
            self._player.transport.set_range(self._loop_from, frame)
            self._player.events.emit("transport")
        else:
            self._player.seek(frame)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002 - Qt's signature
        """End a loop."""
        self._loop_from = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom in time at the cursor."""
        factor = 0.8 ** (event.angleDelta().y() / 120)
        player = self._player
        player.span.zoom(self.frame_at(event.position().x()), factor, player.transport.frame_count)
        player.events.emit("transport")


def _range(tracks: list[Track]) -> tuple[float, float]:
    """Return bounds for the finite values of several tracks, at least 2 apart."""
    finite = [value for track in tracks for value in track.values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (30.0, 40.0)
    room = max(1.0, 0.1 * (high - low))
    return low - room, high + room
