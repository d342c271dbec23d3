"""The generalised Gaussian: numbers that never change, and a width that fits."""

import hashlib
import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.gaussian import MAX_WIDTH, fit_width, gaussian_table


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4096), st.integers(1, 16), st.integers(1, MAX_WIDTH), st.data())
def test_tables_are_sound(size: int, shape: int, width: int, data: st.DataObject) -> None:
    centre = data.draw(st.integers(0, size - 1))
    table = gaussian_table(size, centre, shape, width)
    assert table.size == size
    assert table.sum() == 16384
    assert table.min() >= 1
    assert table[centre] >= table.max() - 1


@pytest.mark.parametrize(("size", "centre", "shape", "width"), [(300, 150, 8, 640), (41, 3, 5, 70), (9, 8, 16, 1)])
def test_against_plain_python(size: int, centre: int, shape: int, width: int) -> None:
    """The recipe of clause 5.8, step by step, without arrays."""
    roots = [math.isqrt(1 << 59)]
    while len(roots) < 10:
        roots.append(math.isqrt(roots[-1] << 30))
    weights = []
    for s in range(size):
        u = abs(s - centre) * 16 / width
        v = u
        for _ in range(shape - 1):
            v *= u
        e = math.floor(min(math.sqrt(math.sqrt(v)), 31) * 1024)
        weight = 1 << 30
        for j in range(1, 11):
            if e >> (10 - j) & 1:
                weight = weight * roots[j - 1] >> 30
        weights.append(weight >> (e >> 10))
    ends = [g * (16384 - size) // sum(weights) + s + 1 for s, g in enumerate(accumulate(weights))]
    assert gaussian_table(size, centre, shape, width).tolist() == np.diff(ends, prepend=0).tolist()


def test_pinned_integers() -> None:
    assert gaussian_table(5, 1, 8, 16).tolist() == [3967, 7935, 3968, 497, 17]
    digest = hashlib.sha256(gaussian_table(4096, 1700, 7, 9000).astype("<u2").tobytes()).hexdigest()
    assert digest == "c7c43ac2436f90dd1c4bfad77dc31e996ffefbe115fd98a8724782e6121d7dfc"


@pytest.mark.parametrize("shape", [4, 8, 14])
def test_it_is_the_distribution_that_it_says(shape: int) -> None:
    distances = np.abs(np.arange(256) - 100)
    exact = 2.0 ** -((distances / 30) ** (shape / 4))
    assert np.abs(gaussian_table(256, 100, shape, 480) - 1 - exact / exact.sum() * (16384 - 256)).max() < 2


def test_the_width_of_a_known_distribution() -> None:
    distances = np.abs(np.arange(401) - 200)
    counts = np.rint(1e7 * 2.0 ** -((distances / 20) ** 2)).astype(np.int64)

    def cost(frequencies: np.ndarray) -> int:
        return int(-(counts * np.log2(frequencies / 16384)).sum())

    width, least = fit_width(counts, 200, 8, cost)
    assert width == pytest.approx(320, rel=0.07)
    assert least == cost(gaussian_table(counts.size, 200, 8, width))
    assert fit_width(np.array([0, 5, 0]), 1, 8, lambda f: -int(f[1]))[0] >= 1
