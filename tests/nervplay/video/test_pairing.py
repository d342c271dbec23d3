"""Two clips shown as one."""

from fractions import Fraction

import numpy as np
import pytest

from nervplay.errors import FrameIndexError, GeometryError, UnknownNameError
from nervplay.video import ArraySource, FrameSource, SideBySideSource


def clip(start, count=4, size=(40, 60)):
    levels = np.arange(start, start + count, dtype=np.uint8)
    return ArraySource(np.broadcast_to(levels[:, None, None, None], (count, *size, 3)).copy(), Fraction(30000, 1001))


def test_frames_of_both_in_step():
    pair = SideBySideSource(clip(0), clip(100))
    assert isinstance(pair, FrameSource)
    assert (pair.spec.width, pair.spec.height, len(pair), pair.spec.rate) == (120, 40, 4, Fraction(30000, 1001))
    for index, frame in enumerate(pair.frames()):
        assert frame[0, 0, 0] == index
        assert frame[0, -1, 0] == 100 + index
        np.testing.assert_array_equal(frame, pair.frame(index))
    assert [frame[0, 0, 0] for frame in pair.frames([3, 1])] == [3, 1]
    with pytest.raises(FrameIndexError):
        pair.frame(4)


def test_layouts():
    above = SideBySideSource(clip(0), clip(100), layout="stacked")
    assert (above.spec.width, above.spec.height) == (60, 80)
    assert above.frame(2)[-1, 0, 0] == 102
    apart = SideBySideSource(clip(0), clip(10), layout="difference")
    assert (apart.spec.width, apart.spec.height) == (60, 40)
    assert (apart.frame(2) == 40).all()
    halves = SideBySideSource(clip(0), clip(100), layout="wipe").frame(2)
    assert (halves[0, 0, 0], halves[0, -1, 0], halves.shape) == (2, 102, (40, 60, 3))
    with pytest.raises(UnknownNameError, match="side-by-side"):
        SideBySideSource(clip(0), clip(1), layout="side by side")


@pytest.mark.parametrize(
    ("layout", "corners"),
    [
        ("side-by-side", [(0, 0), (0, 60)]),
        ("stacked", [(0, 0), (40, 0)]),
        ("difference", [(0, 0)]),
    ],
)
def test_labels_stand_in_the_corners_of_their_clips(layout, corners):
    bare = SideBySideSource(clip(100), clip(100), layout=layout).frame(0)
    worded = SideBySideSource(clip(100), clip(100), ("one", "two"), layout=layout).frame(0)
    changed = (bare != worded).any(-1)
    for top, left in corners:
        assert changed[top : top + 20, left : left + 20].any()
        changed[top : top + 30, left : left + 60] = False
    assert not changed.any()


def test_the_second_label_of_a_wipe_stands_on_the_right():
    sides = [clip(100, size=(40, 300)) for _ in range(4)]
    bare = SideBySideSource(*sides[:2], layout="wipe").frame(0)
    worded = SideBySideSource(*sides[2:], ("one", "two"), layout="wipe").frame(0)
    changed = (bare != worded).any((0, 2))
    assert changed[:40].any()
    assert changed[-30:].any()
    assert not changed[60:-60].any()


@pytest.mark.parametrize(("layout", "bottom"), [("side-by-side", 40), ("stacked", 80)])
def test_captions_stand_below_and_know_their_frame(layout, bottom):
    told = []

    def caption(index, left, right):
        told.append((index, int(left[0, 0, 0]), int(right[0, 0, 0])))
        return f"{index}"

    bare = SideBySideSource(clip(100), clip(100), layout=layout)
    worded = SideBySideSource(clip(100), clip(120), layout=layout, caption=caption)
    for frame, plain in zip(worded.frames([3, 0]), bare.frames([3, 0]), strict=True):
        assert (frame != plain)[bottom - 25 :, :20].any()
        assert not (frame != plain)[: bottom - 25, :20].any() or layout == "stacked"
    assert told == [(3, 103, 123), (0, 100, 120)]


def test_a_cancelled_clip_ends_the_pair():
    left = clip(0)
    left.frames = lambda wanted: (left.frame(i) for i in list(wanted)[:2])
    assert len(list(SideBySideSource(left, clip(5)).frames())) == 2


def test_clips_must_agree():
    with pytest.raises(GeometryError, match="4 frames and 60x40 with 5 frames"):
        SideBySideSource(clip(0), clip(0, count=5))
    with pytest.raises(GeometryError, match="60x40 with 4 frames and 62x40"):
        SideBySideSource(clip(0), clip(0, size=(40, 62)))


def test_closing_closes_both():
    closed, left, right = [], clip(0), clip(1)
    left.close, right.close = (lambda: closed.append("left")), (lambda: closed.append("right"))
    with SideBySideSource(left, right):
        pass
    assert closed == ["left", "right"]
