"""What is measured for integers."""

import numpy as np
import pytest
from decoder_networks import SPEC, network

from nervplay.decode.graph import trace
from nervplay.decode.lowering import lower
from nervplay.decode.openvino.bench import OpenvinoBench, candidates, quantised_from
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.translate import write
from nervplay.decode.tiles import Tiles

WHOLE = Tiles.whole(SPEC.height, SPEC.width)


@pytest.mark.parametrize("preset", ["hnerv-tiny", "hinerv-tiny"])
def test_integers_are_integers(preset: str) -> None:
    graph = trace(network(preset))
    lowered = lower(graph, 1)
    bench, found = OpenvinoBench(graph, lowered, 1, WHOLE), {}
    bench.measure(0, found)
    bench.measure(3, found)
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
    bench, found = OpenvinoBench(graph, lowered, 1, WHOLE), {}
    bench.measure(2, found)
    inputs = OpenvinoProgram(graph, write(graph, lowered, watched=list(found)), 1).maps(2)
    for (conv, values), maps in zip(found.items(), inputs, strict=True):
        unit = quantised_from(found)[conv].unit
        assert -0.18 < unit.low <= 0 < unit.high <= maps.max() * 1.01, "behind a GELU"
        assert unit.high > 0.3 * maps.max()
        assert values.shape == (2 + len(conv.weight),)
        np.testing.assert_array_equal(quantised_from(found)[conv].bias, conv.bias + values[2:])


def test_small_convolutions_stay_in_floats() -> None:
    lowered = lower(trace(network("hnerv-tiny")), 1)
    convs = [conv for step in lowered.steps if isinstance(step, list) for conv in step]
    chosen = candidates(lowered)
    total = sum(conv.multiplications for conv in convs)
    assert convs[-1] in chosen
    assert convs[0] not in chosen
    assert sum(conv.multiplications for conv in chosen) > 0.98 * total
