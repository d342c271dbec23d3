"""From a graph of ATen operations to what the kernels take: which nodes become one convolution, which one chain.

    convolution | linear   [-> batch norm]   [-> pixel shuffle | activation, in any order]      becomes a `Conv`

Convolutions of which each is the only reader of the one before become a chain (`native/chain.c`). Everything else stays
an operation of PyTorch; `unsupported` says which kinds of convolution were left, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.graph import Graph, Node, Value
from nervplay.decode.volumes import flattened

__all__ = ["Conv", "Lowered", "Step", "TorchStep", "activation", "lower"]

aten = torch.ops.aten
Float = NDArray[np.float32]

MAX_TAPS = 64
MAX_SHUFFLE = 16
HEAD_CHANNELS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """One convolution with bias, activation and pixel shuffle, stride 1, zero padding; or a linear layer over rows.

    Args:
        weight: float32 (C', C, kh, kw), outputs in the order of PyTorch; (C, 1, kh, kw) for `depthwise`. Of a 3-D
            convolution C and C' are depth times channels (`volumes`).
        bias: float32 (C',).
        padding: zeros above and to the left.
        source: what it reads, (B, C, H, W), (1, channels, depth, H, W), or (..., C) for `rows`.
        target: what it makes.
        size: (H, W) of what it reads.
        out_size: (H', W') behind the convolution, before the shuffle.
        batch: B.
        activation: a name of `native.library.ACTIVATIONS`.
        slope: of "leaky".
        shuffle: factor of the pixel shuffle, 1 for none.
        rows: whether it is a linear layer: maps are (..., C) and 1 row high.
        depthwise: whether each channel is by itself.
    """

    weight: Float
    bias: Float
    padding: tuple[int, int]
    source: Value
    target: Value
    size: tuple[int, int]
    out_size: tuple[int, int]
    batch: int = 1
    activation: str = "none"
    slope: float = 0.0
    shuffle: int = 1
    rows: bool = False
    depthwise: bool = False

    @property
    def is_head(self) -> bool:
        """Whether it is of the kind whose few outputs are stored as planes, at the end of a chain."""
        return self.weight.shape[0] <= HEAD_CHANNELS and not (self.shuffle > 1 or self.rows or self.depthwise)

    @property
    def multiplications(self) -> int:
        """Products of the plain convolution, per frame."""
        return self.weight.size * self.out_size[0] * self.out_size[1] * self.batch


@dataclass(frozen=True)
class TorchStep:
    """An operation that PyTorch does."""

    node: Node


Step = TorchStep | list[Conv]
"""An operation of PyTorch, or a chain."""


@dataclass(frozen=True)
class Lowered:
    """A network for the kernels.

    Args:
        steps: operations of PyTorch and chains of convolutions, in order of execution.
        unsupported: convolutions that PyTorch does, in words.
    """

    steps: list[Step]
    unsupported: list[str]


_ACTIVATIONS = {
    aten.relu.default: "relu",
    aten.silu.default: "silu",
    aten.sigmoid.default: "sigmoid",
    aten.tanh.default: "tanh",
    aten.sin.default: "sin",
    aten.hardswish.default: "hardswish",
}
_PASSED = {aten.detach.default, aten.alias.default, aten.clone.default, aten.lift_fresh.default}


def activation(node: Node) -> tuple[str, float] | None:
    """Return (name, slope) of an activation that the kernels have, or None."""
    if node.target in _ACTIVATIONS:
        return _ACTIVATIONS[node.target], 0.0
    if node.target is aten.gelu.default and node.kwargs.get("approximate", "none") == "none":
        return "gelu", 0.0
    if node.target is aten.leaky_relu.default:
        return "leaky", float(node.args[1]) if len(node.args) > 1 else 0.01
    if node.target is aten.hardtanh.default and tuple(node.args[1:]) == (0, 6):
        return "relu6", 0.0
    if node.target is aten.softplus.default and len(node.args) == 1:
        return "softplus", 0.0
    return None


def _array(tensor: Any) -> Float:
    """Return a constant tensor as a contiguous float32 array."""
    array: Float = np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())
    return array


def _padding(node: Node) -> tuple[int, int]:
    top, left = (list(node.args[4]) * 2)[-2:]
    return int(top), int(left)


def _objection(node: Node, *, volumes: bool) -> str | None:
    """Return why the kernels cannot do an `aten.convolution`, in a few words; None if they can."""
    source, weight, bias, stride, padding, dilation, transposed, output_padding, groups = node.args
    if not isinstance(source, Value) or not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return "weights that depend on the frame"
    kernel, channels = tuple(weight.shape[2:]), source.shape[1]
    square = kernel == tuple(stride) and kernel[0] == kernel[-1] <= MAX_SHUFFLE and groups == 1
    depthwise = groups == channels == weight.shape[0]
    volume = volumes and weight.ndim == len(source.shape) == 5 and source.shape[0] == groups == 1 and not transposed
    objections = {
        f"{weight.ndim - 2} dimensions": weight.ndim != 4 and not volume,
        f"type {source.dtype}": source.dtype != torch.float32,
        "dilation": any(item != 1 for item in dilation),
        "transposition and overlap": transposed and (not square or any(padding) or any(output_padding)),
        f"stride {tuple(stride)}": not transposed and any(item != 1 for item in stride),
        f"{groups} groups": groups != 1 and not depthwise,
        f"kernel {kernel}": max(kernel) > MAX_TAPS,
    }
    return next((words for words, holds in objections.items() if holds), None)


def _convolution(node: Node) -> Conv:
    """Return the convolution of an `aten.convolution` without objection."""
    source, weight, bias, stride, _, _, transposed, _, groups = node.args
    (batch, channels), (height, width) = source.shape[:2], source.shape[-2:]
    w, shuffle, out_size = _array(weight), 1, node.output.shape[-2:]
    if weight.ndim == 5:
        w, b = flattened(w, _array(bias) if bias is not None else None, source.shape[2], int(node.args[4][0]))
        return Conv(
            weight=w, bias=b, padding=_padding(node), source=source, target=node.output, size=(height, width),
            out_size=(out_size[0], out_size[1]),
        )  # fmt: skip
    if transposed:
        # Each input pixel makes a square of its own: a 1x1 convolution and a pixel shuffle.
        w = np.ascontiguousarray(w.reshape(channels, -1).T)[:, :, None, None]
        shuffle, out_size = int(stride[0]), (height, width)
    b = np.zeros(w.shape[0], np.float32) if bias is None else np.repeat(_array(bias), shuffle**2)
    return Conv(
        weight=w, bias=b, padding=_padding(node), source=source, target=node.output, size=(height, width),
        batch=batch, out_size=(out_size[0], out_size[1]), shuffle=shuffle, depthwise=groups > 1,
    )  # fmt: skip


def _linear(node: Node) -> Conv | None:
    """Return the linear layer of an `aten.addmm` or `aten.mm` with constant weights, or None."""
    bias, source, weight = node.args[:3] if node.target is aten.addmm.default else (None, *node.args[:2])
    if not isinstance(source, Value) or not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None
    if source.dtype != torch.float32 or node.kwargs or (bias is not None and bias.ndim != 1):
        return None
    w = _array(weight.T)
    b = np.zeros(w.shape[0], np.float32) if bias is None else _array(bias)
    size = (1, source.shape[0])
    return Conv(
        weight=w[:, :, None, None], bias=b, padding=(0, 0), source=source, target=node.output, size=size,
        out_size=size, rows=True,
    )  # fmt: skip


def _with_norm(conv: Conv, node: Node) -> Conv | None:
    """Return the convolution with the batch norm behind it folded into its weights, or None if that cannot be."""
    _, weight, bias, mean, variance, training, _, epsilon = node.args
    constants = (weight, bias, mean, variance)
    if training or not all(isinstance(item, Tensor) for item in constants) or conv.rows or conv.depthwise:
        return None
    gain = _array(weight) / np.sqrt(_array(variance) + np.float32(epsilon))
    shift = _array(bias) - _array(mean) * gain
    gain, shift = (np.repeat(item, conv.shuffle**2) for item in (gain, shift))
    return replace(
        conv, weight=conv.weight * gain[:, None, None, None], bias=conv.bias * gain + shift, target=node.output
    )


def _extended(conv: Conv, node: Node) -> Conv | None:
    """Return the convolution with `node`, its only reader, made part of it; None if it cannot be."""
    if node.target in _PASSED:
        return replace(conv, target=node.output)
    if len(node.output.shape) == 5:
        found = activation(node) if conv.activation == "none" else None
        return replace(conv, activation=found[0], slope=found[1], target=node.output) if found else None
    if node.target is aten.pixel_shuffle.default:
        factor = int(node.args[1])
        fits = conv.shuffle == 1 and factor <= MAX_SHUFFLE and not (conv.rows or conv.depthwise)
        return replace(conv, shuffle=factor, target=node.output) if fits else None
    if conv.activation != "none":
        return _half_tanh(conv, node)
    if node.target is aten.native_batch_norm.default:
        return _with_norm(conv, node)
    found = activation(node)
    return replace(conv, activation=found[0], slope=found[1], target=node.output) if found else None


def _half_tanh(conv: Conv, node: Node) -> Conv | None:
    """Return the convolution with the next of the three operations of tanh(x) * 0.5 + 0.5; None if it is not that."""
    if node.target is aten.mul.Tensor and node.args[1] == 0.5 and conv.activation == "tanh":
        return replace(conv, activation="tanh * 0.5", target=node.output)
    if node.target is aten.add.Tensor and node.args[1] == 0.5 and conv.activation == "tanh * 0.5":
        return replace(conv, activation="half_tanh", target=node.output)
    return None


def _absorb(conv: Conv, users: dict[Value, list[Node]], output: Value, taken: set[int]) -> Conv:
    """Return the convolution with all that can be computed in its last step; note the nodes that it has swallowed."""
    best, pending, swallowed = conv, conv, []
    while pending.target != output and len(users.get(pending.target, ())) == 1:
        node = users[pending.target][0]
        longer = _extended(pending, node) if node.args and node.args[0] is pending.target else None
        if longer is None:
            break
        pending = longer
        swallowed.append(id(node))
        if pending.activation != "tanh * 0.5":  # half of a map is none
            best = pending
            taken.update(swallowed)
    return best


def _chains(steps: Sequence[TorchStep | Conv], users: dict[Value, list[Node]], longest: int) -> list[Step]:
    """Return steps with convolutions joined to chains; a chain stands where its last convolution stood."""
    made: list[Step] = []
    for step in steps:
        if isinstance(step, TorchStep):
            made.append(step)
            continue
        before = next((made[i] for i in range(len(made)) if _follows(step, made[i], users, longest)), None)
        if isinstance(before, list):
            made = [item for item in made if item is not before]
            made.append([*before, step])
        else:
            made.append([step])
    return made


def _follows(conv: Conv, chain: Step, users: dict[Value, list[Node]], longest: int) -> bool:
    """Whether a convolution can read what a chain makes row by row, and nobody else reads that."""
    if isinstance(chain, TorchStep) or len(chain) >= longest:
        return False
    before = chain[-1]
    special = conv.rows or conv.depthwise or before.rows or before.depthwise
    alone = conv.source == before.target and len(users[before.target]) == 1
    return alone and not special and conv.batch == before.batch


def lower(graph: Graph, longest: int, *, volumes: bool = False) -> Lowered:
    """Return a graph as steps.

    Args:
        graph: what `trace` gave.
        longest: most convolutions of one chain.
        volumes: whether 3-D convolutions become 2-D ones, for an engine that keeps maps (B, C, D, H, W) as (H, W, D C).
    """
    users = graph.users()
    taken: set[int] = set()
    steps: list[TorchStep | Conv] = []
    unsupported = []
    for node in graph.nodes:
        if id(node) in taken:
            continue
        conv = None
        if node.target is aten.convolution.default:
            objection = _objection(node, volumes=volumes)
            if objection:
                unsupported.append(objection)
            else:
                conv = _convolution(node)
        elif node.target in (aten.addmm.default, aten.mm.default):
            conv = _linear(node)
        steps.append(_absorb(conv, users, graph.output, taken) if conv else TorchStep(node))
    return Lowered(_chains(steps, users, longest), unsupported)
