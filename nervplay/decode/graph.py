"""A network as a flat list of ATen operations, recorded from one run on nothing: `trace`.

The network runs under a dispatch mode. Operations on weights alone are executed and become constants. Operations that
depend on the frame index are recorded; their results are made of unwritten memory, with shapes from the "meta" device,
so a trace costs neither arithmetic nor pages. An operation that needs a value to go on cannot be traced.

    index --> [operation] --> value --> [operation] --> ... --> frame (1, 3, H, W)
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from nervplay.models.shapes import QuietMode, result_on_meta

__all__ = ["Graph", "Node", "UntraceableError", "Value", "trace"]

aten = torch.ops.aten


class UntraceableError(Exception):
    """The network does what a list of operations cannot say; the message is a few words."""


class Value(NamedTuple):
    """A tensor that depends on the frame index.

    Args:
        number: its place in the order of making.
        shape: its size.
        dtype: its type.
    """

    number: int
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Args:
        target: the ATen overload, without side effects.
        args: its arguments; `Value` where a tensor depends on the index, tensors where it does not.
        kwargs: the same by name.
        outputs: what it makes; None for what is no tensor.
        single: whether it returns one tensor instead of several.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Value | None, ...]
    single: bool

    def inputs(self) -> Iterator[Value]:
        """Yield the values it reads."""
        for leaf in tree_iter((self.args, self.kwargs), is_leaf=_is_value):
            if isinstance(leaf, Value):
                yield leaf

    @property
    def output(self) -> Value:
        """The first value it makes."""
        first = self.outputs[0]
        assert first is not None
        return first


@dataclass(frozen=True)
class Graph:
    """Operations in order of execution.

    Args:
        index: int64 (1,), what goes in.
        output: the frame, (1, 3, H, W).
        nodes: the operations.
    """

    index: Value
    output: Value
    nodes: list[Node] = field(default_factory=list)

    def users(self) -> dict[Value, list[Node]]:
        """Return the nodes that read each value; a node stands there once per reading."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs():
                found.setdefault(value, []).append(node)
        return found

    def digest(self) -> str:
        """Return a hash of all that the frames are made of: operations, numbers, weights, embeddings."""
        digest = hashlib.sha256()
        for node in self.nodes:
            digest.update(f"{node.target}{node.outputs}".encode())
            for leaf in tree_iter((node.args, node.kwargs), is_leaf=_is_value):
                if isinstance(leaf, Tensor):
                    digest.update(
                        f"{leaf.dtype}{leaf.shape}".encode() + leaf.detach().cpu().contiguous().numpy().tobytes()
                    )
                else:
                    digest.update(repr(leaf).encode())
        return digest.hexdigest()


def _is_value(leaf: object) -> bool:
    return isinstance(leaf, Value)


def _unwritten(leaf: object) -> object:
    """Return a tensor of unwritten memory like a meta tensor."""
    if not isinstance(leaf, Tensor):
        return leaf
    return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="cpu")


class _Recorder(QuietMode):
    """Records what depends on `index`."""

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self._values: Any = cast(Any, WeakTensorKeyDictionary)()
        self._count = 0
        self.index = self.bind(index)

    def bind(self, tensor: Tensor) -> Value:
        """Give a tensor a new value and return it."""
        value = Value(self._count, tuple(tensor.shape), tensor.dtype)
        self._count += 1
        self._values[tensor] = value
        return value

    def value_of(self, tensor: object) -> Value | None:
        """Return the value that a tensor stands for; None for constants and what is no tensor."""
        return self._values.get(tensor) if isinstance(tensor, Tensor) else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not any(self.value_of(leaf) for leaf in tree_iter((args, kwargs))):
            return func(*args, **kwargs)
        recorded = tree_map(lambda leaf: self.value_of(leaf) or leaf, (args, kwargs))
        result, target = self._imitate(func, args, kwargs)
        single = isinstance(result, Tensor)
        tensors = (result,) if single else tuple(result)
        outputs = tuple(self.bind(leaf) if isinstance(leaf, Tensor) else None for leaf in tensors)
        self.nodes.append(Node(target, recorded[0], recorded[1], outputs, single))
        if target is not func:
            self._show_change(result)
        return result

    def _imitate(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return what the operation returns, unwritten, and the operation without side effects."""
        returns = func._schema.returns  # noqa: SLF001 - the schema has no other name
        if not all(isinstance(item.type, (torch.TensorType, torch.ListType)) for item in returns):
            raise UntraceableError(f"{func} asks for a value")
        aliases = [item.alias_info for item in returns]
        if any(alias is not None and alias.is_write for alias in aliases):
            return args[0], _without_side_effects(func)
        if any(alias is not None for alias in aliases):
            return func(*args, **kwargs), func  # a view: no arithmetic, and it must share memory
        return tree_map(_unwritten, result_on_meta(func, args, kwargs)), func

    def _show_change(self, tensor: Tensor) -> None:
        """Let other tensors see that this one, which shares their memory, was written over.

        Raises:
            UntraceableError: one of them shows only a part of it, or in another order.
        """
        memory = tensor.untyped_storage().data_ptr()
        for other in list(self._values.keys()):
            if other is tensor or other.untyped_storage().data_ptr() != memory:
                continue
            if not (other.numel() == tensor.numel() and tensor.is_contiguous() and _is_dense(other)):
                raise UntraceableError("a tensor is changed in place while another one shares a part of its memory")
            # Same memory in another order: lay the new values out flat and look at them that way.
            flat = Value(self._count, (tensor.numel(),), tensor.dtype)
            self._count += 1
            self.nodes.append(Node(aten.reshape.default, (self._values[tensor], [-1]), {}, (flat,), single=True))
            args = (flat, list(other.shape), list(other.stride()))
            self.nodes.append(Node(aten.as_strided.default, args, {}, (self.bind(other),), single=True))


def _is_dense(tensor: Tensor) -> bool:
    """Whether each place of a tensor's memory is one of its elements, and only one."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _without_side_effects(func: Any) -> Any:
    """Return the operation that makes a new tensor: `aten.silu` for `aten.silu_`."""
    packet = getattr(aten, func.overloadpacket.__name__.removesuffix("_"))
    return getattr(packet, func._overloadname)  # noqa: SLF001 - the overload has no other name


@torch.no_grad()
def trace(model: Callable[[Tensor], Tensor]) -> Graph:
    """Return the operations that turn a frame index, int64 (1,), into a frame.

    Args:
        model: a network in eval mode on the CPU; it is called once.

    Raises:
        UntraceableError: it cannot be written as a list of operations.
    """
    index = torch.zeros(1, dtype=torch.int64)
    with _Recorder(index) as recorder:
        frame = model(index)
    output = recorder.value_of(frame)
    if output is None:
        raise UntraceableError("the value of the index steers the network")
    return Graph(recorder.index, output, recorder.nodes)
