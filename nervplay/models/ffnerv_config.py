"""Configuration of FFNeRV, and the check that grids, strides and frame size fit; symbols as in `ffnerv.py`."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from nervplay.blocks.conv_kinds import stage_convolution
from nervplay.blocks.tanh_quantise import FULL_PRECISION
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import check_ranges
from nervplay.models.grid_config import GridConfig

__all__ = ["DENSE_STRIDE", "FLOW_SCALE", "GROUPS", "FFNeRVConfig"]

FLOW_SCALE = 4
"""Rows of the frame per row of the flows: the last two strides together."""
GROUPS = 8
"""Groups of the first convolution of a compact stage; fixed in the official code."""
DENSE_STRIDE = 5
"""A compact stage of this stride is dense all the same; so it is in the official code."""


@dataclass(frozen=True, kw_only=True)
class FFNeRVConfig(GridConfig):
    """Configuration of `FFNeRV`; defaults are those of the official README (representation), not those of its parser.

    Args:
        grid: (h, w), rows and columns of the feature grids.
        channels: C, features of all grids together (`--fc-hw-dim h_w_C`).
        strides: factor of each stage; the product times the grid is the frame, the last two make 4.
        grid_rows: rows in time of each grid (`--t-dim`); their number divides C.
        neighbours: which frames are aggregated, counted from the frame itself (`--agg-ind`).
        convolution: "conv" dense 3x3; "compact" 3x3 in 8 groups, then 1x1, except at stride 5 (`--conv-type`).
        weight_bits: 2 .. 8, levels of weights and grids (`--wbit`); 32 for weights as they are.
        side_weight: `--lw`, weight of the losses of the aggregated and of the independent frame.
        convolutions: the stages that are neither of the two of `convolution`, and what they are, with 32 weight bits
            only; `blocks.conv_kinds`.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    grid_rows: tuple[int, ...]
    neighbours: tuple[int, ...] = (-2, -1, 1, 2)
    convolution: Literal["conv", "compact"] = "conv"
    weight_bits: int = FULL_PRECISION
    side_weight: float = 0.1

    def __post_init__(self) -> None:
        check_ranges(
            self,
            grid_rows=(1, 1 << 16),
            neighbours=(-64, 64),
            weight_bits=(2, FULL_PRECISION),
            side_weight=(0, 1e6),
        )
        super().__post_init__()
        if not 3 <= len(self.strides) <= 16 or prod(self.strides[-2:]) != FLOW_SCALE:
            raise GeometryError(
                f"strides {self.strides} cannot be had: there must be 3 to 16, and the last two must make "
                f"{FLOW_SCALE}, for flows are a quarter of the frame"
            )
        if 8 < self.weight_bits < FULL_PRECISION:
            raise UsageError(f"FFNeRVConfig.weight_bits is {self.weight_bits}; it must be 2 .. 8, or 32 for none")
        if not 1 <= len(self.neighbours) <= 64:
            raise UsageError(f"FFNeRVConfig.neighbours has {len(self.neighbours)} frames; it must have 1 to 64")
        if not 1 <= len(self.grid_rows) <= 64 or self.channels % len(self.grid_rows):
            raise UsageError(
                f"channels is {self.channels} for {len(self.grid_rows)} grids; it must be a multiple of their number"
            )
        self._check_stages()

    def _check_stages(self) -> None:
        """Raise `UsageError` for a stage whose convolutions cannot be had."""
        if self.convolutions and self.weight_bits < FULL_PRECISION:
            raise UsageError(
                f"stage {self.convolutions[0].stage} is to be {self.convolutions[0].kind} with weights of "
                f"{self.weight_bits} bits, but FFNeRV rounds dense convolutions only; take weight_bits 32, or leave "
                "convolutions out"
            )
        widths = (self.channels, *self.widths)
        for number, (stride, (before, after)) in enumerate(zip(self.strides, pairwise(widths), strict=True)):
            if self.is_compact(number) and (before % GROUPS or after * stride**2 % GROUPS):
                raise UsageError(
                    f"a compact stage of stride {stride} cannot take {before} channels to {after}: "
                    f"{before} and {after * stride**2} must be multiples of {GROUPS}; change channels or lower_width"
                )

    def is_compact(self, number: int) -> bool:
        """Return whether stage `number`, counted from 0, has the two convolutions of "compact"."""
        dense = self.strides[number] == DENSE_STRIDE or stage_convolution(self.convolutions, number) is not None
        return self.convolution == "compact" and not dense
