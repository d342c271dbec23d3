"""A network that runs on the native kernels: chains of convolutions there, everything else in PyTorch.

Maps are kept with channels innermost; PyTorch sees them as (B, C, H, W) tensors in channels_last order, so nothing is
copied between the two. Chains write into buffers that stay; two share one where the first one's result has had its last
reader before the second one starts.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from nervplay.decode.footprint import owners
from nervplay.decode.ghosts import Ghost
from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, TorchStep
from nervplay.decode.native.library import ACTIVATIONS, Isa, Pool, load, run_chain
from nervplay.decode.native.packing import padded
from nervplay.decode.native.plan import Plan, plan_chain
from nervplay.decode.native.plan_net import NetPlan, narrow_between, plan_net
from nervplay.decode.native.plan_stream import StreamPlan, plan_stream
from nervplay.decode.nets import Net, map_channels
from nervplay.decode.points import Moments, Points
from nervplay.decode.stages import StageTime
from nervplay.decode.streams import Enlarge, Mix, Stream
from nervplay.decode.torch_decoder import torch_threads
from nervplay.decode.weave import Part, Woven, inputs_of

__all__ = ["REPLACED", "Program", "TorchCall", "Watch"]

_IN_PYTORCH = "in PyTorch"
_VOLUME = 5
"""Dimensions of a value (1, C, D, H, W)."""

aten = torch.ops.aten
Float = NDArray[np.float32]
Values = dict[Value, Tensor]
Watch = Callable[[Conv, Tensor], None]
"""Called with a convolution and its input, float32 (B, H, W, C), before it runs."""

# A view of a map in another memory order may need a copy, which reshape makes.
REPLACED = {aten.view.default: aten.reshape.default, aten._unsafe_view.default: aten.reshape.default}  # noqa: SLF001
"""Operations that a program runs in place of others."""

# What they make depends on how many threads share them: sums on their order, others on where the share of each ends;
# what does not fill a vector there is computed by other instructions. A frame must not depend on that.
_ALONE = {
    aten.convolution.default,
    aten.addmm.default,
    aten.mm.default,
    aten.bmm.default,
    aten.native_batch_norm.default,
    aten.native_group_norm.default,
    aten.native_layer_norm.default,
    aten.mean.dim,
    aten.sum.dim_IntList,
    aten.gelu.default,
    aten.sigmoid.default,
    aten.silu.default,
    aten.softplus.default,
    aten.upsample_bilinear2d.default,
}


class Program:
    """Runs a lowered network; one thread at a time.

    Args:
        graph: the network.
        woven: the same, as steps.
        isa: instruction set of the kernels.
        pool: the threads; it must outlive the program's last run.
        threads: how many they are.
        peaks: for convolutions that are to have 16-bit products, the largest magnitudes of their transformed input.
        watch: sees the input of every chain; chains must be of one convolution then.
        measure: streams note how large what their products read gets (`StreamPlan.peaks`).
    """

    def __init__(
        self,
        graph: Graph,
        woven: Woven,
        *,
        isa: Isa,
        pool: Pool,
        threads: int,
        peaks: Mapping[Conv, Float] | None = None,
        watch: Watch | None = None,
        measure: bool = False,
    ) -> None:
        self._graph = graph
        self._steps: list[TorchCall | _Chain | _Linear | _Streaming | _Netting | _Measure] = []
        self._free: list[list[Value]] = []
        self.plans: list[Plan | StreamPlan | NetPlan] = []
        self.peaks = dict(peaks or {})
        reads: list[list[Value]] = []
        buffers = _Buffers(graph, woven)
        known = {conv.target: peak for conv, peak in self.peaks.items()}  # parts of a chain may be other objects
        nets = [step for step in woven.steps if isinstance(step, Net)]
        others = (value for step in woven.steps if not isinstance(step, Net) for value in inputs_of(step))
        narrow = narrow_between(nets, {graph.output, *others}, peaks)
        self.narrow_maps = len(narrow)
        for place, step in enumerate(woven.steps):
            reads.append(inputs_of(step))
            if isinstance(step, TorchStep):
                self._steps.append(TorchCall(step.node))
            elif isinstance(step, Moments):
                self._steps.append(_Measure(step, isa, pool))
            elif isinstance(step, Stream):
                streaming = plan_stream(step, isa, threads, peaks, measure=measure)
                self.plans.append(streaming)
                self._steps.append(_Streaming(streaming, isa, pool, buffers.at(place)))
            elif isinstance(step, Net):
                net = plan_net(step, isa, threads, peaks, narrow)
                self.plans.append(net)
                self._steps.append(_Netting(net, isa, pool))
            else:
                measured = {conv: known[conv.target] for conv in map(_inside, step) if conv and conv.target in known}
                plan = plan_chain(step, isa, threads, measured)
                self.plans.append(plan)
                self._steps.append(_chain_call(plan, isa, pool, watch, buffers.at(place)))
        last = {value: i for i, values in enumerate(reads) for value in values}
        self._free = [[value for value, at in last.items() if at == i] for i in range(len(reads))]

    @property
    def integer_products(self) -> list[Conv]:
        """Convolutions and linear layers with 16-bit products."""
        return [conv for plan in self.plans for conv in _integers(plan)]

    @torch.inference_mode()
    def run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W); the next run may overwrite it."""
        values: Values = {self._graph.index: torch.tensor([index])}
        for step, finished in zip(self._steps, self._free, strict=True):
            step(values)
            for value in finished:
                values.pop(value, None)
        return values[self._graph.output]

    @torch.inference_mode()
    def times(self, index: int) -> list[StageTime]:
        """Make frame `index` and return how long each chain took, and PyTorch's operations between two chains."""
        values: Values = {self._graph.index: torch.tensor([index])}
        found: list[StageTime] = []
        for step, finished in zip(self._steps, self._free, strict=True):
            begin = time.perf_counter()
            step(values)
            spent = 1000 * (time.perf_counter() - begin)
            name = _IN_PYTORCH if isinstance(step, TorchCall) else step.name
            if found and found[-1].name == name == _IN_PYTORCH:
                spent += found.pop().milliseconds
            found.append(StageTime(name, spent))
            for value in finished:
                values.pop(value, None)
        return found


def _inside(part: Part) -> Conv | None:
    """Return the convolution of a part of a chain that could have 16-bit products, if it has one."""
    if isinstance(part, Ghost):
        return part.made.conv if part.made else None
    return None if isinstance(part, Points) else part


def _integers(plan: Plan | StreamPlan | NetPlan) -> Iterator[Conv]:
    """Yield the convolutions of a plan that have 16-bit products."""
    parts: Sequence[Part | Mix | Enlarge]
    if isinstance(plan, StreamPlan):
        parts = plan.stream.parts
    else:
        parts = plan.parts if isinstance(plan, Plan) else [unit.conv for unit in plan.net.units]
    for part, kind in zip(parts, plan.kinds, strict=True):
        if not kind.endswith("16"):
            continue
        if isinstance(part, Mix):
            yield from (part.expand, part.project)
        elif not isinstance(part, Enlarge) and (conv := _inside(part)):
            yield conv


def _name(plan: Plan) -> str:
    """Return what a chain computes, for people: "640x320 5x5 33>112 int16", the output before its shuffle first."""
    return ", ".join(_words(part, kind) for part, kind in zip(plan.parts, plan.kinds, strict=True))


def _words(part: Part, kind: str) -> str:
    """Return what a part of a chain or a net computes."""
    if isinstance(part, Points | Ghost):
        _, count, height, width = part.target.shape
        if isinstance(part, Points):
            return f"{width}x{height} {len(part.lines)} operations on each of {count}"
        gate = f", gate {_words(part.made.conv, 'flat16' if kind.endswith('16') else '')}" if part.made else ""
        return f"{width}x{height} ghosts {count // 2}>{count}{gate}"
    outputs, inputs, *taps = part.weight.shape
    channels = f"{outputs} apart" if part.depthwise else f"{inputs}>{outputs}"
    height, width = part.out_size
    how = "linear" if part.rows else f"{taps[0]}x{taps[1]}"
    return f"{width}x{height} {how} {channels}" + " int16" * kind.endswith("16")


def _stream_name(plan: StreamPlan) -> str:
    """Return what a stream computes, for people."""
    words = []
    for part, kind in zip(plan.stream.parts, plan.kinds, strict=True):
        _, height, width, channels = part.source.shape
        if isinstance(part, Enlarge):
            words.append(f"{part.factor * width}x{part.factor * height} enlarged")
        elif isinstance(part, Conv):
            words.append(f"{width}x{height} head {channels}>{len(part.weight)}")
        else:
            hidden, outputs = (len(conv.weight) for conv in (part.expand, part.project))
            words.append(f"{width}x{height} step {channels}>{hidden}>{outputs}" + " int16" * kind.endswith("16"))
    return ", ".join(words)


class TorchCall:
    """An operation of PyTorch; called with the values that are known, it adds what it makes.

    Args:
        node: the operation.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._target = REPLACED.get(node.target, node.target)

    def __call__(self, values: Values) -> None:
        """Run it."""
        node = self._node

        def known(leaf: Any) -> Any:
            return values[leaf] if isinstance(leaf, Value) else leaf

        args, kwargs = tree_map(known, (node.args, node.kwargs), is_leaf=lambda leaf: isinstance(leaf, Value))
        with torch_threads(1 if node.target in _ALONE else None):
            result = self._target(*args, **kwargs)
        for value, tensor in zip(node.outputs, (result,) if node.single else result, strict=True):
            if value is not None:
                values[value] = tensor


class _Buffers:
    """Where chains write: as few bytes as fit, each in use from its chain to the last step that reads the result."""

    def __init__(self, graph: Graph, woven: Woven) -> None:
        owner = owners(graph)
        last = {owner[graph.output]: len(woven.steps)}
        for place, step in enumerate(woven.steps):
            for value in inputs_of(step):
                whose = owner.get(value, value)
                last[whose] = max(place, last.get(whose, 0))
        self._of: dict[int, int] = {}
        self._sizes: list[int] = []
        until: list[int] = []  # by buffer, the last step that reads what lies there
        for place, step in enumerate(woven.steps):
            if isinstance(step, TorchStep | Moments | Net):
                continue
            target = step.target if isinstance(step, Stream) else step[-1].target
            size = torch.Size(target.shape).numel()
            free = [number for number, end in enumerate(until) if end < place]
            number = min(free, key=lambda it: abs(self._sizes[it] - size), default=len(until))
            if number == len(until):
                until.append(0)
                self._sizes.append(0)
            self._of[place], self._sizes[number] = number, max(self._sizes[number], size)
            until[number] = last.get(owner[target], place)
        self._made: dict[int, Tensor] = {}

    def at(self, place: int) -> Tensor:
        """Return the buffer of the chain at a place among the steps: float32, flat, at least as large as its result."""
        number = self._of[place]
        if number not in self._made:
            self._made[number] = torch.empty(self._sizes[number])
        return self._made[number]


def _chain_call(plan: Plan, isa: Isa, pool: Pool, watch: Watch | None, buffer: Tensor) -> "_Chain | _Linear":
    """Return what runs a chain, into a buffer; a linear layer of one row, which is small, has its own."""
    if plan.kinds == ["linear"]:
        return _Linear(plan, isa, pool)
    return _Chain(plan, isa, pool, watch, buffer)


class _Chain:
    """Convolutions; also one that works channel by channel, or a linear layer over many rows."""

    def __init__(self, plan: Plan, isa: Isa, pool: Pool, watch: Watch | None, buffer: Tensor) -> None:
        self.name = _name(plan)
        first, last = plan.parts[0], plan.parts[-1]
        self._plan, self._isa, self._pool, self._watch = plan, isa, pool, watch
        self._source, self._target = first.source, last.target
        self._rows = isinstance(first, Conv) and first.rows
        self._planes = plan.kinds[-1].startswith("head")
        op = plan.ops[len(plan.parts) - 1]
        height, width = op.out_height * op.shuffle, op.out_width * op.shuffle
        channels = op.out_channels // op.shuffle**2
        planes = (channels, height, width) if self._planes else (height, width, channels)
        shape = (first.batch if isinstance(first, Conv) else 1, *planes)
        self._out = buffer[: math.prod(shape)].view(shape)

    def __call__(self, values: Values) -> None:
        x = values[self._source]
        maps = x.contiguous() if self._rows else _as_maps(x)
        first = self._plan.parts[0]
        if self._watch and isinstance(first, Conv):
            self._watch(first, maps)
        beside = [plan.set_operands(values) for plan in self._plan.beside]
        for b in range(len(self._out)):
            self._run(maps.data_ptr() + b * maps.stride(0) * 4 * (not self._rows), self._out[b].data_ptr())
        del beside  # the kernels have read it
        if self._rows:
            values[self._target] = self._out[0, 0]
        else:
            values[self._target] = self._out if self._planes else _as_value(self._out, self._target)

    def _run(self, source: int, target: int) -> None:
        plan = self._plan
        if plan.kinds == ["depthwise"]:
            load().nk_depthwise(self._pool.handle, self._isa.number, plan.ops, source, target)
        else:
            run_chain(self._pool, self._isa, plan.ops, plan.turns, source=source, target=target)


def _as_maps(x: Tensor) -> Tensor:
    """Return a value as maps (B, H, W, C), of a volume (1, H, W, D C)."""
    if x.ndim == _VOLUME:
        return x.permute(0, 3, 4, 2, 1).reshape(1, *x.shape[-2:], -1).contiguous()
    return x.permute(0, 2, 3, 1).contiguous()


def _as_value(maps: Tensor, value: Value) -> Tensor:
    """Return maps as PyTorch sees a value."""
    if len(value.shape) == _VOLUME:
        _, channels, depth, height, width = value.shape
        return maps.reshape(1, height, width, depth, channels).permute(0, 4, 3, 1, 2)
    return maps.permute(0, 3, 1, 2)


class _Linear:
    """A linear layer of one row."""

    def __init__(self, plan: Plan, isa: Isa, pool: Pool) -> None:
        self.name = _name(plan)
        (conv,) = plan.parts
        assert isinstance(conv, Conv)
        self._conv = conv
        self._plan, self._isa, self._pool = plan, isa.number, pool
        self._outputs, self._inputs = self._conv.weight.shape[:2]
        self._padded = padded(self._outputs, isa.lanes)
        self._out = torch.empty(1, self._padded)
        self._call = load().nk_linear

    def __call__(self, values: Values) -> None:
        x = values[self._conv.source].contiguous()
        op, act = self._plan.ops[0], ACTIVATIONS[self._conv.activation]
        sizes = (self._inputs, self._padded, act, self._conv.slope, self._out.data_ptr())
        self._call(self._pool.handle, self._isa, x.data_ptr(), op.weights, op.bias, *sizes)
        values[self._conv.target] = self._out[:, : self._outputs]


class _Measure:
    """What an instance norm has to know of a map."""

    def __init__(self, moments: Moments, isa: Isa, pool: Pool) -> None:
        _, channels, height, width = moments.source.shape
        self.name = f"{width}x{height} means and variances of {channels}"
        self._moments, self._isa, self._pool = moments, isa.number, pool
        self._on_top = [None if part is None else part.float().contiguous() for part in (moments.gain, moments.shift)]
        self._out = torch.empty(2, 1, channels, 1, 1)

    def __call__(self, values: Values) -> None:
        moments = self._moments
        maps = values[moments.source].permute(0, 2, 3, 1).contiguous()
        gain, shift = (None if part is None else part.data_ptr() for part in self._on_top)
        sizes = (*maps.shape[1:], moments.epsilon, gain, shift)
        if load().nk_moments(self._pool.handle, self._isa, maps.data_ptr(), *sizes, self._out.data_ptr()):
            raise MemoryError("no memory for the sums of a map's rows")
        values[moments.factor], values[moments.offset] = self._out.clone()


class _Streaming:
    """A stream."""

    def __init__(self, plan: StreamPlan, isa: Isa, pool: Pool, buffer: Tensor) -> None:
        self.name = f"{len(plan.kinds)} parts in one: {_stream_name(plan)}"
        self._plan, self._isa, self._pool = plan, isa, pool
        stream = plan.stream
        self._source, self._target = stream.source, stream.target
        self._tiles = [(i, part.tile) for i, part in enumerate(stream.parts) if isinstance(part, Enlarge)]
        self._out = buffer[: math.prod(self._target.shape)].view(self._target.shape)

    def __call__(self, values: Values) -> None:
        x = values[self._source].contiguous()
        tiles = [values[tile].contiguous() for _, tile in self._tiles]
        for (i, _), tile in zip(self._tiles, tiles, strict=True):
            self._plan.steps[i].tile = tile.data_ptr()
        plan, target = self._plan, self._out.data_ptr()
        run_chain(self._pool, self._isa, plan.ops, plan.turns, source=x.data_ptr(), target=target)
        values[self._target] = self._out


class _Netting:
    """A net."""

    def __init__(self, plan: NetPlan, isa: Isa, pool: Pool) -> None:
        words = [_words(unit.conv, kind) for unit, kind in zip(plan.net.units, plan.kinds, strict=True)]
        self.name = f"{len(words)} parts in one: {', '.join(words)}" if len(words) > 1 else words[0]
        self._plan, self._isa, self._pool = plan, isa.number, pool
        self._inputs = plan.net.inputs()
        self._out: dict[Value, Tensor] = {}
        for place, value in zip(plan.places, plan.maps, strict=True):
            if value in plan.net.outputs or value in plan.planes:
                as_map = (1, *value.shape[-2:], map_channels(value))
                held = torch.int16 if place.narrow else torch.float32
                self._out[value] = torch.empty(value.shape if value in plan.planes else as_map, dtype=held)
                place.memory = self._out[value].data_ptr()

    def __call__(self, values: Values) -> None:
        plan = self._plan
        maps = [_as_maps(values[value]) for value in self._inputs]
        for place, x in zip(plan.places, maps, strict=False):
            place.memory = x.data_ptr()
        turns = plan.turns
        handle, count = self._pool.handle, len(plan.places)
        if load().nk_net(handle, self._isa, plan.nodes, plan.places, count, turns.ctypes.data, len(turns)):
            raise MemoryError("no memory for the rows between the convolutions of a net")
        for value, out in self._out.items():
            values[value] = out if value in plan.planes else _as_value(out, value)
