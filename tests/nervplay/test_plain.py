"""Records made with NumPy's numbers are written like any other."""

import json
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest

from nervplay.models import resolve_preset
from nervplay.training import Phase, Recipe
from nervplay.video import FrameTransform, VideoSpec

SIZE = np.array([320, 160])


@pytest.mark.parametrize(
    "plain",
    [
        lambda: VideoSpec(width=SIZE[0], height=SIZE[1], frame_count=np.uint8(9), rate=Fraction(25)).to_json(),
        lambda: FrameTransform(crop=tuple(SIZE), frames=(np.int16(1), 5)).to_json(),
        lambda: resolve_preset("hnerv-tiny")[1].configure(*SIZE, np.int32(9)).to_config(),
        lambda: Recipe(seed=np.int64(3), learning_rate=np.float32(0.5)).to_json(),
        lambda: asdict(Phase(epochs=np.int64(3), bits=np.uint8(6))),
    ],
)
def test_they_are_json_plain(plain) -> None:
    assert json.dumps(plain())
