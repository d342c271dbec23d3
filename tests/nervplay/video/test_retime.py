"""Another frame rate: which frame is shown when, and how long the clip is."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.decode.testing import FakeDecoder
from nervplay.errors import FrameIndexError, UsageError
from nervplay.video import ArraySource, PlanarSource, VideoSpec
from nervplay.video.retime import RetimedSource, retimed


def clip(count, rate):
    frames = np.zeros((count, 2, 2, 3), np.uint8)
    frames[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ArraySource(frames, Fraction(rate))


def shown(source, indices=None):
    return [int(frame[0, 0, 0]) for frame in source.frames(indices)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (10, 10, [0, 1, 2, 3, 4, 5]),
        (10, 20, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (10, 5, [0, 2, 4]),
        (10, 15, [0, 0, 1, 2, 2, 3, 4, 4, 5]),
        (24, 30, [0, 0, 1, 2, 3, 4, 4, 5]),
        (10, Fraction(1, 10), [0]),
    ],
)
def test_frames(old, new, expected):
    source = RetimedSource(clip(6, old), Fraction(new))
    assert shown(source) == expected
    assert (source.spec.rate, len(source)) == (Fraction(new), len(expected))
    assert [int(source.frame(i)[0, 0, 0]) for i in range(len(source))] == expected
    assert shown(source, [len(expected) - 1, 0, 0]) == [expected[-1], expected[0], expected[0]]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 100), st.fractions(1, 60), st.fractions(1, 60))
def test_the_frame_on_the_screen_at_that_moment(count, old, new):
    source = RetimedSource(clip(count, old), new)
    assert shown(source) == [min(int(k / new * old), count - 1) for k in range(len(source))]
    assert abs(source.spec.duration - count / old) <= 1 / new


def test_repeated_frames_are_the_callers_own():
    first, second, *_ = RetimedSource(clip(3, 1), Fraction(2)).frames()
    first[:] = 99
    assert second[0, 0, 0] == 0


def test_a_cancelled_source_ends_it():
    source = clip(6, 10)
    source.frames = lambda wanted: iter([source.frame(i) for i in list(wanted)[:2]])
    assert shown(RetimedSource(source, Fraction(20))) == [0, 0, 1, 1]


def test_refused():
    with pytest.raises(UsageError, match="must be positive"):
        RetimedSource(clip(3, 1), Fraction(0))
    with pytest.raises(FrameIndexError):
        RetimedSource(clip(3, 1), Fraction(2)).frame(6)
    with pytest.raises(FrameIndexError):
        list(RetimedSource(clip(3, 1), Fraction(2)).frames([6]))


def test_planes_pass_where_no_frame_is_repeated():
    decoder = FakeDecoder(VideoSpec(width=64, height=16, frame_count=6, rate=Fraction(30)))
    slower = retimed(decoder, Fraction(15))
    assert isinstance(slower, PlanarSource)
    given = [tuple(np.empty((16, 64), np.uint8) for _ in range(3)) for _ in range(3)]
    assert list(slower.yuv_frames(enumerate(given))) == given
    for index, planes in enumerate(given):
        same = decoder.yuv_frame(2 * index, tuple(np.empty((16, 64), np.uint8) for _ in range(3)))
        np.testing.assert_array_equal(planes, same)
    np.testing.assert_array_equal(slower.yuv_frame(1, given[0]), given[1])
    with pytest.raises(FrameIndexError):
        slower.yuv_frame(3, given[0])
    for other in (retimed(decoder, Fraction(31)), retimed(clip(3, 2), Fraction(1))):
        assert not isinstance(other, PlanarSource)
    with pytest.raises(UsageError, match="must be positive"):
        retimed(decoder, Fraction(0))
