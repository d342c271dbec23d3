"""Configuration of PNeRV, and the check that streams, decoder and frame size fit; symbols as in `pnerv.py`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_kinds import StageConv, check_convolutions
from nervplay.blocks.two_stream import DIFFERENCE_CHANNELS
from nervplay.errors import GeometryError
from nervplay.models.base import ModelConfig, check_ranges

__all__ = ["PNeRVConfig"]


@dataclass(frozen=True, kw_only=True)
class PNeRVConfig(ModelConfig):
    """Configuration of `PNeRV`; defaults are those of the official `cfgs/PNeRV.yaml`, which is PNeRV-L.

    Args:
        stem_stride: s0; 10 in the official code.
        strides: D (`kfc_stride`), at least 2.
        encoder_strides: E (`encoder_list`).
        difference_strides: F (`diff_enc_list`); empty for PNeRV-M, which has no difference stream.
        channels: C (the last of `kfc_h_w_c`; its others follow from the frame size).
        embedding_channels: d.
        encoder_width: c1.
        activation: `act`.
        statistics: what the pyramid is normalised with, "frame" or "running"; see the head of `pnerv.py`.
        convolutions: the stages that are not dense, and what they are; `blocks.conv_kinds`. The stem stays dense.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a value outside its range.
    """

    stem_stride: int = 10
    strides: tuple[int, ...] = (2, 3, 2, 2, 2)
    encoder_strides: tuple[int, ...] = (5, 4, 4, 3, 2)
    difference_strides: tuple[int, ...] = (4, 3, 2)
    channels: int = 105
    embedding_channels: int = 16
    encoder_width: int = 64
    activation: ActivationName = "gelu"
    statistics: Literal["frame", "running"] = "frame"
    convolutions: tuple[StageConv, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self,
            stem_stride=(1, 64),
            strides=(1, 64),
            encoder_strides=(1, 1 << 10),
            difference_strides=(1, 1 << 10),
            channels=(1, 1 << 13),
            embedding_channels=(1, 1 << 12),
            encoder_width=(1, 1 << 12),
        )
        if not 2 <= len(self.strides) <= 16 or not 1 <= len(self.encoder_strides) <= 16:
            raise GeometryError(
                f"strides {self.strides} must be 2 to 16, for the last one has no pyramid; encoder_strides "
                f"{self.encoder_strides} must be 1 to 16"
            )
        if len(self.difference_strides) > len(self.encoder_strides):
            raise GeometryError(
                f"difference_strides {self.difference_strides} must be at most {len(self.encoder_strides)}, as many "
                "as encoder_strides"
            )
        check_convolutions(self.convolutions, len(self.strides))
        for name, whole in (("height", self.height), ("width", self.width)):
            for field in ("encoder_strides", "difference_strides"):
                scale = prod(getattr(self, field))
                if whole % scale:
                    raise GeometryError(
                        f"{name} {whole} is not a multiple of {scale}, the product of {field} {getattr(self, field)}; "
                        "crop the clip or change the strides"
                    )
        if self.stem_stride * prod(self.strides) != prod(self.encoder_strides):
            raise GeometryError(
                f"stem_stride {self.stem_stride} and strides {self.strides} enlarge "
                f"{self.stem_stride * prod(self.strides)} times, encoder_strides {self.encoder_strides} shrink "
                f"{prod(self.encoder_strides)} times; both must be the same"
            )

    @property
    def content_shape(self) -> tuple[int, int, int]:
        """(d, h, w) of the content embedding of a frame."""
        scale = prod(self.encoder_strides)
        return self.embedding_channels, self.height // scale, self.width // scale

    @property
    def source_shape(self) -> tuple[int, int, int]:
        """(C_p, h_p, w_p) of what the pyramid is made of: the difference embedding (PNeRV-L) or the content (-M)."""
        if not self.difference_strides:
            return self.content_shape
        scale = prod(self.difference_strides)
        return DIFFERENCE_CHANNELS, self.height // scale, self.width // scale

    @property
    def levels(self) -> list[tuple[int, int]]:
        """(rows, columns) of the maps behind all stages but the last, where the pyramid joins."""
        factors = [self.stem_stride * prod(self.strides[: i + 1]) for i in range(len(self.strides) - 1)]
        _, rows, columns = self.content_shape
        return [(rows * factor, columns * factor) for factor in factors]
