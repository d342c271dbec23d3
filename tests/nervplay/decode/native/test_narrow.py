"""Maps of 16-bit integers between convolutions: which there are, and what becomes of the largest values."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.decode.graph import Value, trace
from nervplay.decode.lowering import Conv, lower
from nervplay.decode.native.library import MAX_CHAIN, Isa, Pool
from nervplay.decode.native.narrow import NARROW_MOST, held, narrow_maps, narrow_units
from nervplay.decode.native.packing import INPUT
from nervplay.decode.nets import Slice, Unit, find_nets
from nervplay.decode.program import Program
from nervplay.decode.streams import join
from nervplay.decode.weave import weave

ENDS = INPUT[5]
"""The row of Winograd's transform whose magnitudes add up to most."""


class Sum(nn.Module):
    """Two convolutions, of which the first nearly leaves its map as it is, and a sum of what both make."""

    def __init__(self, channels: int, kernel: int, size: tuple[int, int]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Parameter(torch.randn(1, channels, *size))
        self.same = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.same.weight.data = 1e-3 * torch.randn_like(self.same.weight)
        self.same.weight.data[:, :, 1, 1] = torch.eye(channels)
        self.other = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, index: Tensor) -> Tensor:
        x = self.between(index)
        out: Tensor = self.other(x) + x
        return out.mean(1, keepdim=True)

    def between(self, index: Tensor) -> Tensor:
        """The map between the convolutions."""
        x: Tensor = self.same(self.table[index])
        return x


def run(model: Sum, isa: Isa, largest: np.ndarray) -> np.ndarray:
    """What the kernels make where calibration said that the integers of the map between are to hold twice `largest`."""
    graph = trace(model.eval())
    nets = find_nets(graph, join(graph, lower(graph, MAX_CHAIN), MAX_CHAIN))
    ((first, second),) = [[unit.conv for unit in step.units] for step in nets.steps if hasattr(step, "units")]
    channels = len(largest)
    peaks = {}
    for conv, row in ((first, None), (second, largest)):
        peak = np.zeros((64 + (row is not None), -(-channels // 16) * 16), np.float32)
        peak[:, :channels] = 1e3 if row is None else 20 * row
        if row is not None:
            peak[-1, :channels] = row
        peaks[conv] = peak
    outs = []
    for threads in (1, 3):
        pool = Pool(threads)
        program = Program(graph, weave(graph, nets, MAX_CHAIN), isa=isa, pool=pool, threads=threads, peaks=peaks)
        assert program.narrow_maps == 1
        outs.append(program.run(0).clone().numpy())
        pool.close()
    assert outs[0].tobytes() == outs[1].tobytes()
    return outs[0]


@torch.no_grad()
def expected(model: Sum, most: Tensor) -> np.ndarray:
    x = model.between(torch.tensor([0])).double().clamp(-most, most)
    made = F.conv2d(x, model.other.weight.double(), model.other.bias.double(), padding=model.other.padding) + x
    return made.mean(1, keepdim=True).numpy()


def largest_of(model: Sum) -> np.ndarray:
    """What calibration finds of the map between."""
    x, weight = model.between(torch.tensor([0])).detach(), model.other.weight.detach().numpy()
    conv = replace(unit(Slice(value(0, 1), 0, 1), value(1, 1)).conv, weight=weight, out_size=tuple(x.shape[2:]))
    return held(x.permute(0, 2, 3, 1), replace(conv, padding=model.other.padding))


@pytest.mark.parametrize("channels", [5, 15, 16, 17, 32, 33, 49])
@pytest.mark.parametrize("kernel", [3, 5])
def test_any_number_of_channels(isa: Isa, channels: int, kernel: int) -> None:
    model = Sum(channels, kernel, (25, 38))
    exact = expected(model, torch.tensor(1e9))
    np.testing.assert_allclose(run(model, isa, largest_of(model)), exact, atol=0.04 * float(np.abs(exact).max()))


@pytest.mark.parametrize("channels", [5, 40])
def test_nothing_overflows(isa: Isa, channels: int) -> None:
    model = Sum(channels, 3, (30, 40))
    worst = torch.from_numpy(np.outer(np.sign(ENDS), np.sign(ENDS))).float()
    # All that a tile reads, of the signs that make most of it, and far larger than any calibration said.
    for sign, (y, x) in ((1, (5, 5)), (-1, (17, 11)), (1, (11, 29))):
        model.table.data[:, :, y : y + 8, x : x + 8] = sign * 1e3 * worst
    calm = Sum(channels, 3, (30, 40))
    outs = [run(each, isa, np.full(channels, 20, np.float32)) for each in (model, calm)]
    assert np.abs(outs[0]).max() < 20 * np.abs(outs[1]).max() + 400, "sums stay at the ends, they do not turn around"
    far = np.s_[:, :, 26:, :9]
    np.testing.assert_allclose(outs[0][far], outs[1][far], atol=0.02 * float(np.abs(outs[1]).max()))


def test_a_silent_channel_may_speak(isa: Isa) -> None:
    model = Sum(18, 3, (20, 30))
    model.table.data[:, 4] *= 0.01
    largest = largest_of(model)
    largest[4] = 0
    exact = expected(model, torch.tensor(1e9))
    np.testing.assert_allclose(run(model, isa, largest), exact, atol=0.03 * float(np.abs(exact).max()))


def value(number: int, channels: int, width: int = 24) -> Value:
    return Value(number, (1, channels, 24, width), torch.float32)


def unit(source: Slice, target: Value, kernel: tuple[int, int] = (3, 3), added: Slice | None = None) -> Unit:
    weight = np.ones((target.shape[1], source.channels, *kernel), np.float32)
    size = (24, 24)
    conv = Conv(
        weight=weight, bias=np.zeros(len(weight), np.float32), padding=(kernel[0] // 2, kernel[1] // 2),
        source=source.value, target=target, size=size, out_size=size,
    )  # fmt: skip
    return Unit(conv, (source,), Slice(target, 0, len(weight)), added)


def found(kinds: dict[Unit, str], elsewhere: Iterable[Value] = (), *, known: bool = True) -> set[Value]:
    def peak(one: Unit, kind: str) -> np.ndarray:
        channels = one.conv.weight.shape[1]
        return np.ones(channels if kind == "flat16" else (64 + known, -(-channels // 16) * 16), np.float32)

    peaks = {one.conv: peak(one, kind) for one, kind in kinds.items() if kind.endswith("16")}
    return set(narrow_maps(kinds, peaks, set(elsewhere)))


def whole(of: Value) -> Slice:
    return Slice(of, 0, of.shape[1])


def test_which_maps_are_narrow() -> None:
    a, b, c, d = (value(number, 6) for number in range(4))
    one, two = unit(whole(a), b), unit(whole(b), c)
    last = unit(whole(c), d, added=whole(b))
    net = dict.fromkeys((one, two, last), "wino16")
    assert found(net) == {b, c}
    assert found(net, {c}) == {b}
    assert found(net, known=False) == set()
    assert found(net | {two: "flat16"}) == {b, c}
    both = {unit(whole(a), b): "wino16", unit(whole(b), c, (1, 1)): "flat16"}
    assert found(both, known=False) == {b}
    assert found(both | {unit(whole(b), d): "wino16"}, known=False) == set(), "not all that read it are known"
    assert found(net | {last: "flat16"}) == {c}, "what 1x1 convolutions add is of floats"
    for other in ("wino", "head", "direct"):
        assert found(net | {two: other}) == set()
        assert found(net | {one: other}) == {c}
    line = unit(whole(b), c, (3, 1))
    assert found({one: "wino16", line: "wino16", last: "wino16"}) == set()


def test_rows_are_as_long_as_floats() -> None:
    a, b, c = value(0, 5, 23), value(1, 5, 23), value(2, 5, 23)
    assert found({unit(whole(a), b): "wino16", unit(whole(b), c): "wino16"}) == set()


def test_units_of_parts_side_by_side() -> None:
    a, b = value(0, 3), value(1, 2)
    units = narrow_units([Slice(a, 1, 2), whole(b)], {a: np.array([1, 2, 3], np.float32)})
    assert units is not None
    assert units.tolist() == [2, 3, 0, 0]
    assert narrow_units([whole(b)], {a: np.ones(3, np.float32)}) is None


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(5, 7), (6, 4), (13, 9), (24, 30)])
def test_what_a_map_has_to_hold(kernel: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((1, *size, 2)).astype(np.float32) * np.array([1, 9], np.float32)
    like = unit(Slice(value(0, 2), 0, 2), value(1, 3), (kernel, kernel)).conv
    found = held(torch.from_numpy(maps), replace(like, size=size, out_size=size))
    tile, largest = 9 - kernel, np.abs(maps).max(axis=(0, 1, 2))
    for y in range(0, size[0], tile):
        rows = np.zeros((8, size[1], 2))
        for r in range(8):
            if 0 <= y + r - kernel // 2 < size[0]:
                rows[r] = maps[0, y + r - kernel // 2]
        down = np.abs(np.einsum("ij,jxc->ixc", INPUT, rows)).max(axis=(0, 1))
        largest = np.maximum(largest, down * NARROW_MOST / 2**15)
    np.testing.assert_allclose(found, largest, rtol=1e-5)
