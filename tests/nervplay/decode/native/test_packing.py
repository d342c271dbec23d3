"""Weights as the kernels read them."""

import numpy as np
import pytest

from nervplay.decode.native.packing import (
    TRIO,
    _axis_coefficients,
    aligned,
    pack_line,
    pack_line16,
    pack_line_pairs,
    pack_winograd,
    pack_winograd16,
    padded,
    pairs_order,
    panels,
    shuffle_order,
    transformed,
)


@pytest.mark.parametrize(("vectors", "widths"), [(1, [1]), (3, [3]), (4, [2, 2]), (7, [3, 2, 2]), (9, [3, 3, 3])])
def test_panels_are_as_equal_as_can_be(vectors: int, widths: list[int]) -> None:
    found = panels(vectors * 16 - 3, 16, 3)
    assert [(b - a) // 16 for a, b in found] == widths
    assert found[0][0] == 0
    assert found[-1][1] == vectors * 16


@pytest.mark.parametrize(("kind", "first"), [(np.float32, 0), (np.float32, 3), (np.int16, 5)])
def test_weights_begin_with_a_line_of_the_cache(kind: type[np.generic], first: int) -> None:
    values = np.arange(first, 120).astype(kind).reshape(-1, 1)[first:]
    made = [aligned(values) for _ in range(4)]
    assert {part.ctypes.data % 64 for part in made} == {0}
    for part in made:
        assert part.dtype == kind
        np.testing.assert_array_equal(part, values[:, 0])


def test_the_order_of_the_shuffle() -> None:
    # channel c * 4 + i * 2 + j of PyTorch stands at place (i * 2 + j) * C + c
    assert shuffle_order(8, 2).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.parametrize("taps", [3, 5])
def test_the_transform_of_a_constant_kernel(taps: int) -> None:
    # Position 0 sees the point 0: its weight is the first tap up to the scale of the input transform, (0 - 1)(0 - 4)...
    weight = np.zeros((1, 1, 1, taps), np.float32)
    weight[..., 0] = 1
    u = transformed(weight)[:, 0, 0]
    np.testing.assert_allclose(u[0], 1, atol=1e-12)
    np.testing.assert_allclose(u[7], 0, atol=1e-12)


@pytest.mark.parametrize(("in_pairs", "values", "weights"), [(False, 2**15, 2**15), (True, 24576, 2**13)])
def test_sums_cannot_leave_32_bits(*, in_pairs: bool, values: int, weights: int) -> None:
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((20, 33, 3, 3)) * rng.uniform(1e-4, 1e3, (20, 1, 1, 1))).astype(np.float32)
    peak = rng.uniform(1e-6, 50, (64, padded(33, 16))).astype(np.float32)
    packed = pack_winograd16(weight, peak, 16, 3, in_pairs=in_pairs)
    words = packed.weights.astype(np.int64).reshape(64, -1, 32, 2)[:, -17:]
    sums = np.abs(words).sum(axis=(1, 3))
    assert np.abs(words).max() < weights
    assert sums.max() * values < 2**31, "not even where inputs are as large as they can be"
    assert (packed.norm * peak).max() * 2 < values
    assert sums[:, :20].max(axis=0).min() * values > 2**30, "no bits are wasted"
    assert not packed.norm[:, 33:].any()


def test_a_pair_is_followed_by_a_word_from_behind() -> None:
    assert [pairs_order(words) for words in (1, 2, 3, 4)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert pairs_order(7) == [0, 1, 4, 2, 3, 5, 6]
    assert pairs_order(8) == [0, 1, 6, 2, 3, 7, 4, 5]


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 6, 33])
def test_pairs_of_words_are_one_product(channels: int) -> None:
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((50, channels, 3, 3)).astype(np.float32)
    peak = rng.uniform(1, 20, (64, padded(channels, 16))).astype(np.float32)
    words = (channels + 1) // 2
    packed = pack_winograd16(weight, peak, 16, 3, in_pairs=True).weights
    values = rng.integers(-24575, 24576, (64, words, 2), dtype=np.int64)
    for of in packed.reshape(2, 64, 1 + words, 32, 2):  # panels of 2 vectors
        b = np.empty((64, words, 32, 2), np.int64)
        b[:, pairs_order(words)] = of[:, 1:]
        exact = (values[:, :, None] * b).sum(axis=(1, 3))
        paired = (words + 1) // 3 * 2
        a1, a2, a3 = (
            values[:, at][:, :, None] for at in (slice(0, paired, 2), slice(1, paired, 2), slice(paired, None))
        )
        b1, b2, b3 = b[:, :paired:2], b[:, 1:paired:2], b[:, paired:]
        assert max(np.abs(a1 + b2).max(initial=0), np.abs(a2 + b1).max(initial=0)) < 2**15
        sums = ((a1 + b2) * (a2 + b1) - a1 * a2).sum(axis=(1, 3)) + (a3 * b3).sum(axis=(1, 3))
        np.testing.assert_array_equal(sums + np.ascontiguousarray(of[:, 0]).view(np.int32)[..., 0], exact)


def test_trios_of_outputs() -> None:
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((12, 5, 1, 3)).astype(np.float32)
    peak = rng.uniform(1, 20, (8, 16)).astype(np.float32)
    trios, packed = pack_line(weight).reshape(12 // TRIO, 5, 8, TRIO), pack_line16(weight, peak)
    whole, panel = packed.weights.reshape(12 // TRIO, 3, 8, TRIO, 2), pack_winograd16(weight, peak, 16, 3)
    for output in range(12):
        trio, place = divmod(output, TRIO)
        np.testing.assert_array_equal(trios[trio, :, :, place].T, transformed(weight)[:, :, output].astype(np.float32))
        same = panel.weights.reshape(8, 3, 16, 2)[:, :, output]
        np.testing.assert_array_equal(whole[trio, :, :, place].transpose(1, 0, 2), same)
    np.testing.assert_array_equal(packed.scale, panel.scale[:12])
    np.testing.assert_array_equal(packed.axes, panel.axes)


@pytest.mark.parametrize("channels", [1, 5, 24])
def test_pairs_of_channels_are_one_product(channels: int) -> None:
    rng = np.random.default_rng(4)
    weight = (rng.standard_normal((12, channels, 1, 3)) * rng.uniform(1e-3, 1e3, (1, channels, 1, 1))).astype(
        np.float32
    )
    weight *= rng.uniform(1e-2, 1e2, (12, 1, 1, 1)).astype(np.float32)
    flat, norm, scale = pack_line_pairs(weight)
    deep = padded(channels, 3)
    assert norm.shape == (deep, 8)
    for powers in (norm[:channels], scale):
        np.testing.assert_array_equal(np.exp2(np.rint(np.log2(powers))), powers)
    order = [1, 2, 3, 4, 5, 6, 0, 7]
    packed = flat.reshape(2, 2, 1 + deep, 4, 6).transpose(2, 1, 3, 0, 4).reshape(1 + deep, 8, 12).astype(np.float64)
    off, (b1, b2, b3) = packed[0], packed[1:].reshape(-1, 3, 8, 12).swapaxes(0, 1)
    a = np.zeros((deep, 8))
    a[:channels] = rng.standard_normal((channels, 8))
    a1, a2, a3 = (a * norm).reshape(-1, 3, 8, 1).swapaxes(0, 1)
    found = off + ((a1 + b2) * (a2 + b1) - a1 * a2 + a3 * b3).sum(axis=0)
    exact = np.einsum("cp,pco->po", a[:channels], transformed(weight)[order])
    np.testing.assert_allclose(found * scale / np.abs(exact).max(axis=0), exact / np.abs(exact).max(axis=0), atol=1e-5)


def test_positions_of_one_axis_share_a_unit() -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((4, 16, 5, 3)).astype(np.float32)
    peak = rng.uniform(1, 20, (64, 16)).astype(np.float32)
    packed = pack_winograd16(weight, peak, 16, 3)
    back = _back(packed.axes[0], 4), _back(packed.axes[1], 6)
    sums = packed.weights.astype(np.float64).reshape(64, 8, 16, 2)[:, :, :4].transpose(0, 1, 3, 2).reshape(64, 16, 4)
    found = np.einsum("ya,xb,abco->yxco", *back, (sums * packed.norm[:, :, None]).reshape(8, 8, 16, 4))
    found = found * packed.scale[:4]
    plain = _back(_axis_coefficients(np.ones(8)), 4), _back(_axis_coefficients(np.ones(8)), 6)
    exact = np.einsum("ya,xb,abco->yxco", *plain, transformed(weight).reshape(8, 8, 16, 4))
    np.testing.assert_allclose(found, exact, atol=2e-3 * np.abs(exact).max())


def _back(k: np.ndarray, outputs: int) -> np.ndarray:
    """The transform back of `transform_sums`, as a matrix (outputs, 8)."""
    first, last = np.array([1, k[0], 1, k[1], 1, k[2], 1, 1]), np.array([1, k[0], -1, k[1], -1, k[2], -1, 1])
    rows = []
    for power in range(outputs):
        two, half = k[4 + 2 * power], k[5 + 2 * power]
        row = np.array([k[3] * (power == 0), 1, 1, two, two, half, half, k[16] * (power == outputs - 1)])
        rows.append(row * (last if power % 2 else first))
    return np.array(rows)


def test_sizes() -> None:
    weight = np.ones((50, 9, 5, 5), np.float32)
    assert pack_winograd(weight, 16, 3).size == 64 * 9 * 64
    assert pack_winograd(weight[:, :, :1], 8, 3).size == 8 * 9 * 56
