"""RGB frames in other orders: the same samples, tagged as RGB."""

import numpy as np
import pytest

from ffmpeg_bridge.rgb_frames import RGB_FORMATS, RgbConverter, stored_colour
from nervplay.video import Colour


@pytest.mark.parametrize("pix_fmt", RGB_FORMATS)
def test_no_sample_changes(pix_fmt):
    frame = np.random.default_rng(2).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    converted = RgbConverter(Colour(matrix="smpte170m"), pix_fmt).convert(frame)
    assert converted.format.name == pix_fmt
    assert (converted.colorspace, converted.color_range, converted.color_primaries, converted.color_trc) == (0, 2, 1, 1)
    red_first = {"rgb24": 0, "bgr0": 2, "gbrp": None}[pix_fmt]
    if red_first is not None:
        plane = np.frombuffer(memoryview(converted.planes[0]), np.uint8).reshape(30, converted.planes[0].line_size)
        samples = plane[:, : 44 * (4 if pix_fmt == "bgr0" else 3)].reshape(30, 44, -1)
        np.testing.assert_array_equal(samples[..., red_first], frame[..., 0])
    np.testing.assert_array_equal(converted.reformat(format="rgb24").to_ndarray(), frame)


def test_stored_colour():
    colour = Colour(matrix="smpte170m", primaries="bt470bg")
    assert stored_colour(colour, "yuv420p") == colour
    assert stored_colour(colour, "gbrp") == Colour(matrix="gbr", primaries="bt470bg", range="pc")
