"""The convolution of a NeRV stage, with the three ways up of the NeRV repository (`--conv_type`).

    conv        convolve 3x3 to stride**2 times the channels, then pixel shuffle
    deconv      transposed convolution, kernel = stride
    bilinear    enlarge (corners aligned), then convolve with 2 stride + 1 taps

Source: NeRV, arXiv 2110.13903, sec. 3.1; official `model_nerv.py` (CustomConv), equal in E-NeRV's `model/NeRV.py`.
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from nervplay.errors import UnknownNameError

__all__ = ["UpConv", "UpLayers", "Upsampling", "up_layers"]

Upsampling = Literal["conv", "deconv", "bilinear"]
"""Names of `--conv_type` in NeRV and E-NeRV."""


class UpLayers(NamedTuple):
    """A convolution that owns weights, and the change of resolution before or behind it; None where there is none."""

    before: nn.Module | None
    conv: nn.Module
    after: nn.Module | None


def up_layers(kind: str, channels_in: int, channels_out: int, stride: int) -> UpLayers:
    """Return the layers that take (B, channels_in, H, W) to (B, channels_out, stride H, stride W).

    Args:
        kind: one of `Upsampling`.
        channels_in: C of the input.
        channels_out: C of the output.
        stride: factor of enlargement, 1 or more.

    Raises:
        UnknownNameError: another kind.
    """
    if kind == "conv":
        conv = nn.Conv2d(channels_in, channels_out * stride**2, 3, padding=1)
        return UpLayers(None, conv, nn.PixelShuffle(stride))
    if kind == "deconv":
        return UpLayers(None, nn.ConvTranspose2d(channels_in, channels_out, stride, stride), None)
    if kind == "bilinear":
        enlarge = nn.Upsample(scale_factor=stride, mode="bilinear", align_corners=True)
        return UpLayers(enlarge, nn.Conv2d(channels_in, channels_out, 2 * stride + 1, padding=stride), None)
    raise UnknownNameError("way up", kind, ("conv", "deconv", "bilinear"))


class UpConv(nn.Module):
    """The layers of `up_layers` as one module, without normalisation or activation. Keys: `conv.*`.

    Args:
        kind: one of `Upsampling`.
        channels_in: C of the input.
        channels_out: C of the output.
        stride: factor of enlargement, 1 or more.

    Raises:
        UnknownNameError: another kind.
    """

    def __init__(self, kind: str, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        layers = up_layers(kind, channels_in, channels_out, stride)
        self.before = layers.before or nn.Identity()
        self.conv = layers.conv
        self.after = layers.after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', stride H, stride W) from float (B, C, H, W)."""
        out: Tensor = self.after(self.conv(self.before(x)))
        return out
