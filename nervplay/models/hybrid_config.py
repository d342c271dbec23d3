"""What the configurations of HNeRV and its kin (HNeRV-Boost, SNeRV) share: fields, rules and checks.

All of them take an embedding, which an encoder makes of the frame, through a stem and stages of falling width.
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from nervplay.blocks.activation import OutputMap
from nervplay.blocks.conv_block import NormName, Resampling, up_size
from nervplay.blocks.conv_kinds import StageConv, check_convolutions, stage_convolution
from nervplay.blocks.widths import Stage, decoder_stages
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["HybridConfig"]

_SIDES = ("height", "width")


@dataclass(frozen=True, kw_only=True)
class HybridConfig(ModelConfig):
    """The common part; defaults are those of the official READMEs and scripts.

    Args:
        strides: D.
        encoder_strides: E.
        channels: C0.
        embedding_channels: d2.
        reduction: r; None for the square root of each stride (`--reduce -1`).
        lower_width: smallest width of a stage.
        norm: normalisation in stem and stages.
        output: how the head becomes a picture. `--out_bias`.
        encoder_width: d1.
        encoder_blocks: ConvNeXt blocks per stage.
        convolutions: the stages that are not dense, and what they are, all blocks of a stage; `blocks.conv_kinds`.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    FEWEST_STAGES: ClassVar[tuple[int, int]] = (1, 1)
    """Stages that decoder and encoder have at least."""
    SHRINK: ClassVar[int] = 1
    """Rows of the frame per row of what the encoder reads."""

    strides: tuple[int, ...]
    encoder_strides: tuple[int, ...]
    channels: int
    embedding_channels: int = 16
    reduction: float | None = 1.2
    lower_width: int = 12
    norm: NormName = "none"
    output: OutputMap = "tanh"
    encoder_width: int = 64
    encoder_blocks: int = 1
    convolutions: tuple[StageConv, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            strides=(1, 64),
            encoder_strides=(1, 64),
            channels=(1, 1 << 13),
            embedding_channels=(1, 1 << 12),
            reduction=(0.1, 64),
            lower_width=(1, 1 << 13),
            encoder_width=(1, 1 << 12),
            encoder_blocks=(0, 16),
        )
        if isinstance(self.output, float) and not abs(self.output) <= 100:
            raise UsageError(f"{type(self).__name__}.output is {self.output}; a number must lie in -100 .. 100")
        decoder, encoder = self.FEWEST_STAGES
        if not decoder <= len(self.strides) <= 16 or not encoder <= len(self.encoder_strides) <= 16:
            raise GeometryError(
                f"strides {self.strides} and {self.encoder_strides}: the decoder must have {decoder} to 16 stages, "
                f"the encoder {encoder} to 16"
            )
        if max(stage.channels_out for stage in self.stages) > 1 << 14:
            raise UsageError(
                f"channels {self.channels} over reduction {self.reduction} pass 16384 channels; lower them"
            )
        check_convolutions(self.convolutions, len(self.strides), transposed=self.resampling == "conv")
        self._check_sides()

    def _check_sides(self) -> None:
        """Raise `GeometryError` unless the encoder divides both sides of the frame."""
        scale = self.SHRINK * prod(self.encoder_strides)
        for name, whole in zip(_SIDES, (self.height, self.width), strict=True):
            if whole % scale:
                raise GeometryError(
                    f"{name} {whole} is not a multiple of {scale}, {'twice ' if self.SHRINK == 2 else ''}the product "
                    f"of the encoder strides {self.encoder_strides}; crop the clip or change the strides"
                )

    def _check_decoder(self, start: tuple[int, int], way: str) -> None:
        """Raise `GeometryError` unless the stages end at the frame.

        Args:
            start: (rows, columns) that the stages start from.
            way: how they enlarge, as the user names it.
        """
        for name, small, whole in zip(_SIDES, start, (self.height, self.width), strict=True):
            size = small
            for block in self.blocks:
                size = up_size(self.resampling, size, kernel=block.kernel, stride=block.stride)
            if size != whole:
                raise GeometryError(
                    f"decoder '{way}' with strides {self.strides} and kernels "
                    f"{[block.kernel for block in self.blocks]} ends at {name} {size}, the frame has {whole}; "
                    "'pshuffel' needs odd kernels, 'conv' even ones, 'interpolate' an odd sum of kernel and stride"
                )

    @property
    def resampling(self) -> Resampling:
        """How stages enlarge."""
        return "pshuffel"

    @property
    def kernel_range(self) -> tuple[int, int]:
        """Kernel of the first stage, and the largest one, in pixels; without meaning where stages have their own."""
        return 1, 1

    @property
    def block_counts(self) -> tuple[int, ...]:
        """Blocks of each stage; the first one enlarges."""
        return (1,) * len(self.strides)

    @property
    def encoder_widths(self) -> list[int]:
        """Channels behind each stage of the encoder; the last are the embedding's."""
        return [self.encoder_width] * (len(self.encoder_strides) - 1) + [self.embedding_channels]

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one frame's embedding."""
        scale = self.SHRINK * prod(self.encoder_strides)
        return self.embedding_channels, self.height // scale, self.width // scale

    @property
    def stages(self) -> list[Stage]:
        """All stages behind the stem."""
        smallest, largest = self.kernel_range
        return decoder_stages(
            self.channels,
            self.strides,
            reduction=self.reduction,
            lower_width=self.lower_width,
            kernel_min=smallest,
            kernel_max=largest,
        )

    @property
    def blocks(self) -> list[Stage]:
        """All blocks of all stages."""
        return [
            Stage(out if j else before, out, kernel, 1 if j else stride)
            for (before, out, kernel, stride), count in zip(self.stages, self.block_counts, strict=True)
            for j in range(count)
        ]

    @property
    def choices(self) -> list[StageConv | None]:
        """What each of `blocks` convolves with; None for a dense convolution."""
        return [
            stage_convolution(self.convolutions, number)
            for number, count in enumerate(self.block_counts)
            for _ in range(count)
        ]
