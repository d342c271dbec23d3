"""What a file may ask for grows with its size, up to a limit."""

from itertools import pairwise

from nervplay.bitstream.limits import MAX_FILE_BYTES, MAX_ROWS, MAX_TENSORS, allowance


def test_allowance() -> None:
    assert allowance(0).weights == 4 << 20
    assert allowance(1000).weights == (4 << 20) + 256_000
    assert (allowance(0).rows, allowance(64 << 10).rows) == (MAX_ROWS, MAX_ROWS + 1024)
    assert allowance(MAX_FILE_BYTES).tensors == MAX_TENSORS == 65_536
    for small, large in pairwise(allowance(n) for n in (0, 10_000, 1 << 20, 1 << 26, MAX_FILE_BYTES)):
        assert all(a <= b for a, b in zip(small, large, strict=True))


def test_two_hours_fit() -> None:
    """720 segments of an HNeRV of 1.5 million weights, 24 tensors and a chunk of calibration each."""
    allowed = allowance(720 * 1_400_000)
    assert allowed.tensors >= 720 * 24
    assert allowed.chunks >= 2 * 720 + 8
    assert allowed.head >= 720 * 24 * 200
    assert allowed.header >= 2 * 720 * 150
