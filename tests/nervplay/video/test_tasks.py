"""What each task shows of a clip."""

import numpy as np
import pytest

from nervplay.errors import UsageError
from nervplay.video.tasks import Task, parse_task

GREY = np.full((80, 160, 3), 100, np.uint8)


def test_regression_shows_everything() -> None:
    task = parse_task("regression")
    assert task == Task()
    assert task.seen(5) == (0, 1, 2, 3, 4)
    assert task.visible(160, 80) is None
    assert task.given(GREY, 3) is GREY


def test_interpolation_shows_every_other_frame() -> None:
    assert parse_task("interpolation").seen(5) == (0, 2, 4)
    assert parse_task("interpolation").seen(4) == (0, 2)


def test_the_hole_in_the_middle_is_a_quarter_of_each_side() -> None:
    mask = parse_task("inpaint-center").visible(160, 80)
    assert mask is not None
    rows, columns = np.nonzero(~mask)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (30, 50, 60, 100)


@pytest.mark.parametrize(("name", "side"), [("inpaint-disperse_10", 10), ("inpaint-disperse", 50)])
def test_five_square_holes(name: str, side: int) -> None:
    mask = parse_task(name).visible(800, 400)
    assert mask is not None
    assert (~mask).sum() == 5 * side * side
    for y, x in ((200, 400), (100, 200), (100, 600), (300, 200), (300, 600)):
        assert not mask[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2].any()


def test_holes_that_leave_nothing() -> None:
    with pytest.raises(UsageError, match="holes of 400 pixels leave nothing of 800x400 frames"):
        parse_task("inpaint-disperse_400").visible(800, 400)


def test_holes_are_black_and_the_rest_stays() -> None:
    task = parse_task("inpaint-disperse_8")
    mask, given = task.visible(160, 80), task.given(GREY, 0)
    assert mask is not None
    assert (given[mask] == 100).all()
    assert not given[~mask].any()


@pytest.mark.parametrize(
    ("kind", "values"), [("white", {255}), ("black", {0}), ("salt-pepper", {0, 255}), ("random", None)]
)
def test_noise_replaces_whole_pixels(kind: str, values: set[int] | None) -> None:
    task = parse_task(f"denoise-{kind}_0.2")
    given = task.given(GREY, 1)
    hit = (given != 100).any(axis=2)
    assert hit.mean() == pytest.approx(0.2, abs=0.02)
    if values is None:
        assert len(np.unique(given[hit])) > 200
    else:
        assert set(np.unique(given[hit])) == values
        assert (given[hit] == given[hit][:, :1]).all(), "grey"
    assert np.array_equal(given, task.given(GREY, 1)), "the same every time"
    assert not np.array_equal(given, task.given(GREY, 2)), "another in every frame"


def test_gaussian_noise_has_its_deviation() -> None:
    given = parse_task("denoise-gaussian_10").given(GREY, 0)
    assert given.dtype == np.uint8
    assert given.astype(float).std() == pytest.approx(10, rel=0.03)
    assert given.mean() == pytest.approx(100, abs=0.3)


@pytest.mark.parametrize(
    "name", ["", "inpaint", "inpaint-disperse_1", "denoise-white_0", "denoise-white_1.5", "denoise-pink_0.1", "None"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="write one of regression, interpolation"):
        parse_task(name)
