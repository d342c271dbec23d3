"""From tags to conversions, and to the tags of files made from a clip."""

import av
import pytest

from ffmpeg_bridge.tags import clip_colour, conversion
from nervplay.errors import UnknownNameError, VideoInputError
from nervplay.video import Colour
from nervplay.video.code_points import MATRIX_CODES, PRIMARIES_CODES, TRANSFER_CODES, code


def frame(pix_fmt="yuv420p", matrix=2, primaries=2, transfer=2, colour_range=0):
    made = av.VideoFrame(16, 16, pix_fmt)
    made.colorspace, made.color_primaries, made.color_trc, made.color_range = matrix, primaries, transfer, colour_range
    return made


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, ("smpte170m", "tv", "ffmpeg")),
        ({"colour_range": 2}, ("smpte170m", "pc", "ffmpeg")),
        ({"matrix": 1}, ("bt709", "tv", "nearest")),
        ({"matrix": 1, "colour_range": 2}, ("bt709", "pc", "nearest")),
        ({"matrix": 5}, ("bt470bg", "tv", "nearest")),
        ({"matrix": 6}, ("smpte170m", "tv", "nearest")),
        ({"matrix": 9}, ("bt2020nc", "tv", "nearest")),
        ({"matrix": 0}, ("smpte170m", "tv", "ffmpeg")),
        ({"pix_fmt": "yuv420p10le"}, ("smpte170m", "tv", "nearest")),
        ({"pix_fmt": "yuvj420p"}, ("smpte170m", "pc", "ffmpeg")),
        ({"pix_fmt": "gray"}, ("smpte170m", "pc", "ffmpeg")),
        ({"pix_fmt": "gray", "colour_range": 1}, ("smpte170m", "tv", "ffmpeg")),
    ],
)
def test_conversion(tags, expected):
    assert conversion(frame(**tags)) == expected


def test_matrices_without_a_way():
    with pytest.raises(VideoInputError, match=r"matrix ictcp cannot be converted; .*ffmpeg"):
        conversion(frame(matrix=14))


@pytest.mark.parametrize(
    ("tags", "height", "expected"),
    [
        ({}, 720, "bt709 bt709 bt709 tv"),
        ({}, 719, "smpte170m smpte170m smpte170m tv"),
        ({"matrix": 1}, 240, "bt709 bt709 bt709 tv"),
        ({"matrix": 6}, 1080, "smpte170m smpte170m smpte170m tv"),
        ({"matrix": 5}, 576, "bt470bg bt470bg smpte170m tv"),
        ({"matrix": 9}, 2160, "bt2020nc bt2020 bt2020-10 tv"),
        ({"matrix": 9, "primaries": 9, "transfer": 18, "colour_range": 2}, 2160, "bt2020nc bt2020 arib-std-b67 pc"),
        ({"matrix": 14, "primaries": 9}, 2160, "bt709 bt2020 bt709 tv"),
        ({"pix_fmt": "gbrp", "matrix": 0, "colour_range": 2}, 1080, "bt709 bt709 bt709 tv"),
    ],
)
def test_clip_colour(tags, height, expected):
    c = clip_colour(frame(**tags), height)
    assert f"{c.matrix} {c.primaries} {c.transfer} {c.range}" == expected


def test_codes():
    assert code("colour matrix", "bt709", MATRIX_CODES) == 1
    assert code("colour primaries", Colour().primaries, PRIMARIES_CODES) == 1
    assert code("colour transfer", "iec61966-2-1", TRANSFER_CODES) == 13
    with pytest.raises(UnknownNameError, match="unknown colour matrix 'bt601'"):
        code("colour matrix", "bt601", MATRIX_CODES)
