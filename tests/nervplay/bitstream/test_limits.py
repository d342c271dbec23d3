"""How many weights a file may claim."""

from nervplay.bitstream.limits import MAX_WEIGHTS, weight_allowance


def test_allowance() -> None:
    assert weight_allowance(0) == 4 << 20
    assert weight_allowance(1000) == (4 << 20) + 256_000
    assert weight_allowance(256 << 20) == MAX_WEIGHTS == 256 << 20
