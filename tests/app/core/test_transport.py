"""Playing by a clock that a test turns: real time with skips, every frame, backward, loops, shuttle, ends."""

from fractions import Fraction

import pytest

from app.core.clock import Clock
from app.core.transport import Transport


def always(_frame: int) -> bool:
    return True


@pytest.fixture
def transport(hand) -> Transport:
    transport = Transport(10, Fraction(10), Clock(hand))
    transport.clock.stop()
    return transport


def run(transport: Transport, hand, ready, seconds: float, tick: float = 0.02) -> list[int]:
    seen = []
    for _ in range(round(seconds / tick)):
        hand.wait(tick)
        if transport.advance(ready):
            seen.append(transport.frame)
    return seen


def test_real_time(transport: Transport, hand) -> None:
    transport.play()
    assert run(transport, hand, always, 1.96) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert (transport.shown, transport.skipped) == (19, 0)


def test_skips_what_is_not_ready(transport: Transport, hand) -> None:
    transport.play()
    assert run(transport, hand, lambda frame: frame % 3 == 0, 1.05) == [3, 6, 9, 0]
    assert transport.skipped == 6


def test_a_late_frame_is_shown_when_nothing_newer_is_there(transport: Transport, hand) -> None:
    transport.play()
    hand.wait(0.55)
    assert transport.due() == 5
    assert transport.advance(lambda frame: frame in (2, 3))
    assert transport.frame == 3
    assert not transport.advance(lambda frame: frame in (2, 3))


def test_backward_has_the_same_beat(transport: Transport, hand) -> None:
    transport.seek(3)
    transport.play(-1)
    assert run(transport, hand, always, 0.6) == [2, 1, 0, 9, 8, 7]


def test_every_frame_waits_and_keeps_the_beat(transport: Transport, hand) -> None:
    transport.set_every_frame(True)
    transport.play()
    assert run(transport, hand, lambda _frame: False, 1.0) == []
    assert run(transport, hand, always, 0.39) == [1, 2, 3, 4]
    assert transport.skipped == 0
    transport.play(-1)
    assert run(transport, hand, always, 0.31) == [3, 2, 1]


def test_the_end_without_a_loop(transport: Transport, hand) -> None:
    transport.loop = False
    transport.seek(7)
    transport.play()
    assert run(transport, hand, always, 1) == [8, 9]
    assert not transport.playing
    transport.play()
    assert transport.frame == 0
    transport.play(-1)
    assert transport.frame == 9
    assert run(transport, hand, always, 2) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert not transport.playing
    transport.set_every_frame(True)
    transport.seek(8)
    transport.play()
    assert run(transport, hand, always, 0.5) == [9]
    assert not transport.playing


def test_loop_range(transport: Transport, hand) -> None:
    transport.seek(6)
    transport.set_out()
    transport.seek(4)
    transport.set_in()
    assert transport.range == (4, 6)
    transport.play()
    assert run(transport, hand, always, 0.61) == [5, 6, 4, 5, 6, 4]
    transport.pause()
    transport.seek(8)
    transport.set_in()
    assert transport.range == (8, 9)
    transport.seek(2)
    transport.set_out()
    assert transport.range == (0, 2)
    transport.set_range(20, -3)
    assert transport.range == (0, 9)
    transport.set_range(10, 600)
    assert transport.range == (9, 9), "a session of a longer clip"
    transport.clear_range()
    assert transport.bounds == (0, 9)


def test_playing_begins_inside_the_range(transport: Transport) -> None:
    transport.set_range(3, 5)
    transport.play()
    assert transport.frame == 3


def test_shuttle_and_speed(transport: Transport, hand) -> None:
    transport.shuttle(1)
    transport.shuttle(1)
    assert (transport.speed, transport.direction) == (2, 1)
    assert run(transport, hand, always, 0.21) == [1, 2, 3, 4]
    transport.shuttle(-1)
    assert (transport.speed, transport.direction, transport.playing) == (1, -1, True)
    transport.change_speed(-1)
    assert transport.speed == Fraction(3, 4)
    transport.change_speed(100)
    assert transport.speed == 8
    transport.toggle()
    assert not transport.playing


def test_seek_and_step(transport: Transport, hand) -> None:
    transport.play()
    transport.seek(50)
    assert (transport.frame, transport.playing) == (9, True)
    assert run(transport, hand, always, 0.11) == [0]
    transport.step(-4)
    assert (transport.frame, transport.playing) == (0, False)
    transport.step(3)
    assert transport.frame == 3


def test_what_is_wanted_ahead(transport: Transport) -> None:
    transport.seek(7)
    assert transport.ahead(4) == [7, 8, 9, 0]
    transport.play()
    assert transport.ahead(4, lead=2) == [9, 0, 1, 2]
    assert transport.ahead(50) == [7, 8, 9, 0, 1, 2, 3, 4, 5, 6]
    transport.loop = False
    assert transport.ahead(50) == [7, 8, 9]
    assert transport.coming(5) == [8, 9]
    transport.play(-1)
    assert transport.coming(3) == [6, 5, 4]


def test_another_clip(transport: Transport) -> None:
    transport.seek(9)
    transport.set_range(5, 9)
    transport.set_clip(4, Fraction(24))
    assert (transport.frame, transport.range, transport.rate) == (3, None, 24)
    transport.set_range(1, 2)
    transport.set_clip(8, Fraction(24))
    assert transport.range == (1, 2)


def test_rate_that_is_no_whole_number_stays_exact(hand) -> None:
    transport = Transport(10**6, Fraction(30000, 1001), Clock(hand))
    transport.play()
    hand.now += 1001 * 10**9
    assert transport.due() == 30000
    hand.now -= 1
    assert transport.due() == 29999


def test_when_the_next_frame_is_due(transport: Transport, hand) -> None:
    transport.play()
    hand.wait(0.03)
    assert transport.until_next() == pytest.approx(0.07)
    transport.play(-1)
    hand.wait(0.03)
    assert transport.until_next() == pytest.approx(0.07, abs=1e-5)
    transport.set_every_frame(True)
    hand.wait(0.25)
    assert transport.until_next() == 0
