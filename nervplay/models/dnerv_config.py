"""Configuration of DNeRV, and the check that streams, decoder and frame size fit; symbols as in `dnerv.py`."""

from dataclasses import dataclass
from math import prod

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_kinds import StageConv, check_convolutions
from nervplay.blocks.two_stream import DIFFERENCE_CHANNELS
from nervplay.blocks.up_conv import Upsampling
from nervplay.blocks.widths import Stage
from nervplay.errors import GeometryError, UsageError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["DNeRVConfig"]

_REDUCTION = 1.2


@dataclass(frozen=True, kw_only=True)
class DNeRVConfig(ModelConfig):
    """Configuration of `DNeRV`; defaults are those of the official `cfgs/DNeRV.yaml`.

    Args:
        strides: D (`stride_list`).
        kernels: k, one per stage, odd (`kernel_list`; `padding_list` is k // 2).
        encoder_strides: E (`encoder_list`).
        difference_strides: F (`diff_enc_list`).
        difference_stride: g (`diff_dec_stride`).
        difference_kernel: kernel of that stage, odd (`diff_dec_kernel`).
        fusion: m; the official code has 3.
        channels: c2.
        embedding_channels: d.
        encoder_width: c1.
        upsampling: "conv" convolves, then shuffles pixels; "deconv" transposed convolution with kernel = stride;
            "bilinear" enlarges with corners aligned, then convolves with 2 s + 1 taps (`conv_type`; k counts for
            "conv" only).
        activation: `act`.
        plain_encoder: encoder blocks without norm and scale, as the code of 2024 runs; False as that of 2023 does.
        convolutions: the stages of the decoder that are not dense, and what they are; `blocks.conv_kinds`. The stage of
            the difference stream stays dense.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    strides: tuple[int, ...] = (5, 4, 4, 3, 2)
    kernels: tuple[int, ...] = (1, 3, 5, 5, 5)
    encoder_strides: tuple[int, ...] = (5, 4, 4, 3, 2)
    difference_strides: tuple[int, ...] = (4, 3, 2)
    difference_stride: int = 4
    difference_kernel: int = 3
    fusion: int = 3
    channels: int = 92
    embedding_channels: int = 16
    encoder_width: int = 64
    upsampling: Upsampling = "conv"
    activation: ActivationName = "gelu"
    plain_encoder: bool = True
    convolutions: tuple[StageConv, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            strides=(1, 64),
            kernels=(1, 31),
            encoder_strides=(1, 1 << 10),
            difference_strides=(1, 1 << 10),
            difference_stride=(1, 64),
            difference_kernel=(1, 31),
            channels=(1, 1 << 13),
            embedding_channels=(1, 1 << 12),
            encoder_width=(1, 1 << 12),
        )
        if not 1 <= len(self.strides) <= 16 or not 1 <= len(self.encoder_strides) <= 16:
            raise GeometryError(f"strides {self.strides} and {self.encoder_strides}: there must be 1 to 16 stages")
        if not 1 <= len(self.difference_strides) <= len(self.encoder_strides):
            raise GeometryError(
                f"difference_strides {self.difference_strides}: there must be 1 to {len(self.encoder_strides)}, "
                "as many as encoder_strides at most"
            )
        if not 1 <= self.fusion <= len(self.strides):
            raise UsageError(f"fusion is {self.fusion}; it must name one of the stages 1 to {len(self.strides)}")
        if len(self.kernels) != len(self.strides):
            raise UsageError(f"kernels {self.kernels} must be as many as strides {self.strides}")
        for kernel in (*self.kernels, self.difference_kernel):
            if kernel % 2 == 0:
                raise UsageError(f"a kernel is {kernel}; it must be odd, or the frame changes its size")
        if self.stages[-1].channels_out < 1:
            raise UsageError(f"channels {self.channels} leave none behind {len(self.strides)} stages; raise them")
        check_convolutions(self.convolutions, len(self.strides), transposed=self.upsampling == "deconv")
        self._check_geometry()

    def _check_geometry(self) -> None:
        """Raise `GeometryError` unless streams meet at the fusion and the decoder ends at the frame."""
        for name, whole in (("height", self.height), ("width", self.width)):
            for field in ("encoder_strides", "difference_strides"):
                scale = prod(getattr(self, field))
                if whole % scale:
                    raise GeometryError(
                        f"{name} {whole} is not a multiple of {scale}, the product of {field} {getattr(self, field)}; "
                        "crop the clip or change the strides"
                    )
        if prod(self.strides) != prod(self.encoder_strides):
            raise GeometryError(
                f"strides {self.strides} enlarge {prod(self.strides)} times, encoder_strides {self.encoder_strides} "
                f"shrink {prod(self.encoder_strides)} times; both must be the same"
            )
        if prod(self.strides[self.fusion :]) * self.difference_stride != prod(self.difference_strides):
            raise GeometryError(
                f"difference_strides {self.difference_strides} and difference_stride {self.difference_stride} do not "
                f"meet the decoder behind stage {self.fusion}; their quotient must be "
                f"{prod(self.strides[self.fusion :])}"
            )

    @property
    def stages(self) -> list[Stage]:
        """The stages of the decoder; widths c -> c // 1.2."""
        stages = []
        channels = self.channels
        for stride, kernel in zip(self.strides, self.kernels, strict=True):
            width = int(channels // _REDUCTION)
            stages.append(Stage(channels, width, kernel, stride))
            channels = width
        return stages

    @property
    def content_shape(self) -> tuple[int, int, int]:
        """(d, h, w) of the content embedding of a frame."""
        scale = prod(self.encoder_strides)
        return self.embedding_channels, self.height // scale, self.width // scale

    @property
    def difference_shape(self) -> tuple[int, int, int]:
        """(2, h', w') of the difference embedding of a frame."""
        scale = prod(self.difference_strides)
        return DIFFERENCE_CHANNELS, self.height // scale, self.width // scale
