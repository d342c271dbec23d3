"""A plot of rate and quality, drawn on any canvas: where axes, curves, marks and words go."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Canvas", "Panel", "Series", "draw_panel", "shape_of"]

SHAPES = ("circle", "square", "triangle", "diamond")
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 30, 46


class Canvas(Protocol):
    """What a plot is drawn on; units are pixels, y grows downward. Roles and series choose the colours."""

    def line(self, start: tuple[float, float], end: tuple[float, float], role: str) -> None:
        """Draw a line of the role "grid" or "axis"."""
        ...

    def curve(self, points: Sequence[tuple[float, float]], series: int) -> None:
        """Draw a line through points in the colour of a series."""
        ...

    def mark(self, at: tuple[float, float], series: int, *, large: bool, words: str) -> None:
        """Draw a mark in colour and shape of a series; `words` say what it is, where the canvas can show that."""
        ...

    def text(self, at: tuple[float, float], words: str, anchor: str, role: str) -> None:
        """Write words; anchor "start", "middle" or "end"; role "title" or "label"; `at` is on the base line."""
        ...


@dataclass(frozen=True, kw_only=True)
class Series:
    """A curve of one panel.

    Args:
        number: which colour and mark it has.
        large: whether its marks stand out.
        points: (bits per pixel, quality, words), in rising rate.
    """

    number: int
    large: bool
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot.

    Args:
        title: what stands above it.
        series: its curves; at least one point in all.
    """

    title: str
    series: tuple[Series, ...]


def shape_of(series: int) -> str:
    """Return the mark of a series."""
    return SHAPES[series % len(SHAPES)]


def draw_panel(canvas: Canvas, panel: Panel, left: float, top: float, size: tuple[float, float]) -> None:
    """Draw a plot into a box: rate in bits per pixel on a logarithmic axis, quality on a linear one.

    Args:
        canvas: what to draw on.
        panel: the plot.
        left: column of the box.
        top: row of the box.
        size: (width, height) of the box.
    """
    points = [point for series in panel.series for point in series.points]
    low, high = _span([math.log10(rate) for rate, _, _ in points], 0.06)
    worst, best = _span([quality for _, quality, _ in points], 0.08)
    x0, x1, y0, y1 = left + _LEFT, left + size[0] - _RIGHT, top + size[1] - _BOTTOM, top + _TOP

    def place(rate: float, quality: float) -> tuple[float, float]:
        across = (math.log10(rate) - low) / (high - low)
        up = (quality - worst) / (best - worst)
        return x0 + across * (x1 - x0), y0 + up * (y1 - y0)

    for rate in _log_ticks(low, high):
        x, _ = place(rate, worst)
        canvas.line((x, y0), (x, y1), "grid")
        canvas.text((x, y0 + 16), f"{rate:g}", "middle", "label")
    for quality, words in _ticks(worst, best):
        _, y = place(10**low, quality)
        canvas.line((x0, y), (x1, y), "grid")
        canvas.text((x0 - 7, y + 4), words, "end", "label")
    canvas.line((x0, y0), (x1, y0), "axis")
    canvas.line((x0, y0), (x0, y1), "axis")
    canvas.text((left + _LEFT, top + 18), panel.title, "start", "title")
    canvas.text(((x0 + x1) / 2, y0 + 36), "bits per pixel", "middle", "label")
    for series in panel.series:
        canvas.curve([place(rate, quality) for rate, quality, _ in series.points], series.number)
    for series in panel.series:
        for rate, quality, words in series.points:
            canvas.mark(place(rate, quality), series.number, large=series.large, words=words)


def _span(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Return the range of values with a margin; never empty."""
    low, high = min(values), max(values)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _log_ticks(low: float, high: float) -> list[float]:
    """Return the 1-2-5 steps between two powers of ten, given by their exponents."""
    steps = [mantissa * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for mantissa in (1, 2, 5)]
    return [step for step in steps if low <= math.log10(step) <= high]


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return three to nine round values between two, with their words."""
    rough = (high - low) / 8
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step)
    return [(number * step, f"{number * step:.{digits}f}") for number in range(first, math.floor(high / step) + 1)]
