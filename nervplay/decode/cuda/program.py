"""A network on a device, each convolution in the arithmetic chosen for it; everything else in float32 by PyTorch.

    int8      the kernel, integers: the map before it was stored as int8
    half      the kernel, bfloat16 products with float32 sums
    float32   PyTorch: what the kernel does not take (depthwise, layers over a few pixels), or all of a network

Inside a chain a convolution stores what the next one reads, int8 or bfloat16; where a chain begins, a map is converted,
and where it ends, float32 is stored. Maps of the kernel lie in buffers of their own, which the next frame overwrites.
Nothing here waits for the device, so that a CUDA graph can record it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from nervplay.decode.cuda.engines import Engine, activated
from nervplay.decode.cuda.packing import Layer, inside, map_size, pack, takes
from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.lowering import Conv, Lowered, TorchStep
from nervplay.decode.program import REPLACED
from nervplay.decode.quantise import Integers

__all__ = ["DeviceProgram", "Watch"]

Values = dict[Value, Tensor]
Watch = Callable[[Conv, Tensor], None]
"""Called with a convolution and its input, float32 (B, C, H, W), or (P, C) for rows, before it runs."""


class DeviceProgram:
    """Runs a lowered network; one thread at a time.

    Args:
        graph: the network.
        lowered: the same, as steps.
        device: where it runs.
        engine: computes packed convolutions; None leaves all of them to PyTorch in float32.
        quantised: the convolutions of integers; the others that the kernel takes are bfloat16.
        watch: sees the input of every convolution; without an engine only.
    """

    def __init__(
        self,
        graph: Graph,
        lowered: Lowered,
        *,
        device: torch.device,
        engine: Engine | None = None,
        quantised: Mapping[Conv, Integers] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._graph, self._device = graph, device
        self._steps: list[Callable[[Values], None]] = []
        reads: list[list[Value]] = []
        constants: dict[int, Tensor] = {}
        for step in lowered.steps:
            if isinstance(step, TorchStep):
                self._steps.append(_TorchCall(step.node, device, constants))
                reads.append(list(step.node.inputs()))
                continue
            for run in _runs(step, engine):
                if engine and takes(run[0]):
                    self._steps.append(_Chain(run, device, engine, quantised or {}))
                else:
                    self._steps.append(_Float(run[0], device, watch))
                reads.append([run[0].source])
        last = {value: i for i, values in enumerate(reads) for value in values}
        self._free = [[value for value, at in last.items() if at == i] for i in range(len(reads))]

    def __call__(self, index: Tensor) -> Tensor:
        """Return the frame of an index, int64 (1,), as float32 (1, 3, H, W); the next call overwrites it."""
        values: Values = {self._graph.index: index}
        for step, finished in zip(self._steps, self._free, strict=True):
            step(values)
            for value in finished:
                values.pop(value, None)
        return values[self._graph.output]


def _runs(chain: list[Conv], engine: Engine | None) -> list[list[Conv]]:
    """Cut a chain where the arithmetic goes over to PyTorch or back; there, every convolution is by itself."""
    made: list[list[Conv]] = []
    for conv in chain:
        if made and engine and takes(conv) and takes(made[-1][-1]):
            made[-1].append(conv)
        else:
            made.append([conv])
    return made


class _TorchCall:
    """An operation of PyTorch on the device; constants that several operations read are there once."""

    def __init__(self, node: Node, device: torch.device, constants: dict[int, Tensor]) -> None:
        def placed(leaf: Any) -> Any:
            if isinstance(leaf, torch.device):
                return device
            if not isinstance(leaf, Tensor):
                return leaf
            # the graph keeps the tensor, so that its id is not given away
            return constants.setdefault(id(leaf), leaf.detach().to(device))

        self._node = node
        self._target = REPLACED.get(node.target, node.target)
        self._args, self._kwargs = tree_map(placed, (node.args, node.kwargs), is_leaf=_is_value)

    def __call__(self, values: Values) -> None:
        def known(leaf: Any) -> Any:
            return values[leaf] if isinstance(leaf, Value) else leaf

        args, kwargs = tree_map(known, (self._args, self._kwargs), is_leaf=_is_value)
        result = self._target(*args, **kwargs)
        for value, tensor in zip(self._node.outputs, (result,) if self._node.single else result, strict=True):
            if value is not None:
                values[value] = tensor


def _is_value(leaf: object) -> bool:
    return isinstance(leaf, Value)


class _Float:
    """A convolution in float32 by PyTorch."""

    def __init__(self, conv: Conv, device: torch.device, watch: Watch | None) -> None:
        self._conv, self._watch = conv, watch
        self._weight, self._bias = (torch.from_numpy(array).to(device) for array in (conv.weight, conv.bias))
        rows, columns = conv.weight.shape[2:]
        (height, width), (top, left) = conv.out_size, conv.padding
        below, right = height + rows - 1 - top - conv.size[0], width + columns - 1 - left - conv.size[1]
        self._same = (top, left) == (below, right)
        self._around = (left, right, top, below)

    def __call__(self, values: Values) -> None:
        conv, x = self._conv, values[self._conv.source]
        if self._watch:
            self._watch(conv, x)
        if conv.rows:
            y = F.linear(x, self._weight[:, :, 0, 0], self._bias)
        else:
            x = x if self._same else F.pad(x, self._around)
            padding = conv.padding if self._same else 0
            groups = len(self._weight) if conv.depthwise else 1
            y = F.conv2d(x, self._weight, self._bias, padding=padding, groups=groups)
        y = activated(y, conv.activation, conv.slope)
        values[conv.target] = F.pixel_shuffle(y, conv.shuffle) if conv.shuffle > 1 else y


class _Chain:
    """Convolutions by the kernel, each reading what the one before it stored."""

    def __init__(
        self, chain: list[Conv], device: torch.device, engine: Engine, quantised: Mapping[Conv, Integers]
    ) -> None:
        self._engine, self._rows = engine, chain[0].rows
        self._source, self._target = chain[0].source, chain[-1].target
        first = quantised.get(chain[0])
        self._per_step = None if first is None else torch.from_numpy(1 / first.units.scale).to(device)
        self._zero = 0 if first is None else first.units.zero
        self._layers: list[Layer] = []
        self._maps: list[Tensor] = []
        for conv in chain:
            own = quantised.get(conv)
            zero, dtype = (own.units.zero, torch.int8) if own else (0, torch.bfloat16)
            self._maps.append(torch.full(map_size(conv), zero, dtype=dtype, device=device))
        self._into = [inside(maps, conv) for maps, conv in zip(self._maps, chain, strict=True)]
        for conv, following, into in zip(chain, [*chain[1:], None], [*self._into[1:], None], strict=True):
            after = quantised.get(following) if following else None
            units, stored = after.units if after else None, None if into is None else into.shape[3]
            self._layers.append(pack(conv, device, integers=quantised.get(conv), target=units, stored=stored))
        last = chain[-1]
        height, width = (size * last.shuffle for size in last.out_size)
        channels = last.weight.shape[0] // last.shuffle**2
        if last.is_head:  # colour planes
            self._out = torch.empty(last.batch, channels, height, width, device=device).permute(0, 2, 3, 1)
        else:
            self._out = torch.empty(last.batch, height, width, channels, device=device)
        self._result = self._out[0, 0] if self._rows else self._out.permute(0, 3, 1, 2)

    def __call__(self, values: Values) -> None:
        x = values[self._source]
        maps = x.reshape(1, 1, -1, x.shape[-1]) if self._rows else x.permute(0, 2, 3, 1)
        if self._per_step is not None:
            maps = (maps * self._per_step + self._zero).clamp_(-128, 127).round_()
        self._into[0][..., : maps.shape[-1]].copy_(maps)
        for layer, source, into in zip(self._layers, self._maps, [*self._into[1:], self._out], strict=True):
            self._engine(layer, source, into)
        values[self._target] = self._result
