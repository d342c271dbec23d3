"""The report: geometry, rate, statistics, files; frame by frame, never the whole clip."""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nervplay.errors import (
    FrameIndexError,
    GeometryError,
    Interrupted,
    OutputError,
    OutputExistsError,
    UnknownNameError,
    UsageError,
)
from nervplay.metrics import Series, evaluate, ms_ssim
from nervplay.video.source import ArraySource, BaseSource, Frame

OFFSETS = (3, 0, 9, 1, 9)  # frame 1 is exact, frames 2 and 4 are the worst


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[ArraySource, ArraySource]:
    """Five frames of 32x20 at 12.5 frames per second, and a copy that is off by `OFFSETS`."""
    original = rng.integers(0, 200, (5, 20, 32, 3), dtype=np.uint8)
    decoded = original + np.array(OFFSETS, np.uint8)[:, None, None, None]
    return ArraySource(decoded, Fraction(25, 2)), ArraySource(original, Fraction(25, 2))


def decibels(offset: int) -> float:
    return math.inf if offset == 0 else 20 * math.log10(255 / offset)


def test_values_statistics_and_rate(pair: tuple[ArraySource, ArraySource]) -> None:
    report = evaluate(*pair, 1000, frames=[0, 2, 3, 4])
    series = report.metrics["psnr"]
    assert series is not None
    expected = [decibels(OFFSETS[i]) for i in (0, 2, 3, 4)]
    assert series.values == pytest.approx(expected)
    assert series.mean == pytest.approx(sum(expected) / 4)
    assert (series.minimum, series.maximum) == pytest.approx((decibels(9), decibels(1)))
    assert series.worst_frame == 2
    assert report.bpp == pytest.approx(8000 / (32 * 20 * 5)), "all frames of the clip count, measured or not"
    assert report.kbit_per_second == pytest.approx(8.0 / 0.4)


def test_an_identical_frame_is_infinite_and_still_strict_json(pair: tuple[ArraySource, ArraySource]) -> None:
    report = evaluate(*pair, 1000, metrics=["psnr"])
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    psnr = plain["metrics"]["psnr"]
    assert [psnr["values"][1], psnr["mean"], psnr["max"]] == ["inf"] * 3
    assert psnr["min"] == pytest.approx(decibels(9))
    assert psnr["worst_frame"] == 2
    assert plain["frames"] == [0, 1, 2, 3, 4]
    assert plain["file_bytes"] == 1000
    assert plain["bpp"] == pytest.approx(report.bpp)
    assert "ms-ssim" not in plain["metrics"]


def test_small_frames_have_no_ms_ssim_and_a_reason(pair: tuple[ArraySource, ArraySource]) -> None:
    report = evaluate(*pair, 1000)
    assert report.metrics["ms-ssim"] is None
    assert "161" in report.unavailable["ms-ssim"]
    assert report.to_json()["metrics"]["ms-ssim"] is None
    assert "32x20" in report.to_json()["unavailable"]["ms-ssim"]


def test_ms_ssim_of_large_frames(rng: np.random.Generator) -> None:
    original = rng.integers(0, 200, (2, 176, 176, 3), dtype=np.uint8)
    decoded = original + np.array([5, 40], np.uint8)[:, None, None, None]
    report = evaluate(ArraySource(decoded), ArraySource(original), 10, metrics=["ms-ssim", "ms-ssim"])
    series = report.metrics["ms-ssim"]
    assert series is not None
    assert series.values == (ms_ssim(decoded[0], original[0]), ms_ssim(decoded[1], original[1]))
    assert series.worst_frame == 1
    assert list(report.metrics) == ["ms-ssim"]


def test_csv(pair: tuple[ArraySource, ArraySource], tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    evaluate(*pair, 1000, frames=[4, 1]).write_csv(path)
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows == [["frame", "psnr_db", "ms_ssim"], ["4", f"{decibels(9):.6f}", ""], ["1", "inf", ""]]
    assert float(rows[2][1]) == math.inf
    with pytest.raises(OutputExistsError):
        evaluate(*pair, 1000).write_csv(path)
    evaluate(*pair, 1000, metrics=["psnr"]).write_csv(path, overwrite=True)
    assert path.read_text().splitlines()[0] == "frame,psnr_db"
    with pytest.raises(OutputError):
        evaluate(*pair, 1000).write_csv(tmp_path / "missing" / "frames.csv")


class Log(BaseSource):
    """Notes every frame that is read, and stops early like a cancelled decoder when told to."""

    def __init__(self, inner: ArraySource, name: str, reads: list[str], *, last: int | None = None) -> None:
        super().__init__(inner.spec)
        self._inner, self._name, self._reads, self._last = inner, name, reads, last

    def frames(self, indices: Iterable[int] | None = None) -> Iterator[Frame]:
        for count, frame in enumerate(super().frames(indices)):
            if count == self._last:
                return
            yield frame

    def _read(self, index: int) -> Frame:
        self._reads.append(f"{self._name}{index}")
        return self._inner.frame(index)


def test_frames_stream_in_step(pair: tuple[ArraySource, ArraySource]) -> None:
    reads: list[str] = []
    steps: list[tuple[int, int]] = []
    evaluate(
        Log(pair[0], "d", reads),
        Log(pair[1], "s", reads),
        1,
        frames=iter([3, 0]),
        progress=lambda *at: steps.append(at),
    )
    assert reads == ["d3", "s3", "d0", "s0"]
    assert steps == [(1, 2), (2, 2)]


def test_a_cancelled_decoder_gives_no_report(pair: tuple[ArraySource, ArraySource]) -> None:
    with pytest.raises(Interrupted, match="2 of 5"):
        evaluate(Log(pair[0], "d", [], last=2), pair[1], 1)


@pytest.mark.parametrize("shape", [(4, 20, 32, 3), (5, 22, 32, 3), (5, 20, 30, 3)])
def test_another_geometry_is_refused(pair: tuple[ArraySource, ArraySource], shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=f"{shape[0]} frames of {shape[2]}x{shape[1]}.*5 frames of 32x20"):
        evaluate(pair[0], ArraySource(np.zeros(shape, np.uint8)), 1)


def test_an_unknown_metric_is_refused_with_the_nearest(pair: tuple[ArraySource, ArraySource]) -> None:
    with pytest.raises(UnknownNameError, match=r"metric 'msssim'.*ms-ssim"):
        evaluate(*pair, 1, metrics=["psnr", "msssim"])


@pytest.mark.parametrize("index", [-1, 5])
def test_frames_outside_the_clip_are_refused_before_work(pair: tuple[ArraySource, ArraySource], index: int) -> None:
    reads: list[str] = []
    with pytest.raises(FrameIndexError, match="0 to 4"):
        evaluate(Log(pair[0], "d", reads), pair[1], 1, frames=[0, index])
    assert not reads
    with pytest.raises(UsageError, match="at least one"):
        evaluate(*pair, 1, frames=[])


def test_the_first_of_several_worst_frames_counts() -> None:
    assert Series(frames=(7, 8, 9), values=(2.0, 1.0, 1.0)).worst_frame == 8


class Sums:
    """A meter: by how much a frame is brighter than its reference, over all samples."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def add(self, frame: Frame, reference: Frame) -> None:
        self.seen.append(float(frame.astype(int).sum() - reference.sum()))

    def values(self) -> list[float]:
        return self.seen


def test_meters_see_every_pair_in_order(pair: tuple[ArraySource, ArraySource], tmp_path: Path) -> None:
    report = evaluate(*pair, 1000, metrics=["psnr", "psnr-yuv", "ssim"], meters={"over-all": Sums()}, frames=[2, 0])
    assert list(report.metrics) == ["psnr", "psnr-yuv", "ssim", "over-all"]
    extra = report.metrics["over-all"]
    assert extra is not None
    assert (extra.frames, extra.values) == ((2, 0), (9.0 * 20 * 32 * 3, 3.0 * 20 * 32 * 3))
    report.write_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "frame,psnr_db,psnr_yuv_db,ssim,over_all"
