"""The visible part of the timeline: the whole clip, zoomed around a frame, never out of the clip."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.time_span import TimeSpan


def test_in_and_out() -> None:
    span = TimeSpan()
    assert span.visible(40) == (0, 39)
    assert span.visible(1) == (0, 1)
    span.zoom(30, 0.5, 40)
    first, last = span.visible(40)
    assert (last - first, first <= 30 <= last) == (20, True)
    span.zoom(0, 0.5, 40)
    assert span.visible(40) == (0, 10), "a frame out of sight comes into sight"
    assert span.visible(9) == (0, 8), "a shorter clip is shown whole"
    for _ in range(20):
        span.zoom(5, 2.0, 40)
    assert span.visible(40) == (0, 39)


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0.05, 4)), max_size=8), st.integers(1, 100))
def test_never_out_of_the_clip(steps: list[tuple[int, float]], count: int) -> None:
    span = TimeSpan()
    for frame, factor in steps:
        span.zoom(min(frame, count - 1), factor, count)
        first, last = span.visible(count)
        assert 0 <= first < last <= max(1, count - 1)
