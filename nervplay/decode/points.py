"""Operations on each value by itself, found in a graph: which of them become one `Points`, a part of a chain.

    sums, products, differences of maps | the same with one number per channel | activations | instance norm

Operations belong together where each is read by others of them only, but for the last. An instance norm is a product
and a sum with numbers that `Moments` finds in the whole map before.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import activation
from nervplay.decode.native.library import POINT_INPUTS, POINT_LINES, POINT_SLOTS

__all__ = ["Group", "Line", "Moments", "Operands", "Points", "Reading", "find_groups"]

aten = torch.ops.aten


_PASSED = {
    aten.detach.default,
    aten.alias.default,
    aten.clone.default,
    aten.lift_fresh.default,
    aten.view.default,
    aten._unsafe_view.default,  # noqa: SLF001 - the operation has no other name
}
_BINARY = {aten.add.Tensor: "add", aten.sub.Tensor: "subtract", aten.mul.Tensor: "multiply"}
_COMMUTE = {"add", "multiply"}
Operand = Value | Tensor


class Line(NamedTuple):
    """One operation of a `Points`: `nk_point_line`.

    Args:
        code: a name of `native.library.CODES`.
        reads: slots: operands by their number, results of other lines from `POINT_INPUTS` on.
        result: the slot that it fills.
        activation: a name of `native.library.ACTIVATIONS`, for "activate".
        scale: of "affine", or the slope of "leaky".
        shift: of "affine".
    """

    code: str
    reads: tuple[int, ...]
    result: int
    activation: str = "none"
    scale: float = 0.0
    shift: float = 0.0


class Operands(NamedTuple):
    """What a `Points` reads.

    Args:
        values: maps (1, C, H, W), or (1, C, 1, 1) and what can be made that; the first one is a map.
        repeated: whether an operand is one number per channel.
    """

    values: tuple[Operand, ...]
    repeated: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Points:
    """Operations on each value by itself: NK_POINT.

    Args:
        lines: in order; the result of the last one is what comes out.
        operands: what they read.
        target: what is made, (1, C, H, W).
    """

    lines: tuple[Line, ...]
    operands: Operands
    target: Value

    @property
    def source(self) -> Value:
        """The map that streams in."""
        first = self.operands.values[0]
        assert isinstance(first, Value)
        return first

    def inputs(self) -> list[Value]:
        """Return all that depends on the frame."""
        return [value for value in self.operands.values if isinstance(value, Value)]

    def maps(self) -> list[Value]:
        """Return those of them that are maps."""
        pairs = zip(*self.operands, strict=True)
        return [value for value, repeated in pairs if isinstance(value, Value) and not repeated]

    def reading(self, source: Value) -> "Points":
        """Return the same with another of its maps as the one that streams in."""
        place = next(n for n, value in enumerate(self.operands.values) if isinstance(value, Value) and value == source)
        swap = {0: place, place: 0}
        order = [swap.get(number, number) for number in range(len(self.operands.values))]
        values = tuple(self.operands.values[number] for number in order)
        repeated = tuple(self.operands.repeated[number] for number in order)
        lines = tuple(line._replace(reads=tuple(swap.get(slot, slot) for slot in line.reads)) for line in self.lines)
        return replace(self, lines=lines, operands=Operands(values, repeated))


@dataclass(frozen=True, eq=False)
class Moments:
    """What makes each channel of a map have mean 0 and variance 1: nk_moments.

    Args:
        source: (1, C, H, W).
        epsilon: added to the variance.
        gain: (C,), on top; None for 1.
        shift: (C,), on top of that; None for 0.
        factor: (1, C, 1, 1), what the map is to be multiplied with.
        offset: (1, C, 1, 1), what is added then.
    """

    source: Value
    epsilon: float
    gain: Tensor | None
    shift: Tensor | None
    factor: Value
    offset: Value


@dataclass(frozen=True)
class Group:
    """Nodes that become one `Points`.

    Args:
        points: what they are.
        moments: what has to be known before, by the node that is no longer needed for it.
        nodes: all of them, in order.
    """

    points: Points
    moments: dict[int, Moments] = field(default_factory=dict)
    nodes: Sequence[Node] = ()


class _Found(NamedTuple):
    """What one node is: a code, its operands, and numbers."""

    code: str
    operands: tuple[Operand, ...]
    activation: str = "none"
    scale: float = 0.0
    shift: float = 0.0


def _is_map(operand: Operand, shape: Sequence[int]) -> bool:
    """Whether an operand has a value for each of a result of that shape."""
    own = tuple(operand.shape)
    return torch.Size(own).numel() == torch.Size(shape).numel() and own == tuple(shape)[len(shape) - len(own) :]


def _is_vector(operand: Operand, shape: Sequence[int]) -> bool:
    """Whether an operand has one value for each channel, or one for all."""
    own, count = tuple(operand.shape), torch.Size(operand.shape).numel()
    return count == 1 or (count == shape[1] and own[-3:] == (shape[1], 1, 1))


def _operation(node: Node) -> _Found | None:
    """Return what a node does to each value, or None if it is not of that kind."""
    args, known = node.args, activation(node)
    found: _Found | None = None
    if known:
        found = _Found("activate", args[:1], *known)
    elif node.kwargs or not args or not isinstance(args[0], Operand):
        pass
    elif node.target in _BINARY:
        code = _BINARY[node.target]
        found = _Found(code, args) if isinstance(args[1], Operand) else _with_number(code, args[0], float(args[1]))
    elif node.target is aten.div.Tensor and not isinstance(args[1], Operand):
        found = _Found("affine", args[:1], scale=1 / float(args[1]))
    elif node.target is aten.rsub.Scalar and args[2:] == ():
        found = _Found("affine", args[:1], scale=-1.0, shift=float(args[1]))
    return found


def _with_number(code: str, operand: Operand, number: float) -> _Found:
    scale, shift = {"add": (1.0, number), "subtract": (1.0, -number), "multiply": (number, 0.0)}[code]
    return _Found("affine", (operand,), scale=scale, shift=shift)


class Reading:
    """Who reads what in a graph.

    Args:
        graph: the network.
        alone: ids of nodes that are no part of anything yet.

    Attributes:
        root: the value that another one only repeats, by that one.
        readers: ids of the nodes that read a value under any name, by its root; 0 for the caller of the network.
    """

    def __init__(self, graph: Graph, alone: AbstractSet[int]) -> None:
        self.root: dict[Value, Value] = {}
        for node in graph.nodes:
            if node.target not in _PASSED or id(node) not in alone:
                continue
            source = node.args[0]
            if isinstance(source, Value) and node.output.shape == source.shape:
                self.root[node.output] = self.rooted(source)
        self.readers: dict[Value, set[int]] = {self.rooted(graph.output): {0}}
        for node in graph.nodes:
            if node.outputs[0] is None or node.output not in self.root:
                for value in node.inputs():
                    self.readers.setdefault(self.rooted(value), set()).add(id(node))

    def rooted(self, value: Value) -> Value:
        """Return the value that this one repeats, itself for most."""
        return self.root.get(value, value)


class _Finder:
    """Looks for groups among nodes that run by themselves."""

    def __init__(self, graph: Graph, alone: AbstractSet[int], reading: Reading) -> None:
        self._alone = alone
        self.root, self.readers, self.rooted = reading.root, reading.readers, reading.rooted
        self.maker = {value: node for node in graph.nodes for value in node.outputs if value is not None}
        self._next = 1 + max((value.number for value in self.maker), default=0)

    def new(self, like: Node) -> Value:
        """Return a value that is in no graph yet: one number per channel of what a node makes."""
        self._next += 1
        return Value(self._next, (1, like.output.shape[1], 1, 1), torch.float32)

    def fits(self, node: Node) -> bool:
        """Whether a node can be part of a group."""
        if id(node) not in self._alone or node.outputs[0] is None or not _is_plain(node.output):
            return False
        if self.is_norm(node):
            return True
        found, shape = _operation(node), node.output.shape
        if found is None or node.output in self.root:
            return False
        operands = found.operands
        known = all(operand.dtype == torch.float32 and (_is_map(operand, shape) or _is_vector(operand, shape))
                    for operand in operands)  # fmt: skip
        return known and any(isinstance(operand, Value) and _is_map(operand, shape) for operand in operands)

    def is_norm(self, node: Node) -> bool:
        """Whether a node is an instance norm."""
        if node.target is not aten.native_batch_norm.default:
            return False
        source, gain, shift, _, _, training = node.args[:6]
        constant = isinstance(gain, Tensor | None) and isinstance(shift, Tensor | None)
        unread = not any(self.readers.get(value) for value in node.outputs[1:] if value is not None)
        return bool(training and constant and isinstance(source, Value) and unread)

    def group(self, last: Node, taken: set[int]) -> list[Node]:
        """Return the nodes that end with `last` and of which nobody else reads anything, in order."""
        chosen, order = {id(last)}, [last]
        pending = [last]
        while pending:
            last_found = pending.pop()
            if self.is_norm(last_found):
                continue  # what it reads has to be whole before
            for value in last_found.inputs():
                node = self.maker.get(self.rooted(value))
                if node is None or id(node) in chosen | taken or not self.fits(node):
                    continue
                same = node.output.shape == last.output.shape
                if same and self.readers[node.output] <= chosen and len(chosen) < POINT_LINES // 2:
                    chosen.add(id(node))
                    order.append(node)
                    pending.append(node)
        # A node may come before one that reads it was found; the order of the graph is that of execution.
        return sorted(order, key=lambda node: node.output.number)


def _is_plain(value: Value) -> bool:
    return len(value.shape) == 4 and value.shape[0] == 1 and value.dtype == torch.float32


class _Writer:
    """Turns a group's nodes into lines."""

    def __init__(self, finder: _Finder, nodes: Sequence[Node]) -> None:
        self._finder, self._nodes = finder, nodes
        self._shape = nodes[-1].output.shape
        self._operands: list[Operand] = []
        self._slots: dict[Value, int] = {}
        self._lines: list[Line] = []
        self._reads = {id(node): 0 for node in nodes}
        self.moments: dict[int, Moments] = {}

    def written(self) -> Points | None:
        """Return the lines, or None where they are more than the kernels hold."""
        for node in self._nodes:
            self._write(node)
        maps = [number for number, value in enumerate(self._operands) if self._streams(value)]
        if len(self._operands) > POINT_INPUTS or len(self._lines) > POINT_LINES or not maps:
            return None
        lines = _in_few_slots(_merged(self._lines))
        if any(line.result >= POINT_INPUTS + POINT_SLOTS for line in lines):
            return None
        repeated = tuple(not _is_map(value, self._shape) for value in self._operands)
        points = Points(tuple(lines), Operands(tuple(self._operands), repeated), self._nodes[-1].output)
        first = self._operands[maps[0]]
        assert isinstance(first, Value)
        return points.reading(first)

    def _streams(self, value: Operand) -> bool:
        return isinstance(value, Value) and _is_map(value, self._shape) and _is_plain(value)

    def _slot(self, operand: Operand) -> int:
        """Return where an operand is found."""
        if isinstance(operand, Value):
            operand = self._finder.rooted(operand)
            if operand in self._slots:
                return self._slots[operand]
            self._slots[operand] = len(self._operands)
        self._operands.append(operand)
        return len(self._operands) - 1

    def _add(self, node: Node, code: str, *reads: int, **numbers: Any) -> int:
        result = POINT_INPUTS + len(self._lines)
        self._lines.append(Line(code, reads, result, **numbers))
        self._slots[node.output] = result
        return result

    def _write(self, node: Node) -> None:
        if self._finder.is_norm(node):
            source, gain, shift, *_, epsilon = node.args
            moments = Moments(
                self._finder.rooted(source), float(epsilon), gain, shift, self._finder.new(node), self._finder.new(node)
            )
            self.moments[id(node)] = moments
            read = (moments.source, moments.factor, moments.offset)
            self._add(node, "multiply_add", *map(self._slot, read))
            return
        found = _operation(node)
        assert found is not None
        operands = found.operands
        if found.code in _COMMUTE and not _is_map(operands[0], self._shape):
            operands = operands[::-1]
        reads = [self._slot(operand) for operand in operands]
        self._add(node, found.code, *reads, activation=found.activation, scale=found.scale, shift=found.shift)


def _merged(lines: Sequence[Line]) -> list[Line]:
    """Return lines with sums of a product, which nobody else reads, computed in one."""
    count: dict[int, int] = {}
    for line in lines:
        for slot in line.reads:
            count[slot] = count.get(slot, 0) + 1
    products = {line.result: line for line in lines if line.code == "multiply" and count.get(line.result) == 1}
    made: list[Line] = []
    for line in lines:
        found = [slot for slot in line.reads if line.code == "add" and slot in products]
        if not found:
            made.append(line)
            continue
        product, other = products[found[0]], line.reads[1 - line.reads.index(found[0])]
        made.remove(product)
        made.append(line._replace(code="multiply_add", reads=(*product.reads, other)))
    return made


def _in_few_slots(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with results in as few slots as can be."""
    last = {slot: number for number, line in enumerate(lines) for slot in line.reads}
    place: dict[int, int] = {}
    free: list[int] = []
    used = 0
    made = []
    for number, line in enumerate(lines):
        reads = tuple(place.get(slot, slot) for slot in line.reads)
        ended = {slot for slot in line.reads if slot in place and last[slot] == number}
        free += [place[slot] for slot in sorted(ended)]  # a line reads what it needs before it writes over it
        if not free:
            free.append(POINT_INPUTS + used)
            used += 1
        place[line.result] = free.pop()
        made.append(line._replace(reads=reads, result=place[line.result]))
    return made


def find_groups(graph: Graph, alone: AbstractSet[int], reading: Reading) -> dict[int, Group]:
    """Return what operations on each value there are, by the id of the last node of each group.

    Args:
        graph: the network.
        alone: ids of nodes that are no part of anything yet.
        reading: who reads what.
    """
    finder, groups, taken = _Finder(graph, alone, reading), {}, set[int]()
    for node in reversed(graph.nodes):
        if id(node) in taken or not finder.fits(node):
            continue
        nodes = finder.group(node, taken)
        writer = _Writer(finder, nodes)
        points = writer.written()
        if points is not None:
            groups[id(node)] = Group(points, writer.moments, nodes)
            taken.update(map(id, nodes))
    return groups
