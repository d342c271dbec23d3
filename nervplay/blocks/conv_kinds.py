"""What a stage convolves with: a dense convolution, or one of the cheaper kinds, as configuration.

    low-rank   two thin convolutions, of rank ceil(rho * min(C, C'))     blocks.low_rank    LRConv-NeRV
    ghost      half the channels, the rest derived from them             blocks.ghost       Ghost-NeRV v1
    ghost-v2   the same behind a gate                                    blocks.ghost       Ghost-NeRV v2
    binary     one bit per weight                                        blocks.binary      Binary-NeRV

They apply to the stages of every architecture with NeRV-style blocks: NeRV, E-NeRV, FFNeRV, HNeRV, HNeRV-Boost,
SNeRV-B, SNeRV-T, DNeRV, PNeRV. HiNeRV and SRNeRV have none (depth-wise convolutions and linear layers), so that their
configurations have no such field. What stays dense: transposed convolutions (all stages of "deconv" and of HNeRV's
"conv", those inside the stages of SNeRV-T), 3-D convolutions, stems, heads, and what joins the streams of SNeRV, DNeRV
and PNeRV.

A configuration lists the stages that are not dense in the field `convolutions: tuple[StageConv, ...] = ()` and checks
it with `check_convolutions`; the network asks `stage_convolution` for a stage and builds with `convolution`, by
`blocks.up_conv` or `blocks.conv_block`. `nervplay.models.chosen_stages` sets the field for any architecture.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

from nervplay.blocks.binary import BinaryConv2d
from nervplay.blocks.ghost import GhostConv2d
from nervplay.blocks.low_rank import LowRankConv2d
from nervplay.errors import UnknownNameError, UsageError

__all__ = ["ConvKind", "StageConv", "check_convolutions", "convolution", "stage_convolution"]

ConvKind = Literal["low-rank", "ghost", "ghost-v2", "binary"]
"""Kinds of convolution that are not dense."""


@dataclass(frozen=True, kw_only=True)
class StageConv:
    """The kind of convolution of one stage; JSON-plain.

    Args:
        stage: number of the stage, counted from 0.
        kind: one of `ConvKind`.
        rho: rank over channels, in (0, 1]; kind "low-rank" needs it, the others have none.

    Raises:
        UnknownNameError: another kind.
        UsageError: rho missing, out of range, or with a kind that has none.
    """

    stage: int
    kind: ConvKind
    rho: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(ConvKind):
            raise UnknownNameError("kind of convolution", self.kind, get_args(ConvKind))
        if self.kind == "low-rank":
            if self.rho is None or not 0 < self.rho <= 1:
                raise UsageError(f"rho of stage {self.stage} is {self.rho}; low-rank needs one in 0 .. 1, above 0")
        elif self.rho is not None:
            raise UsageError(f"stage {self.stage} has rho {self.rho}, kind '{self.kind}' has none; leave it out")


def check_convolutions(convolutions: Sequence[StageConv], stages: int, *, transposed: bool = False) -> None:
    """Raise unless a network can have these convolutions.

    Args:
        convolutions: those of its stages that are not dense.
        stages: how many stages it has.
        transposed: its stages enlarge by transposed convolution, for which there are no other kinds.

    Raises:
        UsageError: a stage that does not exist, stages out of order or named twice, transposed convolutions.
    """
    numbers = [choice.stage for choice in convolutions]
    for number in numbers:
        if not 0 <= number < stages:
            raise UsageError(f"convolutions name stage {number}; the stages of this network are 0 to {stages - 1}")
    if any(after <= before for before, after in pairwise(numbers)):
        raise UsageError(f"convolutions name the stages {numbers}; name each once, in rising order")
    if transposed and numbers:
        raise UsageError(
            f"stage {numbers[0]} is to be {convolutions[0].kind}, but transposed convolutions are dense only; choose "
            "another way up"
        )


def stage_convolution(convolutions: Iterable[StageConv], stage: int) -> StageConv | None:
    """Return what stage number `stage` convolves with; None for a dense convolution."""
    return next((choice for choice in convolutions if choice.stage == stage), None)


def convolution(
    choice: StageConv | None, channels_in: int, channels_out: int, kernel: int, *, padding: int
) -> nn.Module:
    """Return a convolution with bias and stride 1: (B, C, H, W) to (B, C', H', W'), H' = H + 2 padding - kernel + 1.

    Args:
        choice: its kind; None for `nn.Conv2d`, built with the same random numbers as ever.
        channels_in: C.
        channels_out: C', before a pixel shuffle.
        kernel: taps per side.
        padding: zeros on each side, in pixels.

    Raises:
        UsageError: channels or a kernel that the kind cannot have.
    """
    if choice is None:
        return nn.Conv2d(channels_in, channels_out, kernel, padding=padding)
    if choice.kind == "binary":
        return BinaryConv2d(channels_in, channels_out, kernel, padding=padding)
    if choice.kind == "low-rank":
        assert choice.rho is not None
        return LowRankConv2d(channels_in, channels_out, kernel, padding=padding, rho=choice.rho)
    gated = choice.kind == "ghost-v2"
    return GhostConv2d(channels_in, channels_out, kernel, padding=padding, gated=gated)
