"""Runs of a frequent code: apart and together again, and what no writer leaves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.zero_runs import Runs, join_runs, split_runs
from nervplay.errors import BitstreamError


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4000), st.floats(0, 1))
def test_together_again(seed: int, count: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 30, count).astype(np.uint16)
    codes[rng.random(count) < share] = 7
    codes[rng.integers(count)] = 8
    runs = split_runs(codes, 7)
    assert not (runs.values == 7).any()
    assert np.array_equal(join_runs(runs, count), codes)


@pytest.mark.parametrize("gap", [0, 254, 255, 256, 509, 510, 511])
def test_long_gaps(gap: int) -> None:
    codes = np.array([0] * gap + [5] + [0] * 9, np.uint8)
    runs = split_runs(codes, 0)
    assert runs.gaps.tolist() == [255] * (gap // 255) + [gap % 255]
    assert np.array_equal(join_runs(runs, codes.size), codes)


@pytest.mark.parametrize(
    ("gaps", "values", "message"),
    [
        ([], [], "do not fit the codes"),
        ([3, 255], [4], "do not fit the codes"),
        ([3, 1], [4], "do not fit the codes"),
        ([3], [4, 4], "do not fit the codes"),
        ([3, 4], [1, 1], "longer than their tensor"),
    ],
)
def test_what_no_writer_leaves(gaps: list[int], values: list[int], message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        join_runs(Runs(0, np.array(gaps, np.uint16), np.array(values, np.uint16)), 8)
