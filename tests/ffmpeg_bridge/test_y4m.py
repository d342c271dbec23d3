"""The header of YUV4MPEG2, word by word."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ffmpeg_bridge.y4m import y4m_header
from nervplay.errors import UnknownNameError
from nervplay.video import Colour, VideoSpec

SPEC = VideoSpec(width=128, height=64, frame_count=3, rate=Fraction(25))


@pytest.mark.parametrize(
    ("changes", "pix_fmt", "header"),
    [
        ({}, "yuv420p", "W128 H64 F25:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED"),
        ({"rate": Fraction(30000, 1001)}, "yuv444p10le", "W128 H64 F30000:1001 Ip A1:1 C444p10 XCOLORRANGE=LIMITED"),
        (
            {"sample_aspect": Fraction(8, 9), "colour": Colour(range="pc")},
            "yuv422p",
            "W128 H64 F25:1 Ip A8:9 C422 XCOLORRANGE=FULL",
        ),
    ],
)
def test_header(changes, pix_fmt, header):
    assert y4m_header(replace(SPEC, **changes), pix_fmt).decode() == f"YUV4MPEG2 {header}\n"


def test_rgb_is_refused():
    with pytest.raises(UnknownNameError, match="yuv444p"):
        y4m_header(SPEC, "rgb24")
