"""Frames to planes of YUV: the kernels and NumPy give the same bytes, and they are the definition's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.decode import planes as module
from nervplay.decode.planes import write_yuv
from nervplay.errors import GeometryError, UnknownNameError, UsageError
from nervplay.video.colour import MATRICES, rgb_coefficients, yuv_to_rgb
from nervplay.video.source import Planes
from nervplay.video.spec import Colour

COLOURS = [Colour(matrix=matrix, range=levels) for matrix in sorted(MATRICES) for levels in ("tv", "pc")]


def empty(height: int, width: int, *, half: bool, depth: int) -> Planes:
    dtype = np.uint8 if depth == 8 else np.uint16
    chroma = ((height + 1) // 2, (width + 1) // 2) if half else (height, width)
    return tuple(np.full(shape, 77, dtype) for shape in ((height, width), chroma, chroma))  # type: ignore[return-value]


def with_room(planes: Planes) -> Planes:
    """Return planes of the same sizes with other samples behind each line."""
    padded = (np.full((plane.shape[0], plane.shape[1] + 5), 77, plane.dtype) for plane in planes)
    return tuple(room[:, :-5] for room in padded)  # type: ignore[return-value]


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.one_of(st.integers(1, 20), st.integers(250, 530))),
    half=st.booleans(),
    depth=st.sampled_from([8, 10]),
    colour=st.sampled_from(COLOURS),
    seed=st.integers(0, 1000),
)
def test_kernels_and_numpy_agree_to_the_byte(size, half, depth, colour, seed) -> None:
    frame = np.random.default_rng(seed).uniform(-0.2, 1.2, (3, *size)).astype(np.float32)
    frame.reshape(-1)[::17] = np.resize(
        np.array([np.nan, np.inf, -np.inf, 0, 1], np.float32), frame.reshape(-1)[::17].size
    )
    fast, slow = (with_room(empty(*size, half=half, depth=depth)) for _ in range(2))
    write_yuv(frame, fast, colour)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "why_not", lambda: "no compiler")
        write_yuv(frame, slow, colour)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.base is not None
        assert (a.base[:, -5:] == 77).all(), "what lies between the lines stays as it is"


@pytest.mark.parametrize("colour", COLOURS)
def test_the_way_back(colour: Colour) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    samples = empty(20, 30, half=False, depth=10)
    write_yuv(np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / np.float32(255), samples, colour)
    back = yuv_to_rgb(*samples, matrix=colour.matrix, colour_range=colour.range, depth=10)
    assert np.abs(back.astype(int) - rgb).max() <= 1


def test_levels_and_means() -> None:
    frame = np.zeros((3, 3, 4), np.float32)
    frame[:, :, 2:] = 1
    frame[0, 2, 0] = 1  # a red pixel in the odd last row: counts twice of four
    planes = empty(3, 4, half=True, depth=8)
    write_yuv(frame, planes, Colour())
    assert planes[0][0].tolist() == [16, 16, 235, 235]
    assert planes[1][0].tolist() == [128, 128]
    assert planes[2][1, 0] == int(128.5 + 224 * 0.5 / 2)


def test_the_weights_are_those_of_the_standard() -> None:
    y, u, v = rgb_coefficients("bt709", "pc", 8)
    np.testing.assert_allclose(y, [0.2126 * 255, 0.7152 * 255, 0.0722 * 255, 0])
    np.testing.assert_allclose(u, np.array([-0.2126, -0.7152, 0.9278, 0]) * 255 / 1.8556 + [0, 0, 0, 128])
    np.testing.assert_allclose(v, np.array([0.7874, -0.7152, -0.0722, 0]) * 255 / 1.5748 + [0, 0, 0, 128])


def test_refusals() -> None:
    frame = np.zeros((3, 4, 6), np.float32)
    good = empty(4, 6, half=True, depth=8)
    for plane in (good[1].astype(np.uint16), good[1].astype(np.int8)):
        with pytest.raises(UsageError, match=f"all uint8 or all uint16.*this is {plane.dtype}"):
            write_yuv(frame, (good[0], plane, good[2]), Colour())
    with pytest.raises(UsageError, match="float32"):
        write_yuv(frame.transpose(0, 2, 1), good, Colour())
    fixed = good[0].copy()
    fixed.flags.writeable = False
    for plane in (np.zeros((4, 12), np.uint8)[:, ::2], good[0][::-1], fixed, np.zeros((6, 4), np.uint8).T):
        with pytest.raises(UsageError, match="samples of a line side by side; this is uint8"):
            write_yuv(frame, (plane, *good[1:]), Colour())
    with pytest.raises(GeometryError, match="do not take a frame of 6x4"):
        write_yuv(frame, (good[0], good[1][:1], good[2]), Colour())
    with pytest.raises(UnknownNameError, match="colour matrix"):
        write_yuv(frame, good, Colour(matrix="bt6"))
