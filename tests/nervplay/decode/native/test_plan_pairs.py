"""Winograd stages whose 16-bit integers are multiplied in pairs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Isa, Pool, kernels, load, run_chain
from nervplay.decode.native.packing import pairs_order, panels
from nervplay.decode.native.plan import Plan, peak_shape, plan_chain
from nervplay.errors import CapabilityError

Array = np.ndarray


@pytest.fixture
def wide() -> Isa:
    """The instruction set with vectors of 16, which alone has products in pairs."""
    load()
    try:
        return kernels("avx512")
    except CapabilityError as error:
        pytest.skip(str(error))


def stage(kernel: tuple[int, int], channels: int, outputs: int, tiles: int) -> Conv:
    """Return a stage that is `tiles` tiles wide, the last of which lies partly outside."""
    rng, (down, across) = np.random.default_rng(channels), kernel
    size = (9 if down > 1 else 8, tiles * (9 - across if across > 1 else 1) - 1)
    weight = rng.standard_normal((outputs, channels, *kernel)) / np.sqrt(channels * down * across)
    return Conv(
        weight=weight.astype(np.float32), bias=rng.standard_normal(outputs).astype(np.float32),
        padding=(down // 2, across // 2), source=Value(0, (), torch.float32), target=Value(1, (), torch.float32),
        size=size, out_size=size, activation="silu",
    )  # fmt: skip


def measured(conv: Conv, x: Array, isa: Isa) -> Array:
    peak = np.zeros(peak_shape(conv, "wino"), np.float32)
    load().nk_peak(isa.number, plan_chain([conv], isa, 1).ops, x.ctypes.data, peak.ctypes.data)
    return peak


def run(conv: Conv, x: Array, isa: Isa, plan: Plan, threads: int = 1) -> Array:
    pool, out = Pool(threads), np.full((*conv.out_size, len(conv.bias)), np.nan, np.float32)
    run_chain(pool, isa, plan.ops, plan.turns, source=x.ctypes.data, target=out.ctypes.data)
    pool.close()
    return out


def product_by_product(plan: Plan, conv: Conv, isa: Isa) -> Array:
    """Make the op multiply each word by itself, though values stay within what pairs allow; return its weights."""
    op, words, packed = plan.ops[0], (conv.weight.shape[1] + 1) // 2, plan.arrays[1]
    parts, start, positions = [], 0, 64 if min(conv.weight.shape[2:]) > 1 else 8
    for a, b in panels(len(conv.bias), isa.lanes, isa.panel):
        size = positions * (1 + words) * (b - a) * 2
        whole = packed[start : start + size].reshape(positions, 1 + words, -1)[:, 1:]
        places = np.argsort(pairs_order(words)) if b - a > isa.lanes else np.arange(words)
        parts.append(whole[:, places].ravel())
        start += size
    assert start == packed.size
    weights = np.concatenate(parts)
    op.weights, op.pairs = weights.ctypes.data, 0
    return weights


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 3), (5, 1)])
@pytest.mark.parametrize("channels", [16, 17, 20, 33, 70])
@pytest.mark.parametrize("outputs", [17, 28, 57, 100])
def test_pairs_give_the_same_integers(wide: Isa, kernel: tuple[int, int], channels: int, outputs: int) -> None:
    isa = wide._replace(adds_apart=True)
    conv = stage(kernel, channels, outputs, 17 + (channels + outputs) % 8)
    x = np.random.default_rng(5).standard_normal((*conv.size, channels)).astype(np.float32)
    peaks = {conv: measured(conv, x, isa)}
    pairs, plain = (plan_chain([conv], isa, 1, peaks) for _ in range(2))
    assert pairs.ops[0].pairs == 1
    kept = product_by_product(plain, conv, isa)
    out = run(conv, x, isa, pairs)
    assert out.tobytes() == run(conv, x, isa, plain).tobytes()
    assert out.tobytes() == run(conv, x, isa, plan_chain([conv], isa, 3, peaks), 3).tobytes()
    assert kept.any()
    exact = F.silu(
        F.conv2d(
            torch.from_numpy(x).permute(2, 0, 1)[None],
            torch.from_numpy(conv.weight),
            torch.from_numpy(conv.bias),
            padding=conv.padding,
        )
    )[0].permute(1, 2, 0)
    assert 0 < np.abs(out - exact.numpy()).mean() < 2e-3


@pytest.mark.parametrize(("beyond", "error"), [(1.9, 2e-3), (1000.0, None)])
def test_values_beyond_calibration_saturate(isa: Isa, beyond: float, error: float | None) -> None:
    isa = isa._replace(adds_apart=True)
    conv = stage((3, 3), 24, 40, 20)
    x = np.random.default_rng(6).standard_normal((*conv.size, 24)).astype(np.float32)
    exact, peak = run(conv, x, isa, plan_chain([conv], isa, 1)), measured(conv, x, isa)
    out = run(conv, x, isa, plan_chain([conv], isa, 1, {conv: peak / np.float32(beyond)}))
    if error:
        assert np.abs(out - exact).mean() < error, "twice the calibrated maximum fits"
    else:
        silent = conv.bias / (1 + np.exp(-conv.bias))
        assert np.abs(out - silent).mean() < 0.02, "a sum beyond 32 bits would be large"


def test_where_products_are_in_pairs(isa: Isa) -> None:
    def paired(conv: Conv, *, adds_apart: bool) -> bool:
        peaks = {conv: np.ones(peak_shape(conv, "wino"), np.float32)}
        return bool(plan_chain([conv], isa._replace(adds_apart=adds_apart), 1, peaks).ops[0].pairs)

    assert paired(stage((3, 3), 16, 17, 20), adds_apart=True) == (isa.lanes == 16)
    assert not paired(stage((3, 3), 16, 17, 20), adds_apart=False)
    assert not paired(stage((3, 3), 15, 17, 20), adds_apart=True), "few channels want finer weights"
    assert not paired(stage((3, 3), 16, 16, 20), adds_apart=True), "one vector of outputs gains nothing"
