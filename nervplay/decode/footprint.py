"""How much memory the maps of a frame take, told from the network's graph before it runs."""

from collections.abc import Set as AbstractSet
from typing import Any

import torch

from nervplay.decode.graph import Graph, Node, Value

__all__ = ["MOST_BYTES_PER_PIXEL", "owners", "peak_bytes"]

aten = torch.ops.aten

MOST_BYTES_PER_PIXEL = 4096
"""More than any network here keeps at once per pixel of the frame: frames below the limit by this need no graph."""


def peak_bytes(graph: Graph, without: AbstractSet[Value] = frozenset()) -> int:
    """Return the bytes of the maps that live at the same time, where they are most.

    PyTorch frees a map after its last reader; a view takes nothing. Scratch memory of single operations comes on top.

    Args:
        graph: the network.
        without: values that never exist.
    """
    owner = owners(graph)
    last = {owner[value]: at for at, node in enumerate(graph.nodes) for value in node.inputs()}
    last[owner[graph.output]] = len(graph.nodes)
    living = peak = 0
    for at, node in enumerate(graph.nodes):
        made = {value for value in node.outputs if value is not None and owner[value] == value} - without
        living += sum(map(_bytes, made))
        peak = max(peak, living)
        ended = {owner[value] for value in node.inputs()} | made
        living -= sum(_bytes(value) for value in ended - without if last.get(value, at) == at and value != graph.index)
    return peak


def owners(graph: Graph) -> dict[Value, Value]:
    """Return the value whose memory each value shows: itself, unless it is a view of another one."""
    owner: dict[Value, Value] = {graph.index: graph.index}
    for node in graph.nodes:
        source = next(node.inputs(), None) if _is_view(node) else None
        for value in node.outputs:
            if value is not None:
                owner[value] = owner[source] if source else value
    return owner


def _is_view(node: Node) -> bool:
    """Whether the result shares the memory of the first input."""
    target: Any = node.target
    return target is aten._unsafe_view.default or any(  # noqa: SLF001 - the operation and the schema have no other names
        item.alias_info is not None
        for item in target._schema.returns  # noqa: SLF001
    )


def _bytes(value: Value) -> int:
    """Return the bytes of a map."""
    return torch.Size(value.shape).numel() * value.dtype.itemsize
