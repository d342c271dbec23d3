"""Ghost modules against PyTorch in double precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.ghosts import Gate, Ghost
from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Isa, Pool, run_chain
from nervplay.decode.native.plan import plan_chain

ACTIVATIONS = {"none": lambda x: x, "gelu": F.gelu, "silu": F.silu, "leaky": lambda x: F.leaky_relu(x, 0.1)}


def value(number: int, *shape: int) -> Value:
    return Value(number, (1, *shape), torch.float32)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 75)),
    channels=st.integers(1, 37),
    factor=st.integers(1, 3),
    taps=st.sampled_from([(3, 3), (1, 3), (5, 5), (7, 1)]),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    gated=st.booleans(),
)
def test_any_module(isa, size, channels, factor, taps, activation, gated) -> None:  # noqa: PLR0917 - hypothesis calls by name
    rng, many = np.random.default_rng(1), channels * factor**2

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    made = value(1, many, *size)
    alone = Conv(
        weight=drawn(many, 1, *taps), bias=drawn(many), padding=(taps[0] // 2, taps[1] // 2), source=made,
        target=value(2, many, *size), size=size, out_size=size, depthwise=True,
    )  # fmt: skip
    height, width = size[0] * factor, size[1] * factor
    gate = value(3, 2 * many, *size) if gated else None
    ghost = Ghost(alone, factor, activation, 0.1, gate, made, value(4, 2 * channels, height, width))
    x, g = torch.from_numpy(drawn(1, many, *size)), torch.from_numpy(drawn(1, 2 * many, *size))
    weight, bias = torch.from_numpy(alone.weight).double(), torch.from_numpy(alone.bias).double()
    both = torch.cat([x.double(), F.conv2d(x.double(), weight, bias, padding=alone.padding, groups=many)], dim=1)
    expected = ACTIVATIONS[activation](F.pixel_shuffle(both * g.double() if gated else both, factor))[0]

    def shuffled(maps: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(maps, factor).permute(0, 2, 3, 1).contiguous()

    outs = set()
    for threads in (1, 3):
        plan, pool = plan_chain([ghost], isa, threads), Pool(threads)
        kept = [each.set_operands({gate: shuffled(g).permute(0, 3, 1, 2)} if gate else {}) for each in plan.beside]
        start, out = shuffled(x), np.full((height, width, 2 * channels), np.nan, np.float32)
        run_chain(pool, isa, plan.ops, plan.turns, source=start.data_ptr(), target=out.ctypes.data)
        pool.close()
        assert len(kept) == 1
        np.testing.assert_allclose(out.transpose(2, 0, 1), expected, atol=2e-5)
        outs.add(out.tobytes())
    assert len(outs) == 1


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def module(size: tuple[int, int], inputs: int, channels: int, factor: int, taps: tuple[int, int]) -> list[Conv | Ghost]:
    """A convolution, the ghost module behind it whose gate is made from the same map, and a head."""
    many, end = channels * factor**2, (size[0] * factor, size[1] * factor)
    x, made, ghosts = value(0, inputs, *size), value(1, many, *size), value(4, 2 * channels, *end)
    sizes = {"size": size, "out_size": size}
    first = Conv(
        weight=drawn(many, inputs, 3, 3) / 3, bias=drawn(many), padding=(1, 1), source=x, target=made, shuffle=factor,
        **sizes,
    )  # fmt: skip
    alone = Conv(
        weight=drawn(many, 1, 3, 3), bias=drawn(many), padding=(1, 1), source=made, target=value(2, many, *size),
        depthwise=True, **sizes,
    )  # fmt: skip
    flat = Conv(
        weight=drawn(2 * many, inputs, 1, 1), bias=drawn(2 * many), padding=(0, 0), source=x, shuffle=factor,
        target=value(3, 2 * many, *size), activation="sigmoid", **sizes,
    )  # fmt: skip
    gate = Gate(flat, (drawn(taps[0], inputs), drawn(taps[1], inputs)), x, frozenset())
    ghost = Ghost(alone, factor, "silu", 0.0, None, made, ghosts, gate)
    head = Conv(
        weight=drawn(3, 2 * channels, 1, 1), bias=drawn(3), padding=(0, 0), source=ghosts,
        target=value(5, 3, *end), size=end, out_size=end, activation="half_tanh",
    )  # fmt: skip
    return [first, ghost, head]


def expected(parts: list[Conv | Ghost], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What comes out of the ghost module, out of the head, and what the convolution of 1x1 reads."""
    first, ghost, head = parts
    gate, alone = ghost.made, ghost.depthwise

    def run(source: torch.Tensor, conv: Conv, **groups: int) -> torch.Tensor:
        weight, bias = torch.from_numpy(conv.weight).double(), torch.from_numpy(conv.bias).double()
        return F.conv2d(source, weight, bias, padding=conv.padding, **groups)

    primary = run(x, first)
    both = torch.cat([primary, run(primary, alone, groups=len(alone.weight))], dim=1)
    read = x
    for axis, taps in enumerate(gate.taps):
        weight = torch.from_numpy(taps.T.copy()).double()
        shape, reach = ((-1, 1, len(taps), 1), (-1, 1, 1, len(taps)))[axis], len(taps) // 2
        padding = (reach, 0) if axis == 0 else (0, reach)
        read = F.conv2d(read, weight.reshape(shape), padding=padding, groups=len(weight))
    made = F.silu(F.pixel_shuffle(both * torch.sigmoid(run(read, gate.conv)), ghost.factor))
    return made, torch.tanh(run(made, head)) / 2 + 0.5, read


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 70)),
    inputs=st.integers(1, 37),
    channels=st.integers(1, 37),
    factor=st.integers(1, 3),
    taps=st.sampled_from([(3, 3), (1, 1), (1, 5), (7, 1)]),
    ends=st.booleans(),
    whole=st.booleans(),
)
def test_a_gate_made_inside(isa, size, inputs, channels, factor, taps, ends, whole) -> None:  # noqa: PLR0917 - hypothesis calls by name
    parts = module(size, inputs, channels, factor, taps)
    if channels == 1 and factor == 1:
        return  # a convolution of one channel would end its chain
    x = torch.from_numpy(drawn(1, inputs, *size))
    made, seen, read = expected(parts, x.double())
    maps, peak = x.permute(0, 2, 3, 1).contiguous(), read.abs().amax(dim=(0, 2, 3)).float().numpy()
    height, width = made.shape[-2:]
    outs = set()
    for threads in (1, 3):
        known = {parts[1].made.conv: peak} if whole else {}
        plan, pool = plan_chain(parts[: 2 + ends], isa, threads, known), Pool(threads)
        assert plan.count == 2
        assert plan.kinds[1] == ("ghost16" if whole else "ghost")
        kept = [each.set_operands({parts[0].source: x}) for each in plan.beside]
        shape = (3, height, width) if ends else (height, width, 2 * channels)
        out = np.full(shape, np.nan, np.float32)
        run_chain(pool, isa, plan.ops, plan.turns, source=maps.data_ptr(), target=out.ctypes.data)
        pool.close()
        assert len(kept) == 1
        outs.add(out.tobytes())
        result = out if ends else out.transpose(2, 0, 1)
        scale = 1 + float(made.abs().max())
        np.testing.assert_allclose(result / scale, (seen if ends else made)[0] / scale, atol=2e-3 if whole else 2e-5)
    assert len(outs) == 1


def test_integers_of_a_gate_follow_its_peaks(isa: Isa) -> None:
    parts = module((5, 40), 9, 8, 2, (3, 3))
    x = torch.from_numpy(drawn(1, 9, 5, 40))
    maps, outs = x.permute(0, 2, 3, 1).contiguous(), []
    for peak in (1e-3, 1e2):
        plan, pool = plan_chain(parts[:2], isa, 1, {parts[1].made.conv: np.full(9, peak, np.float32)}), Pool(1)
        kept = plan.beside[0].set_operands({parts[0].source: x})
        out = np.zeros((10, 80, 16), np.float32)
        run_chain(pool, isa, plan.ops, plan.turns, source=maps.data_ptr(), target=out.ctypes.data)
        pool.close()
        assert len(kept) == 1
        outs.append(out.transpose(2, 0, 1))
    made = expected(parts, x.double())[0][0]
    saturated, coarse = (float((made - torch.from_numpy(out)).abs().max()) for out in outs)
    assert saturated > 10 * coarse > 1e-2, "of values beyond twice the peaks too little comes in, of small ones a unit"


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_a_head_of_any_few_channels(isa: Isa, outputs: int) -> None:
    parts = module((4, 37), 5, 7, 2, (1, 3))
    parts[2] = replace(parts[2], weight=drawn(outputs, 14, 1, 1), bias=drawn(outputs))
    x = torch.from_numpy(drawn(1, 5, 4, 37))
    plan, pool = plan_chain(parts, isa, 3), Pool(3)
    kept = plan.beside[0].set_operands({parts[0].source: x})
    out, maps = np.zeros((outputs, 8, 74), np.float32), x.permute(0, 2, 3, 1).contiguous()
    run_chain(pool, isa, plan.ops, plan.turns, source=maps.data_ptr(), target=out.ctypes.data)
    pool.close()
    assert len(kept) == 1
    np.testing.assert_allclose(out, expected(parts, x.double())[1][0], atol=2e-5)
