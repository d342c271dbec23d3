"""The "laplace" entropy model: a two-sided geometric distribution by integers (clause 5.5 of the specification).

The weight of a symbol at distance d from the centre is theta**d, theta = decay / 65536. Powers are made by products of
30-bit fixed-point numbers, floored: no exponential function whose last bit another machine would round otherwise.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.rans import PRECISION

__all__ = ["fit_decay", "laplace_table", "shares"]

_ONE = 1 << 30
_DECAY_ONE = 1 << 16


def laplace_table(size: int, centre: int, decay: int) -> NDArray[np.int64]:
    """Return the frequencies of the symbols 0 .. size - 1, int64 (size,), each at least 1, sum 2**14.

    Args:
        size: 1 .. 4096 symbols.
        centre: the most frequent one, 0 .. size - 1.
        decay: theta * 65536, 0 .. 65535.
    """
    powers = np.full(1, _ONE, np.int64)  # theta**0, in units of 2**-30
    step = decay * (_ONE // _DECAY_ONE)  # theta**(number of powers so far)
    while powers.size < size:
        powers = np.concatenate([powers, powers * step >> 30])
        step = step * step >> 30
    return shares(powers[np.abs(np.arange(size) - centre)])


def shares(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return frequencies in proportion to `weights`, each at least 1, sum 2**14.

    A frequency of 1 for everyone; the rest of the table is shared by weight. Differences of a floored running sum leave
    no remainder to hand out.

    Args:
        weights: int64 (A,), A <= 4096, each 0 .. 2**30.
    """
    ends = np.cumsum(weights)
    total = int(ends[-1])
    ends *= (1 << PRECISION) - weights.size
    ends //= total
    ends[1:] -= ends[:-1].copy()
    ends += 1
    return ends


def fit_decay(counts: NDArray[np.int64], centre: int) -> int:
    """Return the decay whose distribution has the mean distance from `centre` that `counts` shows, 0 .. 65535.

    With mean distance m, theta = (sqrt(1 + m**2) - 1) / m: E|d| = 2 theta / (1 - theta**2) solved for theta.

    Args:
        counts: int64 (A,), occurrences of the symbols 0 .. A - 1.
        centre: 0 .. A - 1.
    """
    mean = int((counts * np.abs(np.arange(counts.size) - centre)).sum()) / int(counts.sum())
    if mean == 0:
        return 0
    return min(_DECAY_ONE - 1, int((math.sqrt(1 + mean * mean) - 1) / mean * _DECAY_ONE))
