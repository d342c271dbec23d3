"""What the configurations of NeRV, E-NeRV and FFNeRV share: a grid of features, and stages that enlarge it."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.blocks.conv_kinds import StageConv, check_convolutions
from nervplay.blocks.up_conv import Upsampling
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["GridConfig"]


@dataclass(frozen=True, kw_only=True)
class GridConfig(ModelConfig):
    """The common part.

    Args:
        grid: (h, w), rows and columns that the stages start from.
        channels: C, channels of that grid.
        strides: factor of each stage; the product times the grid is the frame.
        expansion: S, width of the first stage over C.
        reduction: width of a later stage is the one before divided by this (not where the stride is 1).
        lower_width: smallest width of a later stage.
        norm: normalisation in the stages.
        activation: in the stages.
        output: how the head becomes a picture.
        convolutions: the stages that are not dense, and what they are; `blocks.conv_kinds`.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    grid: tuple[int, int]
    channels: int
    strides: tuple[int, ...]
    expansion: float = 1.0
    reduction: int = 2
    lower_width: int = 96
    norm: NormName = "none"
    activation: ActivationName = "gelu"
    output: Literal["tanh", "sigmoid"] = "tanh"
    convolutions: tuple[StageConv, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            grid=(1, 1 << 14),
            channels=(1, 1 << 13),
            strides=(1, 64),
            expansion=(1e-3, 1e3),
            reduction=(1, 64),
            lower_width=(1, 1 << 13),
        )
        scale = prod(self.strides)
        size = self.grid[1] * scale, self.grid[0] * scale
        if size != (self.width, self.height) or not 1 <= len(self.strides) <= 16:
            raise GeometryError(
                f"a grid of {self.grid[1]}x{self.grid[0]} with strides {self.strides} gives {size[0]}x{size[1]}, "
                f"the frame is {self.width}x{self.height}; change one"
            )
        if not all(1 <= width <= 1 << 14 for width in self.widths):
            raise UsageError(
                f"channels {self.channels} give stages of {self.widths} channels; they must lie in 1 .. 16384"
            )
        check_convolutions(self.convolutions, len(self.strides), transposed=self.way_up == "deconv")

    @property
    def way_up(self) -> Upsampling:
        """How stages enlarge."""
        return "conv"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels behind each stage."""
        widths = [int(self.channels * self.expansion)]
        for stride in self.strides[1:]:
            widths.append(max(widths[-1] // (1 if stride == 1 else self.reduction), self.lower_width))
        return tuple(widths)
