"""Where a plot puts things, on a canvas that remembers."""

import pytest

from app.rd.plot import SHAPES, Panel, Series, draw_panel, shape_of


class Notes:
    def __init__(self):
        self.lines, self.curves, self.marks, self.texts = [], [], [], []

    def line(self, start, end, role):
        self.lines.append((start, end, role))

    def curve(self, points, series):
        self.curves.append((series, points))

    def mark(self, at, series, *, large, words):
        self.marks.append((at, series, large, words))

    def text(self, at, words, anchor, role):
        self.texts.append((at, words, anchor, role))


def drawn(*series, box=(400, 300)):
    canvas = Notes()
    draw_panel(canvas, Panel(title="PSNR, dB", series=series), 10, 20, box)
    return canvas


def test_logarithmic_across_and_linear_up():
    points = ((0.1, 30.0, "a"), (0.2, 32.0, "b"), (0.4, 36.0, "c"))
    canvas = drawn(Series(number=1, large=True, points=points))
    ((series, placed),) = canvas.curves
    assert series == 1
    assert placed[1][0] - placed[0][0] == pytest.approx(placed[2][0] - placed[1][0])
    assert 2 * (placed[0][1] - placed[1][1]) == pytest.approx(placed[1][1] - placed[2][1])
    assert [mark[1:] for mark in canvas.marks] == [(1, True, "a"), (1, True, "b"), (1, True, "c")]
    assert all(10 <= x <= 410 and 20 <= y <= 320 for x, y in placed)


def test_ticks_stand_at_their_values():
    canvas = drawn(Series(number=0, large=False, points=((0.05, 30.0, ""), (1.0, 40.0, ""))))
    labels = {words: at for at, words, _, role in canvas.texts if role == "label"}
    assert {"0.05", "0.1", "0.2", "0.5", "1", "30", "32", "40"} <= labels.keys()
    ((_, placed),) = canvas.curves
    assert labels["0.05"][0] == pytest.approx(placed[0][0])
    assert labels["1"][0] == pytest.approx(placed[1][0])
    assert labels["40"][1] - 4 == pytest.approx(placed[1][1])


@pytest.mark.parametrize("quality", [0.0, 0.98, 35.0])
def test_a_single_point_has_room_around_it(quality):
    canvas = drawn(Series(number=0, large=True, points=((0.3, quality, "only"),)))
    (((x, y), *_),) = canvas.marks
    assert 60 < x < 400
    assert 50 < y < 270
    assert len([1 for _, words, anchor, _ in canvas.texts if anchor == "end"]) >= 3


def test_shapes_go_round():
    assert [shape_of(number) for number in range(5)] == [*SHAPES, SHAPES[0]]
