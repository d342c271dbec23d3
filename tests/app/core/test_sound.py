"""Samples are read round the loop, silence follows the end, and the place that is heard counts on."""

from fractions import Fraction

import numpy as np
import pytest

from app.core.sound import SoundTrack


@pytest.fixture
def track() -> SoundTrack:
    ramp = np.arange(100, dtype=np.int16)
    return SoundTrack(np.stack([ramp, -ramp], axis=1), 10)


def read(track: SoundTrack, count: int) -> list[int]:
    out = np.full((count, 2), 77, np.int16)
    track.fill(out)
    assert (out[:, 1] == -out[:, 0]).all()
    return out[:, 0].tolist()


def test_silent_until_started(track: SoundTrack) -> None:
    assert read(track, 3) == [0, 0, 0]
    assert track.position() is None
    track.start(Fraction(2), None)
    assert track.position() is None
    assert read(track, 3) == [20, 21, 22]
    assert track.position() == Fraction(23, 10)
    assert track.position(Fraction(1, 5)) == Fraction(21, 10)
    assert track.position(Fraction(9)) == 2
    track.stop()
    assert read(track, 2) == [0, 0]


def test_the_end(track: SoundTrack) -> None:
    track.start(Fraction(98, 10), None)
    assert read(track, 4) == [98, 99, 0, 0]
    assert read(track, 2) == [0, 0]
    assert track.position() == Fraction(104, 10)


def test_the_loop(track: SoundTrack) -> None:
    track.start(Fraction(1), (Fraction(8, 10), Fraction(12, 10)))
    assert read(track, 7) == [10, 11, 8, 9, 10, 11, 8]
    assert track.position() == Fraction(17, 10)
    assert read(track, 2) == [9, 10]


def test_a_loop_longer_than_the_sound(track: SoundTrack) -> None:
    track.start(Fraction(98, 10), (Fraction(97, 10), Fraction(102, 10)))
    assert read(track, 8) == [98, 99, 0, 0, 97, 98, 99, 0]
