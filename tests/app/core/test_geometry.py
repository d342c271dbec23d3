"""The maths of looking: cells, fit, 1:1, zoom at the cursor, pan, pixels that are not square."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.geometry import COMPUTED, Pane, PictureSize, Rect, lay_out, pan, zoom_at
from app.core.view import Mode, View

SIZE = PictureSize(100, 50)


def test_fit_touches_two_edges_and_is_centred() -> None:
    laid = lay_out(View(mode=Mode.A), SIZE, (400, 300))
    assert laid.scale == (4, 4)
    assert laid.panes == (Pane(0, Rect(0, 0, 400, 300), 0, 50),)
    assert laid.smooth
    assert lay_out(View(mode=Mode.A), SIZE, (100, 50)).smooth is False


def test_one_to_one_lies_on_whole_pixels() -> None:
    laid = lay_out(View(mode=Mode.B, zoom=1.0), SIZE, (401, 301))
    assert laid.panes == (Pane(1, Rect(0, 0, 401, 301), 150, 126),)
    assert not laid.smooth
    assert not lay_out(View(zoom=2.0), SIZE, (400, 300)).smooth
    assert lay_out(View(zoom=1.9), SIZE, (400, 300)).smooth


def test_wipe_shares_one_picture() -> None:
    laid = lay_out(View(split=0.25), SIZE, (400, 200))
    assert [pane.clip for pane in laid.panes] == [Rect(0, 0, 100, 200), Rect(100, 0, 300, 200)]
    assert laid.panes[0][2:] == laid.panes[1][2:] == (0, 0)
    assert laid.dividers == (100,)


def test_side_by_side_and_grid() -> None:
    side = lay_out(View(mode=Mode.SIDE), SIZE, (401, 200))
    assert [pane.clip for pane in side.panes] == [Rect(0, 0, 200, 200), Rect(200, 0, 201, 200)]
    assert side.scale[0] == pytest.approx(2.005)
    grid = lay_out(View(mode=Mode.GRID), SIZE, (400, 400), 3)
    assert [(pane.picture, pane.clip[:2]) for pane in grid.panes] == [(0, (0, 0)), (1, (200, 0)), (2, (0, 200))]
    assert len(lay_out(View(mode=Mode.GRID), SIZE, (400, 400), 1).panes) == 1
    two = lay_out(View(mode=Mode.GRID), SIZE, (400, 400), 2)
    assert [pane.clip for pane in two.panes] == [Rect(0, 0, 200, 400), Rect(200, 0, 200, 400)]


@pytest.mark.parametrize("mode", [Mode.DIFFERENCE, Mode.SIGNED, Mode.HEAT])
def test_computed_pictures(mode: Mode) -> None:
    assert [pane.picture for pane in lay_out(View(mode=mode), SIZE, (10, 10)).panes] == [COMPUTED]


def test_pixels_that_are_not_square() -> None:
    laid = lay_out(View(mode=Mode.A), PictureSize(100, 100, 2.0), (400, 400))
    assert laid.scale == (4, 2)
    assert laid.to_picture(200, 200) == (50, 50)


def test_what_is_under_a_point() -> None:
    laid = lay_out(View(mode=Mode.A, zoom=2.0), SIZE, (200, 100))
    assert laid.pixel_at(0, 0) == (0, 0)
    assert laid.pixel_at(199.5, 99.5) == (99, 49)
    assert laid.pixel_at(200.5, 0) is None
    assert laid.pixel_at(0, -1) is None
    side = lay_out(View(mode=Mode.SIDE), SIZE, (400, 100))
    assert side.to_picture(10, 50) == side.to_picture(210, 50)
    assert side.to_canvas(*side.to_picture(210, 50), side.panes[1]) == (210, 50)
    assert side.pane_at(500, 50) == side.panes[1]


MODES = st.sampled_from(list(Mode))


@settings(deadline=None)
@given(MODES, st.floats(0, 1), st.floats(0, 1), st.floats(0.3, 3), st.integers(-3, 3))
def test_zoom_keeps_the_point_under_the_cursor(mode: Mode, x: float, y: float, zoom: float, steps: int) -> None:
    view = View(mode=mode, zoom=zoom)
    canvas = (640, 360)
    before = lay_out(view, PictureSize(320, 180), canvas, 4)
    point = (x * 640, y * 360)
    if mode is Mode.SIDE and abs(point[0] - 320) < 1:
        return
    u, v = before.to_picture(*point)
    zoom_at(view, before, *point, 1.2**steps)
    after = lay_out(view, PictureSize(320, 180), canvas, 4)
    if not all(0 < part < 1 for part in view.centre):
        return  # the edge of the picture was met
    moved = after.to_picture(*point)
    slack = 1.01 / min(before.scale[0], after.scale[0])  # corners lie on whole device pixels
    assert moved == pytest.approx((u, v), abs=2 * slack)


def test_zoom_has_ends_and_finds_one_to_one() -> None:
    view = View(mode=Mode.A)
    for _ in range(60):
        zoom_at(view, lay_out(view, SIZE, (100, 100)), 50, 50, 1.2)
    assert view.zoom == 32
    seen = []
    for _ in range(60):
        zoom_at(view, lay_out(view, SIZE, (100, 100)), 50, 50, 1 / 1.2)
        seen.append(view.zoom)
    assert seen[-1] == 0.05
    assert 1.0 in seen


def test_pan_follows_the_hand() -> None:
    view = View(mode=Mode.A, zoom=4.0)
    before = lay_out(view, SIZE, (200, 100))
    under = before.to_picture(30, 40)
    pan(view, before, 20, -8)
    assert lay_out(view, SIZE, (200, 100)).to_picture(50, 32) == pytest.approx(under, abs=0.26)
