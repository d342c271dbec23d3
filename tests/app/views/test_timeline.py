"""The timeline: columns and frames agree, mouse seeks, scrubs, loops and zooms, the plot shows what was measured."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest

from app.views.theme import colours

LEFT = Qt.MouseButton.LeftButton
NO_KEY, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def timeline(pair_window):
    return pair_window.timeline


def near(picture: np.ndarray, colour: str) -> np.ndarray:
    wanted = QColor(colour)
    apart = np.abs(picture.astype(int) - (wanted.red(), wanted.green(), wanted.blue())).max(axis=2)
    return apart < 40


def test_columns_and_frames(timeline) -> None:
    assert [timeline.frame_at(timeline.x_of(frame)) for frame in range(40)] == list(range(40))
    assert timeline.frame_at(-50) == 0
    assert timeline.frame_at(5000) == 39


def test_seek_and_scrub(pair_window, timeline) -> None:
    QTest.mousePress(timeline, LEFT, NO_KEY, QPoint(round(timeline.x_of(10)), 20))
    assert pair_window.player.transport.frame == 10
    to = QPointF(timeline.x_of(25), 20)
    timeline.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, to, to, LEFT, LEFT, NO_KEY))
    QTest.mouseRelease(timeline, LEFT)
    assert pair_window.player.shown_frame == 25


def test_loop(pair_window, timeline) -> None:
    QTest.mousePress(timeline, LEFT, SHIFT, QPoint(round(timeline.x_of(30)), 20))
    to = QPointF(timeline.x_of(12), 20)
    timeline.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, to, to, LEFT, LEFT, SHIFT))
    QTest.mouseRelease(timeline, LEFT, SHIFT)
    assert pair_window.player.transport.range == (12, 30)


def turn(timeline, x: float, steps: int) -> None:
    at = QPointF(x, 20)
    phase = Qt.ScrollPhase.NoScrollPhase
    timeline.wheelEvent(
        QWheelEvent(at, at, QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton, NO_KEY, phase, False)
    )


def test_zoom_in_time(timeline) -> None:
    x = timeline.x_of(30)
    turn(timeline, x, 3)
    first, last = timeline.span
    assert last - first < 39
    assert abs(timeline.frame_at(x) - 30) <= 1
    turn(timeline, x, 30)
    assert timeline.span[1] - timeline.span[0] == 8
    turn(timeline, x, -60)
    assert timeline.span == (0, 39)


def test_zoom_in_time_by_keys(pair_window, timeline) -> None:
    pair_window.player.seek(20)
    pair_window.run("time-zoom-in")
    first, last = timeline.span
    assert last - first == 31
    assert first < 20 < last
    pair_window.run("time-zoom-out")
    assert timeline.span == (0, 39)


def test_what_is_painted(pair_window, timeline, views) -> None:
    player = pair_window.player
    for frame in range(40):
        player.track.set(frame, {"psnr": 20.0 if frame == 33 else 40.0})
    player.events.emit("metrics")
    player.seek(5)
    picture = views.grab(timeline)
    shade = colours()
    x = round(timeline.x_of(5))
    assert near(picture[:, x : x + 2], shade.text).all(), "the playhead"
    assert near(picture[-2:], shade.good).mean() > 0.9, "everything is cached"
    worst = near(picture[20:80], shade.bad).any(axis=0).nonzero()[0]
    assert abs(np.median(worst) - timeline.x_of(33)) < 4
    line = near(picture[:90], shade.good)
    high = line[:, round(timeline.x_of(10))].nonzero()[0].mean()
    low = line[:, round(timeline.x_of(33)) - 2 : round(timeline.x_of(33)) + 2].nonzero()[0].max()
    assert low > high + 30


def test_it_is_painted_once(pair_window, timeline, views) -> None:
    views.grab(timeline)
    kept = timeline._plot
    pair_window.player.seek(20)
    views.grab(timeline)
    assert timeline._plot is kept, "the playhead moves over the kept plot"
    pair_window.player.track.set(3, {"psnr": 1.0})
    views.grab(timeline)
    assert timeline._plot is not kept


def test_vmaf_has_a_line(views, pair_window, timeline) -> None:
    player = pair_window.player
    accent = colours().accent
    assert near(views.grab(timeline), accent).sum() == 0
    player.quality.vmaf_words = "VMAF 40 %"
    player.events.emit("metrics")
    assert 0 < near(views.grab(timeline), accent).sum() < 600, "words alone"
    player.quality.vmaf_words = ""
    ticket = player.quality.ticket(*player.slots[:2])
    for frame in range(40):
        player.quality.store(ticket, frame, {"vmaf": 70.0 + frame / 2})
    player.events.emit("metrics")
    assert near(views.grab(timeline), accent).any(axis=0).sum() > timeline.width() * 0.6
    assert pair_window.inspector._values["VMAF"].text() == "70.0 (mean 79.8)"
