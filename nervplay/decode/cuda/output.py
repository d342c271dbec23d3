"""Frames as they leave a device: 8-bit RGB, floats, or planes of YUV samples, converted there to the byte.

The formulas are those of `nervplay.decode.rounding` and `nervplay.decode.planes`, operation by operation in float32, so
that samples do not depend on where they were computed. No operation here multiplies and adds in one step.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nervplay.decode.rounding import to_uint8
from nervplay.errors import UsageError
from nervplay.video.colour import rgb_coefficients

__all__ = ["FloatPlanes", "Output", "Rgb8", "YuvPlanes"]


@dataclass(frozen=True)
class Rgb8:
    """uint8 (H, W, 3), rounded by `nervplay.decode.rounding`."""

    def __call__(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Return the converted frame, from float32 (1, 3, H, W)."""
        return (to_uint8(frame)[0],)


@dataclass(frozen=True)
class FloatPlanes:
    """float32 (3, H, W), as the network gives it."""

    def __call__(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Return the frame, from float32 (1, 3, H, W)."""
        return (frame[0].contiguous(),)


@dataclass(frozen=True, kw_only=True)
class YuvPlanes:
    """Y, U and V as `nervplay.decode.planes` defines them.

    Args:
        matrix: a key of `nervplay.video.colour.MATRICES`.
        colour_range: "tv" or "pc".
        bit_depth: 8 (uint8) or 10 (uint16).
        subsampled: 4:2:0 instead of 4:4:4.

    Raises:
        UsageError: another depth.
        UnknownNameError: a matrix or range that is not known.
    """

    matrix: str
    colour_range: str
    bit_depth: int = 8
    subsampled: bool = True

    def __post_init__(self) -> None:
        if self.bit_depth not in (8, 10):
            raise UsageError(f"{self.bit_depth} bits per sample cannot be written; use 8 or 10")
        rgb_coefficients(self.matrix, self.colour_range, self.bit_depth)

    def __call__(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Return the planes, from float32 (1, 3, H, W)."""
        weights = torch.tensor(rgb_coefficients(self.matrix, self.colour_range, self.bit_depth), dtype=torch.float32)
        weights[:, 3] += 0.5
        rows = weights.tolist()  # float32 values, which the device is given as they are
        rgb = frame.float().nan_to_num(0.0, 1.0, 0.0).clamp(0.0, 1.0)
        luma = self._samples(rgb[0], rows[0])
        if self.subsampled:
            height, width = rgb.shape[2:]
            rgb = F.pad(rgb, (0, width % 2, 0, height % 2), mode="replicate")
            upper, lower = (rgb[:, :, row::2, 0::2] + rgb[:, :, row::2, 1::2] for row in (0, 1))
            rgb = (upper + lower) * 0.25
        return luma, self._samples(rgb[0], rows[1]), self._samples(rgb[0], rows[2])

    def _samples(self, rgb: Tensor, weights: list[float]) -> Tensor:
        """Return one plane, from float32 (3, H, W)."""
        value = rgb[0] * weights[0] + rgb[1] * weights[1]
        value = value + rgb[2] * weights[2]
        value = (value + weights[3]).clamp_(0.0, (1 << self.bit_depth) - 0.5)
        return value.to(torch.uint8 if self.bit_depth == 8 else torch.uint16)


Output = Rgb8 | FloatPlanes | YuvPlanes
"""How a frame leaves the device."""
