"""How a stream (`nervplay.decode.streams`) runs: its ops, packed weights, and the sizes of blocks and strips."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import ACTIVATIONS, KINDS, Isa, Op, Step
from nervplay.decode.native.packing import pack_depthwise, pack_head, padded
from nervplay.decode.native.packing_mix import pack_product, pack_product16
from nervplay.decode.native.plan import SHARE
from nervplay.decode.native.schedule import order_chain
from nervplay.decode.streams import Enlarge, Mix, Part, Stream

__all__ = ["StreamPlan", "convolutions_of", "plan_stream"]

Float = NDArray[np.float32]

_PIXELS = {"mix": 64, "mix16": 64, "enlarge": 64, "head": 320}
"""Most pixels of a row that are computed together."""
_ROWS = 4
"""Least rows of a strip of steps: each row of their input is then fetched half as often."""
_WHOLE = 8
"""Register blocks are of so many pixels."""


@dataclass(frozen=True)
class StreamPlan:
    """A stream, ready to run.

    Args:
        stream: what it computes.
        kinds: the kernel of each part: a name of `KINDS`.
        ops: the structs of the kernels, an array of `Op`.
        steps: what they point to, an array of `Step`.
        turns: int32 (count, 4), see `schedule`.
        arrays: what ops and steps point to; kept alive here.
        peaks: by expanding layer, what measuring raises: (C + hidden,), float32; empty unless it was asked for.
    """

    stream: Stream
    kinds: list[str]
    ops: Any
    steps: Any
    turns: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    arrays: list[NDArray[Any]] = field(default_factory=list)
    peaks: dict[Conv, Float] = field(default_factory=dict)

    @property
    def convolutions(self) -> list[Conv]:
        """What it computes, without enlargements."""
        return [conv for part in self.stream.parts for conv in convolutions_of(part)]


def convolutions_of(part: Part) -> list[Conv]:
    """Return the convolutions and linear layers of a part, in order of execution."""
    if isinstance(part, Mix):
        return [part.depthwise, part.expand, part.project]
    return [] if isinstance(part, Enlarge) else [part]


def _divide(op: Op, kind: str, threads: int) -> None:
    """Choose the sizes of blocks, as equal as can be, and strips."""
    blocks = -(-op.out_width // _PIXELS[kind])
    op.block = padded(-(-op.out_width // blocks), _WHOLE)
    op.groups = 1
    wanted = 1 if threads == 1 else SHARE * threads
    least = _ROWS if kind.startswith("mix") else 1
    op.strip = min(op.out_height, max(-(-wanted // blocks), least))


def _mix(op: Op, step: Step, mix: Mix, isa: Isa, peak: Float | None) -> list[NDArray[Any]]:
    """Point an op at what a refinement step needs, and return that."""
    weights = [conv.weight[:, :, 0, 0] for conv in (mix.expand, mix.project)]
    op.channels, _, op.kh, op.kw = mix.depthwise.weight.shape
    op.out_channels = len(weights[1])
    op.top, op.left = mix.depthwise.padding
    step.hidden, step.residual, step.epsilon = len(weights[0]), mix.residual, mix.epsilon
    arrays: list[NDArray[Any]] = [pack_depthwise(mix.depthwise.weight, isa.lanes)]
    step.taps = arrays[0].ctypes.data
    if peak is None:
        arrays += [pack_product(weight, isa.lanes, isa.panel) for weight in weights]
        op.weights, step.project = arrays[1].ctypes.data, arrays[2].ctypes.data
        return arrays
    parts = np.split(peak, [op.channels])
    first, second = (
        pack_product16(weight, part, isa.lanes, isa.panel) for weight, part in zip(weights, parts, strict=True)
    )
    op.weights, step.hidden_scale, step.units = (part.ctypes.data for part in first)
    step.project, op.scale, step.hidden_units = (part.ctypes.data for part in second)
    return [*arrays, *first, *second]


def _head(op: Op, conv: Conv, isa: Isa) -> list[NDArray[Any]]:
    """Point an op at a head, and return what it needs."""
    op.out_channels, op.channels, op.kh, op.kw = conv.weight.shape
    op.act, op.slope = ACTIVATIONS[conv.activation], conv.slope
    bias = np.zeros(padded(op.out_channels, isa.lanes), np.float32)
    bias[: op.out_channels] = conv.bias
    weights = pack_head(conv.weight, isa.lanes)
    op.bias, op.weights = bias.ctypes.data, weights.ctypes.data
    return [bias, weights]


def _measured(step: Step, mix: Mix, plan: StreamPlan) -> None:
    """Let a refinement step note how large what its products read gets."""
    channels = len(mix.depthwise.weight)
    peaks = plan.peaks[mix.expand] = np.zeros(channels + step.hidden, np.float32)
    step.peaks, step.hidden_peaks = peaks.ctypes.data, peaks[channels:].ctypes.data


def plan_stream(
    stream: Stream, isa: Isa, threads: int, peaks: Mapping[Conv, Float] | None = None, *, measure: bool = False
) -> StreamPlan:
    """Return a stream ready to run; the caller sets the tile of each enlargement before every run.

    Args:
        stream: what to compute.
        isa: instruction set.
        threads: of the pool that will run it; changes speed only.
        peaks: by expanding layer, for those steps that are to have 16-bit products, the largest magnitudes of what
            both layers read: (C + hidden,), float32.
        measure: note these magnitudes; all in float32.
    """
    count = len(stream.parts)
    plan = StreamPlan(stream, [], (Op * count)(), (Step * count)())
    for op, step, part in zip(plan.ops, plan.steps, stream.parts, strict=True):
        op.height, op.width, op.channels = part.source.shape[1:]
        op.out_height, op.out_width, op.shuffle = op.height, op.width, 1
        op.step = ctypes.addressof(step)
        if isinstance(part, Mix):
            peak = (peaks or {}).get(part.expand)
            plan.kinds.append("mix" if peak is None else "mix16")
            plan.arrays.extend(_mix(op, step, part, isa, peak))
            if measure:
                _measured(step, part, plan)
        elif isinstance(part, Enlarge):
            plan.kinds.append("enlarge")
            op.kh = op.kw = 3
            op.top = op.left = 1
            op.shuffle, op.out_channels = part.factor, op.channels * part.factor**2
            step.norm, step.epsilon = part.epsilon is not None, part.epsilon or 0.0
        else:
            plan.kinds.append("head")
            plan.arrays.extend(_head(op, part, isa))
        op.kind = KINDS[plan.kinds[-1]]
        _divide(op, plan.kinds[-1], threads)
    return replace(plan, turns=order_chain(plan.ops[:count], together=threads > 1))
