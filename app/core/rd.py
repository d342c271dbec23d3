"""Rate and distortion of what was looked at: one point per source and precision; a click on a point loads it as B."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from app.core.facts import MediaFacts
from app.core.sources import Kind, SourceRef

__all__ = ["PlotRange", "RdPoint", "RdPoints", "plot_range"]


class RdPoint(NamedTuple):
    """One point of a plot.

    Args:
        series: which curve it is on: an architecture or an encoder.
        label: what it is called.
        bpp: bits per pixel of the whole file.
        psnr: mean PSNR in dB over the measured frames.
        frames: how many frames that is.
        ref: what to load.
        precision: arithmetic of the network; empty for a video.
    """

    series: str
    label: str
    bpp: float
    psnr: float
    frames: int
    ref: SourceRef
    precision: str


class RdPoints:
    """All points, the newest value of each."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], RdPoint] = {}

    def note(self, ref: SourceRef, facts: MediaFacts, psnr: float, frames: int) -> None:
        """Keep the mean of a source; one without a rate or a finite mean has no place in the plot.

        Args:
            ref: what it is.
            facts: its rate and arithmetic.
            psnr: mean in dB.
            frames: how many frames were measured.
        """
        if facts.bits_per_pixel is None or not math.isfinite(psnr):
            return
        series = facts.architecture or (ref.text if ref.kind is Kind.ANCHOR else "video")
        point = RdPoint(series, facts.title, facts.bits_per_pixel, psnr, frames, ref, facts.precision)
        self._points[str(ref), facts.precision] = point

    def curves(self) -> dict[str, list[RdPoint]]:
        """Return the points by series, each in rising rate."""
        curves: dict[str, list[RdPoint]] = {}
        for point in sorted(self._points.values(), key=lambda point: (point.bpp, point.psnr)):
            curves.setdefault(point.series, []).append(point)
        return curves

    def neighbour(self, ref: SourceRef | None, precision: str, steps: int) -> RdPoint | None:
        """Return the point that lies `steps` further in rising rate than a source, going round; None without points.

        Args:
            ref: the source, or None; one that has no point counts as lying before the first one.
            precision: its arithmetic.
            steps: 1 or -1.
        """
        points = sorted(self._points.values(), key=lambda point: (point.bpp, point.psnr))
        if not points:
            return None
        here = [place for place, point in enumerate(points) if (point.ref, point.precision) == (ref, precision)]
        return points[((here[0] if here else -1 if steps > 0 else 0) + steps) % len(points)]

    def clear(self) -> None:
        """Forget all: another reference."""
        self._points.clear()


class PlotRange(NamedTuple):
    """What the axes of a plot span: bits per pixel and dB."""

    low_bpp: float
    high_bpp: float
    low_psnr: float
    high_psnr: float


def plot_range(points: Sequence[RdPoint]) -> PlotRange:
    """Return axes with some room around all points; at least 2 dB high, from zero bits on.

    Args:
        points: at least one.
    """
    high_bpp = max(point.bpp for point in points) * 1.15 or 1.0
    low = min(point.psnr for point in points)
    high = max(point.psnr for point in points)
    room = max(1.0, 0.15 * (high - low))
    bottom, top = math.floor(low - room), math.ceil(high + room)
    return PlotRange(0.0, high_bpp, bottom, top + (top - bottom) % 2)  # the middle is a whole number, too
