"""The "gaussian" entropy model: a generalised Gaussian in fixed point (clause 5.8 of the specification).

The weight of a symbol at distance d from the centre is 2**-((d / width) ** (shape / 4)): shape 4 is a Laplacian,
shape 8 a Gaussian, beyond that the distribution gets boxy. The power is made by division, product and square root in
float64, which IEEE 754 rounds alike on every machine, and halving by products of integers; no `pow` or `exp` has a say.
"""

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.laplace import shares

__all__ = ["MAX_SHAPE", "MAX_WIDTH", "SHAPES", "fit_width", "gaussian_table"]

MAX_SHAPE: Final = 16
MAX_WIDTH: Final = (1 << 16) - 1

SHAPES: Final = (3, 6, 8, 11)
"""Shapes that a writer tries; 4 is left to the "laplace" model."""

_ONE = 1 << 30
_WIDTH_ONE = 16  # units of a width per symbol
_FRACTION = 10  # bits behind the point of an exponent
_LARGEST = 31.0  # weights of 2**-31 and less are 0
_KEPT = 512  # distances whose weights are kept: those that a writer asks for
_SEARCH = ((5, 4), (17, 16))  # factors by which a width is moved, coarse to fine


@cache
def _fractions() -> NDArray[np.int64]:
    """Return 2**30 * 2**-(n / 2**10), int64 (2**10,): products of the roots 2**-(2**-j), j = 1 .. 10, each floored."""
    steps = np.arange(1 << _FRACTION)
    weights, root = np.full(steps.size, _ONE, np.int64), _ONE // 2
    for bit in reversed(range(_FRACTION)):
        root = math.isqrt(root * _ONE)
        taken = (steps >> bit & 1).astype(bool)
        weights[taken] = weights[taken] * root >> 30
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=2048)
def _kept_weights(shape: int, width: int) -> NDArray[np.int64]:
    """Return the weights at the distances 0 .. 511: a writer asks for the same ones again and again."""
    weights = _weights(_KEPT, shape, width)
    weights.flags.writeable = False
    return weights


def _weights(size: int, shape: int, width: int) -> NDArray[np.int64]:
    """Return the weights at the distances 0 .. size - 1, int64 (size,), in units of 2**-30."""
    ratio = np.arange(size) * float(_WIDTH_ONE) / float(width)
    power = ratio.copy()
    for _ in range(shape - 1):
        power *= ratio  # at most 2**256
    exponent = np.minimum(np.sqrt(np.sqrt(power)), _LARGEST)
    fixed = np.floor(exponent * float(1 << _FRACTION)).astype(np.int64)
    shifted: NDArray[np.int64] = _fractions()[fixed & (1 << _FRACTION) - 1] >> (fixed >> _FRACTION)
    return shifted


def gaussian_table(size: int, centre: int, shape: int, width: int) -> NDArray[np.int64]:
    """Return the frequencies of the symbols 0 .. size - 1, int64 (size,), each at least 1, sum 2**14.

    Args:
        size: 1 .. 4096 symbols.
        centre: the most frequent one, 0 .. size - 1.
        shape: four times the exponent, 1 .. 16.
        width: distance at which the weight is one half, in 1/16 symbol, 1 .. 65535.
    """
    reach = max(centre, size - 1 - centre) + 1
    weights = _kept_weights(shape, width) if reach <= _KEPT else _weights(reach, shape, width)
    return shares(np.concatenate([weights[centre:0:-1], weights[: size - centre]]))


def fit_width(
    counts: NDArray[np.int64], centre: int, shape: int, cost: Callable[[NDArray[np.int64]], int]
) -> tuple[int, int]:
    """Return the width under which `counts` cost least, found by steps from the mean distance, and that cost.

    Args:
        counts: int64 (A,), occurrences of the symbols 0 .. A - 1.
        centre: 0 .. A - 1.
        shape: one of `SHAPES`.
        cost: frequencies -> what the counts cost under them.
    """
    distances = (counts * np.abs(np.arange(counts.size) - centre)).sum()
    width = min(MAX_WIDTH, max(1, int(distances) * _WIDTH_ONE // int(counts.sum())))
    least = cost(gaussian_table(counts.size, centre, shape, width))
    for up, down in _SEARCH:
        for over, under in ((up, down), (down, up)):
            while True:
                tried = min(MAX_WIDTH, max(1, width * over // under))
                found = cost(gaussian_table(counts.size, centre, shape, tried))
                if found >= least:
                    break
                width, least = tried, found
    return width, least
