"""Configuration of HNeRV, and the check that its encoder, decoder and frame size fit; symbols as in `hnerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import Resampling, down_size
from nervplay.blocks.encoding import check_encoding
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import check_ranges
from nervplay.models.hybrid_config import HybridConfig

__all__ = ["HNeRVConfig"]


@dataclass(frozen=True, kw_only=True)
class HNeRVConfig(HybridConfig):
    """Configuration of `HNeRV`; defaults are those of the official README (Bunny, 1.5M), not those of its parser.

    Args:
        encoder_strides: E; empty for time input, which leaves `embedding_channels` without meaning.
        kernel_min: kernel of the first stage; it grows by 2 per stage.
        kernel_max: largest kernel. `--ks e_min_max`.
        decoder_blocks: blocks per stage, the first one enlarges. `--num_blks enc_dec`.
        upsampling: how stages enlarge. `--conv_type enc dec`.
        activation: in stem and stages.
        encoder_kind: "convnext", or blocks of the given way down.
        encoder_kernel: kernel of an encoder that is not ConvNeXt.
        time_base: b.
        time_levels: L; 0 for embeddings.
        time_grid: (fc_h, fc_w) for time input.

    Raises:
        GeometryError: strides, kernels and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    FEWEST_STAGES: ClassVar[tuple[int, int]] = (1, 0)

    encoder_strides: tuple[int, ...] = ()
    kernel_min: int = 1
    kernel_max: int = 5
    decoder_blocks: int = 1
    upsampling: Resampling = "pshuffel"
    activation: ActivationName = "gelu"
    encoder_kind: Literal["convnext", "pshuffel", "conv", "interpolate"] = "convnext"
    encoder_kernel: int = 0
    time_base: float = 1.25
    time_levels: int = 0
    time_grid: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        check_ranges(
            self,
            kernel_min=(0, 31),
            kernel_max=(0, 31),
            decoder_blocks=(1, 16),
            encoder_kernel=(0, 31),
            time_levels=(0, 200),
            time_grid=(1, 1 << 14),
        )
        super().__post_init__()
        check_encoding(self.frame_count, self.time_base, self.time_levels)
        if bool(self.encoder_strides) == bool(self.time_levels):
            raise UsageError("HNeRVConfig needs either encoder_strides (embeddings) or time_levels (time input)")
        self._check_encoder()
        _, rows, columns = self.embedding_shape
        self._check_decoder((rows * self.rearrangement[0], columns * self.rearrangement[1]), self.upsampling)

    def _check_encoder(self) -> None:
        """Raise `GeometryError` unless the encoder ends at the embedding."""
        for name, size, small in zip(
            ("height", "width"), (self.height, self.width), self.embedding_shape[1:], strict=True
        ):
            end = size
            for stride in self.encoder_strides:
                if self.encoder_kind == "convnext":
                    end //= stride
                else:
                    end = down_size(self.encoder_kind, end, kernel=self.encoder_kernel, stride=stride)
            if self.encoder_strides and end != small:
                raise GeometryError(
                    f"encoder '{self.encoder_kind}' with kernel {self.encoder_kernel} makes {name} {size} to {end}, "
                    f"the decoder starts from {small}; 'conv' needs an even kernel, 'pshuffel' an odd one"
                )

    @property
    def resampling(self) -> Resampling:
        """How stages enlarge."""
        return self.upsampling

    @property
    def kernel_range(self) -> tuple[int, int]:
        """Kernel of the first stage, and the largest one, in pixels."""
        return self.kernel_min, self.kernel_max

    @property
    def block_counts(self) -> tuple[int, ...]:
        """Blocks of each stage; the first one enlarges."""
        return (self.decoder_blocks,) * len(self.strides)

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
        return (2 * self.time_levels, 1, 1) if self.time_levels else super().embedding_shape
