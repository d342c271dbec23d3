"""Sources decode in step: the slower one leads, shared frames come first; chunks for playing a file backward."""

from fractions import Fraction

from app.core.plan import ascending_chunks, frames_to_skip, in_step


def test_lead() -> None:
    assert frames_to_skip([], Fraction(25)) == 1
    assert frames_to_skip([0.01, 0.1], Fraction(-25)) == 3


def test_shared_frames_come_first() -> None:
    assert in_step([5, 6, 7, 8, 9], 2, lambda frame: frame in (5, 9)) == [5, 9, 7, 8]
    assert in_step([5, 6], 4, lambda _frame: False) == []


def test_chunks_stay_while_playing_goes_on() -> None:
    first = ascending_chunks([10, 9, 8, 7, 6, 5, 4], 4)
    assert first == [8, 9, 10, 4, 5, 6, 7]
    assert ascending_chunks([9, 8, 7, 6, 5, 4, 3], 4) == [8, 9, 4, 5, 6, 7, 3]
