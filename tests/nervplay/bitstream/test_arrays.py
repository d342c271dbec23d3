"""Arrays of small integers come back as they were; bent ones are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.bitstream.arrays import decode_arrays, encode_arrays
from nervplay.bitstream.segment import RowBudget
from nervplay.errors import BitstreamError


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 16), st.integers(0, 2**32 - 1)), min_size=1, max_size=5))
def test_what_is_written_is_read(cases: list[tuple[int, int, int]]) -> None:
    arrays = []
    for count, bits, seed in cases:
        rng = np.random.default_rng(seed)
        spread = rng.integers(1, 1 << bits, endpoint=True)
        arrays.append((rng.integers(0, spread, count).astype(np.uint16), bits))
    found = decode_arrays(encode_arrays(arrays), [(len(a), bits) for a, bits in arrays], "x", RowBudget())
    for (codes, bits), back in zip(arrays, found, strict=True):
        assert back.dtype == (np.uint8 if bits <= 8 else np.uint16)
        np.testing.assert_array_equal(back, codes)


def test_bent_arrays_are_refused() -> None:
    arrays = [
        (np.arange(90, dtype=np.uint16) % 7, 8),
        (np.array([5], np.uint16), 4),
        (np.arange(9, dtype=np.uint16), 4),
    ]
    layout = [(90, 8), (1, 4), (9, 4)]
    data = encode_arrays(arrays)
    for bent in (data[:1], data[:-2], data + b"\0", b"\xff" + data[1:]):
        with pytest.raises(BitstreamError, match="calibration"):
            decode_arrays(bent, layout, "calibration", RowBudget())
    with pytest.raises(BitstreamError):
        decode_arrays(data, [(91, 8), *layout[1:]], "calibration", RowBudget())
