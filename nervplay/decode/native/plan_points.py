"""How operations on each value run: their lines as the kernels read them, and where their operands are."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nervplay.decode.graph import Value
from nervplay.decode.native.library import ACTIVATIONS, CODES, Op, Point
from nervplay.decode.points import Points

__all__ = ["PointsPlan", "plan_points"]

_BLOCK = 4096
"""Values of a row that are computed together, about."""


@dataclass(frozen=True)
class PointsPlan:
    """Operations on each value, ready to run.

    Args:
        points: what they compute.
        struct: the same, for the kernels.
        block: pixels of a row that are computed together.
        constants: operands that are the same for all frames, by their number.
    """

    points: Points
    struct: Point
    block: int
    constants: dict[int, Tensor] = field(default_factory=dict)

    def set_operands(self, values: Mapping[Value, Tensor]) -> list[Tensor]:
        """Point the kernels to what is read beside the map that streams in; return it, to be kept while they run."""
        kept = []
        for number, (operand, repeated) in enumerate(zip(*self.points.operands, strict=True)):
            if number and number not in self.constants and isinstance(operand, Value):
                tensor = self._laid_out(values[operand], repeated=repeated)
                self.struct.input[number] = tensor.data_ptr()
                kept.append(tensor)
        return kept

    def _laid_out(self, tensor: Tensor, *, repeated: bool) -> Tensor:
        """Return an operand with channels innermost; one number per channel for each pixel of a block."""
        channels = self.points.target.shape[1]
        if repeated:
            return tensor.reshape(-1).expand(channels).repeat(self.block)
        return tensor.reshape(self.points.target.shape).permute(0, 2, 3, 1).contiguous()

    def constant(self, number: int, operand: Tensor, *, repeated: bool) -> None:
        """Point the kernels to an operand that stays."""
        tensor = self.constants[number] = self._laid_out(operand.to(torch.float32), repeated=repeated)
        self.struct.input[number] = tensor.data_ptr()


def plan_points(op: Op, points: Points, wanted: int) -> PointsPlan:
    """Return operations ready to run, and tell their op what they are.

    Args:
        op: is filled.
        points: what to compute.
        wanted: pieces of a strip.
    """
    _, channels, height, width = points.target.shape
    blocks = max(1, round(width * channels / _BLOCK))
    op.block = -(-width // min(blocks, width))
    op.height = op.out_height = height
    op.width = op.out_width = width
    op.channels = op.out_channels = channels
    op.kh = op.kw = op.shuffle = op.groups = 1
    op.strip = min(height, -(-wanted // -(-width // op.block)))
    struct = Point()
    struct.lines, struct.inputs = len(points.lines), len(points.operands.values)
    for line, written in zip(points.lines, struct.line, strict=False):
        written.code = CODES[line.code]
        if line.code == "activate":
            written.code += ACTIVATIONS[line.activation]
        written.to, written.scale, written.shift = line.result, line.scale, line.shift
        # What a line does not read is there, too.
        written.a, written.b, written.c = (*line.reads, *[line.reads[0]] * 2)[:3]
    plan = PointsPlan(points, struct, op.block)
    for number, (operand, repeated) in enumerate(zip(*points.operands, strict=True)):
        struct.repeated[number] = repeated
        if not isinstance(operand, Value):
            plan.constant(number, operand, repeated=repeated)
    op.point = ctypes.addressof(struct)
    return plan
