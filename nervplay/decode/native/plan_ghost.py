"""How a ghost module runs: its weights by place of the pixel shuffle, and where its gate is or what makes it."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.ghosts import Ghost
from nervplay.decode.graph import Value
from nervplay.decode.native.library import ACTIVATIONS, GateStruct, GhostStruct, Isa, Op
from nervplay.decode.native.packing import padded

__all__ = ["GhostPlan", "plan_gate", "plan_ghost"]

_BLOCK = 64
"""Pixels of a row that are computed together."""


@dataclass(frozen=True)
class GhostPlan:
    """A ghost module, ready to run.

    Args:
        ghost: what it computes.
        struct: the same, for the kernels.
        arrays: weights, and what makes the gate.
    """

    ghost: Ghost
    struct: GhostStruct
    arrays: list[Any] = field(default_factory=list)

    def set_operands(self, values: Mapping[Value, Tensor]) -> list[Tensor]:
        """Point the kernels to the gate, or what it is made from; return it, to be kept while they run."""
        read = [value for value in self.ghost.inputs() if value != self.ghost.source]
        maps = [values[value].permute(0, 2, 3, 1).contiguous() for value in read]
        for x in maps:
            if self.ghost.made:
                GateStruct.from_address(self.struct.made).map = x.data_ptr()
            else:
                self.struct.gate = x.data_ptr()
        return maps


def _by_place(values: NDArray[np.float32], factor: int, lanes: int) -> NDArray[np.float32]:
    """Return (C, taps) as (places, taps, padded C / places)."""
    channels, taps = len(values) // factor**2, values.shape[1]
    wide = np.zeros((factor**2, taps, padded(channels, lanes)), np.float32)
    wide[:, :, :channels] = values.reshape(channels, factor**2, taps).transpose(1, 2, 0)
    return wide


def plan_ghost(op: Op, ghost: Ghost, isa: Isa, wanted: int) -> GhostPlan:
    """Return a ghost module ready to run, and tell its op what it is.

    Args:
        op: is filled.
        ghost: what to compute.
        isa: instruction set.
        wanted: pieces of a strip.
    """
    _, outputs, height, width = ghost.target.shape
    down, across = ghost.depthwise.weight.shape[2:]
    op.height = op.out_height = height
    op.width = op.out_width = width
    op.channels, op.out_channels = outputs // 2, outputs
    op.kh, op.kw = (down - 1) * ghost.factor + 1, (across - 1) * ghost.factor + 1
    op.top, op.left = down // 2 * ghost.factor, across // 2 * ghost.factor
    op.shuffle = op.groups = 1
    op.act, op.slope = ACTIVATIONS[ghost.activation], ghost.slope
    op.block = _BLOCK // ghost.factor * ghost.factor if ghost.made else _BLOCK
    tall = ghost.factor if ghost.made else 1
    op.strip = min(height // tall, -(-wanted // -(-width // op.block))) * tall
    struct = GhostStruct(ghost.factor, down, across)
    weights = _by_place(ghost.depthwise.weight.reshape(-1, down * across), ghost.factor, isa.lanes)
    bias = _by_place(ghost.depthwise.bias[:, None], ghost.factor, isa.lanes)
    op.weights, op.bias, op.ghost = weights.ctypes.data, bias.ctypes.data, ctypes.addressof(struct)
    return GhostPlan(ghost, struct, [weights, bias])


def plan_gate(plan: GhostPlan, gate: Op, isa: Isa) -> None:
    """Let a ghost module make its gate.

    Args:
        plan: of the module.
        gate: the convolution of 1x1, ready to run.
        isa: instruction set.
    """
    made = plan.ghost.made
    assert made is not None
    lines = [np.pad(taps, ((0, 0), (0, -taps.shape[1] % isa.lanes))) for taps in made.taps]
    taps = np.concatenate(lines)
    struct = GateStruct(ctypes.addressof(gate), None, *map(len, lines), taps.ctypes.data)
    plan.struct.made = ctypes.addressof(struct)
    plan.arrays.extend([gate, struct, taps])
