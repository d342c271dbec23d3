"""Ghost modules in a graph: a convolution, and behind its channels what a convolution of each of them makes.

    conv --+------------------> [cat] --> [* gate] --> [pixel shuffle] --> [activation]
           +--> [each alone] ---^

All behind `conv` is one `Ghost`. The pixel shuffle moves in front of it, into the convolution, and into that of the
gate, too: of a place of the shuffle, pixels are then as far apart as its factor.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, activation

__all__ = ["FoundGhost", "Ghost", "find_ghosts"]

aten = torch.ops.aten

_MOST_TAPS = 8


@dataclass(frozen=True, eq=False)
class Ghost:
    """What is behind the convolution of a ghost module: NK_GHOST.

    Args:
        depthwise: the convolution of each channel alone, C.
        factor: r of the pixel shuffle, 1 for none.
        activation: a name of `native.library.ACTIVATIONS`.
        slope: of "leaky".
        gate: (1, 2 C, H, W), shuffled as the source is; or None.
        source: (1, C, H, W), shuffled: in memory it is (r H, r W, C / r^2).
        target: (1, 2 C / r^2, r H, r W).
    """

    depthwise: Conv
    factor: int
    activation: str
    slope: float
    gate: Value | None
    source: Value
    target: Value

    def inputs(self) -> list[Value]:
        """Return all that it reads."""
        return [self.source, *([self.gate] if self.gate else [])]


class FoundGhost(NamedTuple):
    """A `Ghost` and what it replaces.

    Args:
        ghost: the part.
        shuffled: what convolutions make that are to store it through the pixel shuffle.
        nodes: operations that are no longer needed, in order of execution.
    """

    ghost: Ghost
    shuffled: tuple[Value, ...]
    nodes: Sequence[Node]


class _Finder:
    def __init__(
        self,
        graph: Graph,
        chains: Iterable[Sequence[Conv]],
        root: Mapping[Value, Value],
        readers: Mapping[Value, AbstractSet[int]],
    ) -> None:
        self._root, self._readers = root, readers
        self._node = {id(node): node for node in graph.nodes}
        self._made: dict[Value, Conv] = {}
        self._alone: dict[Value, Conv] = {}
        for *_, conv in chains:
            if conv.depthwise:
                self._alone[conv.target] = conv
            elif not (conv.rows or conv.batch > 1 or conv.shuffle > 1):
                self._made[conv.target] = conv

    def _only(self, value: Value, *targets: Any) -> Node | None:
        """Return the one node that reads a value, if it is one of these operations, or any where none is named."""
        readers = self._readers.get(value, ())
        node = self._node.get(next(iter(readers))) if len(readers) == 1 else None
        return node if node is not None and (not targets or node.target in targets) else None

    def _of(self, value: Value) -> Value:
        return self._root.get(value, value)

    def found(self, cat: Node) -> FoundGhost | None:
        """Return the ghost module whose parts a node puts side by side, or None."""
        pair, axis = cat.args[0], (*cat.args[1:], 0)[0]
        if len(pair) != 2 or axis != 1 or not all(isinstance(part, Value) for part in pair):
            return None
        source, made = (self._of(part) for part in pair)
        conv, depthwise = self._made.get(source), self._alone.get(made)
        if conv is None or depthwise is None or self._of(depthwise.source) != source or not _is_plain(conv, depthwise):
            return None
        if len(self._readers[source]) != len(pair) or self._only(made) is not cat:
            return None
        nodes, gate, last = [cat], None, cat
        product = self._only(cat.output, aten.mul.Tensor)
        if product is not None:
            others = [self._of(item) for item in product.inputs() if self._of(item) != cat.output]
            gate = others[0] if others else None
            if gate not in self._made or self._only(gate) is not product or gate.shape != cat.output.shape:
                return None
            nodes, last = [*nodes, product], product
        factor, shuffle = 1, self._only(last.output, aten.pixel_shuffle.default)
        if shuffle is not None:
            factor, nodes, last = int(shuffle.args[1]), [*nodes, shuffle], shuffle
        if len(conv.bias) % factor**2 or (factor == 1 and conv.is_head):
            return None
        name, slope = "none", 0.0
        behind = self._only(last.output)
        known = activation(behind) if behind is not None and behind.args[0] == last.output else None
        if known and behind is not None:
            (name, slope), nodes, last = known, [*nodes, behind], behind
        ghost = Ghost(depthwise, factor, name, slope, gate, conv.target, last.output)
        return FoundGhost(ghost, (conv.target, *([gate] if gate else [])), nodes)


def _is_plain(conv: Conv, depthwise: Conv) -> bool:
    """Whether a convolution has no activation, and that of its channels keeps their size, and has none either."""
    down, across = depthwise.weight.shape[2:]
    kept = depthwise.padding == (down // 2, across // 2) and down % 2 == across % 2 == 1
    silent = conv.activation == depthwise.activation == "none"
    return kept and silent and max(down, across) < _MOST_TAPS and len(conv.bias) == len(depthwise.bias)


def find_ghosts(
    graph: Graph,
    chains: Iterable[Sequence[Conv]],
    root: Mapping[Value, Value],
    readers: Mapping[Value, AbstractSet[int]],
) -> list[FoundGhost]:
    """Return the ghost modules of a network.

    Args:
        graph: the network.
        chains: its convolutions.
        root: the value that another one only repeats.
        readers: ids of the nodes that read a value.
    """
    finder = _Finder(graph, chains, root, readers)
    found = (finder.found(node) for node in graph.nodes if node.target is aten.cat.default)
    return [ghost for ghost in found if ghost]
