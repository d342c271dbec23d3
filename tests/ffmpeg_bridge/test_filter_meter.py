"""FFmpeg's filters on pairs of frames, against the ffmpeg program and against arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest

from ffmpeg_bridge.filter_meter import FILTERS, FilterMeter
from nervplay.errors import UnknownNameError
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=64, height=48, frame_count=3, rate=Fraction(25))


def grey(level, spec=SPEC):
    return np.full((spec.height, spec.width, 3), level, np.uint8)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_psnr_of_grey_levels(size):
    spec = VideoSpec(width=size[0], height=size[1], frame_count=3, rate=Fraction(25))
    meter = FilterMeter("ffmpeg-psnr", spec)
    for level in (100, 110, 150):
        meter.add(grey(100, spec), grey(level, spec))
    luma = [round(16 + level * 219 / 255) for level in (100, 110, 150)]
    expected = [math.inf]
    share = 1.5 if spec.width % 2 == 0 else 3  # chroma is equal; the mean is over all samples
    expected += [10 * math.log10(255**2 * share / (luma[0] - other) ** 2) for other in luma[1:]]
    assert meter.values() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", FILTERS)
def test_worse_pairs_have_lower_values_in_their_places(name):
    noise = np.random.default_rng(1)
    original = noise.integers(40, 200, (48, 64, 3), dtype=np.uint8)
    strengths = (1, 30, 4, 15)
    meter = FilterMeter(name, SPEC)
    for strength in strengths:
        bad = original + noise.integers(0, strength + 1, original.shape, dtype=np.uint8)
        meter.add(bad, original)
    values = meter.values()
    assert len(values) == len(strengths)
    assert [strengths[i] for i in np.argsort(values)] == [30, 15, 4, 1]


def test_another_name():
    with pytest.raises(UnknownNameError, match="did you mean xpsnr"):
        FilterMeter("xpsnrr", SPEC)
