"""Points of the rate/distortion plot: newest value per source and precision, curves by rate, axes with room."""

import math
from fractions import Fraction

import pytest

from app.core.facts import MediaFacts
from app.core.rd import RdPoints, plot_range
from app.core.sources import parse_source
from nervplay.video import VideoSpec

SPEC = VideoSpec(width=100, height=50, frame_count=20, rate=Fraction(10))


def facts(size: int | None, architecture: str = "", precision: str = "") -> MediaFacts:
    return MediaFacts(title="t", kind="x", spec=SPEC, file_bytes=size, architecture=architecture, precision=precision)


def test_curves() -> None:
    points = RdPoints()
    points.note(parse_source("b.nerv"), facts(2000, "hnerv", "fp32"), 30.0, 3)
    points.note(parse_source("b.nerv"), facts(2000, "hnerv", "fp32"), 31.0, 20)
    points.note(parse_source("a.nerv"), facts(1000, "hnerv", "fp32"), 29.0, 20)
    points.note(parse_source("x265@b"), facts(1500), 33.0, 20)
    points.note(parse_source("c.mp4"), facts(3000), 34.0, 20)
    points.note(parse_source("folder"), facts(None), 34.0, 20)
    points.note(parse_source("same.mp4"), facts(3000), math.inf, 20)
    curves = points.curves()
    assert {name: [point.psnr for point in curve] for name, curve in curves.items()} == {
        "hnerv": [29.0, 31.0],
        "x265": [33.0],
        "video": [34.0],
    }
    assert curves["hnerv"][1].bpp == pytest.approx(0.16)
    everything = [point for curve in curves.values() for point in curve]
    assert plot_range(everything) == pytest.approx((0, 0.24 * 1.15, 28, 36))
    refs = [parse_source(text) for text in ("a.nerv", "x265@b", "b.nerv", "c.mp4")]
    precisions = ["fp32", "", "fp32", ""]
    for number in range(4):
        found = points.neighbour(refs[number], precisions[number], 1)
        assert found.ref == refs[(number + 1) % 4]
        assert points.neighbour(found.ref, found.precision, -1).ref == refs[number]
    assert points.neighbour(None, "", 1).ref == refs[0]
    assert points.neighbour(refs[0], "bf16", -1).ref == refs[3]
    points.clear()
    assert points.curves() == {}
    assert points.neighbour(refs[0], "fp32", 1) is None
