"""1x1 convolutions with products of 16-bit integers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native import plan as planning
from nervplay.decode.native.library import Isa, Pool, run_chain
from nervplay.decode.native.packing_flat import MOST_CHANNELS
from nervplay.decode.native.plan import integer_candidates, peak_shape, plan_chain

Array = np.ndarray


def convolution(size: tuple[int, int], channels: int, outputs: int, *, shuffle: int = 1) -> Conv:
    rng, many = np.random.default_rng(channels), outputs * shuffle**2
    return Conv(
        weight=(rng.standard_normal((many, channels, 1, 1)) / np.sqrt(channels)).astype(np.float32),
        bias=rng.standard_normal(many).astype(np.float32), padding=(0, 0), source=Value(0, (), torch.float32),
        target=Value(1, (), torch.float32), size=size, out_size=size, shuffle=shuffle, activation="sigmoid",
    )  # fmt: skip


def picture(conv: Conv) -> Array:
    return np.random.default_rng(5).standard_normal((*conv.size, conv.weight.shape[1])).astype(np.float32)


def run(conv: Conv, x: Array, isa: Isa, threads: int, peak: Array) -> Array:
    plan, pool = plan_chain([conv], isa, threads, {conv: peak}), Pool(threads)
    assert plan.kinds == ["flat16"]
    height, width = (size * conv.shuffle for size in conv.out_size)
    out = np.full((height, width, len(conv.bias) // conv.shuffle**2), np.nan, np.float32)
    run_chain(pool, isa, plan.ops, plan.turns, source=x.ctypes.data, target=out.ctypes.data)
    pool.close()
    return out


def expected(conv: Conv, x: Array) -> Array:
    weight, bias = torch.from_numpy(conv.weight).double(), torch.from_numpy(conv.bias).double()
    made = F.conv2d(torch.from_numpy(x).double().permute(2, 0, 1)[None], weight, bias)
    return torch.sigmoid(F.pixel_shuffle(made, conv.shuffle))[0].permute(1, 2, 0).numpy()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 140)),
    channels=st.integers(1, 70),
    outputs=st.integers(5, 60),
    shuffle=st.sampled_from([1, 2, 3]),
)
def test_any_size(isa, size, channels, outputs, shuffle) -> None:
    conv = convolution(size, channels, outputs, shuffle=shuffle)
    x = picture(conv)
    peak = np.abs(x).max(axis=(0, 1))
    out = run(conv, x, isa, 1, peak)
    np.testing.assert_allclose(out, expected(conv, x), atol=2e-3)
    assert run(conv, x, isa, 3, peak).tobytes() == out.tobytes()


@pytest.mark.parametrize("channels", [3, 128, MOST_CHANNELS])
def test_nothing_overflows(isa: Isa, channels: int) -> None:
    conv = replace(convolution((3, 37), channels, 20), activation="none")
    # Each input is as large as can be, of the sign of a weight: this sum is the largest that there is.
    x = np.tile(np.sign(conv.weight[4, :, 0, 0]), (3, 37, 1)).astype(np.float32)
    peak = np.ones(channels, np.float32)
    twice = run(conv, 2 * x, isa, 1, peak)[..., 4] - conv.bias[4]
    exact = 2 * np.abs(conv.weight[4]).sum()
    np.testing.assert_allclose(twice, exact, rtol=4e-3)
    np.testing.assert_allclose(run(conv, 50 * x, isa, 1, peak)[..., 4] - conv.bias[4], twice, rtol=1e-4)


def test_which_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = convolution((9, 40), 17, 20)
    assert integer_candidates([conv]) == {}
    monkeypatch.setattr(planning, "_FLAT_WORK", 1000)
    assert integer_candidates([conv]) == {conv: "flat"}
    assert peak_shape(conv, "flat") == (17,)
    for other in (replace(conv, rows=True), convolution((9, 40), MOST_CHANNELS + 1, 20)):
        assert integer_candidates([other]) == {}
