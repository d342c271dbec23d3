"""Which operations on each value become parts of chains, and what a program makes of them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.decode.ghosts import Ghost
from nervplay.decode.graph import trace
from nervplay.decode.lowering import TorchStep, lower
from nervplay.decode.native.library import MAX_CHAIN, Pool, kernels
from nervplay.decode.points import Moments, Points
from nervplay.decode.program import Program
from nervplay.decode.weave import Part, Woven, weave

Steps = list[list[str] | str]


class Net(nn.Module):
    """Layers that `mix` puts together, behind a table of embeddings."""

    def __init__(self, mix: Callable[[nn.ModuleList, Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(3, 6, 12, 20))
        convolutions = [nn.Conv2d(6, 6, 3, padding=1) for _ in range(3)]
        self.layers = nn.ModuleList(layers or [*convolutions, nn.Linear(6, 6)])
        self.mix = mix

    def forward(self, index: Tensor) -> Tensor:
        return self.mix(self.layers, self.table[index])


def names(woven: Woven) -> Steps:
    """Return chains as lists of "conv" and numbers of lines, other steps as names."""
    found: Steps = []
    for step in woven.steps:
        if isinstance(step, list):
            found.append([_word(part) for part in step])
        else:
            found.append(str(step.node.target) if isinstance(step, TorchStep) else type(step).__name__)
    return found


def _word(part: Part) -> str:
    if isinstance(part, Points):
        return "+".join(line.code for line in part.lines)
    return "ghost" if isinstance(part, Ghost) else "apart" if part.depthwise else "conv"


def checked(mix: Callable[[nn.ModuleList, Tensor], Tensor], longest: int = MAX_CHAIN, *layers: nn.Module) -> Steps:
    """Hold the program of a network against the network, and return its steps, without the table's."""
    net = Net(mix, *layers)
    graph = trace(net)
    woven = weave(graph, lower(graph, longest), longest)
    outs = []
    for threads in (1, 3):
        pool = Pool(threads)
        program = Program(graph, woven, isa=kernels(), pool=pool, threads=threads)
        with torch.no_grad():
            for index in (0, 2):
                out = program.run(index).clone()
                np.testing.assert_allclose(out, net(torch.tensor([index])), atol=2e-5)
                outs.append(out.contiguous().numpy().tobytes())
        pool.close()
    assert outs[:2] == outs[2:]
    return [step for step in names(woven) if step != "aten.index.Tensor"]


def test_a_gate_between_convolutions() -> None:
    def memory(layers: nn.ModuleList, x: Tensor) -> Tensor:
        gate = torch.sigmoid(layers[1](F.relu(layers[0](x) + x)))
        return layers[2](gate * x + (1 - gate) * x)

    chain = ["conv", "add+activate", "conv", "affine+multiply+multiply_add", "conv"]
    assert checked(memory) == [chain]
    assert checked(memory, 1) == [[part] for part in chain]
    assert checked(memory, 4) == [chain[:4], chain[4:]]


def test_a_norm_reads_a_whole_map() -> None:
    def modulated(layers: nn.ModuleList, x: Tensor) -> Tensor:
        gain, shift = torch.sin(layers[3](x.mean((2, 3)))), 0.5
        y = F.batch_norm(layers[0](x), None, None, training=True) * gain[:, :, None, None] + shift
        return layers[1](y)

    steps = checked(modulated)
    assert steps[-3:] == [["conv"], "Moments", ["multiply_add+multiply+affine", "conv"]] or steps[-2:] == [
        "Moments", ["multiply_add+multiply+affine", "conv"]
    ]  # fmt: skip
    assert not any("batch_norm" in step for step in steps if isinstance(step, str))


def test_a_norm_with_weights_in_front_of_nothing() -> None:
    def normed(layers: nn.ModuleList, x: Tensor) -> Tensor:
        weight, bias = layers[0].weight[0, :, 0, 0].detach(), layers[0].bias.detach()
        return F.leaky_relu(F.batch_norm(layers[0](x) - x, None, None, weight, bias, training=True), 0.3)

    assert checked(normed) == [["conv", "subtract"], "Moments", ["multiply_add+activate"]]


def test_what_others_read_stays_whole() -> None:
    def residual(layers: nn.ModuleList, x: Tensor) -> Tensor:
        y = layers[0](x) + x
        return layers[2](layers[1](y) + y)

    assert checked(residual) == [["conv", "add"], ["conv", "add", "conv"]]


def test_a_constant_map_and_constants_of_channels() -> None:
    def shifted(layers: nn.ModuleList, x: Tensor) -> Tensor:
        place = layers[0].weight[:, 0, :1, :1].detach() * torch.linspace(0, 1, 20) * torch.linspace(1, 2, 12)[:, None]
        gain = layers[1].bias.detach()[None, :, None, None]
        return layers[1]((2 - layers[0](x)) * gain / 4 + place)

    assert checked(shifted) == [["conv", "affine+multiply+affine+add", "conv"]]


@pytest.mark.parametrize("longest", [1, MAX_CHAIN])
def test_two_branches(longest: int) -> None:
    def gated(layers: nn.ModuleList, x: Tensor) -> Tensor:
        gate = torch.sigmoid(layers[0](x) + layers[1](x))
        return gate * torch.tanh(x) + (gate - 3)

    steps = checked(gated, longest)
    assert sum(isinstance(step, str) for step in steps) == 0
    assert sum(len(step) for step in steps) == 3


def test_what_is_no_operation_on_each_value_stays() -> None:
    def mixed(layers: nn.ModuleList, x: Tensor) -> Tensor:
        y = layers[0](x)
        rows = y * torch.linspace(0, 1, 20)  # neither a map nor a number per channel
        return layers[1](torch.add(rows, y, alpha=2))

    steps = checked(mixed)
    assert [step for step in steps if isinstance(step, str)] == ["aten.mul.Tensor", "aten.add.Tensor"]


def test_planes_stay_with_pytorch() -> None:
    net = Net(lambda layers, x: torch.sigmoid(layers[0](x)) * 2 - layers[0](x), nn.Conv2d(6, 3, 1))
    graph = trace(net)
    woven = weave(graph, lower(graph, MAX_CHAIN), MAX_CHAIN)
    assert not any(isinstance(part, Points) for step in woven.steps if isinstance(step, list) for part in step)
    assert not any(isinstance(step, Moments) for step in woven.steps)


def ghosts(factor: int, *, gated: bool = False) -> Callable[[nn.ModuleList, Tensor], Tensor]:
    def module(layers: nn.ModuleList, x: Tensor) -> Tensor:
        x = layers[0](x)
        y = layers[1](x)
        made = torch.cat([y, layers[2](y)], dim=1)
        if gated:
            for apart in layers[5:]:
                x = apart(x)
            made = made * torch.sigmoid(layers[4](x))
        return layers[3](F.silu(F.pixel_shuffle(made, factor)))

    return module


def layers(channels: int, factor: int) -> list[nn.Module]:
    outputs = channels * factor**2
    return [
        nn.Conv2d(6, 7, 3, padding=1),
        nn.Conv2d(7, outputs, 3, padding=1),
        nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs),
        nn.Conv2d(2 * channels, 3, 3, padding=1),
        nn.Conv2d(7, 2 * outputs, 1),
    ]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_ghosts(factor: int) -> None:
    net = layers(5, factor)
    assert checked(ghosts(factor), MAX_CHAIN, *net) == [["conv", "conv", "ghost", "conv"]]
    assert checked(ghosts(factor), 1, *net) == [["conv"], ["conv"], ["ghost"], ["conv"]]
    assert checked(ghosts(factor, gated=True), MAX_CHAIN, *net) == [["conv"], ["conv", "ghost", "conv"]]
    assert checked(ghosts(factor, gated=True), 1, *net) == [["conv"], ["conv"], ["conv"], ["ghost"], ["conv"]]


def line(taps: tuple[int, int], *, bias: bool = False, padding: tuple[int, int] | None = None) -> nn.Conv2d:
    return nn.Conv2d(7, 7, taps, padding=padding or (taps[0] // 2, taps[1] // 2), groups=7, bias=bias)


@pytest.mark.parametrize("taps", [[(1, 3), (3, 1)], [(1, 1), (5, 1)], [(1, 7)]])
def test_a_gate_is_made_inside_a_ghost_module(taps: list[tuple[int, int]]) -> None:
    net = [*layers(5, 2), *map(line, taps)]
    apart = [["apart"]] * taps.count((1, 1))
    assert checked(ghosts(2, gated=True), MAX_CHAIN, *net) == [["conv"], *apart, ["conv", "ghost", "conv"]]
    assert sorted(checked(ghosts(2, gated=True), 1, *net)[1:-2]) == sorted([["conv"]] * 2 + [["apart"]] * len(taps))


@pytest.mark.parametrize("other", [line((1, 3), bias=True), line((3, 3)), line((1, 9)), line((3, 1))])
def test_what_is_no_line_of_taps_stays_in_front_of_a_gate(other: nn.Module) -> None:
    net = [*layers(5, 2), other, line((3, 1))]
    assert checked(ghosts(2, gated=True), MAX_CHAIN, *net) == [["conv"], ["apart"], ["conv", "ghost", "conv"]]


def test_a_gate_with_more_taps_is_a_map() -> None:
    net = layers(5, 2)
    net[4] = nn.Conv2d(7, 20 * 2, 3, padding=1)
    assert checked(ghosts(2, gated=True), MAX_CHAIN, *net) == [["conv"], ["conv"], ["conv", "ghost", "conv"]]


def test_what_is_no_ghost_module_stays() -> None:
    def other(change: Callable[[Tensor], Tensor]) -> Steps:
        def module(layers: nn.ModuleList, x: Tensor) -> Tensor:
            y = layers[1](layers[0](x))
            return layers[3](F.pixel_shuffle(torch.cat([change(y), layers[2](y)], dim=1), 2))

        return checked(module, MAX_CHAIN, *layers(4, 2))

    assert ["conv", "conv", "ghost", "conv"] in other(lambda y: y)
    for change in (torch.relu, lambda y: y.flip(1)):
        assert "aten.cat.default" in other(change)
    odd = layers(5, 2)
    odd[1:4] = [nn.Conv2d(7, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(3, 3, 1)]
    assert "aten.cat.default" in checked(ghosts(2), MAX_CHAIN, *odd), "places of the shuffle do not end where maps do"
