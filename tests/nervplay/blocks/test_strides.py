from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.blocks.strides import choose_strides, nearest_fitting_size
from nervplay.errors import GeometryError


@pytest.mark.parametrize(
    ("size", "area", "strides"),
    [
        ((1280, 640), 8, (5, 4, 4, 2, 2)),
        ((1280, 720), 8, (5, 2, 2, 2, 2)),
        ((1280, 720), 144, (5, 2, 2, 2, 2)),
        ((1920, 1080), 144, (5, 3, 2, 2, 2)),
        ((1920, 960), 8, (5, 4, 4, 3, 2)),
        ((320, 180), 8, (5, 2, 2)),
        ((64, 64), 144, (2, 2)),
        ((64, 64), 8, (2, 2, 2, 2, 2)),
    ],
)
def test_the_papers_strides(size: tuple[int, int], area: int, strides: tuple[int, ...]) -> None:
    assert choose_strides(*size, area=area) == strides


@given(st.integers(32, 2000), st.integers(32, 2000), st.sampled_from([8, 144]))
def test_strides_divide_the_frame_or_the_error_names_a_size_that_works(width: int, height: int, area: int) -> None:
    message = ""
    try:
        strides = choose_strides(width, height, area=area)
    except GeometryError as error:
        message = str(error)
    if message:
        near = nearest_fitting_size(width, height)
        assert near is not None
        assert f"--crop {near[0]}x{near[1]}" in message
        assert near[0] <= width
        assert near[1] <= height
        width, height = near
        strides = choose_strides(width, height, area=area)
    scale = prod(strides)
    assert width % scale == height % scale == 0
    assert min(width, height) // scale >= 2
    assert all(2 <= stride <= 5 for stride in strides)


def test_known_ways_out() -> None:
    assert nearest_fitting_size(854, 480) == (840, 480)
    with pytest.raises(GeometryError, match="enlarge"):
        choose_strides(3, 3, area=8)
