"""Figures from curves whose answers are known."""

from dataclasses import replace

import pytest

from app.rd.summary import bd_figures, equal_bytes, equal_quality


def test_equal_bytes(study):
    found = [(file.name, anchor, point.size) for file, anchor, point in equal_bytes(study)]
    assert found == [
        ("a.nerv", "x264 slow", 1000),
        ("a.nerv", "x265 slow", 1010),
        ("b <&>.nerv", "x264 slow", 2000),
        ("b <&>.nerv", "x265 slow", 2010),
    ]


def test_equal_quality(study):
    found = {(file.name, anchor): size for file, anchor, size in equal_quality(study)}
    assert found["a.nerv", "x264 slow"] == pytest.approx(500)
    assert found["b <&>.nerv", "x264 slow"] == pytest.approx(1000)
    assert found["b <&>.nerv", "x265 slow"] == pytest.approx(510)
    assert found["a.nerv", "x265 slow"] is None, "its curve does not reach so low"


def test_bd(study):
    found = {(figure.curve, figure.measure): figure for figure in bd_figures(study)}
    assert {figure.reference for figure in found.values()} == {"x264 slow"}
    assert found["hnerv", "psnr"].rate == pytest.approx(100.0)
    assert found["hnerv", "psnr"].quality == pytest.approx(-3.0)
    assert found["x265 slow", "psnr"].rate == pytest.approx(-50.0, abs=1)
    one = replace(study, curves=(replace(study.curves[0], points=study.curves[0].points[:1]), study.curves[1]))
    figure = next(bd_figures(one))
    assert (figure.rate, figure.quality) == (None, None)
    assert "one point is no curve" in figure.reason
    assert list(bd_figures(replace(study, curves=study.curves[:1]))) == []
