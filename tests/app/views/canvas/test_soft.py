"""Every mode of the soft canvas, pixel by pixel against numpy; hands on the canvas."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest

from app.core.pictures import HEAT
from app.core.view import Mode
from app.views.canvas.soft import BACKGROUND, REGION, SoftCanvas

A, B, C, D = range(4)
WIDTH, HEIGHT = 40, 30


@pytest.fixture
def pictures(views):
    return [views.noise(number) for number in range(4)]


@pytest.fixture
def canvas(qtbot, still, pictures, views):
    views.show_pictures(still, pictures[:2])
    canvas = SoftCanvas(still)
    qtbot.addWidget(canvas)
    canvas.setMinimumSize(1, 1)
    canvas.resize(WIDTH, HEIGHT)
    return canvas


def heat_of(a: np.ndarray, b: np.ndarray, gain: int) -> np.ndarray:
    apart = np.minimum(255, gain * np.abs(a.astype(int) - b))[..., :3]
    grey = (apart @ (11, 16, 5)) // 32
    return np.stack([HEAT[grey] >> shift & 255 for shift in (16, 8, 0)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("gain", [1, 4, 64])
@pytest.mark.parametrize("mode", [Mode.A, Mode.B, Mode.DIFFERENCE, Mode.SIGNED, Mode.HEAT])
def test_one_to_one(canvas, still, pictures, views, *, mode: Mode, gain: int) -> None:
    a, b = (picture[..., :3].astype(int) for picture in pictures[:2])
    still.view.mode, still.view.gain = mode, gain
    truth = {
        Mode.A: a,
        Mode.B: b,
        Mode.DIFFERENCE: np.minimum(255, gain * np.abs(a - b)),
        Mode.SIGNED: np.clip(128 + np.floor(gain * (a - b) / 2), 0, 255),
        Mode.HEAT: heat_of(a, b, gain),
    }[mode]
    assert np.array_equal(views.grab(canvas), truth)


@pytest.mark.parametrize("split", [0.0, 0.25, 0.9, 1.0])
def test_wipe(canvas, still, pictures, views, split: float) -> None:
    still.view.split = split
    border = round(split * WIDTH)
    truth = np.concatenate([pictures[A][:, :border, :3], pictures[B][:, border:, :3]], axis=1)
    truth[:, max(0, border - 1) : border + 1] = 255
    assert np.array_equal(views.grab(canvas), truth)


def test_side_by_side(canvas, still, pictures, views) -> None:
    canvas.resize(2 * WIDTH, HEIGHT)
    still.view.mode = Mode.SIDE
    truth = np.concatenate([pictures[A][..., :3], pictures[B][..., :3]], axis=1)
    truth[:, WIDTH - 1 : WIDTH + 1] = 255
    assert np.array_equal(views.grab(canvas), truth)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_grid(qtbot, still, pictures, views, count: int) -> None:
    views.show_pictures(still, pictures[:count])
    canvas = SoftCanvas(still)
    qtbot.addWidget(canvas)
    canvas.setMinimumSize(1, 1)
    canvas.resize(WIDTH * (2 if count > 1 else 1), HEIGHT * (2 if count > 2 else 1))
    still.view.mode = Mode.GRID
    shown = views.grab(canvas)
    for number in range(count):
        row, column = divmod(number, 2)
        tile = shown[row * HEIGHT : (row + 1) * HEIGHT, column * WIDTH : (column + 1) * WIDTH]
        assert np.array_equal(tile, pictures[number][..., :3]), number
    if count == 3:
        assert (shown[HEIGHT:, WIDTH:] == BACKGROUND).all()


@pytest.mark.parametrize("zoom", [2, 3, 7])
def test_whole_zooms_show_sharp_squares(canvas, still, pictures, views, zoom: int) -> None:
    canvas.resize(101, 77)
    still.view.mode, still.view.zoom, still.view.centre = Mode.A, float(zoom), (0.4, 0.6)
    shown = views.grab(canvas)
    left = round(101 / 2 - 0.4 * WIDTH * zoom)
    top = round(77 / 2 - 0.6 * HEIGHT * zoom)
    rows, columns = (np.arange(77) - top) // zoom, (np.arange(101) - left) // zoom
    inside = (rows >= 0)[:, None] & (rows < HEIGHT)[:, None] & (columns >= 0) & (columns < WIDTH)
    truth = pictures[A][np.clip(rows, 0, HEIGHT - 1)][:, np.clip(columns, 0, WIDTH - 1), :3].copy()
    truth[~inside] = BACKGROUND
    assert np.array_equal(shown, truth)


def test_fit_blends(canvas, still, pictures, views) -> None:
    smooth = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    smooth[..., 0] = np.linspace(0, 250, WIDTH)
    smooth[..., 3] = 255
    views.show_pictures(still, [smooth])
    still.view.mode = Mode.A
    canvas.resize(3 * WIDTH, 3 * HEIGHT + 20)
    shown = views.grab(canvas)
    assert (shown[:10] == BACKGROUND).all()
    middle = shown[50, :, 0].astype(int)
    assert np.abs(np.diff(middle)).max() <= 4
    assert middle[-1] >= 245


def test_nothing_to_show(qtbot, still, views) -> None:
    canvas = SoftCanvas(still)
    qtbot.addWidget(canvas)
    assert (views.grab(canvas) == BACKGROUND).all()


def test_sizes_that_differ(canvas, still, pictures, views) -> None:
    views.show_pictures(still, [pictures[A], views.noise(7, 20, 15)])
    still.view.mode = Mode.DIFFERENCE
    assert (views.grab(canvas) == BACKGROUND).all()
    still.view.mode = Mode.B
    still.view.zoom = 1.0
    canvas.resize(WIDTH, HEIGHT)
    assert np.unique(views.grab(canvas)).size > 10


def test_region(canvas, still, pictures, views) -> None:
    still.view.mode = Mode.A
    still.set_region((5, 6, 10, 8))
    shown = views.grab(canvas)
    truth = pictures[A][..., :3].copy()
    truth[6:14, 5] = truth[6:14, 14] = truth[6, 5:15] = truth[13, 5:15] = REGION
    assert np.array_equal(shown, truth)


def wheel(canvas, x: float, y: float, steps: int) -> None:
    point = QPointF(x, y)
    nothing, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(
        point, canvas.mapToGlobal(point), QPoint(), QPoint(0, 120 * steps), nothing, Qt.KeyboardModifier.NoModifier,
        phase, False,
    )  # fmt: skip
    canvas.wheelEvent(event)


def drag(canvas, start: tuple[int, int], end: tuple[int, int], keys=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, keys, QPoint(*start))
    left = Qt.MouseButton.LeftButton
    canvas.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, QPointF(*end), QPointF(*end), left, left, keys))
    QTest.mouseRelease(canvas, left, keys, QPoint(*end))


def test_hands(canvas, still) -> None:
    canvas.resize(400, 300)
    heard = []
    still.events.on("view", lambda: heard.append("view"))
    still.events.on("probe", lambda: heard.append("probe"))
    wheel(canvas, 100, 100, 3)
    assert still.view.zoom == pytest.approx(10 * 1.2**3)
    wheel(canvas, 100, 100, 0)
    centre = still.view.centre
    drag(canvas, (50, 50), (70, 50))
    assert still.view.centre[0] < centre[0]
    drag(canvas, (200, 50), (300, 60))
    assert still.view.split == 0.75
    drag(canvas, (20, 20), (100, 20), Qt.KeyboardModifier.ControlModifier)
    assert still.view.split == 0.25
    QTest.mouseDClick(canvas, Qt.MouseButton.LeftButton)
    assert still.view.zoom is None
    drag(canvas, (10, 10), (111, 99), Qt.KeyboardModifier.ShiftModifier)
    assert still.region == (1, 1, 10, 9)
    assert still.probe == (11, 9)
    QTest.mousePress(canvas, Qt.MouseButton.RightButton)
    canvas.leaveEvent(QEvent(QEvent.Type.Leave))
    assert still.probe is None
    assert {"view", "probe"} <= set(heard)


def test_hands_on_an_empty_canvas(qtbot, still) -> None:
    canvas = SoftCanvas(still)
    qtbot.addWidget(canvas)
    wheel(canvas, 10, 10, 3)
    drag(canvas, (50, 50), (70, 50))
    assert still.view.zoom is None
    assert still.probe is None
