"""Two thousand random actions: no exception, no thread left, no growing memory. And PySide keeps its hands off None."""

import ctypes
import gc
import random
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from app.core.commands import COMMANDS

LEFT, NOTHING = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
HARMLESS = [
    command.name
    for command in COMMANDS
    if command.name not in ("quit", "full-screen", "export", "about", "browse-hub", "push-hub", "open-sample", "vmaf")
]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def settled_mb(qtbot) -> float:
    """The least of some looks: a file that is just being opened is gone again, as is what malloc keeps for later."""
    looks = []
    for _ in range(5):
        qtbot.wait(50)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        looks.append(resident_mb())
    return min(looks)


def act(window, dice: random.Random, answers) -> None:
    """Do one thing that a person could do."""
    canvas, player = window.canvas, window.player
    kind = dice.random()
    point = QPoint(dice.randrange(canvas.width()), dice.randrange(canvas.height()))
    keys = dice.choice([Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier])
    if kind < 0.55:
        answers.value = dice.randrange(40)
        answers.line = dice.choice(["", "30.nerv", "hf://user", "bad.nerv"])
        answers.path = dice.choice(["", "40.mp4", "40.nerv", "20.mp4", "bad.mp4"])
        name = dice.choice(HARMLESS)
        if name.startswith(("save-", "snapshot")):
            answers.path = ""
        window.run(name)
    elif kind < 0.7:
        QTest.mousePress(canvas, LEFT, keys, point)
        end = QPointF(dice.randrange(canvas.width()), dice.randrange(canvas.height()))
        canvas.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, end, end, LEFT, LEFT, keys))
        QTest.mouseRelease(canvas, LEFT, keys, end.toPoint())
    elif kind < 0.8:
        turn = QPoint(0, dice.choice([-120, 120]))
        phase = Qt.ScrollPhase.NoScrollPhase
        place = QPointF(point)
        canvas.wheelEvent(QWheelEvent(place, place, QPoint(), turn, NOTHING, keys, phase, False))
    elif kind < 0.95:
        place = QPoint(dice.randrange(window.timeline.width()), 20)
        QTest.mouseClick(window.timeline, LEFT, keys, place)
    elif kind < 0.97:
        window.resize(dice.randrange(700, 1400), dice.randrange(500, 900))
    else:
        window.handlers.open_text(dice.choice(["40.mp4", "25.nerv", "40,2.nerv"]), dice.randrange(4))
    if not player.has_clip:
        window.handlers.open_text("40.mp4", 0)
        window.handlers.open_text("40.nerv", 1)


def test_two_thousand_actions(qtbot, make_main_window, answers) -> None:
    window = make_main_window(cache_mb=8)
    dice = random.Random(7)
    window.handlers.open_text("40.mp4", 0)
    window.handlers.open_text("40.nerv", 1)
    qtbot.waitUntil(lambda: window.player.has_pair, timeout=10_000)
    memory = []
    for number in range(2000):
        act(window, dice, answers)
        if number % 5 == 0:
            qtbot.wait(1)
        if number % 100 == 99:
            window.dialogs.shut_down()
            qtbot.wait(5)
        if number in (999, 1999):
            window.player.transport.pause()
            window.dialogs.shut_down()
            window.resize(1200, 800)
            memory.append(settled_mb(qtbot))
        assert "internal error" not in window.player.message, window.player.message
    assert memory[1] - memory[0] < 20


def test_none_keeps_its_references(qapp) -> None:
    """PySide6 6.12.0 drops a reference of None on every call that returns nothing, until Python 3.11 aborts."""
    if sys.version_info >= (3, 12):
        pytest.skip("None is immortal from Python 3.12 on")
    label = QLabel()
    before = sys.getrefcount(None)
    for _ in range(200):
        label.setText("x")
        label.update()
    assert sys.getrefcount(None) > before - 50
