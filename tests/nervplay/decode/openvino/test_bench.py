"""What is measured for integers."""

import numpy as np
import pytest
from decoder_networks import SPEC, network

from nervplay.decode.graph import trace
from nervplay.decode.lowering import lower
from nervplay.decode.openvino.bench import OpenvinoBench, candidates
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.translate import write
from nervplay.decode.tiles import Tiles
from nervplay.decode.w8a8 import integers_from

WHOLE = Tiles.whole(SPEC.height, SPEC.width)


@pytest.mark.parametrize("preset", ["hnerv-tiny", "hinerv-tiny"])
def test_integers_are_integers(preset: str) -> None:
    graph = trace(network(preset))
    lowered = lower(graph, 1)
    bench = OpenvinoBench(graph, lowered, 1, WHOLE)
    bench.measure(0)
    bench.measure(3)
    found = {conv: bench.found(conv) for conv in bench.convolutions()}
    assert list(found) == candidates(lowered)
    assert bench.program(found).integer_products() == len(found) > 2
    assert bench.program({}).integer_products() == 0
    first = next(iter(found))
    assert bench.program({first: found[first]}).integer_products() == 1
    exact, rounded = bench.frame(3, {}), bench.frame(3, found)
    assert 1e-5 < (exact - rounded).abs().max() < 0.1
    least, all_of_them = (bench.frame(3, dict(list(found.items())[:n])) - exact for n in (1, len(found)))
    assert least.square().mean() < all_of_them.square().mean()


def test_what_is_measured_of_an_input() -> None:
    graph = trace(network("hnerv-tiny"))
    lowered = lower(graph, 1)
    bench = OpenvinoBench(graph, lowered, 1, WHOLE)
    bench.measure(2)
    found = integers_from({conv: bench.found(conv) for conv in bench.convolutions()})
    inputs = OpenvinoProgram(graph, write(graph, lowered, watched=list(found)), 1).maps(2)
    for (conv, integers), maps in zip(found.items(), inputs, strict=True):
        units, peaks = integers.units, maps.max(axis=(0, 2, 3))
        assert (units.low <= 0).all()
        assert (units.high > 0.2 * peaks).all()
        assert (units.high < 2 * peaks + 0.2).all(), "behind a GELU nothing is below -0.17"
        assert np.unique(units.scale).size > 1
        assert integers.weight.shape == conv.weight.shape
        assert 0 < np.abs(integers.bias - conv.bias).max() < 0.05


def test_small_convolutions_stay_in_floats() -> None:
    lowered = lower(trace(network("hnerv-tiny")), 1)
    convs = [conv for step in lowered.steps if isinstance(step, list) for conv in step]
    chosen = candidates(lowered)
    total = sum(conv.multiplications for conv in convs)
    assert convs[-1] in chosen
    assert convs[0] not in chosen
    assert sum(conv.multiplications for conv in chosen) > 0.98 * total
