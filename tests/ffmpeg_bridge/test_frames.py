"""RGB to YUV: right matrix, right range, all four tags."""

from dataclasses import replace

import numpy as np
import pytest

from ffmpeg_bridge.frames import FrameConverter, check_geometry
from ffmpeg_bridge.pixels import rgb_reader
from nervplay.choices import PIXEL_FORMATS
from nervplay.errors import GeometryError, UnknownNameError
from nervplay.video import Colour, VideoSpec


def solid(*rgb):
    return np.broadcast_to(np.array(rgb, np.uint8), (16, 16, 3)).copy()


def samples(frame):
    return [int(bytes(plane)[0]) for plane in frame.planes]


@pytest.mark.parametrize(
    ("matrix", "colour_range", "red"),
    [
        ("bt709", "tv", [63, 102, 240]),
        ("smpte170m", "tv", [81, 90, 240]),
        ("bt470bg", "tv", [81, 90, 240]),
        ("bt2020nc", "tv", [74, 97, 240]),
        ("bt709", "pc", [54, 99, 255]),
    ],
)
def test_red(matrix, colour_range, red):
    frame = FrameConverter(Colour(matrix=matrix, range=colour_range), "yuv420p").convert(solid(255, 0, 0))
    assert np.abs(np.array(samples(frame)) - red).max() <= 1
    assert frame.format.name == "yuv420p"


def test_all_four_tags():
    colour = Colour(matrix="bt470bg", primaries="smpte170m", transfer="bt470m", range="pc")
    frame = FrameConverter(colour, "yuv420p").convert(solid(1, 2, 3))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (5, 6, 4, 2)


@pytest.mark.parametrize("pix_fmt", PIXEL_FORMATS)
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_there_and_back(pix_fmt, matrix):
    random = np.random.default_rng(0)
    converter = FrameConverter(Colour(matrix=matrix), pix_fmt)
    worst = []
    for rgb in random.integers(0, 256, (60, 3)):
        frame = converter.convert(solid(*rgb))
        worst.append(np.abs(rgb_reader(frame)(frame).astype(int) - rgb).max())
    if "10" in pix_fmt:
        assert max(worst) <= 1
    else:  # 8 bits of luma and chroma cannot hold 8 bits of RGB: two levels in a hundredth of all colours
        assert max(worst) <= 2
        assert np.mean(np.array(worst) > 1) <= 0.05


def test_frames_are_not_kept():
    converter, rgb = FrameConverter(Colour(), "yuv444p"), solid(255, 0, 0)
    first = converter.convert(rgb)
    rgb[:] = 0
    second = converter.convert(rgb)
    assert samples(first)[0] == 63
    assert samples(second)[0] == 16


SPEC = VideoSpec(width=640, height=360, frame_count=1, rate=25)


@pytest.mark.parametrize(
    ("size", "pix_fmt", "even"),
    [
        ((641, 360), "yuv420p", "640x360"),
        ((640, 361), "yuv420p", "640x360"),
        ((641, 361), "yuv422p", "640x361"),
        ((641, 361), "yuv420p10le", "640x360"),
    ],
)
def test_odd_sides_name_the_way_out(size, pix_fmt, even):
    spec = replace(SPEC, width=size[0], height=size[1])
    with pytest.raises(GeometryError, match=rf"{size[0]}x{size[1]} cannot be {pix_fmt}.*yuv444p, or .* {even}"):
        check_geometry(spec, pix_fmt)


def test_sides_that_fit():
    check_geometry(SPEC, "yuv420p")
    check_geometry(replace(SPEC, height=361), "yuv422p")
    check_geometry(replace(SPEC, width=641, height=361), "yuv444p")


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="pixel format 'yuv420'; did you mean yuv420p"):
        check_geometry(SPEC, "yuv420")
    with pytest.raises(UnknownNameError, match="pixel format"):
        FrameConverter(Colour(), "rgb24")
    with pytest.raises(UnknownNameError, match="colour matrix"):
        FrameConverter(Colour(matrix="ycgco"), "yuv420p")
