"""Operations on each value, and the moments of channels, against PyTorch in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import POINT_INPUTS, Isa, Pool, load, run_chain
from nervplay.decode.native.plan import plan_chain
from nervplay.decode.points import Line, Operands, Points
from nervplay.decode.weave import Part

Array = np.ndarray
RESULT = POINT_INPUTS
ACTIVATIONS = {
    "relu": F.relu,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "gelu": F.gelu,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def value(number: int, *shape: int) -> Value:
    return Value(number, (1, *shape), torch.float32)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    """Return random numbers (1, C, H, W) with channels innermost."""
    numbers = np.random.default_rng(seed).standard_normal((1, *shape)).astype(np.float32)
    return torch.from_numpy(numbers).contiguous(memory_format=torch.channels_last)


def convolution(seed: int, source: Value, outputs: int, **options: object) -> Conv:
    _, channels, *size = source.shape
    rng = np.random.default_rng(seed)
    return Conv(
        weight=(rng.standard_normal((outputs, channels, 3, 3)) / np.sqrt(9 * channels)).astype(np.float32),
        bias=rng.standard_normal(outputs).astype(np.float32), padding=(1, 1), source=source,
        target=value(seed, outputs, *size), size=(size[0], size[1]), out_size=(size[0], size[1]), **options,
    )  # fmt: skip


def run(parts: list[Part], values: dict[Value, torch.Tensor], isa: Isa, threads: int = 1) -> Array:
    """Return what the kernels give for a chain, float32 (C, H, W)."""
    plan = plan_chain(parts, isa, threads)
    kept = [points.set_operands(values) for points in plan.beside]
    op = plan.ops[len(parts) - 1]
    out = np.full((op.out_height, op.out_width, op.out_channels), np.nan, np.float32)
    x = values[parts[0].source].permute(0, 2, 3, 1).contiguous()
    pool = Pool(threads)
    run_chain(pool, isa, plan.ops, plan.turns, source=x.data_ptr(), target=out.ctypes.data)
    pool.close()
    assert kept is not None
    return out.transpose(2, 0, 1)


def gate(shape: tuple[int, int, int]) -> tuple[Points, dict[Value, torch.Tensor]]:
    """Return tanh(x g + (1 - x) y + b), where g and b are one number per channel, y a map, and b a constant."""
    x, y, g = value(0, *shape), value(1, *shape), value(2, shape[0], 1, 1)
    bias = drawn(3, shape[0], 1, 1)
    lines = (
        Line("affine", (0,), RESULT, scale=-1.0, shift=1.0),
        Line("multiply", (RESULT, 1), RESULT),
        Line("multiply_add", (0, 2, RESULT), RESULT + 1),
        Line("add", (RESULT + 1, 3), RESULT),
        Line("activate", (RESULT,), RESULT, activation="tanh"),
    )
    values = {x: drawn(0, *shape), y: drawn(1, *shape), g: drawn(2, shape[0], 1, 1)}
    return Points(lines, Operands((x, y, g, bias), (False, False, True, True)), value(4, *shape)), values


def gated(points: Points, values: dict[Value, torch.Tensor]) -> torch.Tensor:
    x, y, g = (item.double() for item in values.values())
    return torch.tanh(x * g + (1 - x) * y + points.operands.values[3].double())  # type: ignore[union-attr]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 150)), threads=st.sampled_from([1, 3]))
def test_any_size(isa, shape, threads) -> None:
    points, values = gate(shape)
    np.testing.assert_allclose(run([points], values, isa, threads), gated(points, values)[0], atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(isa: Isa, name: str) -> None:
    x = value(0, 17, 5, 61)
    points = Points((Line("activate", (0,), RESULT, name, 0.2),), Operands((x,), (False,)), value(1, 17, 5, 61))
    values = {x: 3 * drawn(0, 17, 5, 61)}
    np.testing.assert_allclose(run([points], values, isa), ACTIVATIONS[name](values[x].double())[0], atol=3e-6)


@pytest.mark.parametrize(("code", "function"), [("subtract", torch.sub), ("multiply", torch.mul), ("add", torch.add)])
def test_of_two_maps(isa: Isa, code: str, function) -> None:
    x, y = value(0, 5, 7, 33), value(1, 5, 7, 33)
    points = Points((Line(code, (0, 1), RESULT),), Operands((x, y), (False, False)), value(2, 5, 7, 33))
    values = {x: drawn(0, 5, 7, 33), y: drawn(1, 5, 7, 33)}
    expected = function(values[x], values[y])
    np.testing.assert_array_equal(run([points], values, isa), expected[0])
    other = points.reading(y)
    assert other.source == y
    np.testing.assert_array_equal(run([other], values, isa), expected[0])


def test_between_convolutions_on_any_threads(isa: Isa) -> None:
    shape = (21, 29, 83)
    points, values = gate(shape)
    before = convolution(11, value(10, 6, *shape[1:]), 21, activation="gelu")
    after = convolution(12, points.target, 5)
    values = {value(10, 6, *shape[1:]): drawn(9, 6, *shape[1:]), **dict(list(values.items())[1:])}
    outs = {run([before, points, after], values, isa, threads).tobytes() for threads in (1, 2, 3)}
    assert len(outs) == 1

    def convolved(conv: Conv, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, torch.from_numpy(conv.weight).double(), torch.from_numpy(conv.bias).double(), padding=1)

    x, y, g = (item.double() for item in values.values())
    x = F.gelu(convolved(before, x))
    bias = points.operands.values[3]
    assert isinstance(bias, torch.Tensor)
    exact = convolved(after, torch.tanh(x * g + (1 - x) * y + bias.double()))
    np.testing.assert_allclose(run([before, points, after], values, isa), exact[0], atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1, 9), (3, 5, 70), (16, 9, 16), (67, 40, 33), (130, 3, 8)])
@pytest.mark.parametrize("affine", [False, True])
def test_moments(isa: Isa, shape: tuple[int, int, int], affine: bool) -> None:
    channels, height, width = shape
    maps = 0.3 * drawn(7, *shape) + 5 * drawn(8, channels, 1, 1)
    x = maps.permute(0, 2, 3, 1).contiguous()
    gain, shift = (drawn(seed, channels, 1, 1).reshape(-1).contiguous() for seed in (1, 2))
    found = []
    for threads in (1, 3):
        out, pool = np.empty((2, channels), np.float32), Pool(threads)
        on_top = (gain.data_ptr(), shift.data_ptr()) if affine else (None, None)
        sizes = (height, width, channels, 1e-5)
        assert load().nk_moments(pool.handle, isa.number, x.data_ptr(), *sizes, *on_top, out.ctypes.data) == 0
        pool.close()
        found.append(out)
    assert found[0].tobytes() == found[1].tobytes()
    exact = maps.double() - maps.double().mean((2, 3), keepdim=True)
    exact = exact / (exact.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    if affine:
        exact = exact * gain.double()[:, None, None] + shift.double()[:, None, None]
    factor, offset = found[0].astype(np.float64)[:, :, None, None]
    np.testing.assert_allclose(maps[0].double().numpy() * factor + offset, exact[0], atol=3e-5)
