"""SRNeRV: A Scale-wise Recursive Framework for Neural Video Representation, Wang et al., arXiv 2603.08227.

There is no official code. The paper builds on HiNeRV (`hinerv.py`: grids, stem, local encodings, enlargement and head
are its own) and shares the channel mixing of step j among all stages; "FullShare" shares the depthwise convolution as
well. What is shared is stored, counted, pruned and quantised once. Parity of the default reading is shown against the
official HiNeRV code with tied weights: tests/nervplay/models/test_srnerv.py.

    stage i, step j:  x --> [depthwise i,j] --> [norm] --> [channel mixing j: C -> eC, GELU, eC -> C] --(+ x)--> y

Notation        attribute         meaning
    C, r, d, e                    as in `hinerv.py`
    i, j                          stage; position of the step in its stage

The paper leaves the widths open, and a mixing C -> eC -> C can be used again only where widths agree:
    reading A   every stage has C channels and the same e, so that every step has its residual (default: the paper
                counts no adapters, and only so do parameters shrink as much as it says)
    reading B   widths halve as in HiNeRV; a stage uses the leading rows and columns of the shared weights
At equal parameters reading A costs 16 to 19 times the arithmetic of HiNeRV, since the last stages run at full width.

Stages cannot be low-rank, Ghost or Binary (`blocks.conv_kinds`): they have no dense convolution to replace.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.mixing import channel_norm, channels_last_conv, depthwise, refine
from nervplay.blocks.strides import choose_strides
from nervplay.errors import UsageError
from nervplay.models.base import Preset, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.hinerv import RECIPE, SMALL_FRAME_RECIPE, HiNeRV
from nervplay.models.hinerv_config import HiNeRVConfig, Stage

__all__ = ["PRESETS", "SRNeRV", "SRNeRVConfig", "config_for_size"]


@dataclass(frozen=True, kw_only=True)
class SRNeRVConfig(HiNeRVConfig):
    """Configuration of `SRNeRV`: that of HiNeRV, and what is shared.

    Args:
        reduction: r; 1 in reading A.
        expansions: e of each stage; all equal in reading A.
        share: "mixing" shares the channel mixing of a step among stages, "step" the depthwise convolution, too.
        reading: "A" or "B", see the head of this module.

    Raises:
        GeometryError: a frame size that the strides do not divide.
        UsageError: a value outside its range, or widths that reading A cannot share.
    """

    reduction: float = 1.0
    expansions: tuple[float, ...] = (4.0, 4.0, 4.0, 4.0)
    share: Literal["mixing", "step"] = "mixing"
    reading: Literal["A", "B"] = "A"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reading == "A" and (self.reduction != 1 or len(set(self.expansions)) != 1):
            raise UsageError(
                f"reduction {self.reduction} and expansions {self.expansions} give stages of different widths; "
                "reading A needs reduction 1 and equal expansions, or set reading to B"
            )


class _LeadingLinear(nn.Linear):
    """A linear layer without bias of which narrower stages use the first rows and columns."""

    def forward(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return float (..., width) of float (..., C), C up to `in_features`; all rows when `width` is None."""
        return F.linear(x, self.weight[:width, : x.shape[-1]])


class _LeadingDepthwise(nn.Conv2d):
    """A depthwise 3x3 convolution of which narrower stages use the first channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C, H, W) of the same shape, C up to `in_channels`."""
        return F.conv2d(x, self.weight[: x.shape[1]], padding=1, groups=x.shape[1])


class _Shared(nn.Module):
    """What step j of all stages shares: `expand.weight` (eC, C), `project.weight` (C, eC), `depthwise.weight` if whole.

    Args:
        steps: the steps that share: (channels in, hidden, channels) of each.
        whole: share the depthwise convolution as well.
    """

    def __init__(self, steps: Sequence[tuple[int, int, int]], *, whole: bool) -> None:
        super().__init__()
        channels_in, hidden, channels = (max(sizes) for sizes in zip(*steps, strict=True))
        self.depthwise = _LeadingDepthwise(channels_in) if whole else None
        self.expand = _LeadingLinear(channels_in, hidden, bias=False)
        self.project = _LeadingLinear(hidden, channels, bias=False)

    def mix(self, x: Tensor, hidden: int, channels: int) -> Tensor:
        """Return float (B, H, W, channels) of float (B, H, W, C), through `hidden` channels."""
        out: Tensor = self.project(F.gelu(self.expand(x, hidden)), channels)
        return out


class _Step(nn.Module):
    """One step of one stage: its place in the shared weights, and `depthwise.weight` unless that is shared."""

    def __init__(self, channels_in: int, hidden: int, channels: int, *, own: bool) -> None:
        super().__init__()
        self._hidden = hidden
        self._channels = channels
        self.depthwise = depthwise(channels_in) if own else None

    def forward(self, x: Tensor, mask: Tensor | None, shared: _Shared) -> Tensor:
        """Return float (B, H, W, C') of float (B, H, W, C)."""
        spatial = self.depthwise or shared.depthwise
        assert spatial is not None
        mixed = shared.mix(channel_norm(channels_last_conv(spatial, x)), self._hidden, self._channels)
        return refine(x, mixed, mask)


# --- presets ---------------------------------------------------------------------------------------------------------

_FRAME = (1280, 720)


def _bunny(name: str, channels: int, share: Literal["mixing", "step"], parameters: int, gmacs: float) -> Preset:
    """Return a preset with the strides, depths and grids of `hinerv-bunny-xxs`."""

    def configure(width: int, height: int, frame_count: int) -> SRNeRVConfig:
        require_size(f"srnerv-{name}", _FRAME, (width, height))
        return SRNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=(5, 2, 2, 2),
            channels=channels,
            grid_channels=2,
            local_channels=4,
            grid_frames=40,
            share=share,
        )

    return Preset(
        summary=f"SRNeRV{'-FullShare' if share == 'step' else ''} of {channels} channels for Big Buck Bunny, 1280x720",
        configure=configure,
        size=_FRAME,
        paper="the paper prints no sizes; figures of reading A for 132 frames",
        expected={"parameters": parameters, "gflops": round(2 * gmacs, 2)},
        recipe=RECIPE,
    )


def _any_size(width: int, height: int, frame_count: int, *, channels: int, features: int, depth: int) -> SRNeRVConfig:
    """Return a reading A for any frame size that divides into stages; its base grid has about 144 positions."""
    strides = choose_strides(width, height, area=144)
    return SRNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        channels=channels,
        grid_channels=features,
        local_channels=2 * features,
        grid_frames=max(frame_count * 3 // 10, 1),
        depths=(depth,) * (len(strides) - 1) + (1,),
        expansions=(4.0,) * len(strides),
    )


def _tiny(width: int, height: int, frame_count: int) -> SRNeRVConfig:
    return _any_size(width, height, frame_count, channels=8, features=1, depth=1)


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> SRNeRVConfig:
    """Return an SRNeRV (reading A) of about `parameters` stored parameters.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """

    def build(channels: int) -> SRNeRVConfig:
        features = min(max(round(channels**2 / 9600), 1), 1 << 9)
        return _any_size(width, height, frame_count, channels=channels, features=features, depth=3)

    return config_near(SRNeRV, build, parameters)


PRESETS = {
    "c64": _bunny("c64", 64, "mixing", 249_715, 61.16),
    "c96": _bunny("c96", 96, "mixing", 379_251, 136.68),
    "c128": _bunny("c128", 128, "mixing", 557_939, 242.17),
    "fullshare-c64": _bunny("fullshare-c64", 64, "step", 245_683, 61.16),
    "fullshare-c96": _bunny("fullshare-c96", 96, "step", 373_203, 136.68),
    "fullshare-c128": _bunny("fullshare-c128", 128, "step", 549_875, 242.17),
    "tiny": Preset(
        summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=SMALL_FRAME_RECIPE
    ),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("srnerv", config=SRNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class SRNeRV(HiNeRV):
    """The network: see the head of this module.

    Keys: those of `HiNeRV`, except that steps hold `stages.I.steps.J.depthwise` at most; `shared.J.expand`,
    `shared.J.project`, and where whole steps are shared `shared.J.depthwise`.
    """

    config: SRNeRVConfig

    def __init__(self, config: SRNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.shared = nn.ModuleList(
            _Shared(
                [_step_sizes(stage, position) for stage in config.stages if position < stage.depth],
                whole=config.share == "step",
            )
            for position in range(max(config.depths))
        )

    def _make_steps(self, stage: Stage) -> Iterator[nn.Module]:
        """Yield the refinement steps of a stage."""
        for position in range(stage.depth):
            yield _Step(*_step_sizes(stage, position), own=self.config.share == "mixing")

    def _shared(self) -> Sequence[nn.Module]:
        """Return the layers that all stages share, by position of the step."""
        return tuple(self.shared)


def _step_sizes(stage: Stage, position: int) -> tuple[int, int, int]:
    """Return channels in, hidden channels and channels out of a step."""
    return stage.channels if position else stage.channels_in, stage.hidden, stage.channels
