"""Searched steps: zero stays zero, the picture's error is what is made small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.codec.scale_search import clip_search, picture_error, with_step


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**32 - 1), st.floats(1e-12, 1e9))
def test_zeros_stay_and_steps_are_kept(bits: int, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, size, (7, 5)) * (rng.random((7, 5)) < 0.6)).astype(np.float32)
    found = with_step(values, np.abs(values).max() / np.float32(2 ** (bits - 1) - 0.5), bits)
    decoded = found.dequantise()
    assert not decoded[values == 0].any()
    assert found.codes.max() < 2**bits
    assert np.abs(decoded - values).max() <= 0.57 * float(found.scale) + 1e-30
    assert found.minimum.dtype == found.scale.dtype
    assert found.is_finite


def test_steps_that_float16_cannot_hold_are_float32() -> None:
    values = np.ones((2, 2), np.float32)
    assert with_step(values, np.float32(0.01), 8).scale.dtype == np.float16
    for step in (1e-6, 1e6, 600.0):
        assert with_step(values * step, np.float32(step), 8).scale.dtype == np.float32


def test_a_constant_of_zeros() -> None:
    found = clip_search(np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32), 4)
    assert not found.dequantise().any()
    assert found.scale == 0


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_better_than_the_full_range(bits: int, axis: int | None) -> None:
    rng = np.random.default_rng(bits)
    values = (rng.laplace(0, 1, (30, 40)) * rng.uniform(0.2, 3, (30, 1))).astype(np.float32)
    weights = rng.uniform(0, 2, values.shape).astype(np.float32)
    rest = None if axis is None else 1 - axis
    full = np.abs(values).max(axis=rest, keepdims=axis is not None) / np.float32(2 ** (bits - 1) - 0.5)
    plain = picture_error(values, with_step(values, full, bits), weights)
    searched = clip_search(values, weights, bits, axis=axis)
    assert searched.scale.shape == ((), (30, 1), (1, 40))[(None, 0, 1).index(axis)]
    assert picture_error(values, searched, weights) <= plain * (1.0 if bits == 6 else 0.9) + 1e-9


def test_important_weights_decide() -> None:
    values = np.concatenate([np.full(1000, 0.4), [1.0]]).astype(np.float32)[:, None]
    many, one = np.ones_like(values), np.zeros_like(values)
    one[-1] = 1
    assert picture_error(values, clip_search(values, one, 2), one) < 1e-3
    assert clip_search(values, many, 2).dequantise()[-1, 0] < 0.9
