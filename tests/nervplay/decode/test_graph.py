"""Networks as lists of operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nervplay.decode.graph import Graph, UntraceableError, Value, trace

TABLE = torch.arange(24.0).reshape(6, 4)


def replay(graph: Graph, index: int) -> Tensor:
    values = {graph.index: torch.tensor([index])}

    def known(leaf: object) -> object:
        return values[leaf] if isinstance(leaf, Value) else leaf

    for node in graph.nodes:
        args, kwargs = tree_map(known, (node.args, node.kwargs), is_leaf=lambda leaf: isinstance(leaf, Value))
        result = node.target(*args, **kwargs)
        made = zip(node.outputs, (result,) if node.single else result, strict=True)
        values.update({value: tensor for value, tensor in made if value is not None})
    return values[graph.output]


def in_place_on_a_view(index: Tensor) -> Tensor:
    x = TABLE[index] * 2
    x.view(2, 2).add_(1)
    return x


def in_place_in_another_order(index: Tensor) -> Tensor:
    x = (TABLE[index] * 2).view(1, 2, 2)
    x.permute(0, 2, 1).contiguous().relu_()
    turned = x.permute(0, 2, 1)
    x.sub_(9)
    return turned.reshape(1, 4)


def weights_alone(index: Tensor) -> Tensor:
    return TABLE[index] @ (TABLE[:4].t() * 0.5).relu()


def several_outputs(index: Tensor) -> Tensor:
    first, second = TABLE[index].split(2, dim=1)
    return torch.cat([second, first.neg()], dim=1)


@pytest.mark.parametrize("function", [in_place_on_a_view, in_place_in_another_order, weights_alone, several_outputs])
def test_a_replay_gives_what_the_function_gives(function: Callable[[Tensor], Tensor]) -> None:
    graph = trace(function)
    for index in (0, 2, 5):
        torch.testing.assert_close(replay(graph, index), function(torch.tensor([index])), rtol=0, atol=0)


def test_what_depends_on_weights_alone_is_no_node() -> None:
    assert [str(node.target) for node in trace(weights_alone).nodes] == ["aten.index.Tensor", "aten.mm.default"]


def test_a_trace_computes_nothing() -> None:
    before = TABLE.clone()
    trace(in_place_on_a_view)
    assert torch.equal(TABLE, before)
    huge = trace(lambda index: index.float().view(1, 1, 1).expand(1, 1 << 16, 1 << 16).contiguous())
    assert huge.output.shape == (1, 1 << 16, 1 << 16)  # 16 GiB


def test_values_that_steer() -> None:
    with pytest.raises(UntraceableError, match="asks for a value"):
        trace(lambda index: TABLE[int(TABLE[index].sum())])
    with pytest.raises(UntraceableError, match="asks for a value"):
        trace(lambda index: TABLE[int(index)])


def test_half_a_memory_changed() -> None:
    def function(index: Tensor) -> Tensor:
        x = TABLE[index] * 2
        x[:, :2].add_(1)
        return x

    with pytest.raises(UntraceableError, match="shares a part"):
        trace(function)
