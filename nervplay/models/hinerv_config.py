"""Configuration of HiNeRV, and the layout of its stages and grids that follows from it; symbols as in `hinerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from nervplay.blocks.feature_grid import Level
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import MAX_FRAMES, ModelConfig, check_ranges

__all__ = ["HiNeRVConfig", "Stage"]

_BASE_LEVELS = 2
_LOCAL_LEVELS = 3


class Stage(NamedTuple):
    """What one stage is made of.

    Args:
        stride: s.
        depth: d.
        channels_in: C1, width of the map that is enlarged.
        channels: C2, width behind the first step.
        hidden: int(C2 * e).
        local_levels: rows and features of the local encoding.
    """

    stride: int
    depth: int
    channels_in: int
    channels: int
    hidden: int
    local_levels: tuple[Level, ...]


def _levels(rows: int, features: int, count: int) -> tuple[Level, ...]:
    """Return levels that halve their rows and double their features, one after the other."""
    return tuple(Level(max(rows >> level, 1), features << level) for level in range(count))


@dataclass(frozen=True, kw_only=True)
class HiNeRVConfig(ModelConfig):
    """Configuration of `HiNeRV`; defaults are those of most official configuration files.

    Args:
        strides: s of each stage; their product divides the frame. `--scales-hw`.
        channels: C. `--channels`.
        grid_channels: Cg. `--base-grid-size`, last value.
        local_channels: Ce. `--enc-grid-size`, last value.
        grid_frames: Tg; None for T. `--base-grid-size`, first value.
        reduction: r. `--channels-reduce`.
        depths: d of each stage. `--depths`.
        expansions: e of each stage. `--exps`.
        upsample_norm: normalise before a stage enlarges; False in the "-b" configurations. `--upsample-norm`.

    Raises:
        GeometryError: a frame size that the strides do not divide.
        UsageError: a value outside its range, or lists of different lengths.
    """

    strides: tuple[int, ...]
    channels: int
    grid_channels: int
    local_channels: int
    grid_frames: int | None = None
    reduction: float = 2.0
    depths: tuple[int, ...] = (3, 3, 3, 1)
    expansions: tuple[float, ...] = (4.0, 4.0, 4.0, 1.0)
    upsample_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            strides=(1, 64),
            channels=(1, 1 << 13),
            grid_channels=(1, 1 << 10),
            local_channels=(1, 1 << 10),
            grid_frames=(1, MAX_FRAMES),
            reduction=(1, 64),
            depths=(1, 32),
            expansions=(0.01, 64),
        )
        if not len(self.strides) == len(self.depths) == len(self.expansions) or not 1 <= len(self.strides) <= 16:
            raise UsageError(
                f"strides {self.strides}, depths {self.depths} and expansions {self.expansions} must name the same "
                "number of stages, 1 to 16"
            )
        scale = prod(self.strides)
        if self.height % scale or self.width % scale:
            near = f"{self.width // scale * scale}x{self.height // scale * scale}"
            way = "change the strides" if 0 in self.base_size else f"crop the clip to {near}, or change the strides"
            raise GeometryError(
                f"{self.width}x{self.height} frames do not divide by {scale}, the product of {self.strides}; {way}"
            )

    @property
    def base_size(self) -> tuple[int, int]:
        """(h, w) of the base grid."""
        scale = prod(self.strides)
        return self.height // scale, self.width // scale

    @property
    def base_levels(self) -> tuple[Level, ...]:
        """Rows and features of the base grid's levels."""
        return _levels(self.grid_frames or self.frame_count, self.grid_channels, _BASE_LEVELS)

    @property
    def stages(self) -> list[Stage]:
        """The stages in their order."""
        stages = []
        before = width = self.channels
        for i, (stride, depth, expansion) in enumerate(zip(self.strides, self.depths, self.expansions, strict=True)):
            width = max(int(before // self.reduction), 1) if i else width
            local = _levels(self.frame_count, max(self.local_channels >> i, 1), _LOCAL_LEVELS)
            stages.append(Stage(stride, depth, before, width, max(int(width * expansion), 1), local))
            before = width
        return stages
