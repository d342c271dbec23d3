"""Configurations of SNeRV-B and SNeRV-T, and the checks that their parts fit; symbols as in `snerv.py`, `snerv_t.py`.

Encoder and decoder work on LL, which is half as wide and half as high as the frame.
"""

from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import up_size
from nervplay.blocks.strides import choose_strides, nearest_fitting_size
from nervplay.blocks.temporal import Mixing
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import check_ranges
from nervplay.models.hybrid_config import HybridConfig

__all__ = [
    "MIN_STAGES",
    "PAPER_FRAMES",
    "PAPER_STRIDES",
    "SPATIAL_STAGES",
    "TEMPORAL_LAYOUTS",
    "SNeRVConfig",
    "SNeRVTConfig",
    "SpectralConfig",
    "low_band_strides",
    "paper_blocks",
]

MIN_STAGES = 3
"""The fusion joins the outputs of the last three stages."""

SPATIAL_STAGES = 2
"""Stages of SNeRV-T before those that mix the frame with its neighbours."""

PAPER_STRIDES = {480: (5, 3, 2, 2, 2), 640: (5, 4, 2, 2, 2), 960: (5, 4, 3, 2, 2)}
"""D = E by rows of the frame, as the paper chooses them; its frames are twice as wide as high."""

PAPER_FRAMES = {480: 600, 640: 132, 960: 600}
"""Frames of the paper's clips by their rows: Big Buck Bunny at 640, UVG otherwise."""

TEMPORAL_LAYOUTS: dict[tuple[int, int], tuple[tuple[int, ...], tuple[int, ...]]] = {
    (960, 20): ((3, 2, 2, 2), (2,)),
    (960, 10): ((4, 3, 2, 2), (2, 2)),
    (640, 20): ((2, 2, 2, 2), (2,)),
    (640, 10): ((4, 2, 2, 2), (2, 2)),
    (640, 5): ((4, 2, 2, 2, 2), (2, 2, 2)),
    (480, 10): ((3, 2, 2, 2), (3,)),
    (480, 5): ((3, 2, 2, 2, 2), (3, 2)),
}
"""(E2, temporal_up) by (rows of the crop, `--emb_size`): what the official script knows."""


@dataclass(frozen=True, kw_only=True)
class SpectralConfig(HybridConfig):
    """What SNeRV-B and SNeRV-T have in common; defaults are those of the official parser.

    Args:
        residual_blocks: N, per stack of the fusion. `--num_blocks`.
        norm: normalisation in the stem (and in the stages of SNeRV-B).
        activation: in the stem (and in the stages of SNeRV-B); everything else has LeakyReLU.
        output: how the head becomes LL. `--out_bias`.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    FEWEST_STAGES: ClassVar[tuple[int, int]] = (MIN_STAGES, 1)
    SHRINK: ClassVar[int] = 2

    residual_blocks: int = 6
    activation: ActivationName = "gelu"

    def __post_init__(self) -> None:
        check_ranges(self, residual_blocks=(0, 64))
        super().__post_init__()

    @property
    def low_size(self) -> tuple[int, int]:
        """(rows, columns) of LL."""
        return self.height // 2, self.width // 2


@dataclass(frozen=True, kw_only=True)
class SNeRVConfig(SpectralConfig):
    """Configuration of `SNeRV` (SNeRV-B); see `SpectralConfig` for the rest.

    Args:
        kernel_min: kernel of the first stage; it grows by 2 per stage.
        kernel_max: largest kernel. `--ks e_min_max`.

    Raises:
        GeometryError: strides, kernels and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    kernel_min: int = 1
    kernel_max: int = 5

    def __post_init__(self) -> None:
        check_ranges(self, kernel_min=(1, 31), kernel_max=(1, 31))
        super().__post_init__()
        size, whole = self.embedding_shape[1] * self.rearrangement, self.low_size[0]
        for stage in self.stages:
            size = up_size("pshuffel", size, kernel=stage.kernel, stride=stage.stride)
        if size != whole or prod(self.encoder_strides) % prod(self.strides):
            raise GeometryError(
                f"decoder strides {self.strides} with kernels {[stage.kernel for stage in self.stages]} do not lead "
                f"from the embedding back to LL; their product must divide that of {self.encoder_strides}, the "
                "kernels must be odd"
            )

    @property
    def rearrangement(self) -> int:
        """f, positions per side that the stem makes of one."""
        return prod(self.encoder_strides) // prod(self.strides)

    @property
    def kernel_range(self) -> tuple[int, int]:
        """Kernel of the first stage, and the largest one, in pixels."""
        return self.kernel_min, self.kernel_max


@dataclass(frozen=True, kw_only=True)
class SNeRVTConfig(SpectralConfig):
    """Configuration of `SNeRVT` (SNeRV-T); see `SpectralConfig` for the rest.

    Args:
        temporal_strides: E2, of the two encoders of neighbours.
        temporal_up: transposed convolutions between the temporal stem and the third stage.
        mixing: "3d" or "2d" (`--model snerv_t`, `snerv_t_2d`).
        convolutions: the stages whose two 3x3 are not dense, and what they are; `blocks.conv_kinds`. Their transposed
            convolutions stay dense, and so do the 3-D convolutions: with "3d" the first two stages alone can be named.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    temporal_strides: tuple[int, ...]
    temporal_up: tuple[int, ...]
    mixing: Mixing = "3d"

    def __post_init__(self) -> None:
        check_ranges(self, temporal_strides=(1, 64), temporal_up=(1, 64))
        super().__post_init__()
        if prod(self.strides) != prod(self.encoder_strides):
            raise GeometryError(
                f"decoder strides {self.strides} and encoder strides {self.encoder_strides} must have one product"
            )
        if not 1 <= len(self.temporal_strides) <= 16 or len(self.temporal_up) > 16:
            raise GeometryError(
                f"temporal strides {self.temporal_strides} and {self.temporal_up}: there must be 1 to 16, and up to 16"
            )
        mixed = [choice for choice in self.convolutions if choice.stage >= SPATIAL_STAGES]
        if mixed and self.mixing == "3d":
            raise UsageError(
                f"stage {mixed[0].stage} is to be {mixed[0].kind}, but 3-D convolutions are dense only; name stages "
                f"below {SPATIAL_STAGES}, or take mixing '2d'"
            )
        down, up = prod(self.temporal_strides), prod(self.temporal_up)
        left = prod(self.strides[SPATIAL_STAGES:])
        if any(side % down for side in self.low_size) or down != up * left:
            raise GeometryError(
                f"temporal strides {self.temporal_strides} (down) and {self.temporal_up} (up) do not lead from LL of "
                f"{self.low_size[1]}x{self.low_size[0]} to the third stage; the first product must be {left} times "
                "the second and divide both sides"
            )

    @property
    def temporal_shape(self) -> tuple[int, int, int]:
        """(6, h2, w2) of one frame's temporal code: three channels for the previous frame, three for the next."""
        scale = prod(self.temporal_strides)
        return 6, self.low_size[0] // scale, self.low_size[1] // scale


def paper_blocks(parameters: int) -> int:
    """Return N for a size, as the paper chooses it (supplement, table 4): that of the nearest of its sizes.

    Args:
        parameters: stored parameters.
    """
    blocks = {350_000: 2, 750_000: 3, 1_500_000: 4, 3_000_000: 6, 4_500_000: 8, 6_000_000: 10}
    return blocks[min(blocks, key=lambda size: abs(size - parameters))]


def low_band_strides(width: int, height: int, *, area: int) -> tuple[int, ...]:
    """Return strides for LL of a frame, the largest first, at least `MIN_STAGES` of them (filled up with 1).

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        area: wanted positions of an embedding.

    Raises:
        GeometryError: an odd side, or halves that do not divide into stages; the message names a size that does.
    """
    strides: tuple[int, ...] = ()
    if width % 2 == height % 2 == 0:
        with suppress(GeometryError):
            strides = choose_strides(width // 2, height // 2, area=area)
    if not strides:
        near = nearest_fitting_size(width // 2, height // 2)
        size = f"{2 * near[0]}x{2 * near[1]}" if near else ""
        way = f"crop or scale it to {size} (--crop {size})" if size else "enlarge it"
        raise GeometryError(f"{width}x{height} frames have no half size that divides into stages of 2, 3 and 5; {way}")
    return strides + (1,) * (MIN_STAGES - len(strides))
