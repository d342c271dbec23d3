"""Packed weights of steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervplay.decode.native.packing import panels
from nervplay.decode.native.packing_mix import CHUNK, LIMIT, pack_product, pack_product16


def unpacked(flat: np.ndarray, inputs: int, outputs: int, lanes: int, inner: int = 1) -> np.ndarray:
    """Return (inputs, padded outputs, inner) of panels."""
    parts, at = [], 0
    for first, last in panels(outputs, lanes, 3):
        size = inputs * (last - first) * inner
        parts.append(flat[at : at + size].reshape(inputs, last - first, inner))
        at += size
    assert at == flat.size
    return np.concatenate(parts, axis=1)


@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([4, 8, 16]))
def test_panels_hold_the_weights(inputs: int, outputs: int, lanes: int) -> None:
    weight = np.random.default_rng(inputs).standard_normal((outputs, inputs)).astype(np.float32)
    wide = unpacked(pack_product(weight, lanes, 3), inputs, outputs, lanes)[..., 0]
    np.testing.assert_array_equal(wide[:, :outputs], weight.T)
    assert not wide[:, outputs:].any()


@pytest.mark.parametrize("inputs", [1, 5, CHUNK, 2 * CHUNK + 9])
@pytest.mark.parametrize("peaked", [False, True])
def test_no_sum_of_integers_leaves_32_bits(inputs: int, peaked: bool) -> None:
    generator = np.random.default_rng(inputs)
    weight = np.sign(generator.standard_normal((20, inputs))).astype(np.float32)
    if peaked:
        weight *= generator.random(weight.shape, np.float32) ** 8
    peak = generator.random(inputs, np.float32) + 0.1
    packed = pack_product16(weight, peak, 16, 3)
    pairs = unpacked(packed.weights, (inputs + 1) // 2, 20, 16, 2)
    whole = pairs.transpose(0, 2, 1).reshape(-1, pairs.shape[1])[:inputs, :20].astype(np.int64)
    for start in range(0, inputs, CHUNK):
        sums = np.abs(whole[start : start + CHUNK]).sum(axis=0) * (2 * LIMIT + 1)
        assert sums.max() < 2**31
    # Integers times their units are the weights, per 1 of the input.
    made = whole * packed.scale[:20] * packed.units[:inputs, None]
    assert np.abs(made - weight.T).max() <= (packed.scale[:20] * packed.units[:inputs, None]).max() * 0.51
    assert not packed.units[inputs:].any()
