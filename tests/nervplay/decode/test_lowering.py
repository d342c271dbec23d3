"""Which operations become convolutions of the kernels, and which chains."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nervplay.decode.graph import trace
from nervplay.decode.lowering import Conv, Lowered, TorchStep, lower
from nervplay.decode.native.library import MAX_CHAIN, Pool, kernels
from nervplay.decode.program import Program
from nervplay.decode.weave import weave


class Net(nn.Module):
    """Layers behind a table of embeddings."""

    def __init__(self, *layers: nn.Module, channels: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(3, channels, 12, 20))
        self.layers = nn.Sequential(*layers).eval()

    def forward(self, index: Tensor) -> Tensor:
        out: Tensor = self.layers(self.table[index])
        return out


def lowered(net: nn.Module) -> Lowered:
    return lower(trace(net), MAX_CHAIN)


def chains(net: nn.Module) -> list[list[Conv]]:
    return [step for step in lowered(net).steps if isinstance(step, list)]


def check(net: nn.Module) -> None:
    """Hold the program of a network against the network."""
    pool = Pool(2)
    graph = trace(net)
    program = Program(graph, weave(graph, lower(graph, MAX_CHAIN), MAX_CHAIN), isa=kernels(), pool=pool, threads=2)
    with torch.no_grad():
        for index in (0, 2):
            np.testing.assert_allclose(program.run(index), net(torch.tensor([index])), atol=2e-5)


class Residual(nn.Module):
    """What a chain must not swallow: a map with two readers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        return y + self.two(y)


def test_a_stage_is_one_convolution() -> None:
    net = Net(nn.Conv2d(4, 24, 3, padding=1), nn.PixelShuffle(2), nn.GELU(), nn.Conv2d(6, 3, 3, padding=1), nn.Tanh())
    ((stage, head),) = chains(net)
    assert (stage.shuffle, stage.activation, head.activation) == (2, "gelu", "tanh")
    assert head.is_head
    assert not stage.is_head
    check(net)


def test_batch_norm_is_folded() -> None:
    norm = nn.BatchNorm2d(6)
    norm.running_mean, norm.running_var = torch.randn(6), torch.rand(6) + 0.5
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    net = Net(nn.Conv2d(4, 24, 3, padding=1), nn.PixelShuffle(2), norm, nn.SiLU(), nn.Conv2d(6, 3, 1))
    ((stage, _),) = chains(net)
    assert stage.activation == "silu"
    assert sum(isinstance(step, TorchStep) for step in lowered(net).steps) == 1
    check(net)


def test_transposed_convolution_of_separate_squares() -> None:
    net = Net(nn.ConvTranspose2d(4, 5, 3, 3), nn.ReLU(), nn.Conv2d(5, 3, 1))
    ((up, _),) = chains(net)
    assert (up.shuffle, up.weight.shape) == (3, (45, 4, 1, 1))
    check(net)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.ConvTranspose2d(4, 3, 4, 2, 1), "transposition and overlap"),
        (nn.Conv2d(4, 3, 3, stride=2), "stride (2, 2)"),
        (nn.Conv2d(4, 4, 3, groups=2), "2 groups"),
        (nn.Conv2d(4, 3, 3, dilation=2), "dilation"),
    ],
)
def test_what_pytorch_must_do(layer: nn.Module, words: str) -> None:
    net = Net(layer, nn.Conv2d(layer.out_channels, 3, 1))  # type: ignore[arg-type]
    assert lowered(net).unsupported == [words]
    check(net)


def test_a_map_with_two_readers_ends_a_chain() -> None:
    net = Net(Residual(), nn.Conv2d(4, 3, 3, padding=1))
    assert [len(chain) for chain in chains(net)] == [1, 1, 1]
    check(net)


def test_an_activation_read_twice_is_not_swallowed() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return torch.sigmoid(y) * y

    net = Net(Gated())
    assert chains(net)[0][0].activation == "none"
    check(net)


@pytest.mark.parametrize(("scale", "shift", "name"), [(0.5, 0.5, "half_tanh"), (0.5, 0.25, "tanh"), (2.0, 0.5, "tanh")])
def test_half_a_tanh(scale: float, shift: float, name: str) -> None:
    class Picture(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) * scale + shift

    net = Net(nn.Conv2d(4, 3, 1), Picture())
    assert chains(net)[0][0].activation == name
    check(net)


def test_linear_layers_and_depthwise() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
            self.expand, self.project = nn.Linear(4, 9), nn.Linear(9, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.depthwise(x).permute(0, 2, 3, 1)
            return self.project(nn.functional.gelu(self.expand(y))).permute(0, 3, 1, 2)

    net = Net(Mixed())
    kinds = [(conv.depthwise, conv.rows, conv.activation) for (conv,) in chains(net)]
    assert kinds == [(True, False, "none"), (False, True, "none"), (False, True, "none")]
    check(net)
