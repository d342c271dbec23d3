"""Runs of one frequent code, as pruning leaves them: a tensor as gaps and the codes between (clause 5.9)."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.refusal import damaged

__all__ = ["GAP_BITS", "LONGEST_GAP", "Runs", "join_runs", "split_runs"]

GAP_BITS: Final = 8
LONGEST_GAP: Final = (1 << GAP_BITS) - 1
"""As a gap: so many of the frequent code, and no other code behind them."""


class Runs(NamedTuple):
    """A sequence of codes as gaps and values.

    Args:
        code: the frequent code.
        gaps: unsigned (R,): how many of it stand before the next value, 0 .. 254, or 255 for as many and no value.
        values: the other codes, (N,), in order.
    """

    code: int
    gaps: NDArray[Any]
    values: NDArray[Any]


def split_runs(codes: NDArray[Any], code: int) -> Runs:
    """Return `codes`, unsigned (n,), as runs of `code`; at least one of them is another."""
    places = np.flatnonzero(codes != code)
    before = np.diff(places, prepend=-1) - 1
    long = before // LONGEST_GAP  # gaps of 255 that stand before the gap of each value
    ends = np.cumsum(long + 1)
    gaps = np.full(int(ends[-1]), LONGEST_GAP, np.uint8)
    gaps[ends - 1] = before % LONGEST_GAP
    return Runs(code, gaps, codes[places])


def join_runs(runs: Runs, count: int) -> NDArray[np.uint16]:
    """Return the codes that `split_runs` took apart, uint16 (count,).

    Raises:
        BitstreamError: gaps that do not fit the values or the length.
    """
    ends = runs.gaps != LONGEST_GAP
    if not runs.gaps.size or not ends[-1] or int(ends.sum()) != runs.values.size:
        raise damaged("runs of a frequent code do not fit the codes between them")
    places = np.cumsum(runs.gaps, dtype=np.int64)[ends] + np.arange(runs.values.size)
    if int(places[-1]) >= count:
        raise damaged("runs of a frequent code are longer than their tensor")
    codes = np.full(count, runs.code, np.uint16)
    codes[places] = runs.values
    return codes
