"""The GPU canvas is the twin of the soft one, and hands over when it cannot draw. Needs a display."""

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow

from app.core.view import Mode
from app.views.canvas.rhi import RhiCanvas
from app.views.canvas.soft import SoftCanvas

pytestmark = pytest.mark.display


@pytest.fixture(autouse=True)
def _display(qapp) -> None:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("the offscreen platform has no GPU; test_xvfb.py runs this with a window system")


def settle(qtbot, canvas) -> None:
    before = canvas.paints
    canvas.update()
    qtbot.waitUntil(lambda: canvas.paints > before, timeout=20_000)


@pytest.fixture
def twins(qtbot, still, views):
    views.show_pictures(still, [views.noise(number) for number in range(2)])
    both = []
    for kind in (RhiCanvas, SoftCanvas):
        canvas = kind(still, refuse_software=False) if kind is RhiCanvas else kind(still)
        canvas.failed.connect(pytest.fail)
        canvas.setMinimumSize(1, 1)
        window = QMainWindow()
        window.setCentralWidget(canvas)
        qtbot.addWidget(window)
        window.resize(160, 120)
        window.show()
        qtbot.waitExposed(window)
        both.append(canvas)
        canvas.keep = window
    return both


def apart(views, twins) -> np.ndarray:
    gpu, soft = (views.grab(canvas).astype(int) for canvas in twins)
    return np.abs(gpu - soft).max(axis=2)


def test_twins(qtbot, still, views, twins) -> None:
    still.view.split, still.view.gain = 0.4, 2
    for mode in Mode:
        for zoom in (1.0, 3.0):
            still.view.mode, still.view.zoom = mode, zoom
            settle(qtbot, twins[0])
            assert apart(views, twins).max() <= 2, (mode, zoom)


def test_twins_with_a_region_and_a_gain(qtbot, still, views, twins) -> None:
    still.set_region((3, 4, 12, 9))
    still.view.zoom = 2.0
    for mode, gain in ((Mode.A, 1), (Mode.SIGNED, 1), (Mode.DIFFERENCE, 8), (Mode.HEAT, 64)):
        still.view.mode, still.view.gain = mode, gain
        settle(qtbot, twins[0])
        assert apart(views, twins).max() <= 2, mode


def test_twins_when_fitted(qtbot, still, views, twins) -> None:
    soft_picture = np.zeros((30, 40, 4), np.uint8)
    soft_picture[..., :3] = np.add.outer(3 * np.arange(30), 2 * np.arange(40))[..., None]
    soft_picture[..., 3] = 255
    views.show_pictures(still, [soft_picture, 255 - soft_picture])
    still.view.mode = Mode.SIDE
    settle(qtbot, twins[0])
    assert (apart(views, twins) > 3).mean() < 0.02, "only along the edges of the pictures"


def test_four_pictures(qtbot, still, views, twins) -> None:
    views.show_pictures(still, [views.noise(number) for number in range(4)])
    still.view.mode, still.view.zoom = Mode.GRID, 1.0
    settle(qtbot, twins[0])
    assert apart(views, twins).max() <= 2


def test_another_window_and_another_size(qtbot, still, views, twins) -> None:
    gpu = twins[0]
    other = QMainWindow()
    qtbot.addWidget(other)
    other.setCentralWidget(gpu)
    other.resize(200, 160)
    other.show()
    qtbot.waitExposed(other)
    twins[1].window().resize(200, 160)
    still.view.mode, still.view.zoom = Mode.DIFFERENCE, 2.0
    settle(qtbot, gpu)
    assert apart(views, twins).max() <= 2


def test_software_is_refused(qtbot, still) -> None:
    canvas = RhiCanvas(still)
    qtbot.addWidget(canvas)
    with qtbot.waitSignal(canvas.failed, timeout=20_000) as heard:
        canvas.show()
    assert "runs on the CPU" in heard.args[0]


def test_an_exception_while_drawing_hands_over(qtbot, still, monkeypatch) -> None:
    canvas = RhiCanvas(still, refuse_software=False)
    qtbot.addWidget(canvas)

    def fail(*_args) -> None:
        raise TypeError("planted")

    monkeypatch.setattr(canvas, "_uniforms", fail)
    with qtbot.waitSignal(canvas.failed, timeout=20_000) as heard:
        canvas.show()
    assert "planted" in heard.args[0]
