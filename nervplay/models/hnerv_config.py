"""Configuration of HNeRV, and the check that its encoder, decoder and frame size fit; symbols as in `hnerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName, OutputMap
from nervplay.blocks.conv_block import NormName, Resampling, down_size, up_size
from nervplay.blocks.conv_kinds import StageConv, check_convolutions
from nervplay.blocks.encoding import check_encoding
from nervplay.blocks.widths import Stage, decoder_stages
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["HNeRVConfig"]


@dataclass(frozen=True, kw_only=True)
class HNeRVConfig(ModelConfig):
    """Configuration of `HNeRV`; defaults are those of the official README (Bunny, 1.5M), not those of its parser.

    Args:
        strides: D.
        channels: C0.
        encoder_strides: E; empty for time input.
        embedding_channels: d2; without meaning for time input.
        reduction: r; None for the square root of each stride (`--reduce -1`).
        lower_width: smallest width of a stage.
        kernel_min: kernel of the first stage; it grows by 2 per stage.
        kernel_max: largest kernel. `--ks e_min_max`.
        decoder_blocks: blocks per stage, the first one enlarges. `--num_blks enc_dec`.
        upsampling: how stages enlarge. `--conv_type enc dec`.
        norm: normalisation in stem and stages.
        activation: in stem and stages.
        output: how the head becomes a picture. `--out_bias`.
        encoder_kind: "convnext", or blocks of the given way down.
        encoder_width: d1.
        encoder_blocks: ConvNeXt blocks per stage.
        encoder_kernel: kernel of an encoder that is not ConvNeXt.
        time_base: b.
        time_levels: L; 0 for embeddings.
        time_grid: (fc_h, fc_w) for time input.
        convolutions: the stages that are not dense, and what they are, all blocks of a stage; `blocks.conv_kinds`.

    Raises:
        GeometryError: strides, kernels and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    strides: tuple[int, ...]
    channels: int
    encoder_strides: tuple[int, ...] = ()
    embedding_channels: int = 16
    reduction: float | None = 1.2
    lower_width: int = 12
    kernel_min: int = 1
    kernel_max: int = 5
    decoder_blocks: int = 1
    upsampling: Resampling = "pshuffel"
    norm: NormName = "none"
    activation: ActivationName = "gelu"
    output: OutputMap = "tanh"
    encoder_kind: Literal["convnext", "pshuffel", "conv", "interpolate"] = "convnext"
    encoder_width: int = 64
    encoder_blocks: int = 1
    encoder_kernel: int = 0
    time_base: float = 1.25
    time_levels: int = 0
    time_grid: tuple[int, int] = (1, 1)
    convolutions: tuple[StageConv, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            strides=(1, 64),
            channels=(1, 1 << 13),
            encoder_strides=(1, 64),
            embedding_channels=(1, 1 << 12),
            reduction=(0.1, 64),
            lower_width=(1, 1 << 13),
            kernel_min=(0, 31),
            kernel_max=(0, 31),
            decoder_blocks=(1, 16),
            encoder_width=(1, 1 << 12),
            encoder_blocks=(0, 16),
            encoder_kernel=(0, 31),
            time_levels=(0, 200),
            time_grid=(1, 1 << 14),
        )
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        if isinstance(self.output, float) and not abs(self.output) <= 100:
            raise UsageError(f"HNeRVConfig.output is {self.output}; a number must lie in -100 .. 100")
        if not 1 <= len(self.strides) <= 16 or len(self.encoder_strides) > 16:
            raise GeometryError(f"strides {self.strides} and {self.encoder_strides}: there must be 1 to 16 stages")
        if bool(self.encoder_strides) == bool(self.time_levels):
            raise UsageError("HNeRVConfig needs either encoder_strides (embeddings) or time_levels (time input)")
        if max(block.channels_out for block in self.blocks) > 1 << 14:
            raise UsageError(
                f"channels {self.channels} over reduction {self.reduction} pass 16384 channels; lower them"
            )
        check_convolutions(self.convolutions, len(self.strides), transposed=self.upsampling == "conv")
        self._check_geometry()

    def _check_geometry(self) -> None:
        """Raise `GeometryError` unless the encoder and the decoder meet at the embedding and end at the frame."""
        for side, whole in enumerate((self.height, self.width)):
            name = ("height", "width")[side]
            small = self.embedding_shape[1 + side]
            if whole % prod(self.encoder_strides):
                raise GeometryError(
                    f"{name} {whole} is not a multiple of {prod(self.encoder_strides)}, the product of the encoder "
                    f"strides {self.encoder_strides}; crop the clip or change the strides"
                )
            size = whole
            for stride in self.encoder_strides:
                if self.encoder_kind == "convnext":
                    size //= stride
                else:
                    size = down_size(self.encoder_kind, size, kernel=self.encoder_kernel, stride=stride)
            if self.encoder_strides and size != small:
                raise GeometryError(
                    f"encoder '{self.encoder_kind}' with kernel {self.encoder_kernel} makes {name} {whole} to {size}, "
                    f"the decoder starts from {small}; 'conv' needs an even kernel, 'pshuffel' an odd one"
                )
            size = small * self.rearrangement[side]
            for block in self.blocks:
                size = up_size(self.upsampling, size, kernel=block.kernel, stride=block.stride)
            if size != whole:
                raise GeometryError(
                    f"decoder '{self.upsampling}' with strides {self.strides} and kernels "
                    f"{[block.kernel for block in self.blocks]} ends at {name} {size}, the frame has {whole}; "
                    "'pshuffel' needs odd kernels, 'conv' even ones, 'interpolate' an odd sum of kernel and stride"
                )

    @property
    def rearrangement(self) -> tuple[int, int]:
        """(rows, columns) that the stem makes of one position: (f, f), or (fc_h, fc_w) for time input."""
        if self.time_levels:
            return self.time_grid
        factor = prod(self.encoder_strides) // prod(self.strides)
        return factor, factor

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of what the stem reads for one frame."""
        if self.time_levels:
            return 2 * self.time_levels, 1, 1
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
        return [
            Stage(out if j else before, out, kernel, 1 if j else stride)
            for before, out, kernel, stride in stages
            for j in range(self.decoder_blocks)
        ]
