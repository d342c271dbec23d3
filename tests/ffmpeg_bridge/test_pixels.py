"""RGB out of every usual pixel format."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from ffmpeg_bridge.pixels import rgb_reader
from nervplay.errors import VideoInputError

YUV = [
    "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le",
    "yuv444p16le", "yuva420p", "yuva444p10le", "nv12", "nv21", "nv16", "nv24", "p010le", "p016le", "p210le", "yuyv422",
    "uyvy422", "yuv420p10be",
]  # fmt: skip
RGB = ["rgb24", "bgr24", "rgba", "bgra", "argb", "bgr0", "gbrp", "gbrap"]
RED, GREEN = np.meshgrid(np.linspace(20, 230, 96), np.linspace(30, 220, 64))
SMOOTH = np.stack((RED, GREEN, np.full_like(RED, 90)), -1).astype(np.uint8)


def tagged(pix_fmt, colour_range=ColorRange.MPEG):
    """A smooth picture in a pixel format, tagged BT.709."""
    rgb = av.VideoFrame.from_ndarray(SMOOTH, format="rgb24")
    frame = VideoReformatter().reformat(
        rgb,
        format=pix_fmt,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=colour_range,
    )
    frame.colorspace, frame.color_range = 1, colour_range.value
    return frame


@pytest.mark.parametrize("pix_fmt", YUV)
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_yuv(pix_fmt, colour_range):
    frame = tagged(pix_fmt, colour_range)
    rgb = rgb_reader(frame)(frame)
    assert rgb.shape == (64, 96, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - SMOOTH).max() <= 6
    assert np.abs(rgb.astype(int) - SMOOTH).mean() <= 1.7


@pytest.mark.parametrize("pix_fmt", RGB)
def test_rgb_is_exact(pix_fmt):
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(SMOOTH, format="rgb24"), format=pix_fmt)
    np.testing.assert_array_equal(rgb_reader(frame)(frame), SMOOTH)


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_deep_planar_rgb_is_rounded(depth):
    levels = np.arange(256).reshape(8, 32)
    frame = av.VideoFrame(32, 8, f"gbrp{depth}le")
    for plane, shift in zip(frame.planes, (0, 50, 100), strict=True):  # green, blue, red
        samples = np.round((levels + shift) % 256 * (2**depth - 1) / 255).astype("<u2")
        np.frombuffer(memoryview(plane), "<u2").reshape(8, -1)[:, :32] = samples
    rgb = rgb_reader(frame)(frame)
    np.testing.assert_array_equal(rgb, np.stack([(levels + shift) % 256 for shift in (100, 0, 50)], -1))


@pytest.mark.parametrize("pix_fmt", ["rgb48le", "rgb48be"])
def test_deep_packed_rgb_is_rounded(pix_fmt):
    rgb = np.random.default_rng(0).integers(0, 256, (8, 32, 3))
    frame = av.VideoFrame(32, 8, pix_fmt)
    samples = (rgb * 257).astype("<u2" if pix_fmt.endswith("le") else ">u2")
    np.frombuffer(memoryview(frame.planes[0]), samples.dtype).reshape(8, -1)[:, :96] = samples.reshape(8, 96)
    np.testing.assert_array_equal(rgb_reader(frame)(frame), rgb)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "ya8"])
def test_grey(pix_fmt):
    level = np.arange(256, dtype=np.uint8).reshape(8, 32)
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(level, format="gray"), format=pix_fmt)
    rgb = rgb_reader(frame)(frame).astype(int)
    assert np.abs(rgb - level[..., None]).max() <= 1
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_old_full_range_names():
    frame = tagged("yuvj420p", ColorRange.JPEG)
    frame.color_range = 0
    assert np.abs(rgb_reader(frame)(frame).astype(int) - SMOOTH).max() <= 6


def test_a_row_is_no_longer_than_the_picture():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)  # lines are padded to a multiple of 8 at least
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    np.testing.assert_array_equal(rgb_reader(frame)(frame), rgb)


@pytest.mark.parametrize("pix_fmt", ["yuv410p", "xyz12le", "yuv411p"])
def test_formats_without_a_way(pix_fmt):
    frame = av.VideoFrame(64, 64, pix_fmt)
    with pytest.raises(VideoInputError, match=f"{pix_fmt} cannot be converted; .*ffmpeg"):
        rgb_reader(frame)
