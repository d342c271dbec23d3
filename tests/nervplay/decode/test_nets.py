"""Nets: sums, concatenations and volumes inside one step of the kernels, against the plain modules."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.decode.graph import Graph, trace
from nervplay.decode.lowering import TorchStep, lower
from nervplay.decode.native.library import MAX_CHAIN, Isa, Pool, kernels
from nervplay.decode.native.plan_net import narrow_between
from nervplay.decode.native_bench import Workbench
from nervplay.decode.nets import Net, Netted, find_nets
from nervplay.decode.program import Program
from nervplay.decode.streams import join
from nervplay.decode.tiles import Tiles
from nervplay.decode.weave import weave
from nervplay.errors import CapabilityError

NAMES = ("avx512", "avxvnni", "avx2", "generic")


@pytest.fixture(params=NAMES)
def isa(request: pytest.FixtureRequest) -> Isa:
    """The instruction sets that this processor has."""
    try:
        return kernels(request.param)
    except CapabilityError as error:
        pytest.skip(str(error))


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class Module(nn.Module):
    """A table of embeddings and what a test makes of one."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(3, channels, *size))

    def forward(self, index: Tensor) -> Tensor:
        out: Tensor = self.decode(self.table[index])
        return out


class Residual(Module):
    """Two blocks x + f(x), of which the first result is read outside, too, and a head."""

    def __init__(self) -> None:
        super().__init__(13, (31, 45))
        self.enter, self.leave = conv(13, 21), conv(21, 3)
        self.blocks = nn.ModuleList([nn.ModuleList([conv(21, 34), conv(34, 21)]) for _ in range(2)])

    def decode(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        kept = []
        for one, other in self.blocks:
            x = x + F.leaky_relu(other(F.gelu(one(x))), 0.1)
            kept.append(x.mean())
        return self.leave(x) * kept[0] + kept[1]


class Fusion(Module):
    """Maps of two sizes side by side, three at once, with an operation of PyTorch in between."""

    def __init__(self) -> None:
        super().__init__(17, (15, 22))
        self.up, self.fine = nn.ConvTranspose2d(17, 9, 2, 2), conv(9, 11)
        self.join, self.all = conv(20, 15), conv(35, 12, 5)
        self.small, self.end = conv(12, 12, 1), conv(12, 3)

    def decode(self, x: Tensor) -> Tensor:
        large = self.up(x)
        fine = self.fine(large)
        joined = self.join(torch.cat([large, fine], 1))
        three = self.all(torch.cat([joined, fine, large], 1))
        halves = F.avg_pool2d(F.interpolate(three, scale_factor=2.0), 2)
        return self.end(torch.relu(self.small(halves)) + three)


class Volume(Module):
    """SNeRV-T in small: a stack of three, 3-D convolutions, a sum, single depths, and less depth at the end."""

    def __init__(self, width: int = 18) -> None:
        super().__init__(7, (21, 27))
        self.first = nn.ModuleList(nn.ConvTranspose2d(7, width, 2, 2) for _ in range(3))
        self.widen, self.narrow = nn.Conv3d(width, 2 * width, 3, padding=1), nn.Conv3d(2 * width, width, 3, padding=1)
        self.second = nn.ModuleList(nn.ConvTranspose2d(width, 8, 1, 1) for _ in range(3))
        self.last, self.side = nn.Conv3d(8, 8, 3, padding=(0, 1, 1)), conv(width, 8)
        self.head = conv(8, 3)

    def decode(self, x: Tensor) -> Tensor:
        joined = torch.stack([up(x) for up in self.first], dim=2)
        mixed = F.leaky_relu(self.narrow(F.leaky_relu(self.widen(joined), 0.1)), 0.1) + joined
        middle = mixed[:, :, 1]
        narrow = torch.stack([up(part) for up, part in zip(self.second, mixed.unbind(2), strict=True)], dim=2)
        end = self.last(narrow) + narrow[:, :, 1:2]
        return self.head(end[:, :, 0] + self.side(middle))


class Spectrum(Module):
    """SNeRV's end in small: convolutions of 1x1 that are large enough for integers, heads behind them, one in a sum."""

    def __init__(self) -> None:
        super().__init__(9, (57, 91))
        self.enter, self.mix, self.up = conv(9, 44), conv(44, 44, 1), nn.ConvTranspose2d(88, 22, 2, 2)
        self.restorers = nn.ModuleList(nn.ModuleList([conv(44, 44, 1), conv(44, 3)]) for _ in range(2))
        self.large, self.low = conv(22, 3), conv(44, 3)

    def decode(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = F.leaky_relu(self.mix(x), 0.1) + x
        bands = [self.low(x), *(end(F.leaky_relu(mix(x), 0.1)) for mix, end in self.restorers)]
        large = self.large(self.up(torch.cat([x, self.mix(x)], 1)))
        return large + F.interpolate(torch.stack(bands).sum(0), scale_factor=2.0)


class Blocks(Module):
    """SNeRV's fusion in small: maps of two sizes side by side, blocks, and a convolution of 1x1 between them."""

    def __init__(self) -> None:
        super().__init__(18, (31, 46))
        self.first, self.up = conv(18, 21 * 4, 5), nn.ConvTranspose2d(18, 19, 2, 2)
        self.enter, self.mix, self.leave = conv(40, 34), conv(34, 34, 1), conv(34, 3)
        self.blocks = nn.ModuleList([nn.ModuleList([conv(34, 34), conv(34, 34)]) for _ in range(2)])

    def decode(self, x: Tensor) -> Tensor:
        large = F.silu(F.pixel_shuffle(self.first(x), 2))
        x = self.enter(torch.cat([self.up(x), large], 1))
        for one, other in self.blocks:
            x = x + other(F.leaky_relu(one(x), 0.1))
        return self.leave(F.leaky_relu(self.mix(x), 0.1))


class Small(Module):
    """The same things where maps are too small for Winograd's method, and a fused head of 1x1."""

    def __init__(self) -> None:
        super().__init__(6, (5, 4))
        self.one, self.two, self.deep = conv(6, 6), conv(12, 6), nn.Conv3d(6, 5, 3, padding=1)
        self.up, self.head = nn.Sequential(conv(10, 16 * 36), nn.PixelShuffle(6), nn.GELU()), conv(16, 3, 1)

    def decode(self, x: Tensor) -> Tensor:
        y = self.one(x) + x
        z = self.two(torch.cat([x, y], 1))
        deep = self.deep(torch.stack([y, z], dim=2))
        both = torch.cat([deep[:, :, 0], deep[:, :, 1]], 1)
        return self.head(self.up(both))


class Shown(Module):
    """Three channels, as heads have, and a view of a stack, of which a convolution reads what is there before."""

    def __init__(self) -> None:
        super().__init__(3, (12, 20))
        self.layers = nn.ModuleList(conv(3, 3) for _ in range(4))
        self.widen, self.mix, self.leave = conv(3, 13), conv(13, 13), conv(13, 3)

    def decode(self, x: Tensor) -> Tensor:
        first, second, third, fourth = self.layers
        y = first(x)
        before, behind = torch.stack([x, second(y) + y], dim=2).unbind(2)
        x = self.widen(third(before) * fourth(behind))
        return self.leave(self.mix(x) + x)


class Thin(Module):
    """What a head is calibrated as, in front of operations on each value."""

    def __init__(self) -> None:
        super().__init__(13, (31, 45))
        self.enter, self.leave, self.end = conv(13, 21), conv(21, 3), conv(3, 3)

    def decode(self, x: Tensor) -> Tensor:
        y = self.leave(F.gelu(self.enter(x)))
        return self.end(torch.sigmoid(y) * y)


def netted(graph: Graph) -> Netted:
    return find_nets(graph, join(graph, lower(graph, MAX_CHAIN, volumes=True), MAX_CHAIN))


def units(found: Netted) -> list[int]:
    return [len(step.units) for step in found.steps if isinstance(step, Net)]


@pytest.mark.parametrize("make", [Residual, Fusion, Volume, Spectrum, Blocks, Small, Shown, Thin])
def test_nets_are_the_modules(isa: Isa, make: Callable[[], Module]) -> None:
    model = make().eval()
    graph = trace(model)
    made = []
    for threads in (1, 3):
        pool = Pool(threads)
        program = Program(graph, weave(graph, netted(graph), MAX_CHAIN), isa=isa, pool=pool, threads=threads)
        with torch.no_grad():
            for index in (0, 2):
                np.testing.assert_allclose(program.run(index), model(torch.tensor([index])), atol=3e-5)
        made.append(program.run(1).contiguous().numpy().tobytes())
        pool.close()
    assert made[0] == made[1]


def test_what_is_inside() -> None:
    found = netted(trace(Volume().eval()))
    left = {str(step.node.target) for step in found.steps if isinstance(step, TorchStep)}
    assert units(found) == [11]
    assert left == {"aten.index.Tensor"}
    assert units(netted(trace(Residual().eval()))) == [6]
    assert len(units(netted(trace(Fusion().eval())))) == 2, "what PyTorch does between two of them parts nets"


def test_plain_networks_stay_chains() -> None:
    class Plain(Module):
        def __init__(self) -> None:
            super().__init__(4, (12, 20))
            self.decode = nn.Sequential(conv(4, 24), nn.PixelShuffle(2), nn.GELU(), conv(6, 3))

    graph = trace(Plain().eval())
    streamed = join(graph, lower(graph, MAX_CHAIN, volumes=True), MAX_CHAIN)
    assert find_nets(graph, streamed).steps is streamed.steps


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize(
    ("make", "integers", "narrow"),
    [(Residual, 5, 2), (Fusion, 3, 2), (Volume, 4, 1), (Spectrum, 9, 1), (Blocks, 6, 5), (Thin, 2, 0)],
)
def test_products_of_16_bits(isa: Isa, make: Callable[[], Module], integers: int, narrow: int, *, maps: bool) -> None:
    model = make().eval()
    graph = trace(model)
    lowered = lower(graph, MAX_CHAIN, volumes=True)
    streamed = join(graph, lowered, MAX_CHAIN)
    found = find_nets(graph, streamed)
    with torch.no_grad():
        exact = model(torch.tensor([1]))
    frames = []
    for threads in (1, 3):
        tiles = Tiles.whole(*exact.shape[-2:])
        with Workbench(graph, lowered, streamed, found, isa=isa, threads=threads, tiles=tiles, maps=maps) as bench:
            for index in (0, 1, 2):
                bench.measure(index)
            peaks = {each: bench.found(each) for each in bench.convolutions()}
            assert len(peaks) == integers
            frames.append(bench.frame(1, peaks).clone())
            nets = [step for step in found.steps if isinstance(step, Net)]
            # A map that only 1x1 convolutions read is known from their own peaks.
            assert len(narrow_between(nets, {graph.output}, peaks)) == (narrow if maps else make is Spectrum)
    assert torch.equal(*frames)
    error = (frames[0] - exact).abs()
    assert 0 < error.max() < (0.02 if maps else 0.01) * exact.abs().max()
