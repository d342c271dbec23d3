"""The clock is exact, stops where it is, and follows a master."""

from fractions import Fraction

from app.core.clock import Clock


def test_run_stop_follow(hand) -> None:
    clock = Clock(hand)
    clock.start(Fraction(5), Fraction(30000, 1001))
    hand.wait(1001)
    assert clock.position() == 30005
    clock.stop()
    hand.wait(5)
    assert (clock.position(), clock.running, clock.rate) == (30005, False, 0)
    clock.start(Fraction(0), Fraction(-10))
    hand.wait(1)
    clock.follow(Fraction(-3))
    assert clock.running
    hand.wait(0.5)
    assert clock.position() == -8


def test_real_time_passes() -> None:
    clock = Clock()
    clock.start(Fraction(0), Fraction(10**9))
    assert clock.position() < clock.position()
