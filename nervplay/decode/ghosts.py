"""Ghost modules in a graph: a convolution, and behind its channels what a convolution of each of them makes.

    conv --+------------------> [cat] --> [* gate] --> [pixel shuffle] --> [activation]
           +--> [each alone] ---^

All behind `conv` is one `Ghost`. The pixel shuffle moves in front of it, into the convolution, and into that of the
gate, too: of a place of the shuffle, pixels are then as far apart as its factor. A gate that a convolution of 1x1
makes, with convolutions of each channel by itself in front of it, can be part of the module:

    x --> [each alone, k x 1] --> [each alone, 1 x k] --> [1x1] --> gate
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, activation

__all__ = ["FoundGhost", "Gate", "Ghost", "find_ghosts"]

aten = torch.ops.aten

_MOST_TAPS = 8
_MAP = 4
"""Dimensions of a map."""


@dataclass(frozen=True, eq=False)
class Gate:
    """What makes the gate of a ghost module: nk_gate.

    Args:
        conv: the convolution of 1x1; it stores through the module's pixel shuffle.
        taps: of each channel by itself in front of it, down and across the map, each float32 (taps, C).
        source: the map that those read, (1, C, H, W).
        swallowed: what all of these convolutions make, which nobody reads any more.
    """

    conv: Conv
    taps: tuple[NDArray[np.float32], NDArray[np.float32]]
    source: Value
    swallowed: frozenset[Value]


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
        made: what makes the gate, which never is a map then; or None.
    """

    depthwise: Conv
    factor: int
    activation: str
    slope: float
    gate: Value | None
    source: Value
    target: Value
    made: Gate | None = None

    def inputs(self) -> list[Value]:
        """Return all that it reads."""
        gate = self.made.source if self.made else self.gate
        return [self.source, *([gate] if gate else [])]

    def with_gate(self, made: Gate | None) -> "Ghost":
        """Return the same with its gate made inside, if that is possible."""
        return replace(self, gate=None, made=made) if made else self


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
        *,
        gates: bool,
    ) -> None:
        self._root, self._readers, self._gates = root, readers, gates
        self._single = set[Value]()
        self._node = {id(node): node for node in graph.nodes}
        self._made: dict[Value, Conv] = {}
        self._alone: dict[Value, Conv] = {}
        for *first, conv in chains:
            if not first:
                self._single.add(conv.target)
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
        return FoundGhost(ghost.with_gate(self._gate(gate, factor)), (conv.target, *([gate] if gate else [])), nodes)

    def _gate(self, gate: Value | None, factor: int) -> Gate | None:
        """Return what makes a gate, if a ghost module can do that."""
        conv = self._made[gate] if gate in self._single and self._gates else None
        if conv is None or conv.weight.shape[2:] != (1, 1) or len(conv.source.shape) != _MAP:
            return None
        taps, source = [np.ones((1, conv.weight.shape[1]), np.float32)] * 2, self._of(conv.source)
        swallowed = {conv.target}
        while (before := self._alone.get(source)) is not None and len(self._readers[source]) == 1:
            axis = _line(before)
            if axis is None or len(taps[axis]) > 1 or before.target not in self._single:
                break
            taps[axis] = np.ascontiguousarray(before.weight.reshape(len(before.weight), -1).T)
            swallowed.add(before.target)
            source = self._of(before.source)
        return Gate(replace(conv, shuffle=factor), (taps[0], taps[1]), source, frozenset(swallowed))


def _is_plain(conv: Conv, depthwise: Conv) -> bool:
    """Whether a convolution has no activation, and that of its channels keeps their size, and has none either."""
    down, across = depthwise.weight.shape[2:]
    kept = depthwise.padding == (down // 2, across // 2) and down % 2 == across % 2 == 1
    silent = conv.activation == depthwise.activation == "none"
    return kept and silent and max(down, across) < _MOST_TAPS and len(conv.bias) == len(depthwise.bias)


def _line(conv: Conv) -> int | None:
    """Return where the taps of a convolution of each channel lie: 0 for down, 1 for across; None for other ones.

    One that is a line adds no bias, has no activation, and keeps the size.
    """
    down, across = conv.weight.shape[2:]
    kept = conv.padding == (down // 2, across // 2) and down % 2 == across % 2 == 1
    if min(down, across) > 1 or not 1 < max(down, across) < _MOST_TAPS or not kept or conv.batch > 1:
        return None
    return int(across > 1) if conv.activation == "none" and not conv.bias.any() else None


def find_ghosts(
    graph: Graph,
    chains: Iterable[Sequence[Conv]],
    root: Mapping[Value, Value],
    readers: Mapping[Value, AbstractSet[int]],
    *,
    gates: bool,
) -> list[FoundGhost]:
    """Return the ghost modules of a network.

    Args:
        graph: the network.
        chains: its convolutions.
        root: the value that another one only repeats.
        readers: ids of the nodes that read a value.
        gates: whether modules are to make their gates themselves.
    """
    finder = _Finder(graph, chains, root, readers, gates=gates)
    found = (finder.found(node) for node in graph.nodes if node.target is aten.cat.default)
    return [ghost for ghost in found if ghost]
