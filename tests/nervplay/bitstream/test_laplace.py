"""The Laplace table: integers that never change, and a decay that fits."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.bitstream.laplace import fit_decay, laplace_table


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4096), st.integers(0, 65535), st.data())
def test_tables_are_sound(size: int, decay: int, data: st.DataObject) -> None:
    centre = data.draw(st.integers(0, size - 1))
    table = laplace_table(size, centre, decay)
    assert table.size == size
    assert table.sum() == 16384
    assert table.min() >= 1
    assert table[centre] >= table.max() - 1


def test_against_plain_integers() -> None:
    """The recipe of clause 5.5, step by step, without arrays."""
    for size, centre, decay in [(7, 2, 30000), (300, 150, 64000), (4096, 0, 65535), (33, 32, 1)]:
        base = {1: decay << 14}
        powers = [1 << 30]
        high = 1
        for d in range(1, size):
            if d == 2 * high:
                base[d] = base[high] * base[high] >> 30
                high = d
            powers.append(powers[d - high] * base[high] >> 30)
        weights = [powers[abs(s - centre)] for s in range(size)]
        ends = [sum(weights[: s + 1]) * (16384 - size) // sum(weights) + s + 1 for s in range(size)]
        assert laplace_table(size, centre, decay).tolist() == np.diff([0, *ends]).tolist()


def test_pinned_integers() -> None:
    assert laplace_table(5, 1, 32768).tolist() == [3449, 6897, 3449, 1725, 864]
    digest = hashlib.sha256(laplace_table(4096, 1700, 65300).astype("<u2").tobytes()).hexdigest()
    assert digest == "00e820d9acaad235b5f7353f2650d023dbaef6c0c15ff85c9d76a17b6601a7a8"


def test_decay_of_a_known_distribution() -> None:
    theta = 0.9
    distances = np.abs(np.arange(401) - 200)
    counts = np.rint(1e9 * theta**distances).astype(np.int64)
    assert fit_decay(counts, 200) == pytest.approx(theta * 65536, abs=3)
    assert fit_decay(np.array([0, 5, 0]), 1) == 0
    assert fit_decay(np.array([10**6] + [0] * 5000 + [10**6]), 0) <= 65535
