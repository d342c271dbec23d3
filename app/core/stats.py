"""How fast a source decodes: a sliding window of latencies, and what follows from it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = ["DecodeStats", "Speed", "percentile"]

_WINDOW = 120
_SECONDS = 2.0
_FEW = 8


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 .. 1) of `values` lie, by the nearest rank.

    Args:
        values: at least one.
        share: 0.5 for the median.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Speed(NamedTuple):
    """What a decoder does at the moment.

    Args:
        fps: frames that it could decode in a second, from the median latency.
        real_time: `fps` divided by the rate of the clip.
        p50, p95: latency of a frame in milliseconds.
        done: frames per second that it did decode lately.
    """

    fps: float
    real_time: float
    p50: float
    p95: float
    done: float


class DecodeStats:
    """Latencies of the last frames; written by one thread and read by another.

    Args:
        now: time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seconds: deque[float] = deque(maxlen=_WINDOW)
        self._ends: deque[float] = deque(maxlen=1024)

    def add(self, seconds: float) -> None:
        """Note that a frame took `seconds`."""
        self._seconds.append(seconds)
        self._ends.append(self._now())

    def clear(self) -> None:
        """Forget: another precision or device."""
        self._seconds.clear()
        self._ends.clear()

    @property
    def latency(self) -> float:
        """Typical seconds per frame, 0 while nothing is known; the best of the first few, which find nothing warm."""
        seconds = list(self._seconds)[-16:]
        if len(seconds) < _FEW:
            return min(seconds, default=0.0)
        return percentile(seconds, 0.5)

    def speed(self, rate: Fraction) -> Speed | None:
        """Return the speed against a clip of `rate` frames per second; None before the first frame."""
        seconds, ends = list(self._seconds), list(self._ends)
        if not seconds:
            return None
        p50, p95 = percentile(seconds, 0.5), percentile(seconds, 0.95)
        fps = 1 / max(p50, 1e-6)
        recent = sum(end > self._now() - _SECONDS for end in ends)
        return Speed(fps, fps / float(rate), 1000 * p50, 1000 * p95, recent / _SECONDS)
