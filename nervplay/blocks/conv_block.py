"""The NeRV block, convolution -> normalisation -> activation, with the ways up and down of NeRV and HNeRV.

    x --> [before] --> [conv] --> [after] --> [norm] --> [activation] --> y

`before` and `after` change the resolution and own no weights; the keys of a block are `conv.*` and, for "bn", `norm.*`.
The ways up themselves are in `blocks.up_conv`: a block goes up by the names of NeRV (`nerv_block`) or of HNeRV
(`up_block`).
Source: NeRV, arXiv 2110.13903, sec. 3.1 (pixel shuffle); HNeRV, arXiv 2304.02633, official `model_all.py` (the rest).
"""

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from nervplay.blocks.activation import activation as make_activation
from nervplay.blocks.conv_kinds import StageConv
from nervplay.blocks.instance_norm import InstanceNorm2d
from nervplay.blocks.up_conv import Upsampling, interpolated, shuffled, transposed, up_layers
from nervplay.errors import UnknownNameError

__all__ = ["ConvBlock", "NormName", "Resampling", "down_block", "down_size", "nerv_block", "up_block", "up_size"]

NormName = Literal["none", "bn", "in"]
"""Names of `--norm`: identity, BatchNorm2d, InstanceNorm2d without weights and without running statistics."""

Resampling = Literal["pshuffel", "conv", "interpolate"]
"""Names of `--conv_type` (the spelling is theirs)."""

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _channels: nn.Identity(),
    "bn": nn.BatchNorm2d,
    "in": InstanceNorm2d,
}


class ConvBlock(nn.Module):
    """One block: see the head of this module.

    Args:
        conv: the convolution, built by the caller so that random numbers are drawn in the official order.
        channels: channels after `after`, those that are normalised.
        norm: one of `NormName`.
        activation: one of `ActivationName`.
        before: change of resolution before the convolution.
        after: change of resolution behind it.

    Raises:
        UnknownNameError: another norm or activation.
    """

    def __init__(
        self,
        conv: nn.Module,
        channels: int,
        *,
        norm: str,
        activation: str,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if norm not in _NORMS:
            raise UnknownNameError("normalisation", norm, _NORMS)
        self.before = before or nn.Identity()
        self.conv = conv
        self.after = after or nn.Identity()
        self.norm = _NORMS[norm](channels)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C', H', W') from float (B, C, H, W)."""
        return self.finish(self.conv(self.before(x)))

    def finish(self, x: Tensor) -> Tensor:
        """Return what follows the convolution: `after`, norm, activation. A fit may put a faster function in its place.

        Args:
            x: float (B, C'', H, W), the result of the convolution.
        """
        out: Tensor = self.activation(self.norm(self.after(x)))
        return out


def nerv_block(
    kind: Upsampling,
    channels_in: int,
    channels_out: int,
    *,
    stride: int,
    norm: str,
    activation: str,
    kernel: int = 3,
    choice: StageConv | None = None,
) -> ConvBlock:
    """Return a block that enlarges `stride` times, exactly; official class NerfBlock (later NeRVBlock).

    Args:
        kind: see `up_layers`.
        channels_in: C of the input.
        channels_out: C of the output.
        stride: factor of enlargement, 1 or more.
        norm: one of `NormName`.
        activation: one of `ActivationName`.
        kernel: taps per side of kind "conv", odd; the others have their own.
        choice: what convolves; None for a dense convolution, the only one that kind "deconv" can have.

    Raises:
        UsageError: a convolution that cannot be had.
    """
    before, conv, after = up_layers(kind, channels_in, channels_out, stride, kernel=kernel, choice=choice)
    return ConvBlock(conv, channels_out, norm=norm, activation=activation, before=before, after=after)


def up_block(
    kind: Resampling,
    channels_in: int,
    channels_out: int,
    *,
    kernel: int,
    stride: int,
    norm: str,
    activation: str,
    choice: StageConv | None = None,
) -> ConvBlock:
    """Return a block that enlarges `stride` times; `up_size` tells the exact size.

    Args:
        kind: "pshuffel" convolve to stride**2 times the channels, then pixel shuffle; "conv" transposed convolution of
            kernel + stride taps; "interpolate" bilinear enlargement, then a convolution of kernel + stride taps.
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: the official kernel argument, in pixels.
        stride: factor of enlargement, 1 or more.
        norm: one of `NormName`.
        activation: one of `ActivationName`.
        choice: what convolves; None for a dense convolution, the only one that kind "conv" can have.

    Raises:
        UsageError: a convolution that cannot be had.
    """
    if kind == "conv":
        padding = math.ceil(kernel / 2)
        layers = transposed(
            channels_in, channels_out, kernel=kernel + stride, stride=stride, padding=padding, choice=choice
        )
    elif kind == "interpolate":
        padding = math.ceil((kernel + stride - 1) / 2)
        sizes = {"kernel": kernel + stride, "stride": stride, "padding": padding}
        layers = interpolated(channels_in, channels_out, **sizes, align_corners=False, choice=choice)
    else:
        layers = shuffled(channels_in, channels_out, kernel=kernel, stride=stride, choice=choice)
    before, conv, after = layers
    return ConvBlock(conv, channels_out, norm=norm, activation=activation, before=before, after=after)


def down_block(
    kind: Resampling, channels_in: int, channels_out: int, *, kernel: int, stride: int, norm: str, activation: str
) -> ConvBlock:
    """Return a block that shrinks `stride` times, the mirror of `up_block` with the same arguments.

    Kind "conv" with kernel 0 and stride 1 is a 1x1 convolution: the stem of every HNeRV decoder.
    """
    before: nn.Module | None = None
    if kind == "conv":
        conv = nn.Conv2d(channels_in, channels_out, kernel + stride, stride, math.ceil(kernel / 2))
    elif kind == "interpolate":
        before = nn.Upsample(scale_factor=1.0 / stride, mode="bilinear")
        padding = math.ceil((kernel + stride - 1) / 2)
        conv = nn.Conv2d(channels_in, channels_out, kernel + stride, padding=padding)
    else:
        before = nn.PixelUnshuffle(stride) if stride > 1 else None
        conv = nn.Conv2d(channels_in * stride**2, channels_out, kernel, padding=(kernel - 1) // 2)
    return ConvBlock(conv, channels_out, norm=norm, activation=activation, before=before)


def up_size(kind: Resampling, size: int, *, kernel: int, stride: int) -> int:
    """Return the rows (or columns) behind `up_block` for `size` before it.

    It is stride * size for "pshuffel" with odd kernels, "conv" with even ones, "interpolate" with odd kernel + stride.
    """
    if kind == "conv":
        return (size - 1) * stride - 2 * math.ceil(kernel / 2) + kernel + stride
    if kind == "interpolate":
        return size * stride + 2 * math.ceil((kernel + stride - 1) / 2) - (kernel + stride) + 1
    return (size + 2 * ((kernel - 1) // 2) - kernel + 1) * stride


def down_size(kind: Resampling, size: int, *, kernel: int, stride: int) -> int:
    """Return the rows (or columns) behind `down_block` for `size` before it, `size` a multiple of `stride`."""
    if kind == "conv":
        return (size + 2 * math.ceil(kernel / 2) - kernel - stride) // stride + 1
    if kind == "interpolate":
        return size // stride + 2 * math.ceil((kernel + stride - 1) / 2) - (kernel + stride) + 1
    return size // stride + 2 * ((kernel - 1) // 2) - kernel + 1
