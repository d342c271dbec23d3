"""The encoder of DNeRV and PNeRV, in training only: a frame, and how it differs from the frames around it.

    frame (B,3,H,W) --------------------------------> [stream] --> content embedding (B,d,h,w)
    frame, previous, next --> [difference planes] --> [stream] --> difference embedding (B,2,h',w')

    stream: [stage 1..n] --> [projection 1x1]      stage: [conv k=s, stride s] --> [norm] --> [block]
    block:  x + scale * (depthwise 7x7 --> norm --> C to 4C --> GELU --> 4C to C); plain: without norm and scale

Source: DNeRV, arXiv 2304.06544, and PNeRV, arXiv 2404.08921; official `model/D_NeRV.py`, `model/P_NeRV.py` (MIT).
Differences from the official code: a plain block does not own the norm and the scale that its official twin stores
without using them. The encoder of HNeRV (`convnext.py`) is another: it normalises before all but the first convolution,
ends without a projection and draws its weights otherwise.
"""

import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.channel_norm import ChannelNorm
from nervplay.errors import UsageError

__all__ = [
    "DIFFERENCE_CHANNELS",
    "NEIGHBOURS",
    "EncoderStream",
    "TwoStreamEncoder",
    "difference_planes",
    "source_index",
    "upstream_rules",
]

NEIGHBOURS = (-1, 1)
"""Offsets of the frames that differences are taken to."""
DIFFERENCE_CHANNELS = 2
"""Channels of a difference embedding; fixed in the official code."""

_INIT_SCALE = 1e-6


def source_index(index: Tensor, frame_count: int) -> Tensor:
    """Return which frames of the clip the encoder reads; at its ends the missing neighbour is the frame itself.

    Args:
        index: int64 (B,), each 0 .. T - 1.
        frame_count: T.

    Returns:
        int64 (B, 3): t, t - 1, t + 1.
    """
    places = torch.stack([index + offset for offset in (0, *NEIGHBOURS)], dim=1)
    return places.clamp(0, frame_count - 1)


def difference_planes(frames: Tensor) -> Tensor:
    """Return what the difference stream reads.

    Args:
        frames: float (B, 3, 3, H, W): frame t, frame t - 1, frame t + 1, each RGB in [0, 1].

    Returns:
        float (B, 6, H, W) in [-1, 1]: for R, then G, then B, I(t) - I(t-1) and I(t+1) - I(t).
    """
    here, previous, following = frames.unbind(1)
    return torch.stack([here - previous, following - here], dim=2).flatten(1, 2)


class _Stage(nn.Module):
    """Convolution with kernel = stride, norm, and one ConvNeXt block."""

    def __init__(self, channels_in: int, channels: int, stride: int, *, plain: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, stride, stride)
        self.norm = ChannelNorm(channels)
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.block_norm = None if plain else ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, 4 * channels, 1)
        self.project = nn.Conv2d(4 * channels, channels, 1)
        self.scale = None if plain else nn.Parameter(torch.full((channels,), _INIT_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        y = self.depthwise(x)
        if self.block_norm is not None:
            y = self.block_norm(y)
        y = self.project(F.gelu(self.expand(y)))
        out: Tensor = x + (y if self.scale is None else y * self.scale[:, None, None])
        return out


class EncoderStream(nn.Module):
    """One stream, built step by step, since the official code draws its random numbers in turns with the other stream.

    Args:
        channels_in: channels of what it reads: 3 for frames, 6 for difference planes.
        width: channels of all its stages.
        plain: blocks without norm and scale.
    """

    def __init__(self, channels_in: int, width: int, *, plain: bool) -> None:
        super().__init__()
        self._channels_in, self._width, self._plain = channels_in, width, plain
        self.stages = nn.ModuleList()
        self.projection: nn.Module = nn.Identity()

    def add_stage(self, stride: int) -> None:
        """Append a stage that shrinks `stride` times."""
        channels_in = self._width if len(self.stages) else self._channels_in
        self.stages.append(_Stage(channels_in, self._width, stride, plain=self._plain))

    def set_projection(self, channels: int) -> None:
        """Make the last layer, to `channels` channels; a later call replaces it, as happens in the official code."""
        self.projection = nn.Conv2d(self._width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding float (B, d, h, w) of float (B, C, H, W)."""
        for stage in self.stages:
            x = stage(x)
        out: Tensor = self.projection(x)
        return out


class TwoStreamEncoder(nn.Module):
    """The encoder: see the head of this module.

    Args:
        content: reads the frame itself.
        difference: reads its differences; None for an encoder that sees the frame alone.
    """

    def __init__(self, content: EncoderStream, difference: EncoderStream | None) -> None:
        super().__init__()
        self.content = content
        self.difference = difference

    def forward(self, frames: Tensor) -> Sequence[Tensor]:
        """Return the embeddings: content float (B, d, h, w), then difference float (B, 2, h', w') if there is one.

        Args:
            frames: float in [0, 1]; (B, 3, 3, H, W) as for `difference_planes`, or (B, 3, H, W) for content alone.

        Raises:
            UsageError: frames of another shape.
        """
        if self.difference is None:
            return (self.content(frames),)
        if frames.ndim != 5 or frames.shape[1] != 1 + len(NEIGHBOURS):
            raise UsageError(
                f"frames of shape {tuple(frames.shape)} have no neighbours; give (B, 3, 3, H, W): each frame, the one "
                "before and the one after it"
            )
        return self.content(frames[:, 0]), self.difference(difference_planes(frames))


def upstream_rules(
    stream: str, *, stages: str, projection: str
) -> Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]:
    """Return the rules, pattern and replacement, that turn official tensor names of a stream into ours.

    The official code lists convolution, norm and block of all stages in one row: stage k has the places 3k to 3k + 2.

    Args:
        stream: "content" or "difference".
        stages: official name of that row.
        projection: official name of the last layer.
    """
    layers = {"dwconv": "depthwise", "pwconv1": "expand", "pwconv2": "project", "norm": "block_norm"}

    def place(match: re.Match[str]) -> str:
        stage, layer = divmod(int(match[1]), 3)
        return f"encoder.{stream}.stages.{stage}.{('conv', 'norm', 'block')[layer]}.{match[2]}"

    def within(match: re.Match[str]) -> str:
        return f"encoder.{stream}.stages.{int(match[1]) // 3}.{layers[match[2]]}.{match[3]}"

    return (
        (rf"{stages}\.(\d+)\.(weight|bias)", place),
        (rf"{stages}\.(\d+)\.gamma", lambda match: f"encoder.{stream}.stages.{int(match[1]) // 3}.scale"),
        (rf"{stages}\.(\d+)\.({'|'.join(layers)})\.(weight|bias)", within),
        (rf"{projection}\.(weight|bias)", rf"encoder.{stream}.projection.\1"),
    )
