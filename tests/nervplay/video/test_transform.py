"""Cutting clips, and recognising a clip that is cut already."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nervplay.decode.testing import FakeDecoder
from nervplay.errors import FrameIndexError, GeometryError, UsageError
from nervplay.video import ArraySource, FrameTransform, PlanarSource, VideoSpec, matched

SIZES = st.none() | st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@pytest.fixture
def source():
    count, height, width = 6, 9, 12
    t, y, x = np.mgrid[:count, :height, :width]
    frames = np.stack((t * 20, y * 10, x * 10), axis=-1).astype(np.uint8)
    return ArraySource(frames, Fraction(24))


def test_range_then_crop(source):
    cut = FrameTransform(crop=(6, 4), frames=(2, 5)).apply(source)
    spec = cut.spec
    assert (len(cut), spec.width, spec.height, spec.rate) == (3, 6, 4, 24)
    # top = round((9 - 4) / 2) = round(2.5) = 2, halves to even; left = 3
    assert cut.frame(0)[0, 0].tolist() == [40, 20, 30]
    assert cut.frame(2)[-1, -1].tolist() == [80, 50, 80]
    assert cut.frame(1).flags.c_contiguous


def test_crop_rounds_halves_to_even():
    rows = np.arange(7, dtype=np.uint8)[None, :, None, None].repeat(3, 3)
    cut = FrameTransform(crop=(1, 4)).apply(ArraySource(rows))  # (7 - 4) / 2 = 1.5 -> 2
    assert cut.frame(0)[0, 0, 0] == 2
    cut = FrameTransform(crop=(1, 2)).apply(ArraySource(rows))  # 2.5 -> 2
    assert cut.frame(0)[0, 0, 0] == 2


def test_scale_is_pillows_lanczos(source):
    cut = FrameTransform(crop=(8, 8), scale=(4, 6)).apply(source)
    cropped = FrameTransform(crop=(8, 8)).apply(source).frame(3)
    expected = np.asarray(Image.fromarray(cropped).resize((4, 6), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(cut.frame(3), expected)
    assert (cut.spec.width, cut.spec.height) == (4, 6)
    assert cut.spec.sample_aspect == Fraction(8, 4) / Fraction(8, 6)


def test_scale_to_the_same_shape_keeps_the_aspect(source):
    assert FrameTransform(scale=(24, 18)).apply(source).spec.sample_aspect == 1
    assert FrameTransform(crop=(3, 3)).apply(source).spec.sample_aspect == 1


def test_frames_in_one_pass_are_the_single_ones(source):
    cut = FrameTransform(crop=(5, 5), scale=(7, 3), frames=(1, 6)).apply(source)
    for index, frame in enumerate(cut.frames()):
        np.testing.assert_array_equal(frame, cut.frame(index))
    assert [frame[0, 0, 0] for frame in cut.frames([4, 0])] == [cut.frame(4)[0, 0, 0], cut.frame(0)[0, 0, 0]]
    for index in (-1, 5):
        with pytest.raises(FrameIndexError, match="0 to 4"):
            cut.frame(index)
        with pytest.raises(FrameIndexError, match="0 to 4"):
            list(cut.frames([index]))


def test_nothing_to_do_gives_the_source(source):
    assert FrameTransform().apply(source) is source


def test_frames_are_the_callers_own(source):
    cut = FrameTransform(crop=(12, 9), frames=(0, 2)).apply(source)
    cut.frame(0)[:] = 255
    assert cut.frame(0)[0, 0].tolist() == [0, 0, 0]


def test_closing_closes_the_source(source):
    closed = []
    source.close = lambda: closed.append(True)
    FrameTransform(crop=(2, 2)).apply(source).close()
    assert closed == [True]


def test_what_does_not_fit_is_named(source):
    with pytest.raises(GeometryError, match="crop 13x9 is larger than the frame, 12x9"):
        FrameTransform(crop=(13, 9)).apply(source)
    with pytest.raises(FrameIndexError, match="frame 6 is outside"):
        FrameTransform(frames=(0, 7)).apply(source)
    for frames in ((3, 3), (-1, 2), (4, 1)):
        with pytest.raises(UsageError, match="A:B"):
            FrameTransform(frames=frames)
    with pytest.raises(GeometryError, match="scale 0x4"):
        FrameTransform(scale=(0, 4))


@given(SIZES, SIZES, st.none() | st.tuples(st.integers(0, 50), st.integers(51, 100)))
def test_json_and_back(crop, scale, frames):
    transform = FrameTransform(crop=crop, scale=scale, frames=frames)
    assert FrameTransform.from_json(json.loads(json.dumps(transform.to_json()))) == transform


@pytest.mark.parametrize(
    "data",
    [{"cropp": None}, {"crop": [1]}, {"crop": [1.0, 2]}, {"scale": "4x4"}, {"frames": [True, 2]}, {"crop": [1, 2, 3]}],
)
def test_json_is_strict(data):
    with pytest.raises(UsageError, match=r"frame transform"):
        FrameTransform.from_json(data)


def spec_of(width, height, count):
    return VideoSpec(width=width, height=height, frame_count=count, rate=Fraction(24))


def test_matched_cuts_the_original_and_takes_a_cut_copy_as_it_is(source):
    transform = FrameTransform(crop=(6, 4), frames=(2, 5))
    cut = matched(source, transform, spec_of(6, 4, 3))
    assert cut.frame(0)[0, 0].tolist() == [40, 20, 30]
    assert matched(cut, transform, spec_of(6, 4, 3)) is cut


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (FrameTransform(crop=(6, 4)), (6, 5, 6)),
        (FrameTransform(crop=(60, 40)), (60, 40, 6)),
        (FrameTransform(frames=(0, 60)), (12, 9, 60)),
    ],
)
def test_matched_names_both_sizes(source, transform, size):
    words = f"source is 12x9 with 6 frames, the network {size[0]}x{size[1]} with {size[2]} frames"
    with pytest.raises(GeometryError, match=words):
        matched(source, transform, spec_of(*size))


def test_a_range_alone_lets_planes_pass():
    decoder = FakeDecoder(VideoSpec(width=64, height=16, frame_count=6, rate=Fraction(30)))
    part = FrameTransform(frames=(2, 5)).apply(decoder)
    assert isinstance(part, PlanarSource)
    given = [tuple(np.empty((16, 64), np.uint8) for _ in range(3)) for _ in range(3)]
    assert list(part.yuv_frames(enumerate(given))) == given
    for index, planes in enumerate(given):
        expected = decoder.yuv_frame(2 + index, tuple(np.empty((16, 64), np.uint8) for _ in range(3)))
        np.testing.assert_array_equal(planes, expected)
    np.testing.assert_array_equal(part.yuv_frame(1, given[0]), given[1])
    with pytest.raises(FrameIndexError, match="0 to 2"):
        part.yuv_frame(3, given[0])
    for other in (FrameTransform(frames=(2, 5), crop=(32, 16)), FrameTransform(scale=(32, 16), frames=(0, 3))):
        assert not isinstance(other.apply(decoder), PlanarSource)
