"""ATen operations in OpenVINO's: one function each, for what networks do besides convolutions.

Each takes the operations of OpenVINO (`opset13`), the node, and its arguments, in which values and tensors are outputs
of OpenVINO already, and returns what the node makes. All is float32; shapes are known.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nervplay.decode.graph import Node, UntraceableError

__all__ = ["OPERATIONS", "activated", "constant", "convolution"]

aten = torch.ops.aten
Operation = Callable[[Any, Node, list[Any]], list[Any]]


def constant(ops: Any, values: Any, dtype: Any = np.float32) -> Any:
    """Return a constant."""
    return ops.constant(np.array(values, dtype=dtype, order="C")).output(0)


def _reshape(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    return [ops.reshape(args[0], constant(ops, node.output.shape, np.int64), special_zero=False)]


def _same(_: Any, __: Node, args: list[Any]) -> list[Any]:
    return [args[0]]


def _permute(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.transpose(args[0], constant(ops, args[1], np.int64))]


def _transpose(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    order = list(range(len(node.output.shape)))
    order[args[1]], order[args[2]] = order[args[2]], order[args[1]]
    return [ops.transpose(args[0], constant(ops, order, np.int64))]


def _as_strided(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    """Of a flat tensor: its elements in another order of dimensions."""
    size, stride = args[1], args[2]
    order = sorted(range(len(size)), key=lambda i: (-stride[i], size[i] != 1))
    expected = 1
    for axis in reversed(order):
        if size[axis] != 1 and stride[axis] != expected:
            raise UntraceableError(f"{node.target} that is not another order of dimensions")
        expected *= size[axis]
    laid = ops.reshape(args[0], constant(ops, [size[i] for i in order], np.int64), special_zero=False)
    return [ops.transpose(laid, constant(ops, np.argsort(order), np.int64))]


def _expand(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    return [ops.broadcast(args[0], constant(ops, node.output.shape, np.int64))]


def _repeat(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.tile(args[0], constant(ops, args[1], np.int64))]


def _select(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.gather(args[0], constant(ops, args[2], np.int64), constant(ops, args[1], np.int64))]


def _slice(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    axis, start, end = args[1], args[2] or 0, args[3] if len(args) > 3 and args[3] is not None else 2**62
    step = args[4] if len(args) > 4 else 1
    start, end, step, axis = (constant(ops, [item], np.int64) for item in (start, end, step, axis))
    return [ops.slice(args[0], start, end, step, axis)]


def _index(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    """Of a map by rows and columns: each index varies along its own dimension only."""
    x = args[0]
    for axis, index in enumerate(args[1]):
        shape = [] if index is None else [int(size) for size in index.shape]
        if len(shape) != len(args[1]) or any(size != 1 and i != axis for i, size in enumerate(shape)):
            raise UntraceableError(f"{node.target} that does not take whole rows and columns")
        flat = ops.reshape(index, constant(ops, [-1], np.int64), special_zero=False)
        x = ops.gather(x, flat, constant(ops, axis, np.int64))
    return [x]


def _split(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    axis = args[2] if len(args) > 2 else 0
    sizes = [value.shape[axis] for value in node.outputs if value is not None]
    return list(ops.variadic_split(args[0], constant(ops, axis, np.int64), constant(ops, sizes, np.int64)).outputs())


def _unbind(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    axis = constant(ops, args[1] if len(args) > 1 else 0, np.int64)
    return [ops.gather(args[0], constant(ops, i, np.int64), axis) for i in range(len(node.outputs))]


def _cat(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.concat(args[0], args[1] if len(args) > 1 else 0)]


def _stack(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    axis = args[1] if len(args) > 1 else 0
    return [ops.concat([ops.unsqueeze(item, constant(ops, axis, np.int64)) for item in args[0]], axis)]


def _scaled(ops: Any, node: Node, value: Any) -> Any:
    """Return the second summand times `alpha`."""
    alpha = node.kwargs.get("alpha", 1)
    return value if alpha == 1 else ops.multiply(value, constant(ops, alpha))


def _add(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    return [ops.add(args[0], _scaled(ops, node, args[1]))]


def _sub(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    return [ops.subtract(args[0], _scaled(ops, node, args[1]))]


def _rsub(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    if len(args) > 2 and args[2] != 1:
        raise UntraceableError(f"{node.target} with a factor")
    return [ops.subtract(args[1], args[0])]


def _lerp(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.add(args[0], ops.multiply(args[2], ops.subtract(args[1], args[0])))]


def _normalised(ops: Any, value: Any, axes: list[int], epsilon: float) -> Any:
    return ops.mvn(value, constant(ops, axes, np.int64), True, float(epsilon), "inside_sqrt")


def _with_gain(ops: Any, value: Any, gain: Any, shift: Any, shape: list[int]) -> Any:
    """Return value * gain + shift; either may be None."""
    to = constant(ops, shape, np.int64)
    if gain is not None:
        value = ops.multiply(value, ops.reshape(gain, to, special_zero=False))
    return value if shift is None else ops.add(value, ops.reshape(shift, to, special_zero=False))


def _batch_norm(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    x, gain, shift, mean, variance, training, _, epsilon = args
    rank = len(node.output.shape)
    shape = [1, -1, *[1] * (rank - 2)]
    if training:
        normal = _normalised(ops, x, [0, *range(2, rank)], epsilon)
    else:
        deviation = ops.sqrt(ops.add(variance, constant(ops, epsilon)))
        to = constant(ops, shape, np.int64)
        centred = ops.subtract(x, ops.reshape(mean, to, special_zero=False))
        normal = ops.divide(centred, ops.reshape(deviation, to, special_zero=False))
    return [_with_gain(ops, normal, gain, shift, shape)]


def _layer_norm(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    x, shape, gain, shift, epsilon = args
    rank = len(node.output.shape)
    normal = _normalised(ops, x, list(range(rank - len(shape), rank)), epsilon)
    return [_with_gain(ops, normal, gain, shift, list(shape))]


def _bilinear(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    size = constant(ops, node.output.shape[-2:], np.int64)
    axes = constant(ops, [2, 3], np.int64)
    corners = "align_corners" if args[2] else "half_pixel"
    return [ops.interpolate(args[0], size, "linear_onnx", "sizes", coordinate_transformation_mode=corners, axes=axes)]


def _matmul(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.matmul(args[0], args[1], transpose_a=False, transpose_b=False)]


def _softmax(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.softmax(args[0], args[1])]


def _clamp(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    low, high = (*args[1:], None, None)[:2]
    infinity = float("inf")
    return [ops.clamp(args[0], -infinity if low is None else low, infinity if high is None else high)]


def _shuffle(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [ops.depth_to_space(args[0], "depth_first", args[1])]


def convolution(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    """Return any `aten.convolution` with constant weights, in float32."""
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args
    if any(output_padding):
        raise UntraceableError("a transposed convolution with padding of its output")
    shape = [int(size) for size in weight.shape]
    if groups > 1:
        shape = [groups, shape[0] // groups, *shape[1:]]
        weight = ops.reshape(weight, constant(ops, shape, np.int64), special_zero=False)
    if transposed:
        call = ops.group_convolution_backprop_data if groups > 1 else ops.convolution_backprop_data
        made = call(x, weight, strides=stride, pads_begin=padding, pads_end=padding, dilations=dilation)
    else:
        call = ops.group_convolution if groups > 1 else ops.convolution
        made = call(x, weight, stride, padding, padding, dilation)
    return [_with_gain(ops, made, None, bias, [1, -1, *[1] * (len(node.output.shape) - 2)])]


def activated(ops: Any, name: str, x: Any, slope: float = 0.0) -> Any:
    """Return a map behind an activation.

    Args:
        ops: the operations of OpenVINO.
        name: as in `lowering.Conv.activation`.
        x: the map.
        slope: of "leaky".
    """
    if name == "leaky":
        return ops.prelu(x, constant(ops, [slope]))
    if name == "half_tanh":
        return ops.add(ops.multiply(ops.tanh(x), constant(ops, 0.5)), constant(ops, 0.5))
    simple = {
        "none": lambda x: x,
        "relu": ops.relu,
        "relu6": lambda x: ops.clamp(x, 0.0, 6.0),
        "gelu": lambda x: ops.gelu(x, "erf"),
        "silu": ops.swish,
        "softplus": ops.softplus,
        "hardswish": ops.hswish,
        "sin": ops.sin,
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
    }
    return simple[name](x)


def _activation(name: str) -> Operation:
    return lambda ops, _, args: [activated(ops, name, args[0])]


def _leaky(ops: Any, _: Node, args: list[Any]) -> list[Any]:
    return [activated(ops, "leaky", args[0], args[1] if len(args) > 1 else 0.01)]


def _gelu(ops: Any, node: Node, args: list[Any]) -> list[Any]:
    return [ops.gelu(args[0], "erf" if node.kwargs.get("approximate", "none") == "none" else "tanh")]


OPERATIONS: dict[Any, Operation] = {
    aten.view.default: _reshape,
    aten._unsafe_view.default: _reshape,  # noqa: SLF001 - its name
    aten.reshape.default: _reshape,
    aten.unsqueeze.default: _reshape,
    aten.squeeze.dim: _reshape,
    aten.clone.default: _same,
    aten.alias.default: _same,
    aten.detach.default: _same,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.as_strided.default: _as_strided,
    aten.expand.default: _expand,
    aten.repeat.default: _repeat,
    aten.select.int: _select,
    aten.slice.Tensor: _slice,
    aten.index.Tensor: _index,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.unbind.int: _unbind,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.add.Tensor: _add,
    aten.sub.Tensor: _sub,
    aten.rsub.Scalar: _rsub,
    aten.mul.Tensor: lambda ops, _, args: [ops.multiply(args[0], args[1])],
    aten.div.Tensor: lambda ops, _, args: [ops.divide(args[0], args[1])],
    aten.lerp.Tensor: _lerp,
    aten.clamp.default: _clamp,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.upsample_bilinear2d.default: _bilinear,
    aten.bmm.default: _matmul,
    aten.mm.default: _matmul,
    aten._softmax.default: _softmax,  # noqa: SLF001 - its name
    aten.pixel_shuffle.default: _shuffle,
    aten.convolution.default: convolution,
    aten.gelu.default: _gelu,
    aten.leaky_relu.default: _leaky,
    **{
        target: _activation(name)
        for target, name in (
            (aten.relu.default, "relu"),
            (aten.silu.default, "silu"),
            (aten.sigmoid.default, "sigmoid"),
            (aten.tanh.default, "tanh"),
            (aten.sin.default, "sin"),
            (aten.hardswish.default, "hardswish"),
        )
    },
}
"""What there is, by ATen overload."""
