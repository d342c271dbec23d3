"""A study without any encoder: figures by formula."""

from fractions import Fraction

import pytest

from app.rd.study import RdCurve, RdPoint, RdStudy
from nervplay.video import VideoSpec


def point(name, size, psnr, target=None):
    return RdPoint(name=name, size=size, target=target or size, quality={"psnr": psnr, "ssim": 1 - 10 / psnr**2})


@pytest.fixture
def study():
    """Two neural files, an anchor that is 3 dB better, and one that needs half its bytes."""
    sizes = (500, 1000, 2000, 4000)
    plain = tuple(point(f"CRF {size}", size, 30.0 + step * 3) for step, size in enumerate(sizes))
    curves = (
        RdCurve(name="hnerv", neural=True, points=(point("a.nerv", 1000, 30.0), point("b <&>.nerv", 2000, 33.0))),
        RdCurve(name="x264 slow", neural=False, points=plain),
        RdCurve(
            name="x265 slow",
            neural=False,
            points=tuple(point(f"CRF {s}", s + 10, 33.0 + i * 3, s) for i, s in enumerate(sizes)),
        ),
    )
    spec = VideoSpec(width=100, height=80, frame_count=10, rate=Fraction(25))
    return RdStudy(
        clip="clip <1>.mp4", spec=spec, measures=("psnr", "ssim"), curves=curves, missing={"vmaf": "no libvmaf & co"}
    )
