"""Convolutions of integers: what comes out is what eight bits say, computed here in NumPy's place by PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.decode.graph import Graph, trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.runtime import sums_in_16_bits
from nervplay.decode.openvino.translate import write
from nervplay.decode.quantise import Integers, Units, in_steps, quantised, restored, weights8

SEED = torch.Generator().manual_seed(0)
TABLE = torch.randn(5, 16, 12, 20, generator=SEED)
WEIGHT = torch.randn(16, 16, 3, 3, generator=SEED) / 12
BIAS = torch.randn(16, generator=SEED)
FINER, COARSER = (
    Units(np.linspace(0.7, 1.3, 16, dtype=np.float32) * np.float32(unit), zero)
    for unit, zero in ((0.02, -20), (0.05, 7))
)


def lowered(network: object) -> tuple[Graph, object, list[Conv]]:
    graph = trace(network)  # type: ignore[arg-type]
    steps = lower(graph, 1)
    return graph, steps, [conv for step in steps.steps if isinstance(step, list) for conv in step]


def rounded(x: Tensor, units: Units) -> Tensor:
    units = Units(np.resize(units.scale, x.shape[1]), units.zero)
    pixels = x.permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(restored(quantised(pixels, units), units)).permute(0, 3, 1, 2)


def integers(conv: Conv, units: Units, bias: np.ndarray | None = None) -> Integers:
    whole, unit = weights8(in_steps(conv.weight, units, depthwise=conv.depthwise), paired=sums_in_16_bits())
    return Integers(units, whole, unit, conv.bias if bias is None else bias)


def coarse(conv: Conv, units: Units) -> Tensor:
    """Return what the integers of the weights stand for."""
    _, whole, unit, _ = integers(conv, units)
    scale = units.scale[:, None, None]
    return torch.from_numpy(whole * unit[:, None, None, None] / (scale[:, None] if conv.depthwise else scale)).float()


@pytest.mark.parametrize("kind", ["plain", "depthwise", "rows"])
def test_a_convolution_of_integers(kind: str) -> None:
    depthwise, rows = kind == "depthwise", kind == "rows"
    weight = WEIGHT[:, :1] if depthwise else WEIGHT

    def exact(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        if rows:
            return F.gelu(F.linear(x[0].flatten(1).T, w[:, :, 1, 1], b))
        return F.gelu(F.conv2d(x, w, b, padding=1, groups=16 if depthwise else 1))

    graph, steps, convs = lowered(lambda index: exact(TABLE[index], weight, BIAS))
    bias = convs[0].bias + np.float32(0.25)
    program = OpenvinoProgram(graph, write(graph, steps, quantised={convs[0]: integers(convs[0], FINER, bias)}), 1)
    assert program.integer_products() == 1
    small = coarse(convs[0], FINER)
    given = small.expand(-1, -1, 3, 3) if rows else small
    wanted = exact(rounded(TABLE[3:4], FINER), given, torch.from_numpy(bias))
    # a value that lies on the edge between two steps may fall on either side
    differs = (program.run(3) - wanted).abs() > 1e-4
    assert differs.float().mean() < 0.01
    assert (program.run(3) - exact(TABLE[3:4], weight, BIAS)).abs().mean() > 1e-2


@pytest.mark.parametrize("kernel", [0, 1, 3, 5])  # 0: rows
@pytest.mark.parametrize("channels", [3, 16, 33])
def test_the_largest_products_are_whole(channels: int, kernel: int) -> None:
    """Inputs at their upper end and large weights, whose sums no processor may cut off."""
    size = max(kernel, 1)
    weight = torch.randn(24, channels, size, size, generator=torch.Generator().manual_seed(1)).sign() * 0.5
    weight[::2] = weight[::2].abs()
    units = Units(np.full(channels, 0.02, np.float32), -128)
    table = torch.full((1, channels, 6, 7), 9.0)

    def network(index: Tensor, w: Tensor = weight) -> Tensor:
        x = table[index].clamp(max=float(units.high[0]))
        return F.linear(x[0].flatten(1).T, w[:, :, 0, 0]) if kernel == 0 else F.conv2d(x, w, padding=kernel // 2)

    graph, steps, convs = lowered(network)
    program = OpenvinoProgram(graph, write(graph, steps, quantised={convs[0]: integers(convs[0], units)}), 1)
    assert program.integer_products() == 1
    torch.testing.assert_close(
        program.run(0), network(torch.tensor([0]), coarse(convs[0], units)), rtol=1e-4, atol=1e-3
    )


def test_rounding_before_the_shuffle_is_rounding_behind_it() -> None:
    def network(x: Tensor) -> Tensor:
        y = F.gelu(F.pixel_shuffle(F.conv2d(x, WEIGHT, BIAS, padding=1), 2))
        return F.conv2d(y, WEIGHT[:, :4], BIAS, padding=1)

    graph, steps, convs = lowered(lambda index: network(TABLE[index]))
    behind = Units(COARSER.scale[::4], COARSER.zero)
    chosen = {convs[0]: integers(convs[0], FINER), convs[1]: integers(convs[1], behind)}
    program = OpenvinoProgram(graph, write(graph, steps, quantised=chosen), 1)
    assert program.integer_products() == 2
    y = F.gelu(F.pixel_shuffle(F.conv2d(rounded(TABLE[:1], FINER), coarse(convs[0], FINER), BIAS, padding=1), 2))
    wanted = F.conv2d(rounded(y, behind), coarse(convs[1], behind), BIAS, padding=1)
    assert (program.run(0) - wanted).abs().mean() < 2e-3
    assert (program.run(0) - network(TABLE[:1])).abs().mean() > 5e-3
    assert program.run(0).equal(program.run(0))


def test_who_else_reads_a_map_reads_it_as_it_is() -> None:
    def network(x: Tensor) -> Tensor:
        y = F.conv2d(x, WEIGHT, BIAS, padding=1)
        return F.conv2d(y, WEIGHT, BIAS, padding=1) * 0 + y

    graph, steps, convs = lowered(lambda index: network(TABLE[index]))
    program = OpenvinoProgram(graph, write(graph, steps, quantised={convs[1]: integers(convs[1], COARSER)}), 1)
    torch.testing.assert_close(program.run(2), network(TABLE[2:3]), atol=1e-5, rtol=1e-5)


def test_what_is_watched() -> None:
    graph, steps, convs = lowered(lambda index: F.relu(F.conv2d(TABLE[index] * 2, WEIGHT, BIAS)))
    (maps,) = OpenvinoProgram(graph, write(graph, steps, watched=convs), 1).maps(4)
    np.testing.assert_array_equal(maps, TABLE[4:5].numpy() * 2)
