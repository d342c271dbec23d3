"""Ghost modules against PyTorch in double precision."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervplay.decode.ghosts import Ghost
from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Pool, load
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
        assert load().nk_chain(pool.handle, isa.number, plan.ops, 1, start.data_ptr(), out.ctypes.data) == 0
        pool.close()
        assert len(kept) == 1
        np.testing.assert_allclose(out.transpose(2, 0, 1), expected, atol=2e-5)
        outs.add(out.tobytes())
    assert len(outs) == 1
