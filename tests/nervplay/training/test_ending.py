"""Time limits and plateaus: the rate comes down before the fit ends."""

import pytest

from nervplay.training.ending import Plateau, TimeLimit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """`time.monotonic`, moved by hand: its one item."""
    now = [50.0]
    monkeypatch.setattr("nervplay.training.ending.time.monotonic", lambda: now[0])
    return now


def test_the_rate_comes_down_in_the_last_fifth_of_the_limit(clock: list[float]) -> None:
    limit, rates = TimeLimit(100.0), []
    for seconds in (0, 80, 90, 99, 100, 130):
        clock[0] = 50.0 + seconds
        rates.append((round(limit.rate, 6), limit.reached))
    assert rates == [(1.0, False), (1.0, False), (0.5, False), (0.05, False), (0.0, True), (0.0, True)]


def test_earlier_runs_count(clock: list[float]) -> None:
    limit = TimeLimit(100.0)
    limit.before = 95.0
    clock[0] += 2.0
    assert limit.elapsed == 97.0
    assert limit.rate == pytest.approx(0.15)


def test_no_limit_is_never_reached(clock: list[float]) -> None:
    limit = TimeLimit(None)
    clock[0] += 1e9
    assert (limit.rate, limit.reached) == (1.0, False)


def test_a_plateau_lands_before_it_ends() -> None:
    plateau = Plateau(2)
    assert [plateau.epoch_ended(psnr) for psnr in (20.0, 25.0, 25.01, 26.0, 26.01)] == [False] * 5
    assert plateau.rate(0.5) == 1.0
    assert not plateau.epoch_ended(25.0), "the second epoch without a gain"
    assert (plateau.rate(0.0), plateau.rate(0.5)) == (1.0, 0.75)
    assert not plateau.epoch_ended(30.0), "the landing goes on, whatever it brings"
    assert (plateau.rate(0.0), plateau.rate(0.5)) == (0.5, 0.25)
    assert plateau.epoch_ended(31.0)


def test_small_steps_that_add_up_are_a_gain() -> None:
    plateau = Plateau(3)
    assert not any(plateau.epoch_ended(20.0 + 0.01 * epoch) for epoch in range(30))
    assert plateau.landing == 0


def test_without_patience_nothing_ends() -> None:
    plateau = Plateau(None)
    assert not any(plateau.epoch_ended(20.0) for _ in range(100))
    assert plateau.rate(0.5) == 1.0
