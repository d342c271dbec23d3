"""How frames, ranges, sizes and rates are written."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.errors import FrameIndexError, GeometryError, UsageError
from nervplay.video.selection import parse_frames, parse_positions, parse_range, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,5,10:13", [0, 5, 10, 11, 12]),
        (":3", [0, 1, 2]),
        ("18:", [18, 19]),
        (":", list(range(20))),
        ("7", [7]),
        (" 3 , 1 : 2 ".replace(" : ", ":"), [3, 1]),
        ("5,5,4", [5, 5, 4]),
    ],
)
def test_frames_in_their_order(text, expected):
    assert parse_frames(text, 20) == expected


@given(st.lists(st.integers(0, 99), min_size=1))
def test_indices_come_back_as_written(indices):
    assert parse_frames(",".join(map(str, indices)), 100) == indices


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-1", "1-3", "1:2:3", "1.5", "0x1", "5:5", "6:2", "²"])
def test_other_words_are_refused_with_the_rule(text):
    with pytest.raises(UsageError, match=r"half-open|A:B"):
        parse_frames(text, 20)


@pytest.mark.parametrize(("text", "named"), [("20", 20), ("0,99", 99), ("10:21", 20), ("20:25", 20)])
def test_frames_outside_the_clip_are_named(text, named):
    with pytest.raises(FrameIndexError, match=f"frame {named} is outside the clip; its frames are 0 to 19"):
        parse_frames(text, 20)


def test_range():
    assert parse_range("3:7", 10) == (3, 7)
    assert parse_range(":", 10) == (0, 10)
    assert parse_range("9:10", 10) == (9, 10)
    with pytest.raises(UsageError, match="A:B"):
        parse_range("3", 10)


def test_size():
    assert parse_size("320x180") == parse_size(" 320X180 ") == parse_size("320\u00d7180") == (320, 180)
    for text in ("320", "x180", "320x", "320x180x3", "-1x2", "3.5x2"):
        with pytest.raises(UsageError, match="320x180"):
            parse_size(text)
    with pytest.raises(GeometryError, match="no pixel"):
        parse_size("0x180")


def test_rate():
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    assert parse_rate(" 25 ") == 25
    assert parse_rate("12.5") == Fraction(25, 2)
    for text in ("23.976", "23.98", " 29.97", "29.970", "47.952", "59.94 ", "119.88"):
        rate = parse_rate(text)
        assert rate.denominator == 1001
        assert abs(rate - Fraction(text.strip())) < Fraction(1, 200)
    assert parse_rate("23.97") == Fraction(2397, 100), "neither form of 24000/1001"
    for text in ("0", "-25", "30/0", "30/", "fast", "1/2/3", "nan", ""):
        with pytest.raises(UsageError, match="frame rate"):
            parse_rate(text)


def test_positions_between_frames():
    assert parse_positions("3, 7/2,10.25", 12) == [Fraction(3), Fraction(7, 2), Fraction(41, 4)]
    assert parse_positions("11", 12) == [Fraction(11)]
    for text in ("", "1:3", "-1/2", "1/0", "1/2/3", ".5", "nan"):
        with pytest.raises(UsageError, match="write frames as 3, 7/2"):
            parse_positions(text, 12)
    for text in ("23/2", "11.001"):
        with pytest.raises(FrameIndexError, match="0 to 11"):
            parse_positions(text, 12)
