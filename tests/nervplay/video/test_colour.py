"""The integer conversion against exact arithmetic, against FFmpeg and against the published frames."""

import hashlib
import platform
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from hypothesis import given
from hypothesis import strategies as st

from nervplay.errors import GeometryError, UnknownNameError, UsageError
from nervplay.video.colour import MATRICES, rgb_to_yuv, yuv_coefficients, yuv_to_rgb

BUNNY_SHA256 = "52126f0b88bddddb25abea5e135a998b93636fa15d94b5acb1f7eb6958fa4fc5"
SWSCALE = {"smpte170m": Colorspace.ITU601, "bt709": Colorspace.ITU709, "bt2020nc": Colorspace.BT2020}


def planes(frame):
    def view(plane):
        return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]

    return [view(plane) for plane in frame.planes]


def solid(value, shape=(2, 2), dtype=np.uint8):
    return np.full(shape, value, dtype)


def exact(sample, matrix, colour_range, depth):
    """RGB levels of one YUV sample in floating point, not rounded."""
    kr, kb = (float(weight) for weight in MATRICES[matrix])
    step = 1 << (depth - 8)
    if colour_range == "tv":
        y, u, v = (sample[0] / step - 16) / 219, (sample[1] / step - 128) / 224, (sample[2] / step - 128) / 224
    else:
        peak = (1 << depth) - 1
        y, u, v = sample[0] / peak, (sample[1] - 128 * step) / peak, (sample[2] - 128 * step) / peak
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(255 * np.array([red, green, blue]), 0, 255)


def test_coefficients_are_those_of_the_published_frames():
    c = yuv_coefficients("smpte170m", "tv")
    assert (c.black, c.middle, c.shift) == (16, 128, 13)
    assert (c.luma, c.red_v, c.green_u, c.green_v, c.blue_u) == (9539, 13075, -3209, -6660, 16525)


@given(
    st.sampled_from(sorted(MATRICES)),
    st.sampled_from(["tv", "pc"]),
    st.integers(8, 16),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_nearest_is_within_rounding_of_exact_arithmetic(matrix, colour_range, depth, unit):
    sample = [round(part * ((1 << depth) - 1)) for part in unit]
    y, u, v = (solid(part, (1, 1), np.uint8 if depth == 8 else np.uint16) for part in sample)
    rgb = yuv_to_rgb(y, u, v, matrix=matrix, colour_range=colour_range, depth=depth)[0, 0]
    assert np.abs(rgb - exact(sample, matrix, colour_range, depth)).max() <= 0.5 + 0.15


@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)))
def test_ffmpeg_rounding_is_the_formula_of_the_papers(sample):
    y, u, v = sample
    luma = ((8 * y - 128) * 9539) >> 16
    cb, cr = 8 * u - 1024, 8 * v - 1024
    expected = (
        luma + ((cr * 13075) >> 16),
        luma + ((cb * -3209) >> 16) + ((cr * -6660) >> 16),
        luma + ((cb * 16525) >> 16),
    )
    rgb = yuv_to_rgb(solid(y), solid(u), solid(v), matrix="smpte170m", colour_range="tv", rounding="ffmpeg")
    assert rgb[1, 1].tolist() == [min(255, max(0, value)) for value in expected]


def test_all_frames_of_the_bunny_are_the_published_ones(clip: Path):
    digest = hashlib.sha256()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            rgb = yuv_to_rgb(*planes(frame), matrix="smpte170m", colour_range="tv", rounding="ffmpeg")
            digest.update(rgb.tobytes())
    assert digest.hexdigest() == BUNNY_SHA256


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="FFmpeg's own result is this one on x86 only")
@pytest.mark.parametrize("matrix", SWSCALE)
@pytest.mark.parametrize("colour_range", ["tv", "pc"])
def test_ffmpeg_rounding_is_what_ffmpeg_computes(matrix, colour_range):
    noise = np.random.default_rng(0).integers(0, 256, (96, 64), np.uint8)  # I420 of 64x64
    frame = av.VideoFrame.from_ndarray(noise, format="yuv420p")
    theirs = VideoReformatter().reformat(
        frame,
        format="rgb24",
        src_colorspace=SWSCALE[matrix],
        src_color_range=ColorRange.MPEG if colour_range == "tv" else ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG,
    )
    ours = yuv_to_rgb(*planes(frame), matrix=matrix, colour_range=colour_range, rounding="ffmpeg")
    np.testing.assert_array_equal(ours, theirs.to_ndarray())


@pytest.mark.parametrize(("rows", "columns"), [(6, 10), (3, 5), (6, 5), (3, 10), (130, 4), (65, 7)])
@pytest.mark.parametrize(("down", "across"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_chroma_sample_colours_exactly_its_pixels(rows, columns, down, across):
    random = np.random.default_rng(1)
    y = random.integers(0, 256, (rows, columns), np.uint8)
    u, v = (random.integers(0, 256, (-(-rows // down), -(-columns // across)), np.uint8) for _ in "uv")
    wide = [np.repeat(np.repeat(c, down, 0), across, 1)[:rows, :columns] for c in (u, v)]
    options = {"matrix": "bt709", "colour_range": "tv"}
    np.testing.assert_array_equal(yuv_to_rgb(y, u, v, **options), yuv_to_rgb(y, *wide, **options))


@pytest.mark.parametrize("depth", [10, 12, 16])
@pytest.mark.parametrize("colour_range", ["tv", "pc"])
def test_black_and_white_of_any_depth(depth, colour_range):
    step, peak = 1 << (depth - 8), (1 << depth) - 1
    grey = solid(128 * step, dtype=np.uint16)
    for level, expected in ((16 * step, 0), (235 * step, 255)) if colour_range == "tv" else ((0, 0), (peak, 255)):
        rgb = yuv_to_rgb(
            solid(level, dtype=np.uint16), grey, grey, matrix="bt709", colour_range=colour_range, depth=depth
        )
        assert (rgb == expected).all()


def test_what_cannot_be_converted_is_named():
    y = solid(0, (4, 4))
    with pytest.raises(UnknownNameError, match="bt601"):
        yuv_to_rgb(y, y, y, matrix="bt601", colour_range="tv")
    with pytest.raises(UnknownNameError, match="colour range 'full'"):
        yuv_to_rgb(y, y, y, matrix="bt709", colour_range="full")
    with pytest.raises(UsageError, match="17 bits"):
        yuv_to_rgb(y, y, y, matrix="bt709", colour_range="tv", depth=17)
    with pytest.raises(GeometryError, match="planes"):
        yuv_to_rgb(y, y[:1], y, matrix="bt709", colour_range="tv")


@given(st.sampled_from(sorted(MATRICES)), st.tuples(*[st.integers(0, 255)] * 3))
def test_rgb_to_yuv_is_the_exact_inverse(matrix, levels):
    sample = [plane[0, 0] for plane in rgb_to_yuv(np.array([[levels]], np.uint8), matrix)]
    assert exact(sample, matrix, "tv", 8) == pytest.approx(levels, abs=2e-3)


def test_rgb_to_yuv_of_red_is_the_standard_s():
    y, u, v = rgb_to_yuv(np.array([[[255, 0, 0]]], np.uint8), "bt709")
    assert (round(float(y[0, 0])), round(float(u[0, 0])), round(float(v[0, 0]))) == (63, 102, 240)
    with pytest.raises(UnknownNameError):
        rgb_to_yuv(np.zeros((1, 1, 3), np.uint8), "bt999")
