"""Figures from measured curves: equal bytes, equal quality, Bjøntegaard."""

from collections.abc import Iterator
from typing import NamedTuple

from app.rd.study import RdCurve, RdPoint, RdStudy
from nervplay.errors import UsageError
from nervplay.metrics.bd import bd_psnr, bd_rate, rate_at

__all__ = ["BdFigure", "EqualBytes", "EqualQuality", "bd_figures", "equal_bytes", "equal_quality"]

BD_METHOD = "pchip"
_ONE_POINT = "one point is no curve; give several files of this architecture"


class EqualBytes(NamedTuple):
    """A file and an anchor of the same size."""

    file: RdPoint
    anchor: str
    point: RdPoint


class EqualQuality(NamedTuple):
    """The bytes that an anchor needs for the PSNR of a file; None where its curve does not reach it."""

    file: RdPoint
    anchor: str
    size: float | None


class BdFigure(NamedTuple):
    """Bjøntegaard figures of a curve against a reference, in one measure; None with a reason where there are none."""

    curve: str
    reference: str
    measure: str
    rate: float | None
    quality: float | None
    reason: str


def _anchors(study: RdStudy) -> list[RdCurve]:
    return [curve for curve in study.curves if not curve.neural]


def _files(study: RdStudy) -> list[RdPoint]:
    return [point for curve in study.curves if curve.neural for point in curve.points]


def equal_bytes(study: RdStudy) -> Iterator[EqualBytes]:
    """Yield every file beside every anchor of its size."""
    for file in _files(study):
        for anchor in _anchors(study):
            for point in anchor.points:
                if point.target == file.size:
                    yield EqualBytes(file, anchor.name, point)


def equal_quality(study: RdStudy) -> Iterator[EqualQuality]:
    """Yield the bytes of every anchor at the PSNR of every file."""
    for file in _files(study):
        for anchor in _anchors(study):
            try:
                size = rate_at(anchor.values("psnr"), file.quality["psnr"])
            except UsageError:
                size = None
            yield EqualQuality(file, anchor.name, size)


def bd_figures(study: RdStudy) -> Iterator[BdFigure]:
    """Yield BD-rate and BD-quality of every curve against the first anchor, in every measure."""
    anchors = _anchors(study)
    if not anchors:
        return
    reference = anchors[0]
    for curve in study.curves:
        if curve is reference:
            continue
        for measure in study.measures:
            pair = reference.values(measure), curve.values(measure)
            rate = quality = None
            reason = ""
            try:
                rate = bd_rate(*pair, BD_METHOD)
                quality = bd_psnr(*pair, BD_METHOD)
            except UsageError as error:
                reason = _ONE_POINT if len(curve.points) == 1 else str(error).partition(";")[0]
            yield BdFigure(curve.name, reference.name, measure, rate, quality, reason)
