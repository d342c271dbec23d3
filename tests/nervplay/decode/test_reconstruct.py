"""Units and integers that give what floats gave."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.observed import Moments, Spread
from nervplay.decode.quantise import Integers, Units, in_steps, quantised, restored, weights8
from nervplay.decode.reconstruct import fit_units, integers, round_weights

Float = NDArray[np.float32]


def spread_of(values: Float) -> Spread:
    spread = Spread(values.shape[1])
    spread.add(torch.from_numpy(values))
    return spread


def error(values: Float, units: Units) -> Float:
    return np.asarray(np.square(restored(quantised(values, units), units) - values).mean(axis=0))


def test_units_are_as_fine_as_256_steps_allow() -> None:
    values = np.stack([np.linspace(-0.2, 1.0, 5001), np.linspace(-2, 10, 5001)], 1).astype(np.float32)
    units = fit_units(spread_of(values), np.ones(2))
    ideal = (np.array([1.2, 12]) / 255) ** 2 / 12
    assert (error(values, units) < ideal * 1.3).all()
    assert units.scale[1] == pytest.approx(10 * units.scale[0], rel=0.1)


def test_rare_large_values_are_clipped_where_they_are() -> None:
    values = np.random.default_rng(1).standard_normal((300_000, 2)).astype(np.float32)
    values[0, 0] = 12.0
    units = fit_units(spread_of(values), np.ones(2))
    assert units.high[0] < 10
    assert -8 < units.low[1] < -3


def test_zero_goes_where_it_costs_least() -> None:
    rng = np.random.default_rng(2)
    values = np.stack([rng.uniform(-1, 0.1, 4000), rng.uniform(-0.1, 1, 4000)], 1).astype(np.float32)
    first, second = (fit_units(spread_of(values), weight) for weight in (np.array([9.0, 0]), np.array([0, 9.0])))
    assert first.zero > 60
    assert second.zero < -60
    assert -40 < fit_units(spread_of(values), np.ones(2)).zero < 40


def test_a_channel_of_zeros_has_a_unit() -> None:
    values = np.zeros((100, 2), np.float32)
    values[:, 1] = 1
    units = fit_units(spread_of(values), np.ones(2))
    assert (units.scale > 0).all()
    assert fit_units(spread_of(np.zeros((100, 2), np.float32)), np.ones(2)).scale.min() > 0


def correlated(count: int, inputs: int) -> Float:
    rng = np.random.default_rng(3)
    mixed = rng.standard_normal((count, 6)) @ rng.standard_normal((6, inputs))
    return (mixed + 0.2 * rng.standard_normal((count, inputs))).astype(np.float32)


def test_rounding_one_makes_up_for_another() -> None:
    inputs = correlated(4000, 300)  # more than are rounded at once
    weight = np.random.default_rng(4).standard_normal((20, 300)).astype(np.float32) / 17
    whole, unit = weights8(weight)
    better = round_weights(weight, unit, np.cov(inputs.T.astype(np.float64), bias=True))
    plain, learned = (np.square(inputs @ (w * unit[:, None] - weight).T).mean() for w in (whole, better))
    assert learned < 0.2 * plain
    assert np.abs(better).max() <= 127
    assert (better != whole).any()


@pytest.mark.parametrize("taps", [1, 3])
def test_rounding_keeps_pairs_fitting(taps: int) -> None:
    inputs = correlated(4000, 300)
    weight = np.random.default_rng(4).standard_normal((20, 300 // taps, taps, 1)).astype(np.float32) / 17
    whole, unit = weights8(weight, paired=True)
    rows = weight.reshape(20, 300)
    better = round_weights(rows, unit, np.cov(inputs.T.astype(np.float64), bias=True), taps)
    pairs = better.reshape(20, -1, 2, taps).astype(int)
    assert pairs.clip(0).sum(axis=2).max() == 128
    assert pairs.clip(max=0).sum(axis=2).min() >= -128
    plain, learned = (np.square(inputs @ (w.reshape(20, 300) * unit[:, None] - rows).T).mean() for w in (whole, better))
    assert learned < 0.2 * plain
    odd = round_weights(rows[:, : 299 - 299 % taps], unit, np.eye(299 - 299 % taps), taps)
    assert np.abs(odd).max() <= 127


def test_inputs_that_have_nothing_in_common_change_nothing() -> None:
    weight = np.random.default_rng(5).standard_normal((6, 40)).astype(np.float32)
    whole, unit = weights8(weight)
    np.testing.assert_array_equal(round_weights(weight, unit, np.diag(np.linspace(1, 2, 40))), whole)


@pytest.mark.parametrize("kind", ["plain", "depthwise", "rows"])
def test_integers_give_what_the_floats_gave(kind: str) -> None:
    rng = np.random.default_rng(6)
    depthwise, rows = kind == "depthwise", kind == "rows"
    taps = 1 if rows else 3
    value = Value(0, (), torch.float32)
    conv = Conv(
        weight=rng.standard_normal((8, 1 if depthwise else 8, taps, taps)).astype(np.float32),
        bias=rng.standard_normal(8).astype(np.float32), padding=(0, 0), source=value, target=value,
        size=(1, 900) if rows else (30, 32), out_size=(1, 900) if rows else (28, 30), rows=rows, depthwise=depthwise,
    )  # fmt: skip
    # what most channels have in common stands for what a network's do
    values = np.maximum(correlated(900 if rows else 960, 8), -0.17) * np.linspace(0.1, 3, 8, dtype=np.float32)
    maps = torch.from_numpy(values if rows else values.reshape(1, 30, 32, 8).transpose(0, 3, 1, 2).copy())
    spread, moments = spread_of(values), Moments(conv)
    moments.add(maps)
    units = fit_units(spread, np.ones(8))

    def outputs(x: torch.Tensor, weight: Float, bias: Float) -> Float:
        w, b = torch.from_numpy(np.asarray(weight, np.float32)), torch.from_numpy(bias)
        if rows:
            return torch.nn.functional.linear(x, w[:, :, 0, 0], b).numpy()
        made = torch.nn.functional.conv2d(x, w, b, groups=8 if depthwise else 1)
        return made.permute(0, 2, 3, 1).reshape(-1, 8).numpy()

    def coarse(found: Integers) -> Float:
        x = values if rows else maps.permute(0, 2, 3, 1).numpy()
        steps = torch.from_numpy(quantised(x, found.units).astype(np.float32) - found.units.zero)
        steps = steps if rows else steps.permute(0, 3, 1, 2)
        return outputs(steps, found.weight * found.unit[:, None, None, None], found.bias)

    exact = outputs(maps, conv.weight, conv.bias)
    plain = Integers(units, *weights8(in_steps(conv.weight, units, depthwise=depthwise)), conv.bias)
    found = integers(conv, units, spread, moments)
    before, after = (coarse(one) - exact for one in (plain, found))
    assert np.abs(after.mean(axis=0)).max() < 0.5 * np.abs(before.mean(axis=0)).max()
    assert np.square(after).mean() < np.square(before).mean()
    assert np.square(after).mean() < 1e-3 * exact.var()
    paired = integers(conv, units, spread, moments, paired=True)
    assert np.square(coarse(paired) - exact).mean() < 1e-3 * exact.var()
    if not depthwise:
        assert np.abs(paired.weight.reshape(8, 4, 2, -1).sum(axis=2, dtype=int)).max() <= 128
    assert integers(replace(conv), units, spread, moments).to_bytes().tobytes() == found.to_bytes().tobytes()


def test_what_rounding_leaves_of_inputs_that_hardly_vary_is_damped() -> None:
    weight = np.random.default_rng(1).standard_normal((5, 2)).astype(np.float32)
    unit = np.abs(weight).max(axis=1) / np.float32(100)
    found = round_weights(weight, unit, np.array([[1e-9, 2e-6], [2e-6, 0.0]]))
    assert np.abs(found * unit[:, None] - weight).max() < 2 * unit.max()
