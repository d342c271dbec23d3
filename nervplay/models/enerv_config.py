"""Configuration of E-NeRV, and the check that grid, strides and frame size fit; symbols as in `enerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.encoding import check_encoding
from nervplay.blocks.up_conv import Upsampling
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import check_ranges
from nervplay.models.grid_config import GridConfig

__all__ = ["ENeRVConfig"]


@dataclass(frozen=True, kw_only=True)
class ENeRVConfig(GridConfig):
    """Configuration of `ENeRV`; defaults are those of the official `cfgs/E-NeRV-bunny.yaml`.

    Args:
        grid: (h, w), rows and columns of places that the stages start from.
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
        convolutions: the stages that are not dense, and what they are, both convolutions of the first stage;
            `blocks.conv_kinds`.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    expansion: float = 3.0
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
    single_resolution: bool = True
    output: Literal["tanh", "sigmoid"] = "sigmoid"

    def __post_init__(self) -> None:
        check_ranges(
            self,
            time_levels=(1, 200),
            place_levels=(1, 200),
            modulation_levels=(1, 200),
            stem_widths=(1, 1 << 14),
            block_width=(1, 1 << 13),
            hidden_width=(1, 1 << 14),
        )
        super().__post_init__()
        if not 2 <= prod(self.grid) <= 1 << 12:
            raise GeometryError(
                f"a grid of {self.grid[1]}x{self.grid[0]} has {prod(self.grid)} places; attention over all of them "
                "needs 2 to 4096, change the strides"
            )
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        check_encoding(self.frame_count, self.modulation_base, self.modulation_levels)
        check_encoding(2 * prod(self.grid), self.place_base, self.place_levels)
        if len(self.stem_widths) > 16:
            raise UsageError(f"the time stem has {len(self.stem_widths)} hidden layers; it must have 0 to 16")
        if self.channels < 4 and self.channels <= self.widths[0]:
            raise UsageError(
                f"channels is {self.channels}; a first stage that does not narrow works on a quarter of them: take 4"
            )

    @property
    def way_up(self) -> Upsampling:
        """How stages enlarge."""
        return self.upsampling
