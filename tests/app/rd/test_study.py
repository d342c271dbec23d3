"""The ladder: which sizes an anchor is asked for, and what a study holds."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from app.rd import study as module
from app.rd.study import AnchorWish, NeuralFile, parse_anchors, run_study
from nervplay.errors import UnknownNameError, UsageError
from nervplay.video import ArraySource


class Encoder:
    """An anchor encoder whose PSNR is a formula; it cannot make less than `least` bytes."""

    def __init__(self, least=0):
        self.asked, self.least = [], least

    def at_size(self, codec, target, *, preset):
        self.asked.append(target)
        size = max(target, self.least)
        return SimpleNamespace(path=Path(f"{codec}-{preset}-{size}"), crf=20.5, size=size)


def psnr_of(size):
    return 3 * np.log2(size)


@pytest.fixture
def clip():
    return ArraySource(np.zeros((2, 8, 8, 3), np.uint8))


def run(monkeypatch, clip, files, encoder):
    monkeypatch.setattr(module, "open_source", lambda _path: clip)
    told = []

    def measure(what, frames, size):
        told.append(what)
        return {"psnr": files[what] if what in files else psnr_of(size)}

    neural = [
        NeuralFile(path=Path(name), architecture="hnerv" if "h" in name else "nerv", size=size, open=lambda: clip)
        for name, size in zip(files, (1000, 4000, 1000), strict=False)
    ]
    wishes = [AnchorWish("x264", "fast")]
    return run_study("c", clip, neural, wishes, ["psnr"], measure=measure, encoder=encoder), told


def test_the_ladder_covers_bytes_and_quality(monkeypatch, clip):
    encoder = Encoder()
    study, told = run(monkeypatch, clip, {"h1": psnr_of(120), "h2": psnr_of(20000)}, encoder)
    assert sorted(encoder.asked) == [62, 125, 250, 500, 1000, 4000, 8000, 16000, 32000]
    assert [curve.name for curve in study.curves] == ["hnerv", "x264 fast"]
    assert [point.size for point in study.curves[1].points] == sorted(encoder.asked)
    assert told[:2] == ["h1", "h2"]
    assert study.curves[1].values("psnr")[0] == (62, psnr_of(62))
    assert study.bpp(16) == 1.0
    assert study.kbit_per_second(1000) == pytest.approx(100.0)


def test_architectures_are_curves(monkeypatch, clip):
    study, _ = run(monkeypatch, clip, {"h1": 30.0, "n": 31.0, "h3": 30.5}, Encoder())
    assert {curve.name: len(curve.points) for curve in study.curves if curve.neural} == {"hnerv": 1, "nerv": 1}


def test_an_anchor_at_its_end_is_left_alone(monkeypatch, clip):
    encoder = Encoder(least=450)
    study, _ = run(monkeypatch, clip, {"h1": psnr_of(20)}, encoder)
    assert sorted(encoder.asked) == [250, 500, 1000, 2000], "250 came out at 450: no use in asking for less"
    assert [(point.size, point.target) for point in study.curves[1].points][:2] == [(450, 250), (500, 500)]


def test_of_equal_sizes_the_nearest_stays(monkeypatch, clip):
    study, _ = run(monkeypatch, clip, {"h1": 30.0}, Encoder(least=900))
    assert [(point.size, point.target) for point in study.curves[1].points] == [(900, 500), (1000, 1000), (2000, 2000)]
    study, _ = run(monkeypatch, clip, {"h1": 30.0}, Encoder(least=1100))
    assert [(point.size, point.target) for point in study.curves[1].points] == [(1100, 1000), (2000, 2000)]


def test_parse_anchors():
    assert parse_anchors("x264,x265:veryslow, svtav1") == [
        AnchorWish("x264", "slow"),
        AnchorWish("x265", "veryslow"),
        AnchorWish("svtav1", "4"),
    ]
    assert parse_anchors("none") == []
    assert AnchorWish("x265", "veryslow").name == "x265 veryslow"
    with pytest.raises(UnknownNameError, match="unknown anchor 'x26'"):
        parse_anchors("x26,x265")
    with pytest.raises(UsageError, match="stands twice"):
        parse_anchors("x264,x264:slow")
