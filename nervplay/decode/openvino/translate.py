"""A network in OpenVINO's operations, with integers where they are wanted.

The table look-ups of the frame index, which come first, stay in PyTorch (`Written.lookups`): they take no time, and
OpenVINO would round their float64 moments. What they give is the model's input.

A convolution of integers, W8A8, reads "fake quantised" maps: OpenVINO fuses the rounding into what makes the map, and
multiplies the integers. Behind an activation the rounding stands before the pixel shuffle, which is where it can be
fused; activations and shuffles commute, so the activation comes first, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nervplay.decode.graph import Graph, Node, UntraceableError, Value
from nervplay.decode.lowering import Conv, Lowered, TorchStep
from nervplay.decode.openvino.operations import OPERATIONS, activated, constant
from nervplay.decode.openvino.runtime import openvino
from nervplay.decode.quantise import Integers, Units

__all__ = ["Written", "write"]

aten = torch.ops.aten


@dataclass(frozen=True)
class Written:
    """A network, written down.

    Args:
        model: `openvino.Model`; outputs are the frame, (1, 3, H, W), or what was asked for.
        inputs: what it reads, in order.
        lookups: what PyTorch does to make that of the frame index.
    """

    model: Any
    inputs: list[Value]
    lookups: list[Node]


def write(
    graph: Graph,
    lowered: Lowered,
    *,
    quantised: Mapping[Conv, Integers] | None = None,
    watched: Sequence[Conv] = (),
) -> Written:
    """Write a network in OpenVINO's operations.

    Args:
        graph: the network.
        lowered: the same in steps, each convolution by itself.
        quantised: convolutions of integers, those of one map with the same units; the others are float32.
        watched: convolutions whose inputs are the outputs, instead of the frame.

    Raises:
        UntraceableError: an operation that has no counterpart here.
        CapabilityError: OpenVINO is not here.
    """
    writer = _Writer(graph, lowered, quantised or {})
    for step in lowered.steps:
        if isinstance(step, TorchStep):
            writer.add_operation(step.node)
        else:
            for conv in step:
                writer.add_convolution(conv)
    results = [writer.values[conv.source] for conv in watched] or [writer.values[graph.output]]
    model = openvino().Model(results, list(writer.parameters.values()), "nervplay")
    return Written(model, list(writer.parameters), writer.lookups)


def _is_lookup(node: Node) -> bool:
    """Whether a node reads a table, or is about indices and moments."""
    values = [*node.inputs(), *filter(None, node.outputs)]
    return node.target is aten.index.Tensor or any(value.dtype != torch.float32 for value in values)


class _Writer:
    """Holds what is written so far."""

    def __init__(self, graph: Graph, lowered: Lowered, quantised: Mapping[Conv, Integers]) -> None:
        self._ops = openvino().opset13
        self._quantised = quantised
        self.values: dict[Value, Any] = {}
        self.parameters: dict[Value, Any] = {}
        self.lookups: list[Node] = []
        self._known = {graph.index}
        self._rounded: dict[Value, Any] = {}
        self._units = {conv.source: item.units for conv, item in quantised.items()}
        # maps that nobody reads but convolutions of integers
        readers = [step for step in lowered.steps if isinstance(step, TorchStep)]
        floats = {value for step in readers for value in step.node.inputs()} | {graph.output}
        convs = [conv for step in lowered.steps if not isinstance(step, TorchStep) for conv in step]
        floats |= {conv.source for conv in convs if conv not in quantised}
        self._only_rounded = self._units.keys() - floats

    def _read(self, leaf: Any) -> Any:
        """Return an argument as OpenVINO's."""
        if isinstance(leaf, Tensor):
            values = leaf.detach().numpy()
            return constant(self._ops, values, np.int64 if values.dtype.kind == "i" else np.float32)
        if not isinstance(leaf, Value):
            return leaf
        if leaf not in self.values:
            assert leaf in self._known, "steps stand in order"
            dtype = np.float32 if leaf.dtype == torch.float32 else np.int64
            parameter = self._ops.parameter(list(leaf.shape), dtype, name=f"value{leaf.number}")
            self.parameters[leaf] = parameter
            self.values[leaf] = parameter.output(0)
        return self.values[leaf]

    def add_operation(self, node: Node) -> None:
        """Write one operation.

        Raises:
            UntraceableError: it has no counterpart here.
        """
        if _is_lookup(node) and self._known.issuperset(node.inputs()):
            self.lookups.append(node)
            self._known.update(value for value in node.outputs if value is not None)
            return
        operation = OPERATIONS.get(node.target)
        if operation is None or any(value.dtype != torch.float32 for value in filter(None, node.outputs)):
            raise UntraceableError(f"no counterpart of {node.target}")
        args = list(tree_map(self._read, node.args, is_leaf=lambda leaf: isinstance(leaf, Value)))
        if node.target in _ARITHMETIC:
            args = [constant(self._ops, item) if isinstance(item, int | float) else item for item in args]
        made = operation(self._ops, node, args)
        for value, output in zip(node.outputs, made, strict=False):  # norms give means that nobody reads
            if value is not None:
                self.values[value] = output if hasattr(output, "get_any_name") else output.output(0)

    def add_convolution(self, conv: Conv) -> None:
        """Write a convolution with all that belongs to it."""
        ops, integers = self._ops, self._quantised.get(conv)
        x = self._read(conv.source) if integers is None else self._rounded_input(conv)
        bias = conv.bias if integers is None else integers.bias
        weight = self._weight(conv, integers)
        y = ops.add(self._product(conv, x, weight), constant(ops, bias if conv.rows else bias[:, None, None]))
        y = activated(ops, conv.activation, y, conv.slope)
        early = conv.target in self._only_rounded
        if early:
            y = self._round(y, self._units[conv.target], repeats=conv.shuffle**2, rows=conv.rows)
        if conv.shuffle > 1:
            y = ops.depth_to_space(y, "depth_first", conv.shuffle)
        self.values[conv.target] = y.output(0)
        if early:
            self._rounded[conv.target] = self.values[conv.target]

    def _product(self, conv: Conv, x: Any, weight: Any) -> Any:
        """Return the bare convolution or product of matrices."""
        if conv.rows:
            return self._ops.matmul(x, weight, transpose_a=False, transpose_b=True)
        before = list(conv.padding)
        after = [
            out - size + kernel - 1 - pad
            for out, size, kernel, pad in zip(conv.out_size, conv.size, conv.weight.shape[2:], before, strict=True)
        ]
        call = self._ops.group_convolution if conv.depthwise else self._ops.convolution
        return call(x, weight, [1, 1], before, after, [1, 1])

    def _weight(self, conv: Conv, integers: Integers | None) -> Any:
        """Return the weights, float32 or int8 times a unit per output, in the shape that the product takes."""
        shape = list(conv.weight.shape)
        if conv.rows:
            shape = shape[:2]
        elif conv.depthwise:
            shape = [shape[0], 1, *shape[1:]]
        if integers is None:
            return constant(self._ops, conv.weight.reshape(shape))
        stored = constant(self._ops, integers.weight.reshape(shape), np.int8)
        units = constant(self._ops, integers.unit.reshape([-1, *[1] * (len(shape) - 1)]))
        return self._ops.multiply(self._ops.convert(stored, np.float32), units)

    def _rounded_input(self, conv: Conv) -> Any:
        """Return what a convolution of integers reads, rounded once for all its readers."""
        if conv.source not in self._rounded:
            x = self._read(conv.source)
            self._rounded[conv.source] = self._round(x, self._units[conv.source], rows=conv.rows)
        return self._rounded[conv.source]

    def _round(self, x: Any, units: Units, *, repeats: int = 1, rows: bool = False) -> Any:
        """Return values in steps, q - zero; a pixel shuffle that follows makes one channel of `repeats`."""
        shape = [-1] if rows else [-1, 1, 1]
        low, high = (constant(self._ops, np.repeat(ends, repeats).reshape(shape)) for ends in (units.low, units.high))
        first, last = (constant(self._ops, float(step - units.zero)) for step in (-128, 127))
        return self._ops.fake_quantize(x, low, high, first, last, 256)


_ARITHMETIC = {
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.rsub.Scalar,
}
"""Operations that may have a number in place of a tensor."""
