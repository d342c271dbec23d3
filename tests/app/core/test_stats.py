"""Decode figures from a sliding window."""

from fractions import Fraction

import pytest

from app.core.stats import DecodeStats, percentile


def test_percentile() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.95) == 95
    assert percentile([7], 1.0) == 7


def test_speed() -> None:
    now = [0.0]
    stats = DecodeStats(lambda: now[0])
    assert stats.speed(Fraction(25)) is None
    assert stats.latency == 0
    for seconds in [0.02] * 18 + [0.1] * 2:
        now[0] += 0.05
        stats.add(seconds)
    speed = stats.speed(Fraction(25))
    assert speed is not None
    assert speed.fps == pytest.approx(50)
    assert speed.real_time == pytest.approx(2)
    assert (speed.p50, speed.p95) == (pytest.approx(20), pytest.approx(100))
    assert speed.done == 10
    now[0] += 10
    assert stats.speed(Fraction(25)).done == 0
    stats.clear()
    assert stats.speed(Fraction(25)) is None


def test_the_first_frames_find_nothing_warm() -> None:
    stats = DecodeStats()
    for seconds in (0.2, 0.05, 0.02, 0.03):
        stats.add(seconds)
    assert stats.latency == 0.02
    for _ in range(8):
        stats.add(0.03)
    assert stats.latency == 0.03
