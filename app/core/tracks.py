"""Measures over time: one value per frame and metric, filled as frames come by; worst frames; what a plot draws."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Column", "MetricTrack", "Track", "columns_of", "worst_frames"]


class Column(NamedTuple):
    """The values of one column of a plot: number of the column, smallest and largest value there."""

    x: int
    low: float
    high: float


class Track:
    """Values of one metric by frame; NaN where none is known yet.

    Args:
        name: the metric, as `nervplay.metrics.METRICS` has it.
        frame_count: frames of the clip.
    """

    def __init__(self, name: str, frame_count: int) -> None:
        self.name = name
        self.values = [math.nan] * frame_count
        self.version = 0
        self._known = 0
        self._sum = 0.0

    def set(self, frame: int, value: float) -> None:
        """Note a value; a frame outside the clip is ignored, for the clip may have changed meanwhile."""
        if not 0 <= frame < len(self.values):
            return
        old = self.values[frame]
        if math.isnan(old):
            self._known += 1
        elif math.isfinite(old):
            self._sum -= old
        if math.isfinite(value):
            self._sum += value
        self.values[frame] = value
        self.version += 1

    @property
    def known(self) -> int:
        """Number of frames that have a value."""
        return self._known

    @property
    def mean(self) -> float | None:
        """Mean of the finite values; None before there is one. Identical frames (infinite PSNR) are left out."""
        finite = sum(math.isfinite(value) for value in self.values)
        return self._sum / finite if finite else None

    def get(self, frame: int) -> float | None:
        """Return the value of a frame, or None."""
        if not 0 <= frame < len(self.values) or math.isnan(self.values[frame]):
            return None
        return self.values[frame]

    def worst(self) -> int | None:
        """Return the frame of the smallest value, the first of several; None before there is one."""
        known = [(value, frame) for frame, value in enumerate(self.values) if not math.isnan(value)]
        return min(known)[1] if known else None


class MetricTrack:
    """All metrics of one pair of sources at one precision.

    Args:
        frame_count: frames of the clip.
        names: metrics, in the order of plots and tables.
    """

    def __init__(self, frame_count: int, names: Iterable[str]) -> None:
        self.tracks = {name: Track(name, frame_count) for name in names}
        self.frame_count = frame_count

    def set(self, frame: int, values: dict[str, float]) -> None:
        """Note what was measured of a frame."""
        for name, value in values.items():
            if name in self.tracks:
                self.tracks[name].set(frame, value)

    def unmeasured(self, names: Iterable[str], start: int) -> Iterator[int]:
        """Yield frames that lack one of `names`, from `start` on and round."""
        wanted = [track for name in names if (track := self.tracks[name]).known < self.frame_count]
        for step in range(self.frame_count if wanted else 0):
            frame = (start + step) % self.frame_count
            if any(math.isnan(track.values[frame]) for track in wanted):
                yield frame

    def complete(self, frame: int, names: Iterable[str]) -> bool:
        """Return whether a frame has values for all of `names`."""
        return all(self.tracks[name].get(frame) is not None for name in names)

    def to_csv(self) -> str:
        """Return one row per frame: its number, then the metrics, empty where unknown."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["frame", *self.tracks])
        for frame in range(self.frame_count):
            values = (track.get(frame) for track in self.tracks.values())
            rows.writerow([frame, *("" if value is None else f"{value:.6f}" for value in values)])
        return text.getvalue()


def worst_frames(track: Track, count: int = 10, apart: int = 5) -> list[int]:
    """Return the worst frames, worst first, each at least `apart` frames from the others, so that jumps lead somewhere.

    Args:
        track: values; larger is better.
        count: how many at most.
        apart: distance in frames.
    """
    order = sorted((value, frame) for frame, value in enumerate(track.values) if not math.isnan(value))
    chosen: list[int] = []
    for _, frame in order:
        if all(abs(frame - other) >= apart for other in chosen):
            chosen.append(frame)
        if len(chosen) == count:
            break
    return chosen


def columns_of(values: list[float], first: int, last: int, width: int) -> list[Column]:
    """Return what a plot of frames first .. last draws in `width` columns: extremes of every column that has values.

    Args:
        values: one per frame; NaN and infinity are left out.
        first: frame at the left edge.
        last: frame at the right edge.
        width: columns of the plot, at least 2.
    """
    span = max(1, last - first)
    columns: dict[int, tuple[float, float]] = {}
    for frame in range(max(0, first), min(len(values) - 1, last) + 1):
        value = values[frame]
        if math.isfinite(value):
            x = round((frame - first) * (width - 1) / span)
            low, high = columns.get(x, (value, value))
            columns[x] = (min(low, value), max(high, value))
    return [Column(x, *columns[x]) for x in sorted(columns)]
