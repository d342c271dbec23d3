"""Configuration of E-NeRV, and the check that grid, strides and frame size fit; symbols as in `enerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.blocks.encoding import check_encoding
from nervplay.blocks.up_conv import Upsampling
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["ENeRVConfig"]


@dataclass(frozen=True, kw_only=True)
class ENeRVConfig(ModelConfig):
    """Configuration of `ENeRV`; defaults are those of the official `cfgs/E-NeRV-bunny.yaml`.

    Args:
        grid: (h, w), rows and columns of places that the stages start from.
        channels: C, channels of that grid.
        strides: factor of each stage; the product times the grid is the frame.
        expansion: S, width of the first stage over C.
        reduction: width of a later stage is the one before divided by this (not where the stride is 1).
        lower_width: smallest width of a later stage.
        time_base: base of the encoding of time (`pos_b`).
        time_levels: frequencies of it (`pos_l`).
        place_base: base of the encoding of places (`xypos_b`).
        place_levels: frequencies of it, for rows and for columns (`xypos_l`).
        modulation_base: base of the encoding of time for the modulation (`pos_b_tm`).
        modulation_levels: frequencies of it (`pos_l_tm`).
        stem_widths: hidden widths of the time stem (`stem_dim_num`).
        block_width: D, width of a token (`block_dim`).
        hidden_width: inside the transformer blocks (`mlp_dim`).
        upsampling: how stages enlarge, see `nervplay.blocks.up_conv`.
        norm: normalisation behind the convolutions; the modulation's own comes before them in any case.
        activation: in the stages and behind every linear layer outside the transformers.
        single_resolution: one head behind the last stage; otherwise one behind every stage.
        output: how the head becomes a picture.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    grid: tuple[int, int]
    channels: int
    strides: tuple[int, ...]
    expansion: float = 3.0
    reduction: int = 2
    lower_width: int = 96
    time_base: float = 1.25
    time_levels: int = 80
    place_base: float = 1.25
    place_levels: int = 80
    modulation_base: float = 1.25
    modulation_levels: int = 80
    stem_widths: tuple[int, ...] = (512,)
    block_width: int = 256
    hidden_width: int = 128
    upsampling: Upsampling = "conv"
    norm: NormName = "none"
    activation: ActivationName = "gelu"
    single_resolution: bool = True
    output: Literal["tanh", "sigmoid"] = "sigmoid"

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
            time_levels=(1, 200),
            place_levels=(1, 200),
            modulation_levels=(1, 200),
            stem_widths=(1, 1 << 14),
            block_width=(1, 1 << 13),
            hidden_width=(1, 1 << 14),
        )
        self._check_geometry()
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        check_encoding(self.frame_count, self.modulation_base, self.modulation_levels)
        check_encoding(2 * prod(self.grid), self.place_base, self.place_levels)
        if not all(1 <= width <= 1 << 14 for width in self.widths) or len(self.stem_widths) > 16:
            raise UsageError(
                f"channels {self.channels} give stages of {self.widths} channels, the stem has "
                f"{len(self.stem_widths)} hidden layers; they must lie in 1 .. 16384 and 0 .. 16"
            )
        if self.channels < 4 and self.channels <= self.widths[0]:
            raise UsageError(
                f"channels is {self.channels}; a first stage that does not narrow works on a quarter of them: take 4"
            )

    def _check_geometry(self) -> None:
        """Raise `GeometryError` unless the attention can hold the grid and the stages end at the frame."""
        scale = prod(self.strides)
        size = self.grid[1] * scale, self.grid[0] * scale
        if size != (self.width, self.height) or not 1 <= len(self.strides) <= 16:
            raise GeometryError(
                f"a grid of {self.grid[1]}x{self.grid[0]} with strides {self.strides} gives {size[0]}x{size[1]}, "
                f"the frame is {self.width}x{self.height}; change one"
            )
        if not 2 <= prod(self.grid) <= 1 << 12:
            raise GeometryError(
                f"a grid of {self.grid[1]}x{self.grid[0]} has {prod(self.grid)} places; attention over all of them "
                "needs 2 to 4096, change the strides"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels behind each stage."""
        widths = [int(self.channels * self.expansion)]
        for stride in self.strides[1:]:
            widths.append(max(widths[-1] // (1 if stride == 1 else self.reduction), self.lower_width))
        return tuple(widths)
