"""Values over time: means, worst frames that lie apart, columns for plots, CSV."""

import math

import pytest

from app.core.tracks import Column, MetricTrack, Track, columns_of, worst_frames


def track(values) -> Track:
    made = Track("psnr", len(values))
    for frame, value in enumerate(values):
        if value is not None:
            made.set(frame, value)
    return made


def test_mean_and_worst() -> None:
    values = track([30, None, 10, math.inf, 20])
    assert (values.known, values.mean, values.worst()) == (4, pytest.approx(20), 2)
    values.set(2, 40)
    assert (values.known, values.mean, values.worst()) == (4, pytest.approx(30), 4)
    values.set(9, 1)
    assert values.get(9) is None
    assert values.get(1) is None
    assert values.get(3) == math.inf
    assert track([None]).mean is None
    assert track([None]).worst() is None


def test_worst_frames_lie_apart() -> None:
    values = track([9, 1, 2, 9, 9, 9, 3, 9, 9, 9, 9, 4])
    assert worst_frames(values) == [1, 6, 11]
    assert worst_frames(values, count=2) == [1, 6]
    assert worst_frames(values, apart=1)[:3] == [1, 2, 6]


def test_columns_keep_extremes() -> None:
    values = [float(value) for value in range(100)]
    values[50], values[51], values[52] = -7.0, math.nan, math.inf
    columns = columns_of(values, 0, 99, 10)
    assert [column.x for column in columns] == list(range(10))
    assert columns[0] == Column(0, 0, 5)
    assert min(column.low for column in columns) == -7
    assert max(column.high for column in columns) == 99
    assert columns_of([math.nan], 0, 0, 10) == []
    assert columns_of([1.0, 2.0], -5, 20, 26) == [Column(5, 1, 1), Column(6, 2, 2)]


def test_what_is_still_to_be_measured() -> None:
    both = MetricTrack(4, ["psnr", "ms-ssim"])
    both.set(2, {"psnr": 30.0, "other": 1.0})
    assert list(both.unmeasured(["psnr"], 2)) == [3, 0, 1]
    assert list(both.unmeasured(["psnr", "ms-ssim"], 2)) == [2, 3, 0, 1]
    assert both.complete(2, ["psnr"])
    assert not both.complete(2, ["psnr", "ms-ssim"])
    for frame in range(4):
        both.set(frame, {"psnr": 1.0})
    assert list(both.unmeasured(["psnr"], 0)) == []


def test_csv() -> None:
    both = MetricTrack(2, ["psnr", "ms-ssim"])
    both.set(1, {"psnr": 30.5})
    assert both.to_csv() == "frame,psnr,ms-ssim\n0,,\n1,30.500000,\n"
