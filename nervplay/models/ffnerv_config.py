"""Configuration of FFNeRV, and the check that grids, strides and frame size fit; symbols as in `ffnerv.py`."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.blocks.tanh_quantise import FULL_PRECISION
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["DENSE_STRIDE", "FLOW_SCALE", "GROUPS", "FFNeRVConfig"]

FLOW_SCALE = 4
"""Rows of the frame per row of the flows: the last two strides together."""
GROUPS = 8
"""Groups of the first convolution of a compact stage; fixed in the official code."""
DENSE_STRIDE = 5
"""A compact stage of this stride is dense all the same; so it is in the official code."""


@dataclass(frozen=True, kw_only=True)
class FFNeRVConfig(ModelConfig):
    """Configuration of `FFNeRV`; defaults are those of the official README (representation), not those of its parser.

    Args:
        grid: (h, w), rows and columns of the feature grids.
        channels: C, features of all grids together (`--fc-hw-dim h_w_C`).
        strides: factor of each stage; the product times the grid is the frame, the last two make 4.
        grid_rows: rows in time of each grid (`--t-dim`); their number divides C.
        expansion: S, width of the first stage over C.
        reduction: width of a later stage is the one before divided by this (not where the stride is 1).
        lower_width: smallest width of a later stage.
        neighbours: which frames are aggregated, counted from the frame itself (`--agg-ind`).
        convolution: "conv" dense 3x3; "compact" 3x3 in 8 groups, then 1x1, except at stride 5 (`--conv-type`).
        weight_bits: 2 .. 8, levels of weights and grids (`--wbit`); 32 for weights as they are.
        norm: normalisation in the stages.
        activation: in the stages.
        side_weight: `--lw`, weight of the losses of the aggregated and of the independent frame.
        output: how the head becomes a picture.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    grid: tuple[int, int]
    channels: int
    strides: tuple[int, ...]
    grid_rows: tuple[int, ...]
    expansion: float = 1.0
    reduction: int = 2
    lower_width: int = 96
    neighbours: tuple[int, ...] = (-2, -1, 1, 2)
    convolution: Literal["conv", "compact"] = "conv"
    weight_bits: int = FULL_PRECISION
    norm: NormName = "none"
    activation: ActivationName = "gelu"
    side_weight: float = 0.1
    output: Literal["tanh", "sigmoid"] = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            grid=(1, 1 << 14),
            channels=(1, 1 << 13),
            strides=(1, 64),
            grid_rows=(1, 1 << 16),
            expansion=(1e-3, 1e3),
            reduction=(1, 64),
            lower_width=(1, 1 << 13),
            neighbours=(-64, 64),
            weight_bits=(2, FULL_PRECISION),
            side_weight=(0, 1e6),
        )
        self._check_geometry()
        if 8 < self.weight_bits < FULL_PRECISION:
            raise UsageError(f"FFNeRVConfig.weight_bits is {self.weight_bits}; it must be 2 .. 8, or 32 for none")
        if not 1 <= len(self.neighbours) <= 64:
            raise UsageError(f"FFNeRVConfig.neighbours has {len(self.neighbours)} frames; it must have 1 to 64")
        if not 1 <= len(self.grid_rows) <= 64 or self.channels % len(self.grid_rows):
            raise UsageError(
                f"channels is {self.channels} for {len(self.grid_rows)} grids; it must be a multiple of their number"
            )
        self._check_widths()

    def _check_geometry(self) -> None:
        """Raise `GeometryError` unless the stages end at the frame, with the flows at a quarter of it."""
        scale = prod(self.strides)
        size = self.grid[1] * scale, self.grid[0] * scale
        if size != (self.width, self.height):
            raise GeometryError(
                f"a grid of {self.grid[1]}x{self.grid[0]} with strides {self.strides} gives {size[0]}x{size[1]}, "
                f"the frame is {self.width}x{self.height}; change one"
            )
        if not 3 <= len(self.strides) <= 16 or prod(self.strides[-2:]) != FLOW_SCALE:
            raise GeometryError(
                f"strides {self.strides} cannot be had: there must be 3 to 16, and the last two must make "
                f"{FLOW_SCALE}, for flows are a quarter of the frame"
            )

    def _check_widths(self) -> None:
        """Raise `UsageError` for a stage of no or too many channels, or of a number that groups do not divide."""
        if not all(1 <= width <= 1 << 14 for width in self.widths):
            raise UsageError(
                f"channels {self.channels} give stages of {self.widths} channels; they must lie in 1 .. 16384"
            )
        for stride, (before, after) in zip(self.strides, pairwise((self.channels, *self.widths)), strict=True):
            if self.is_compact(stride) and (before % GROUPS or after * stride**2 % GROUPS):
                raise UsageError(
                    f"a compact stage of stride {stride} cannot take {before} channels to {after}: "
                    f"{before} and {after * stride**2} must be multiples of {GROUPS}; change channels or lower_width"
                )

    def is_compact(self, stride: int) -> bool:
        """Return whether a stage of this stride has the two convolutions of "compact"."""
        return self.convolution == "compact" and stride != DENSE_STRIDE

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels behind each stage."""
        widths = [int(self.channels * self.expansion)]
        for stride in self.strides[1:]:
            widths.append(max(widths[-1] // (1 if stride == 1 else self.reduction), self.lower_width))
        return tuple(widths)
