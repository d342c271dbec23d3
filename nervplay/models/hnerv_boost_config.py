"""Configuration of HNeRV-Boost, and the check that its parts and the frame size fit; symbols as in `hnerv_boost.py`."""

import math
from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName, OutputMap
from nervplay.blocks.conv_block import NormName, Resampling, up_size
from nervplay.blocks.encoding import check_encoding
from nervplay.blocks.widths import Stage, decoder_stages
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["BoostActivation", "BoostResampling", "HNeRVBoostConfig"]

BoostActivation = ActivationName | Literal["sin"]
"""Names of `--act` in Boosting-NeRV."""

BoostResampling = Resampling | Literal["pshuffel_3x3"]
"""Names of `--conv_type` in Boosting-NeRV; "pshuffel_3x3" is "pshuffel" with kernels of 3 at most."""

_WIDEST_KERNEL = 3


@dataclass(frozen=True, kw_only=True)
class HNeRVBoostConfig(ModelConfig):
    """Configuration of `HNeRVBoost`; defaults are those of the official scripts, not those of the parser.

    Args:
        strides: D.
        encoder_strides: E; the products of E and D are equal.
        channels: C0.
        decoder_blocks: blocks of each stage, the first one enlarges. `--dec_blks`.
        embedding_channels: d2.
        reduction: r; None for the square root of each stride (`--reduce -1`).
        lower_width: smallest width of a stage.
        kernel_min: kernel of the first stage; it grows by 2 per stage.
        kernel_max: largest kernel. `--ks e_min_max`.
        upsampling: how stages enlarge. `--conv_type convnext X`.
        norm: normalisation in stem and stages.
        activation: in stem, stages and the stem of the time.
        output: how the head becomes a picture. `--out_bias`.
        encoder_width: d1.
        encoder_blocks: ConvNeXt blocks per stage. `--enc_blks`.
        time_base: b.
        time_levels: L.
        time_frequency: factor of the phases. `--lfreq`.
        time_channels: width of the time vector. `--ch_t`.

    Raises:
        GeometryError: strides, kernels and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    strides: tuple[int, ...]
    encoder_strides: tuple[int, ...]
    channels: int
    decoder_blocks: tuple[int, ...]
    embedding_channels: int = 16
    reduction: float | None = 1.2
    lower_width: int = 12
    kernel_min: int = 1
    kernel_max: int = 5
    upsampling: BoostResampling = "pshuffel_3x3"
    norm: NormName = "none"
    activation: BoostActivation = "sin"
    output: OutputMap = "tanh"
    encoder_width: int = 64
    encoder_blocks: int = 1
    time_base: float = 1.25
    time_levels: int = 80
    time_frequency: float = math.pi
    time_channels: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            strides=(1, 64),
            encoder_strides=(1, 64),
            channels=(1, 1 << 13),
            decoder_blocks=(1, 16),
            embedding_channels=(1, 1 << 12),
            reduction=(0.1, 64),
            lower_width=(1, 1 << 13),
            kernel_min=(0, 31),
            kernel_max=(0, 31),
            encoder_width=(1, 1 << 12),
            encoder_blocks=(0, 16),
            time_levels=(1, 200),
            time_frequency=(1e-6, 1e6),
            time_channels=(1, 1 << 12),
        )
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        if isinstance(self.output, float) and not abs(self.output) <= 100:
            raise UsageError(f"HNeRVBoostConfig.output is {self.output}; a number must lie in -100 .. 100")
        if not 1 <= len(self.strides) <= 16 or not 1 <= len(self.encoder_strides) <= 16:
            raise GeometryError(f"strides {self.strides} and {self.encoder_strides}: there must be 1 to 16 stages each")
        if len(self.decoder_blocks) != len(self.strides):
            raise UsageError(
                f"HNeRVBoostConfig.decoder_blocks is {self.decoder_blocks}; it must have one number for each of the "
                f"strides {self.strides}"
            )
        if max(block.channels_out for block in self.blocks) > 1 << 14:
            raise UsageError(
                f"channels {self.channels} over reduction {self.reduction} pass 16384 channels; lower them"
            )
        self._check_geometry()

    def _check_geometry(self) -> None:
        """Raise `GeometryError` unless the encoder and the decoder meet at the embedding and end at the frame."""
        scale = prod(self.encoder_strides)
        for name, whole in (("height", self.height), ("width", self.width)):
            if whole % scale:
                raise GeometryError(
                    f"{name} {whole} is not a multiple of {scale}, the product of the encoder strides "
                    f"{self.encoder_strides}; crop the clip or change the strides"
                )
            size = whole // scale
            for block in self.blocks:
                size = up_size(self.resampling, size, kernel=block.kernel, stride=block.stride)
            if size != whole:
                raise GeometryError(
                    f"decoder '{self.upsampling}' with strides {self.strides} and kernels "
                    f"{[block.kernel for block in self.blocks]} ends at {name} {size}, the frame has {whole}; "
                    "'pshuffel' needs odd kernels, 'conv' even ones, 'interpolate' an odd sum of kernel and stride"
                )

    @property
    def resampling(self) -> Resampling:
        """How stages enlarge, with the limit on the kernel taken into `blocks`."""
        return "pshuffel" if self.upsampling == "pshuffel_3x3" else self.upsampling

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one frame's embedding."""
        scale = prod(self.encoder_strides)
        return self.embedding_channels, self.height // scale, self.width // scale

    @property
    def blocks(self) -> list[Stage]:
        """All blocks behind the stem; of a stage's blocks the first one enlarges."""
        stages = decoder_stages(
            self.channels,
            self.strides,
            reduction=self.reduction,
            lower_width=self.lower_width,
            kernel_min=self.kernel_min,
            kernel_max=self.kernel_max,
        )
        limit = _WIDEST_KERNEL if self.upsampling == "pshuffel_3x3" else self.kernel_max
        return [
            Stage(out if j else before, out, min(kernel, limit), 1 if j else stride)
            for (before, out, kernel, stride), count in zip(stages, self.decoder_blocks, strict=True)
            for j in range(count)
        ]
