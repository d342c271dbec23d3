"""Cutting a clip into segments: whole, in order, inside the limits, and never blended over a scene cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.errors import UsageError
from nervplay.video.spans import Span, even_spans, scene_spans


def check(spans: tuple[Span, ...], frame_count: int) -> None:
    assert (spans[0].first, spans[0].lead, spans[-1].tail) == (0, 0, 0)
    assert spans[-1].first + spans[-1].count == frame_count
    for before, after in pairwise(spans):
        assert before.first + before.count == after.first
        assert before.tail == after.lead, "both sides of a seam look equally far"
    for before, span, after in zip(spans, spans[1:], spans[2:], strict=False):
        assert before.tail + after.lead <= span.count
    assert all(span.count >= 1 for span in spans)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 20))
def test_even(frame_count: int, parts: int, overlap: int) -> None:
    if parts > frame_count:
        with pytest.raises(UsageError, match=f"cannot be cut into {parts} segments"):
            even_spans(frame_count, parts, overlap=overlap)
        return
    spans = even_spans(frame_count, parts, overlap=overlap)
    check(spans, frame_count)
    counts = {span.count for span in spans}
    assert len(spans) == parts
    assert max(counts) - min(counts) <= 1


@given(
    st.integers(1, 300),
    st.dictionaries(st.integers(0, 310), st.floats(10, 100), max_size=20),
    st.integers(1, 60),
    st.integers(0, 9),
    st.integers(0, 6),
)
def test_scenes(frame_count: int, cuts: dict[int, float], longest: int, less: int, overlap: int) -> None:
    shortest = max(1, longest // 4 - less)
    spans = scene_spans(frame_count, cuts, longest=longest, shortest=shortest, overlap=overlap)
    check(spans, frame_count)
    assert all(span.count <= longest for span in spans)
    assert all(span.lead == 0 for span in spans if span.first in cuts), "nothing is blended over a cut"
    if shortest == 1:
        assert {cut for cut in cuts if 0 < cut < frame_count} <= {span.first for span in spans}
    if len(spans) > 1:
        assert min(span.count for span in spans) >= min(shortest, longest // 2)


def test_the_weaker_of_two_close_cuts_is_left_out() -> None:
    spans = scene_spans(100, {40: 30.0, 44: 20.0, 98: 99.0}, longest=70, shortest=5, overlap=3)
    assert [(s.first, s.count, s.lead, s.tail) for s in spans] == [(0, 40, 0, 0), (40, 60, 0, 0)]


def test_a_long_scene_is_cut_evenly_and_overlaps() -> None:
    spans = scene_spans(30, {20: 50.0}, longest=10, overlap=2)
    assert [(s.first, s.count, s.lead, s.tail) for s in spans] == [(0, 10, 0, 2), (10, 10, 2, 0), (20, 10, 0, 0)]
    assert [s.known for s in spans] == [(0, 12), (8, 20), (20, 30)]


def test_limits_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="segments of 5 to 4 frames"):
        scene_spans(10, {}, longest=4, shortest=5)
