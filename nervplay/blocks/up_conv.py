"""Ways up: a convolution that owns weights, and the change of resolution before or behind it.

    shuffled       convolve to stride**2 times the channels, then pixel shuffle
    transposed     transposed convolution; dense only
    interpolated   enlarge bilinearly, then convolve

Two families of official code choose from them under other names and with other kernels: `up_layers` has those of the
NeRV repository (`--conv_type conv|deconv|bilinear`), `blocks.conv_block.up_block` those of HNeRV.

Source: NeRV, arXiv 2110.13903, sec. 3.1; official `model_nerv.py` (CustomConv), equal in E-NeRV's `model/NeRV.py`;
HNeRV, arXiv 2304.02633, official `model_all.py` (UpConv).
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from nervplay.blocks.conv_kinds import StageConv, convolution
from nervplay.errors import UnknownNameError, UsageError

__all__ = ["UpConv", "UpLayers", "Upsampling", "interpolated", "shuffled", "transposed", "up_layers"]

Upsampling = Literal["conv", "deconv", "bilinear"]
"""Names of `--conv_type` in NeRV, E-NeRV and DNeRV."""


class UpLayers(NamedTuple):
    """A convolution that owns weights, and the change of resolution before or behind it; None where there is none."""

    before: nn.Module | None
    conv: nn.Module
    after: nn.Module | None


def shuffled(
    channels_in: int, channels_out: int, *, kernel: int, stride: int, choice: StageConv | None = None
) -> UpLayers:
    """Return a convolution to `stride`**2 times the channels, and the pixel shuffle behind it.

    Args:
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: taps per side; the padding is (kernel - 1) // 2 pixels.
        stride: factor of enlargement, 1 or more.
        choice: what convolves; None for a dense convolution.

    Raises:
        UsageError: channels or a kernel that the chosen kind cannot have.
    """
    conv = convolution(choice, channels_in, channels_out * stride**2, kernel, padding=(kernel - 1) // 2)
    return UpLayers(None, conv, nn.PixelShuffle(stride) if stride > 1 else None)


def transposed(
    channels_in: int, channels_out: int, *, kernel: int, stride: int, padding: int = 0, choice: StageConv | None = None
) -> UpLayers:
    """Return a transposed convolution.

    Args:
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: taps per side.
        stride: factor of enlargement, 1 or more.
        padding: pixels cut off on each side.
        choice: must be None.

    Raises:
        UsageError: another kind than dense.
    """
    if choice is not None:
        raise UsageError(f"a transposed convolution cannot be {choice.kind}; choose another way up")
    return UpLayers(None, nn.ConvTranspose2d(channels_in, channels_out, kernel, stride, padding), None)


def interpolated(
    channels_in: int,
    channels_out: int,
    *,
    kernel: int,
    stride: int,
    padding: int,
    align_corners: bool,
    choice: StageConv | None = None,
) -> UpLayers:
    """Return a bilinear enlargement, and the convolution behind it.

    Args:
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: taps per side.
        stride: factor of enlargement, 1 or more.
        padding: zeros on each side of the enlarged map, in pixels.
        align_corners: of `nn.Upsample`.
        choice: what convolves; None for a dense convolution.

    Raises:
        UsageError: channels or a kernel that the chosen kind cannot have.
    """
    enlarge = nn.Upsample(scale_factor=stride, mode="bilinear", align_corners=align_corners)
    return UpLayers(enlarge, convolution(choice, channels_in, channels_out, kernel, padding=padding), None)


def up_layers(
    kind: str, channels_in: int, channels_out: int, stride: int, *, kernel: int = 3, choice: StageConv | None = None
) -> UpLayers:
    """Return the layers that take (B, channels_in, H, W) to (B, channels_out, stride H, stride W).

    Args:
        kind: one of `Upsampling`: "conv" shuffles pixels; "deconv" is transposed, of `stride` taps; "bilinear" enlarges
            with the corners aligned, then convolves with 2 stride + 1 taps.
        channels_in: C of the input.
        channels_out: C of the output.
        stride: factor of enlargement, 1 or more.
        kernel: taps per side of "conv", odd; the others have their own.
        choice: what convolves; None for a dense convolution, the only one that "deconv" can have.

    Raises:
        UnknownNameError: another kind of way up.
        UsageError: a convolution that cannot be had.
    """
    if kind == "conv":
        return shuffled(channels_in, channels_out, kernel=kernel, stride=stride, choice=choice)
    if kind == "deconv":
        return transposed(channels_in, channels_out, kernel=stride, stride=stride, choice=choice)
    if kind == "bilinear":
        sizes = {"kernel": 2 * stride + 1, "stride": stride, "padding": stride}
        return interpolated(channels_in, channels_out, **sizes, align_corners=True, choice=choice)
    raise UnknownNameError("way up", kind, ("conv", "deconv", "bilinear"))


class UpConv(nn.Module):
    """The layers of `up_layers` as one module, without normalisation or activation. Keys: `conv.*`.

    Args:
        kind: one of `Upsampling`.
        channels_in: C of the input.
        channels_out: C of the output.
        stride: factor of enlargement, 1 or more.
        choice: what convolves; None for a dense convolution.

    Raises:
        UnknownNameError: another kind of way up.
        UsageError: a convolution that cannot be had.
    """

    def __init__(
        self, kind: str, channels_in: int, channels_out: int, stride: int, *, choice: StageConv | None = None
    ) -> None:
        super().__init__()
        layers = up_layers(kind, channels_in, channels_out, stride, choice=choice)
        self.before = layers.before or nn.Identity()
        self.conv = layers.conv
        self.after = layers.after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', stride H, stride W) from float (B, C, H, W)."""
        out: Tensor = self.after(self.conv(self.before(x)))
        return out
