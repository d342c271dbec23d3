"""Stages of HiNeRV and SRNeRV as streams of the native kernels: each a few rows ahead of the next, no map between them.

    Enlarge    [norm] --> [bilinear x s] --> + tile
    Mix        [each channel by itself 3x3] --> [norm] --> linear --> GELU --> linear --> (+ input)
    head       linear --> [activation], at most once and at the end

What else reads a map ends a stream there. A rectangle of a frame (`tiles`) has its enlargement and its sums in PyTorch,
for they are masked; its steps are streams of one `Mix` each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from nervplay.decode.footprint import peak_bytes
from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, Lowered, Step, TorchStep, activation

__all__ = ["Enlarge", "Mix", "Part", "Stream", "Streamed", "join", "streamed_bytes"]

aten = torch.ops.aten

_VIEWS = (aten.view.default, aten._unsafe_view.default)  # noqa: SLF001 - the operation has no other name
_RING_ROWS = 24
"""Rows of a map that a stream keeps, for an estimate of its memory."""


@dataclass(frozen=True, eq=False)
class Mix:
    """A refinement step: NK_MIX.

    Args:
        depthwise: the convolution of each channel by itself, 3x3.
        expand: the first linear layer.
        project: the second one.
        epsilon: of the norm.
        residual: whether the input is added.
        activation: between the layers, a name of `native.library.ACTIVATIONS`.
        source: (1, H, W, C).
        target: (1, H', W', C').
    """

    depthwise: Conv
    expand: Conv
    project: Conv
    epsilon: float
    residual: bool
    activation: str
    source: Value
    target: Value


@dataclass(frozen=True, eq=False)
class Enlarge:
    """The beginning of a stage: NK_ENLARGE.

    Args:
        factor: s.
        epsilon: of the norm; None for no norm.
        tile: (1, 1, s, 1, s, C), added.
        source: (1, H, W, C).
        target: (1, sH, sW, C).
    """

    factor: int
    epsilon: float | None
    tile: Value
    source: Value
    target: Value


Part = Mix | Enlarge | Conv


@dataclass(frozen=True, eq=False)
class Stream:
    """Parts of which each reads what the one before it makes, and nobody else does.

    Args:
        parts: in order; a `Conv` at the end only, a 1x1 head.
    """

    parts: Sequence[Part]

    @property
    def source(self) -> Value:
        """What the first part reads."""
        return self.parts[0].source

    @property
    def target(self) -> Value:
        """What the last part makes."""
        return self.parts[-1].target

    def inputs(self) -> list[Value]:
        """Return all that it reads."""
        return [self.source, *(part.tile for part in self.parts if isinstance(part, Enlarge))]


@dataclass(frozen=True)
class Streamed:
    """A network for the kernels.

    Args:
        steps: as those of `Lowered`, and streams.
        unsupported: as there.
        inside: values that no longer exist.
    """

    steps: Sequence[Step | Stream]
    unsupported: Sequence[str]
    inside: frozenset[Value]


@dataclass(frozen=True)
class _Found:
    """A part and the nodes that it replaces; values are those of the graph."""

    part: Part
    nodes: Sequence[Node]


class _Network:
    """A graph without what nobody reads, and its linear layers."""

    def __init__(self, graph: Graph, lowered: Lowered) -> None:
        needed, self.nodes = {graph.output}, []
        for node in reversed(graph.nodes):
            if any(value in needed for value in node.outputs):
                self.nodes.append(node)
                needed.update(node.inputs())
        self.nodes.reverse()
        self.users = Graph(graph.index, graph.output, self.nodes).users()
        self.maker = {value: node for node in self.nodes for value in node.outputs if value is not None}
        self.convs: dict[Value, Conv] = {
            step[0].source: step[0] for step in lowered.steps if isinstance(step, list) and len(step) == 1
        }

    def only(self, value: Value, *targets: Any) -> Node | None:
        """Return the one node that reads a value, if it is one of these operations."""
        users = self.users.get(value, ())
        return users[0] if len(users) == 1 and users[0].target in targets else None

    def path(self, value: Value, *steps: Any) -> list[Node] | None:
        """Return nodes of these operations (or tuples of them), each the only reader of the one before it."""
        found: list[Node] = []
        for step in steps:
            node = self.only(value, *(step if isinstance(step, tuple) else (step,)))
            if node is None:
                return None
            found.append(node)
            value = node.output
        return found


def _norm(node: Node) -> float | None:
    """Return epsilon of a norm over the last axis without weights, or None."""
    source, shape, weight, bias, epsilon = node.args
    plain = weight is None and bias is None and list(shape) == [source.shape[-1]]
    return float(epsilon) if plain else None


def _is_permuted(node: Node, order: Sequence[int]) -> bool:
    return list(node.args[1]) == list(order)


_TO_PLANES, _TO_PIXELS = [0, 3, 1, 2], [0, 2, 3, 1]


def _mix(network: _Network, start: Node) -> _Found | None:
    """Return the refinement step whose depthwise convolution reads what `start`, a permutation, makes."""
    source, conv = start.args[0], network.convs.get(start.output)
    if not _is_permuted(start, _TO_PLANES) or conv is None or not conv.depthwise or conv.bias.any():
        return None
    first = network.path(
        start.output, aten.convolution.default, aten.permute.default, aten.native_layer_norm.default, _VIEWS
    )
    plain = conv.activation == "none" and conv.shuffle == conv.batch == 1 and conv.padding == (1, 1)
    if first is None or not plain or conv.weight.shape[2:] != (3, 3) or not _is_permuted(first[1], _TO_PIXELS):
        return None
    epsilon, expand = _norm(first[2]), network.convs.get(first[3].output)
    second = network.path(first[3].output, aten.mm.default, _VIEWS, aten.gelu.default, _VIEWS)
    if second is None or epsilon is None or expand is None or activation(second[2]) != ("gelu", 0.0):
        return None
    project = network.convs.get(second[3].output)
    third = network.path(second[3].output, aten.mm.default, _VIEWS)
    if third is None or project is None or third[1].output.shape[:-1] != source.shape[:-1]:
        return None
    nodes, target = [start, *first, *second, *third], third[1].output
    added = network.only(target, aten.add.Tensor)
    if added is not None and set(added.inputs()) == {source, target} and not added.kwargs:
        nodes, target = [*nodes, added], added.output
    residual = target is not third[1].output
    return _Found(Mix(conv, expand, project, epsilon, residual, "gelu", source, target), nodes)


def _enlarge(network: _Network, start: Node) -> _Found | None:
    """Return the enlargement that begins with `start`, a norm or the permutation of a map that has none."""
    normed = start.target is aten.native_layer_norm.default
    epsilon = _norm(start) if normed else None
    before = network.path(start.output, aten.permute.default) if normed else []
    if before is None or (normed and epsilon is None):
        return None
    planes = before[0] if normed else start
    source = start.args[0]
    path = network.path(
        planes.output, aten.upsample_bilinear2d.default, aten.permute.default, _VIEWS, aten.add.Tensor,
        aten.reshape.default, aten.as_strided.default,
    )  # fmt: skip
    if path is None or not _is_permuted(planes, _TO_PLANES) or not _is_permuted(path[1], _TO_PIXELS):
        return None
    enlarged, _, raster, added, _, last = path
    batch, height, width, channels = source.shape
    factor = enlarged.output.shape[2] // height
    tile, target = added.args[1], last.output
    shapes = (
        (tuple(enlarged.output.shape), (1, channels, factor * height, factor * width)),
        (tuple(raster.output.shape), (1, height, factor, width, factor, channels)),
        (tuple(tile.shape), (1, 1, factor, 1, factor, channels)),
        (tuple(target.shape), (1, factor * height, factor * width, channels)),
    )
    strides = torch.empty(target.shape, device="meta").stride()
    whole = all(is_shape == expected for is_shape, expected in shapes) and tuple(last.args[2]) == strides
    if batch != 1 or not whole or enlarged.args[2] is not False or added.kwargs or not isinstance(tile, Value):
        return None
    return _Found(Enlarge(factor, epsilon, tile, source, target), [start, *before, *path])


def _head(network: _Network, start: Node) -> _Found | None:
    """Return the head that reads what `start`, a view of a map as rows, makes."""
    conv = network.convs.get(start.output)
    source = start.args[0]
    if conv is None or not conv.rows or len(source.shape) != 4 or source.shape[0] != 1:
        return None
    path = network.path(start.output, (aten.addmm.default, aten.mm.default), _VIEWS)
    if path is None or path[1].output.shape[:-1] != source.shape[:-1]:
        return None
    node = next(iter(network.users.get(path[1].output, ())), None)
    found = activation(node) if node is not None and network.only(path[1].output, node.target) else None
    nodes = [start, *path, *([node] if found and node else [])]
    planes = network.only(nodes[-1].output, aten.permute.default)
    if planes is None or not _is_permuted(planes, _TO_PLANES):
        return None
    name, slope = found or ("none", 0.0)
    size = (source.shape[1], source.shape[2])
    head = replace(
        conv, source=source, target=planes.output, size=size, out_size=size, rows=False, activation=name, slope=slope
    )
    return _Found(head, [*nodes, planes]) if head.is_head else None


def _find(network: _Network, longest: int) -> list[list[_Found]]:
    """Return the parts of each stream, of which it has at most `longest`."""
    found: dict[Value, _Found] = {}
    taken: set[int] = set()
    for node in network.nodes:
        part: _Found | None = None
        if id(node) in taken:
            continue
        if node.target is aten.permute.default:
            part = _mix(network, node) or _enlarge(network, node)
        elif node.target is aten.native_layer_norm.default:
            part = _enlarge(network, node)
        elif node.target in _VIEWS:
            part = _head(network, node)
        if part is not None:
            found.setdefault(part.part.source, part)
            taken.update(map(id, part.nodes))
    streams: list[list[_Found]] = []
    continued: dict[Value, list[_Found]] = {}
    for source, part in found.items():
        readers = {id(node) for node in network.users[source]}
        stream = continued.pop(source, None)
        if stream is None or len(stream) == longest or not readers <= {id(node) for node in part.nodes}:
            stream = []
            streams.append(stream)
        stream.append(part)
        if not isinstance(part.part, Conv):
            continued[part.part.target] = stream
    return [stream for stream in streams if not isinstance(stream[0].part, Conv)]


def join(graph: Graph, lowered: Lowered, longest: int) -> Streamed:
    """Return a network with its streams joined; one without any is as it was.

    Args:
        graph: what `trace` gave.
        lowered: the same, as steps.
        longest: most parts of a stream.
    """
    network = _Network(graph, lowered)
    streams = _find(network, longest)
    if not streams:
        return Streamed(lowered.steps, lowered.unsupported, frozenset())
    inside = {value for stream in streams for part in stream for node in part.nodes for value in node.outputs}
    living = {id(node) for node in network.nodes}
    ends: Mapping[Value, Stream] = {
        stream[-1].nodes[-1].output: Stream([found.part for found in stream]) for stream in streams
    }
    steps: list[Step | Stream] = []
    for step in lowered.steps:
        target = step.node.output if isinstance(step, TorchStep) else step[-1].target
        if target in ends:
            steps.append(ends[target])
        elif target not in inside and (not isinstance(step, TorchStep) or id(step.node) in living):
            steps.append(step)
    return Streamed(steps, lowered.unsupported, frozenset(value for value in inside if value and value not in ends))


def streamed_bytes(graph: Graph, streamed: Streamed) -> int:
    """Return the bytes of maps that live at once where streams are joined: about, for of these rows are kept.

    Args:
        graph: what `trace` gave.
        streamed: the same, joined.
    """
    parts = [part for step in streamed.steps if isinstance(step, Stream) for part in step.parts[1:]]
    rows = sum(part.source.shape[2] * part.source.shape[3] * min(part.source.shape[1], _RING_ROWS) for part in parts)
    return peak_bytes(graph, streamed.inside) + 4 * rows
