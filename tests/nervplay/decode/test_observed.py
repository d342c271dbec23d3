"""What is kept of maps."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.observed import Moments, Spread, as_rows
from nervplay.errors import CapabilityError


def conv(shape: tuple[int, ...], size: tuple[int, int], padding: tuple[int, int] = (0, 0), **options: bool) -> Conv:
    value = Value(0, (), torch.float32)
    out = tuple(s + 2 * p - k + 1 for s, p, k in zip(size, padding, shape[2:], strict=True))
    return Conv(
        weight=np.zeros(shape, np.float32), bias=np.zeros(shape[0], np.float32), padding=padding, source=value,
        target=value, size=size, out_size=(out[0], out[1]), **options,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=1, max_size=5), st.integers(0, 1000))
def test_counting_does_not_depend_on_the_order(sizes: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [torch.from_numpy(rng.standard_normal((50, 3)).astype(np.float32) * np.float32(2.0**e)) for e in sizes]
    forth, back = Spread(3), Spread(3)
    for one, other in zip(maps, reversed(maps), strict=True):
        forth.add(one)
        back.add(other)
    np.testing.assert_array_equal(forth.counts, back.counts)
    np.testing.assert_array_equal(forth.centres, back.centres)
    assert forth.counts.sum() == 150 * len(maps)
    values = torch.cat(maps).numpy()
    np.testing.assert_array_equal(forth.high, np.maximum(values.max(0), 0))
    np.testing.assert_array_equal(forth.low, np.minimum(values.min(0), 0))


def test_bins_are_where_values_are() -> None:
    spread = Spread(2)
    values = np.random.default_rng(1).standard_normal((20_000, 2)).astype(np.float32) * np.float32([1, 100])
    spread.add(torch.from_numpy(values))
    for power in (1, 2, 4):
        moment = (spread.counts * spread.centres**power).sum(axis=1) / spread.counts.sum(axis=1)
        exact = (values.astype(float) ** power).mean(axis=0)
        assert (np.abs(moment - exact) < 0.01 * np.array([1, 100.0]) ** power).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_cannot_be_counted(value: float) -> None:
    pixels = torch.zeros(6, 2)
    pixels[3, 1] = value
    with pytest.raises(CapabilityError, match="take fp32"):
        Spread(2).add(pixels)


def test_large_maps_are_thinned() -> None:
    spread = Spread(4)
    spread.add(torch.zeros(1 << 21, 4))
    assert 0.3 * (1 << 22) < spread.counts.sum() <= 1 << 22


@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_moments_are_those_of_patches(padding: tuple[int, int]) -> None:
    one = conv((5, 3, 3, 5), (9, 11), padding)
    moments = Moments(one)
    maps = [torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    for item in maps:
        moments.add(item)
    unfolded = [F.unfold(item, (3, 5), padding=padding).permute(0, 2, 1).reshape(-1, 45) for item in maps]
    patches = torch.cat(unfolded).double().numpy()
    np.testing.assert_allclose(moments.mean(), patches.mean(0), atol=1e-6)
    np.testing.assert_allclose(moments.covariance(0), np.cov(patches.T, bias=True), atol=1e-5)


def test_moments_of_rows_and_of_channels_by_themselves() -> None:
    rows = torch.randn(40, 6)
    moments = Moments(conv((7, 6, 1, 1), (1, 40), rows=True))
    moments.add(rows)
    np.testing.assert_allclose(moments.covariance(0), np.cov(rows.double().numpy().T, bias=True), atol=1e-5)
    apart = Moments(conv((4, 1, 3, 3), (6, 6), (1, 1), depthwise=True))
    maps = torch.randn(1, 4, 6, 6)
    apart.add(maps)
    assert apart.blocks == []
    np.testing.assert_allclose(apart.mean().reshape(4, 9)[:, 4], maps.mean((0, 2, 3)).numpy(), atol=1e-6)
    assert torch.equal(as_rows(maps)[7], maps[0, :, 1, 1])
    assert as_rows(rows) is rows


def test_wide_convolutions_are_kept_in_groups_of_channels() -> None:
    moments = Moments(conv((2, 300, 3, 3), (4, 4)))
    assert [(block.start % 18, block.stop % 18) for block in moments.blocks] == [(0, 0)] * 2, "pairs stay together"
    assert moments.blocks[0].stop == moments.blocks[1].start <= 2048
    assert moments.blocks[1].stop == 2700


def test_large_maps_are_looked_at_in_places() -> None:
    one = conv((1, 1, 1, 1), (100, 100))
    moments = Moments(one)
    ramp = torch.arange(10_000.0).reshape(1, 1, 100, 100)
    for _ in range(4):
        moments.add(ramp)
    assert moments.mean()[0] == pytest.approx(4999.5, rel=0.01)
    assert moments.covariance(0)[0, 0] == pytest.approx(10_000**2 / 12, rel=0.01)
