"""Convolutions between which maps part and meet again, as one step of the kernels: a `Net`.

    sum of a map and what a convolution makes        added where the convolution stores its result
    maps side by side (concatenation)                read by a convolution as one
    a stack of maps in depth                         one map, of which each convolution writes its channels
    one depth of a volume, or some                   some channels of a map

So none of these is an operation of its own, and of a map between the convolutions of a net only a few rows exist,
unless somebody outside reads it. Volumes (1, C, D, H, W) are maps with D C channels (`volumes`). What has none of these
is left to chains.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, Step, TorchStep
from nervplay.decode.streams import Stream, Streamed

__all__ = ["Net", "NetStep", "Netted", "Slice", "Unit", "find_nets", "map_channels"]

aten = torch.ops.aten

MOST_SOURCES = 4
"""`native.library.MAX_SOURCES`."""
MOST_BYTES = 8 << 20
"""Of the rows that a net keeps, about: more of them leave the caches, and longer nets then are slower, not faster."""
_VOLUME = 5
"""Dimensions of a value (1, C, D, H, W)."""
_RING_ROWS, _FEW_ROWS = 16, 8
"""Rows of a map that a net keeps, about, for Winograd's method and for others."""


class Slice(NamedTuple):
    """Some channels of a map.

    Args:
        value: the map.
        first: the first channel.
        channels: how many.
    """

    value: Value
    first: int
    channels: int


@dataclass(frozen=True, eq=False)
class Unit:
    """A convolution of a net.

    Args:
        conv: the convolution; its own `source` and `target` are not used.
        sources: what it reads, side by side.
        target: what it writes.
        added: what is added to its result, as many channels; or None.
    """

    conv: Conv
    sources: tuple[Slice, ...]
    target: Slice
    added: Slice | None = None

    def inputs(self) -> list[Value]:
        """Return the maps that it reads."""
        return [part.value for part in (*self.sources, *([self.added] if self.added else ()))]


@dataclass(frozen=True, eq=False)
class Net:
    """Convolutions that run together.

    Args:
        units: in an order in which each can run as a whole.
        outputs: the maps that others read.
    """

    units: Sequence[Unit]
    outputs: Sequence[Value]

    def inputs(self) -> list[Value]:
        """Return the maps that are there before, without repeats."""
        made = {unit.target.value for unit in self.units}
        return list(dict.fromkeys(value for unit in self.units for value in unit.inputs() if value not in made))


NetStep = Step | Stream | Net


@dataclass(frozen=True)
class Netted:
    """A network for the kernels.

    Args:
        steps: as those of `Streamed`, and nets.
    """

    steps: Sequence[NetStep]


def map_channels(value: Value) -> int:
    """Return the channels of a value as a map: of a volume of all depths."""
    return value.shape[1] * (value.shape[2] if len(value.shape) == _VOLUME else 1)


class _Views:
    """Says of which channels of which maps a value consists."""

    def __init__(self, graph: Graph, alone: AbstractSet[int], whole: AbstractSet[int]) -> None:
        self._alone, self._whole = alone, whole
        self._maker = {value: node for node in graph.nodes for value in node.outputs if value is not None}
        self._known: dict[Value, tuple[Slice, ...]] = {}

    def of(self, value: Value) -> tuple[Slice, ...]:
        """Return the channels that a value, (1, C, H, W) or (1, C, D, H, W), consists of."""
        if value not in self._known:
            node = self._maker.get(value)
            # What a stack is made of does not exist by itself where convolutions write into it.
            known = node is not None and id(node) in self._alone and id(node) not in self._whole
            found = self._resolved(node, value) if node is not None and known else None
            self._known[value] = _joined(found or (Slice(value, 0, map_channels(value)),))
        return self._known[value]

    def _resolved(self, node: Node, value: Value) -> tuple[Slice, ...] | None:
        """Return what an operation on views shows; None for others."""
        dim, shape = node.args[1] if len(node.args) > 1 else 0, value.shape
        joins = ((aten.cat.default, 1, 4), (aten.stack.default, 2, _VOLUME))
        if (node.target, dim, len(shape)) in joins:
            return self._all(node.args[0])
        source = node.args[0] if node.args else None
        if node.kwargs or not isinstance(source, Value) or len(source.shape) != _VOLUME or dim != 2:
            return None
        each = source.shape[1]
        if node.target is aten.unbind.int:
            return _cut(self.of(source), node.outputs.index(value) * each, each)
        if node.target is aten.select.int or (node.target is aten.slice.Tensor and len(node.args) == 4):
            return _cut(self.of(source), node.args[2] % source.shape[2] * each, map_channels(value))
        return None

    def _all(self, values: Sequence[Any]) -> tuple[Slice, ...] | None:
        if not all(isinstance(value, Value) and value.dtype == torch.float32 for value in values):
            return None
        return tuple(part for value in values for part in self.of(value))


def _cut(parts: Iterable[Slice], first: int, count: int) -> tuple[Slice, ...]:
    """Return `count` channels from number `first` on."""
    found, begin = [], 0
    for part in parts:
        low, high = max(first, begin), min(first + count, begin + part.channels)
        if low < high:
            found.append(Slice(part.value, part.first + low - begin, high - low))
        begin += part.channels
    return tuple(found)


def _joined(parts: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return the same with neighbours of one map as one."""
    made: list[Slice] = []
    for part in parts:
        if made and made[-1].value == part.value and made[-1].first + made[-1].channels == part.first:
            made[-1] = made[-1]._replace(channels=made[-1].channels + part.channels)
        else:
            made.append(part)
    return tuple(made)


@dataclass
class _Open:
    """A net that is being gathered: its units, the chains that they come from, and what has to wait for it."""

    units: list[Unit] = field(default_factory=list)
    chains: list[list[Conv]] = field(default_factory=list)
    behind: list[Step | Stream] = field(default_factory=list)
    blocked: set[Value] = field(default_factory=set)

    @property
    def written(self) -> set[Value]:
        """The maps that it makes."""
        return {unit.target.value for unit in self.units}

    @property
    def is_plain(self) -> bool:
        """Whether chains do as well; a view that comes behind they could not read, where units read what it shows."""
        return not any(
            unit.added
            or len(unit.sources) > 1
            or unit.conv.source in self.blocked
            or any(map(_is_partial, (*unit.sources, unit.target)))
            for unit in self.units
        )


def _is_partial(part: Slice) -> bool:
    return part.channels != map_channels(part.value)


class _Finder:
    """Turns steps into nets.

    Args:
        graph: the network.
        steps: the same, as steps.
        apart: stacks that are to be operations of PyTorch, because no single net makes all of them.
    """

    def __init__(self, graph: Graph, steps: Sequence[Step | Stream], apart: AbstractSet[Value]) -> None:
        self._graph, self._users, self._steps = graph, graph.users(), steps
        self._alone = {id(step.node) for step in steps if isinstance(step, TorchStep)}
        self._made: list[NetStep] = []
        self._open = _Open()
        self._swallowed: set[int] = set()
        self._views = _Views(graph, self._alone, self._swallowed)
        self._done: set[Value] = {graph.index}
        self._closed = 0
        self._writers: dict[Value, set[int]] = {}
        self._stacks = dict(self._stacked(apart))

    @property
    def split(self) -> set[Value]:
        """Stacks that several nets would have to make."""
        return {value for value, nets in self._writers.items() if len(nets) > 1}

    def _stacked(self, apart: AbstractSet[Value]) -> Iterable[tuple[Value, Slice]]:
        """Yield what convolutions make that is read as one depth of a stack only, and which channels of it that is."""
        ends = [step[-1] for step in self._steps if isinstance(step, list)]
        made = {conv.target for conv in ends if _fits(conv) and not conv.is_head}
        for node in self._graph.nodes:
            if id(node) not in self._alone or node.target is not aten.stack.default or node.args[1:] != (2,):
                continue
            values = node.args[0]
            single = all(value in made and len(self._users[value]) == 1 for value in values)
            if single and len(node.output.shape) == _VOLUME and node.output not in apart:
                self._swallowed.add(id(node))
                each = values[0].shape[1]
                yield from ((value, Slice(node.output, i * each, each)) for i, value in enumerate(values))

    def found(self) -> list[NetStep]:
        """Return the steps with nets, without what nobody reads any more."""
        for step in self._steps:
            if isinstance(step, list) and all(map(_fits, step)):
                self._gather(step)
            elif not isinstance(step, TorchStep) or id(step.node) not in self._swallowed:
                self._pass(step)
        self._close()
        return _living(self._made, self._graph.output)

    def _gather(self, chain: list[Conv]) -> None:
        """Add a chain to the open net, or to a new one."""
        units = [self._unit(conv) for conv in chain]
        blocked = any(value in self._open.blocked for unit in units for value in unit.inputs())
        if blocked or _ring_bytes([*self._open.units, *units]) > MOST_BYTES:
            self._close()
        self._open.units += units
        self._open.chains.append(chain)
        for unit in units:
            self._writers.setdefault(unit.target.value, set()).add(self._closed)

    def _unit(self, conv: Conv) -> Unit:
        sources, added, target = self._views.of(conv.source), None, conv.target
        if len(sources) > MOST_SOURCES:
            sources = (Slice(conv.source, 0, map_channels(conv.source)),)
        node = self._sum(conv)
        if node is not None:
            added = self._views.of(_other(node, conv.target))[0]
            target = node.output
            self._swallowed.add(id(node))
        self._done.add(target)
        place = self._stacks.get(target, Slice(target, 0, map_channels(target)))
        self._done.add(place.value)
        return Unit(conv, sources, place, added)

    def _sum(self, conv: Conv) -> Node | None:
        """Return the sum of what a convolution makes and a map that is there before, if only it reads that."""
        readers = self._users.get(conv.target, ())
        if len(readers) != 1 or conv.shuffle > 1 or conv.target in (self._graph.output, *self._stacks):
            return None
        node = readers[0]
        plain = node.target is aten.add.Tensor and id(node) in self._alone and not node.kwargs
        if not plain or len(node.args) > 2 or len(set(node.inputs())) != 2:
            return None
        other = _other(node, conv.target)
        parts = self._views.of(other)
        fits = other.shape == conv.target.shape and other.dtype == torch.float32 and len(parts) == 1
        return node if fits and parts[0].value in self._done and not conv.is_head else None

    def _pass(self, step: Step | Stream) -> None:
        """Let a step be as it is, in front of the open net if it can, else behind it."""
        outputs = _outputs(step)
        self._done.update(outputs)
        read = set(_inputs(step))
        if read & (self._open.written | self._open.blocked):
            self._open.behind.append(step)
            self._open.blocked.update(outputs)
        else:
            self._made.append(step)

    def _close(self) -> None:
        """End the open net."""
        gathered, self._open = self._open, _Open()
        self._closed += 1
        if gathered.is_plain:
            self._made += gathered.chains
        else:
            self._made.append(Net(gathered.units, ()))
        self._made += gathered.behind


def _ring_bytes(units: Sequence[Unit]) -> int:
    """Return the bytes of the rows of all maps that a net of these would keep, about."""
    rows: dict[Value, int] = {}
    for unit in units:
        few = unit.conv.is_head or unit.conv.weight.shape[2:] == (1, 1)
        for value in unit.inputs():
            rows[value] = max(rows.get(value, 0), min(_FEW_ROWS if few else _RING_ROWS, value.shape[-2]))
    return sum(4 * map_channels(value) * value.shape[-1] * count for value, count in rows.items())


def _other(node: Node, value: Value) -> Value:
    """Return the input of a node that is not this one."""
    return next(other for other in node.inputs() if other != value)


def _fits(conv: Conv) -> bool:
    """Whether a convolution can be part of a net."""
    return not (conv.rows or conv.depthwise or conv.batch > 1)


def _inputs(step: NetStep) -> list[Value]:
    if isinstance(step, TorchStep):
        return list(step.node.inputs())
    return step.inputs() if isinstance(step, Stream | Net) else [step[0].source]


def _outputs(step: NetStep) -> list[Value]:
    if isinstance(step, TorchStep):
        return [value for value in step.node.outputs if value is not None]
    if isinstance(step, Net):
        return list(dict.fromkeys(unit.target.value for unit in step.units))
    return [step.target if isinstance(step, Stream) else step[-1].target]


def _living(steps: Sequence[NetStep], output: Value) -> list[NetStep]:
    """Return the steps without those whose results nobody reads, and nets that know which of their maps are read."""
    needed, living = {output}, list[NetStep]()
    for step in reversed(steps):
        made = [value for value in _outputs(step) if value in needed]
        if made:
            needed.update(_inputs(step))
            living.append(replace(step, outputs=made) if isinstance(step, Net) else step)
    return living[::-1]


def find_nets(graph: Graph, streamed: Streamed) -> Netted:
    """Return a network with its nets; one without any is as it was.

    Args:
        graph: what `trace` gave.
        streamed: the same, as steps; volumes lowered.
    """
    apart: set[Value] = set()
    while True:
        finder = _Finder(graph, streamed.steps, apart)
        steps = finder.found()
        if not finder.split:
            return Netted(steps if any(isinstance(step, Net) for step in steps) else streamed.steps)
        apart |= finder.split
