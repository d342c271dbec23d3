"""Units, zeros and corrections of eight-bit values."""

import numpy as np
import pytest

from nervplay.decode.quantise import Range, best_range, correction, quantised, restored, weights8


def test_zero_is_exact_whatever_the_range() -> None:
    rng = np.random.default_rng(0)
    for low, high in ((-0.17, 4.0), (-3.0, 3.0), (0.5, 2.0), (-2.0, -0.5), (0.0, 0.0)):
        values = rng.uniform(low, high, 4000).astype(np.float32)
        unit = best_range(values, low, high)
        assert restored(quantised(np.zeros(1, np.float32), unit), unit)[0] == 0
        assert unit.scale == np.float32(unit.scale)
        assert np.abs(restored(quantised(values, unit), unit) - values).max() < 0.05


def test_a_range_is_as_fine_as_256_steps_allow() -> None:
    values = np.linspace(-0.2, 1.0, 5001, dtype=np.float32)
    unit = best_range(values, -0.2, 1.0)
    error = np.square(restored(quantised(values, unit), unit) - values).mean()
    assert error == pytest.approx((1.2 / 255) ** 2 / 12, rel=0.1)


def test_rare_large_values_are_clipped() -> None:
    values = np.random.default_rng(1).standard_normal(1_000_000).astype(np.float32)
    values[0] = 20.0
    unit = best_range(values, float(values.min()), 20.0)
    assert unit.scale < 0.7 * (20.0 - float(values.min())) / 255


def test_rounding_is_to_the_nearest_step_and_clips() -> None:
    unit = Range(0.5, 10)
    given = np.array([-1000, -0.26, -0.24, 0.24, 0.26, 1000], np.float32)
    assert quantised(given, unit).tolist() == [-128, 9, 10, 10, 11, 127]


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


def test_correction_restores_the_means() -> None:
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((4, 8, 1, 1)).astype(np.float32)
    samples = np.maximum(rng.standard_normal((5000, 8)).astype(np.float32), -0.17) + np.float32(0.011)
    unit = Range(0.06, -120)
    whole, scale = weights8(weight)
    exact = samples @ weight[:, :, 0, 0].T
    rough = restored(quantised(samples, unit), unit) @ (whole[:, :, 0, 0] * scale[:, None]).T
    before = np.abs((rough - exact).mean(axis=0))
    after = np.abs((rough + correction(weight, samples, unit) - exact).mean(axis=0))
    assert before.max() > 1e-3
    assert after.max() < 1e-5


def test_correction_of_channels_by_themselves() -> None:
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((8, 1, 3, 3)).astype(np.float32)
    samples = rng.random((500, 8), dtype=np.float32)
    whole = np.zeros((8, 8, 3, 3), np.float32)
    whole[range(8), range(8)] = weight[:, 0]
    unit = best_range(samples, 0.0, 1.0)
    np.testing.assert_allclose(
        correction(weight, samples, unit, depthwise=True), correction(whole, samples, unit), atol=1e-6
    )


def test_ends_of_a_range() -> None:
    unit = Range(0.5, 10)
    ends = np.array([unit.low, unit.high], np.float32)
    assert quantised(ends, unit).tolist() == [-128, 127]
    assert restored(quantised(ends * 2, unit), unit).tolist() == ends.tolist()
