"""What eight-bit values stand for."""

import numpy as np
import pytest

from nervplay.decode.quantise import Integers, Units, in_steps, quantised, restored, weights8


def test_rounding_is_to_the_nearest_step_and_clips() -> None:
    units = Units(np.array([0.5, 2.0], np.float32), 10)
    given = np.array([-1000, -0.26, -0.24, 0.24, 0.26, 1000], np.float32)
    assert quantised(np.stack([given, given * 4], 1), units).T.tolist() == [[-128, 9, 10, 10, 11, 127]] * 2


def test_zero_is_exact_and_ends_stay() -> None:
    units = Units(np.array([0.5, 0.03], np.float32), -20)
    assert restored(quantised(np.zeros((1, 2), np.float32), units), units).tolist() == [[0, 0]]
    ends = np.stack([units.low, units.high])
    assert quantised(ends, units).tolist() == [[-128, -128], [127, 127]]
    np.testing.assert_array_equal(restored(quantised(ends * 2, units), units), ends)


def pair_sums(whole: np.ndarray) -> np.ndarray:
    """The largest sum of each two neighbouring channels, either sign by itself."""
    both = np.stack([whole[:, 0:-1:2], whole[:, 1::2]]).astype(int)
    return np.maximum(both.clip(0).sum(axis=0), -both.clip(max=0).sum(axis=0))


def test_paired_weights_fit_together() -> None:
    weight = np.random.default_rng(3).standard_normal((8, 40, 3, 3)).astype(np.float32)
    weight[0, :2, 0, 0] = 9.0
    error = {}
    for paired in (False, True):
        whole, unit = weights8(weight, paired=paired)
        error[paired] = np.square(whole * unit[:, None, None, None] - weight).mean(axis=(1, 2, 3))
        assert bool(pair_sums(whole).max() <= 128) is paired
        assert np.abs(whole).max() > 100
    seven = np.abs(weight).reshape(8, -1).max(axis=1) / 63
    assert (error[True][1:] < 0.6 * seven[1:] ** 2 / 12).all()
    both = np.full((1, 2, 1, 1), -3.0, np.float32)
    whole, unit = weights8(both, paired=True)
    assert whole.ravel().tolist() == [-64, -64]
    np.testing.assert_allclose(whole * unit, both, rtol=1e-2)
    for shape in ((8, 1, 5, 5), (8, 3, 1, 1)):  # the last of an odd number is alone
        alone = np.zeros(shape, np.float32)
        alone[:, -1:] = np.linspace(-1, 1, alone[:, -1:].size).reshape(alone[:, -1:].shape)
        whole, unit = weights8(alone, paired=True)
        assert np.abs(whole * unit[:, None, None, None] - alone).mean() < 0.3 / 127


def test_weights_have_a_unit_per_output() -> None:
    weight = np.random.default_rng(2).standard_normal((6, 5, 3, 3)).astype(np.float32)
    weight *= np.array([1e-3, 1, 10, 0, 1, 1], np.float32)[:, None, None, None]
    whole, scale = weights8(weight)
    back = whole * scale[:, None, None, None]
    assert whole.dtype == np.int8
    assert whole.min() >= -127
    plain = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127 + 1e-12
    error, least = (np.square(x - weight).sum(axis=(1, 2, 3)) for x in (back, np.rint(weight / plain) * plain))
    assert (error <= least * 1.0001 + 1e-12).all(), "no worse than the largest value at 127"
    assert error.sum() < least.sum()


@pytest.mark.parametrize("depthwise", [False, True])
def test_units_of_the_input_are_part_of_the_weights(depthwise: bool) -> None:
    rng = np.random.default_rng(3)
    units = Units(rng.uniform(0.01, 1, 6).astype(np.float32), -3)
    weight = rng.standard_normal((6, 1 if depthwise else 6, 3, 3)).astype(np.float32)
    steps = rng.integers(-100, 100, 6).astype(np.float32)
    given = in_steps(weight, units, depthwise=depthwise)
    for output in range(6):
        reads = slice(output, output + 1) if depthwise else slice(None)
        exact = (weight[output] * (steps * units.scale)[reads, None, None]).sum()
        assert (given[output] * steps[reads, None, None]).sum() == pytest.approx(exact, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (5, 1, 3, 1), (2, 7, 1, 1)])
def test_integers_are_stored_and_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    channels = shape[0] if shape[1] == 1 else shape[1]
    floats = [rng.standard_normal(n).astype(np.float32) for n in (channels, shape[0], shape[0])]
    given = Integers(Units(floats[0], -77), rng.integers(-127, 128, shape).astype(np.int8), *floats[1:])
    data = given.to_bytes()
    assert data.dtype == np.uint8
    assert data.size == 4 * (1 + channels + 2 * shape[0]) + given.weight.size
    back = Integers.from_bytes(data, shape, channels)
    assert back.units.zero == -77
    for one, other in zip((*given[1:], given.units.scale), (*back[1:], back.units.scale), strict=True):
        np.testing.assert_array_equal(one, other)
