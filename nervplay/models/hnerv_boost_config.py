"""Configuration of HNeRV-Boost, and the check that its parts and the frame size fit; symbols as in `hnerv_boost.py`."""

import math
from dataclasses import dataclass
from typing import Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import Resampling
from nervplay.blocks.encoding import check_encoding
from nervplay.errors import UsageError
from nervplay.models.base import check_ranges
from nervplay.models.hybrid_config import HybridConfig

__all__ = ["BoostActivation", "BoostResampling", "HNeRVBoostConfig"]

BoostActivation = ActivationName | Literal["sin"]
"""Names of `--act` in Boosting-NeRV."""

BoostResampling = Resampling | Literal["pshuffel_3x3"]
"""Names of `--conv_type` in Boosting-NeRV; "pshuffel_3x3" is "pshuffel" with kernels of 3 at most."""

_WIDEST_KERNEL = 3


@dataclass(frozen=True, kw_only=True)
class HNeRVBoostConfig(HybridConfig):
    """Configuration of `HNeRVBoost`; defaults are those of the official scripts, not those of the parser.

    Args:
        encoder_strides: E; the products of E and D are equal.
        decoder_blocks: blocks of each stage, the first one enlarges. `--dec_blks`.
        kernel_min: kernel of the first stage; it grows by 2 per stage.
        kernel_max: largest kernel. `--ks e_min_max`.
        upsampling: how stages enlarge. `--conv_type convnext X`.
        activation: in stem, stages and the stem of the time.
        encoder_blocks: ConvNeXt blocks per stage. `--enc_blks`.
        time_base: b.
        time_levels: L.
        time_frequency: factor of the phases. `--lfreq`.
        time_channels: width of the time vector. `--ch_t`.

    Raises:
        GeometryError: strides, kernels and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    decoder_blocks: tuple[int, ...]
    kernel_min: int = 1
    kernel_max: int = 5
    upsampling: BoostResampling = "pshuffel_3x3"
    activation: BoostActivation = "sin"
    time_base: float = 1.25
    time_levels: int = 80
    time_frequency: float = math.pi
    time_channels: int = 32

    def __post_init__(self) -> None:
        check_ranges(
            self,
            decoder_blocks=(1, 16),
            kernel_min=(0, 31),
            kernel_max=(0, 31),
            time_levels=(1, 200),
            time_frequency=(1e-6, 1e6),
            time_channels=(1, 1 << 12),
        )
        super().__post_init__()
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        if len(self.decoder_blocks) != len(self.strides):
            raise UsageError(
                f"HNeRVBoostConfig.decoder_blocks is {self.decoder_blocks}; it must have one number for each of the "
                f"strides {self.strides}"
            )
        _, rows, columns = self.embedding_shape
        self._check_decoder((rows, columns), self.upsampling)

    @property
    def resampling(self) -> Resampling:
        """How stages enlarge, with the limit on the kernel taken into `kernel_range`."""
        return "pshuffel" if self.upsampling == "pshuffel_3x3" else self.upsampling

    @property
    def kernel_range(self) -> tuple[int, int]:
        """Kernel of the first stage, and the largest one, in pixels."""
        largest = min(self.kernel_max, _WIDEST_KERNEL) if self.upsampling == "pshuffel_3x3" else self.kernel_max
        return self.kernel_min, largest

    @property
    def block_counts(self) -> tuple[int, ...]:
        """Blocks of each stage; the first one enlarges."""
        return self.decoder_blocks
