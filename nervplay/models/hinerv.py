"""HiNeRV: Video Compression with Hierarchical Encoding-based Neural Representation, Kwan et al., NeurIPS 2023.

https://arxiv.org/abs/2306.09818. Official code: github.com/hmkx/HiNeRV at fdb92ec (MIT licence), `models/`,
`cfgs/models/`. Parity is shown by numbers: tests/nervplay/models/test_hinerv.py.

    i --> [base grid] --> [stem 3x3] --> [stage 1..m] --> [head 1x1, sigmoid] --> frame
           (h,w,3Cg)        C channels
    stage: [norm] --> [bilinear x s] --> (+ local encoding) --> [step 1..d]
    step:  [depthwise 3x3] --> [norm] --> [C1 -> eC2] --> [GELU] --> [eC2 -> C2] --> (+ x)

Notation        attribute         meaning
    C           channels          width behind the stem and of the first stage
    r           reduction         a stage has C // r channels of the one before; its first step has no residual then
    d, e, s     depths,           steps, expansion and factor of each stage
                expansions,
                strides
    Tg, Cg      grid_frames,      base grid: (Tg, h, w, Cg) and (Tg/2, h, w, 2Cg), h = H / prod s
                grid_channels
    Ce          local_channels    local encodings of stage i: T, T/2, T/4 rows of c, 2c, 4c features; c = Ce >> i or 1

Differences from the official code: grids are read where a frame needs them, not resampled for the whole clip; local
encodings are added as a tile, not by a product with a one-hot matrix; a level has at least one row in clips under four
frames, where the official code fails. Options that no published configuration uses (other types of block, encoding and
upsampling) do not exist here. A frame index may lie between frames: every grid is continuous in time.

Stages cannot be low-rank, Ghost or Binary (`blocks.conv_kinds`): they have no dense convolution to replace.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.feature_grid import FeatureGrid, LocalEncoding, Moments
from nervplay.blocks.mixing import ChannelMixing, channel_norm, channels_last_conv, depthwise, refine
from nervplay.blocks.strides import choose_strides
from nervplay.blocks.window import Window, patch_borders
from nervplay.errors import GeometryError
from nervplay.models.base import Preset, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.hinerv_config import HiNeRVConfig, Stage
from nervplay.models.renaming import rename

__all__ = [
    "PRESETS",
    "RECIPE",
    "SMALL_FRAME_RECIPE",
    "HiNeRV",
    "HiNeRVConfig",
    "StageLayers",
    "config_for_size",
    "rename_upstream_keys",
]

T = TypeVar("T")

# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 144,
    "patch_size": (80, 80),
    "learning_rate": 2e-3,
    "betas": (0.9, 0.999),
    "schedule": "hinerv_0.1_0.01_0.01",
    "loss": "Fusion10_5x5",
    "optimiser": "adam",
    "grad_clip": 1.0,
}
"""Main phase of `cfgs/train/hinerv_1280x720.txt`, in float32; for 1920x1080 the patches have 120x120. Pruning and
training for quantisation, which follow officially, are `nervplay.training.HINERV_PHASES`."""

SMALL_FRAME_RECIPE = RECIPE | {"batch_size": 1, "patch_size": None, "loss": "Fusion6"}
"""In whole frames of any size: MS-SSIM needs 65 pixels on each side, and patches a frame that they tile."""

_CLIPS = {
    "bunny": ("Big Buck Bunny", 132, (1280, 720), 40),
    "uvg": ("UVG", 600, (1920, 1080), 150),
    "mcl": ("MCL-JCV", 150, (1920, 1080), 40),
}
"""By clip: what it is, its frames, frame size, rows of the base grid in configurations without a letter."""

_STRIDES = {
    ("bunny", ""): (5, 2, 2, 2),
    ("bunny", "a"): (5, 4, 2, 2),
    ("bunny", "b"): (5, 4, 2, 2),
    ("uvg", ""): (5, 3, 2, 2),
    ("uvg", "a"): (5, 4, 3, 2),
    ("uvg", "b"): (5, 4, 3, 2),
    ("mcl", ""): (5, 3, 2, 2),
}
"""By clip and letter."""

_DEPTHS = {"b": (2, 1, 1, 1), "xl": (4, 4, 4, 1), "xxl": (5, 5, 5, 1)}
"""By letter or size, where not 3 3 3 1."""

_PUBLISHED = """
bunny-xxs    136  2  4    766691    22.92
bunny-xs     196  4  8   1585666    47.04
bunny-s      280  8 16   3249819    95.40
bunny-a-xxs  136  2  4    760067    18.08
bunny-a-xs   196  4  8   1572418    37.02
bunny-a-s    280  8 16   3223323    74.97
bunny-b-xxs  160  5  4    787543    12.08
bunny-b-xs   224 10  8   1572527    23.31
bunny-b-s    320 20 16   3250395    47.03
uvg-s        280  2  4   3188933   180.57
uvg-m        400  4  8   6489553   366.31
uvg-l        560  8 16  12818953   715.11
uvg-xl       688 16 32  25649557  1378.64
uvg-xxl      864 32 64  50726919  2645.72
uvg-a-s      280  2  4   3223133   120.28
uvg-a-m      400  4  8   6557953   243.54
uvg-a-l      560  8 16  12955753   474.83
uvg-b-s      320  5  4   3222643    76.04
uvg-b-m      448 10  8   6395595   147.55
uvg-b-l      640 20 16  13082963   298.84
mcl-xxs      136  2  4    777203    43.50
mcl-xs       196  4  8   1606482    89.14
mcl-s        280  8 16   3291451   180.59
mcl-m        400 16 32   6774549   366.39
mcl-l        560 32 64  13581665   715.33
"""
"""Official configurations: C, Cg, Ce; parameters and 10**9 multiply-accumulates per frame, at the frame counts above.

The official profiler also counts the product with a one-hot matrix that places local encodings; it is left out here."""


def _published(row: str) -> tuple[str, Preset]:
    """Return name and preset of a line of the table above."""
    name, channels, grid_channels, local_channels, parameters, gmacs = row.split()
    clip, *letter, size = name.split("-")
    what, frames, frame, grid_frames = _CLIPS[clip]
    kind = letter[0] if letter else ""

    def configure(width: int, height: int, frame_count: int) -> HiNeRVConfig:
        require_size(f"hinerv-{name}", frame, (width, height))
        return HiNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=_STRIDES[clip, kind],
            channels=int(channels),
            grid_channels=int(grid_channels),
            local_channels=int(local_channels),
            grid_frames=None if kind else grid_frames,
            depths=_DEPTHS.get(kind or size, (3, 3, 3, 1)),
            upsample_norm=kind != "b",
        )

    return name, Preset(
        summary=f"HiNeRV-{size.upper()}{f' ({kind})' if kind else ''}, {what}, {frames} frames, {frame[0]}x{frame[1]}",
        configure=configure,
        size=frame,
        frame_count=frames,
        paper=f"official cfgs/models/{clip}-hinerv-{name.removeprefix(clip + '-')}_{frame[0]}x{frame[1]}.txt, {what}",
        expected={"parameters": int(parameters), "gflops": round(2 * float(gmacs), 2)},
        recipe=RECIPE | {"patch_size": (frame[1] // 9, frame[1] // 9)},
    )


def _any_size(width: int, height: int, frame_count: int, **layout: Any) -> HiNeRVConfig:
    """Return a HiNeRV for any frame size that divides into stages; its base grid has about 144 positions, as "-a"."""
    strides = choose_strides(width, height, area=144)
    steps, expansion = layout.pop("depth", 3), layout.pop("expansion", 4.0)
    return HiNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        depths=(steps,) * (len(strides) - 1) + (1,),
        expansions=(expansion,) * (len(strides) - 1) + (1.0,),
        grid_frames=max(frame_count * 3 // 10, 1),
        **layout,
    )


def _tiny(width: int, height: int, frame_count: int) -> HiNeRVConfig:
    layout = {"channels": 16, "grid_channels": 1, "local_channels": 1, "depth": 1, "expansion": 2.0}
    return _any_size(width, height, frame_count, **layout)


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> HiNeRVConfig:
    """Return a HiNeRV of about `parameters` stored parameters; grids grow with the layers as in the published sizes.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """

    def build(channels: int) -> HiNeRVConfig:
        features = min(max(round(channels**2 / 9600), 1), 1 << 9)
        layout = {"channels": channels, "grid_channels": features, "local_channels": 2 * features}
        return _any_size(width, height, frame_count, **layout)

    return config_near(HiNeRV, build, parameters)


PRESETS = dict(map(_published, _PUBLISHED.split("\n")[1:-1])) | {
    "tiny": Preset(
        summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=SMALL_FRAME_RECIPE
    ),
}


# --- the network -----------------------------------------------------------------------------------------------------


class _Step(nn.Module):
    """One refinement step of its own weights: `depthwise.weight`, `mixing.expand.weight`, `mixing.project.weight`."""

    def __init__(self, channels_in: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.depthwise = depthwise(channels_in)
        self.mixing = ChannelMixing(channels_in, hidden, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return float (B, H, W, C') of float (B, H, W, C)."""
        return refine(x, self.mixing(channel_norm(channels_last_conv(self.depthwise, x))), mask)


class StageLayers(nn.Module):
    """One stage; keys `local.*` and `steps.*`.

    Args:
        stage: its layout.
        norm: normalise before it enlarges.
    """

    def __init__(self, stage: Stage, *, norm: bool) -> None:
        super().__init__()
        self._stride = stage.stride
        self._norm = norm
        self.local = LocalEncoding(stage.local_levels, stage.stride, stage.channels_in)
        self.steps = nn.ModuleList()  # filled behind `local`, so that random numbers fall in the official order

    def _enlarged(self, x: Tensor, tile: Tensor) -> Tensor:
        """Return whole maps bilinearly enlarged, plus the tile of the local encoding on every place of the raster."""
        B, rows, columns, _ = x.shape
        s = self._stride
        y = F.interpolate(x.permute(0, 3, 1, 2), size=(rows * s, columns * s), mode="bilinear").permute(0, 2, 3, 1)
        # In place: the largest maps of the network are written once less, and nobody else holds `y`.
        y.view(B, rows, s, columns, s, -1).add_(tile[:, None, :, None])
        return y

    def forward(
        self, x: Tensor, moments: Moments, windows: tuple[Window, Window] | None, shared: Sequence[nn.Module]
    ) -> Tensor:
        """Return the stage's map: float (B, H, W, C1) to (B, sH, sW, C2).

        Args:
            x: the map; with `windows`, rectangles with border.
            moments: the batch.
            windows: where `x` and the result lie, or None for whole frames.
            shared: layers that step j of every stage uses, at place j; empty where steps own all of theirs.
        """
        if self._norm:
            x = channel_norm(x)
        tile = self.local(moments)
        mask = None
        if windows is None:
            x = self._enlarged(x, tile)
        else:
            before, after = windows
            mask = after.mask(x.dtype)
            x = (before.enlarge(x, after) + after.tiled(tile)) * mask
        for position, step in enumerate(self.steps):
            x = step(x, mask, *shared[position : position + 1])
        return x


@register("hinerv", config=HiNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class HiNeRV(VideoModel):
    """The network: see the head of this module. Maps are channels-last inside; frames come out with such strides.

    Keys: `grid.levels.J`, `stem`, `stages.I.local.grid.levels.J`, `stages.I.local.linear`, `head`, and for each step
    `stages.I.steps.J.depthwise`, `stages.I.steps.J.mixing.expand`, `stages.I.steps.J.mixing.project`.
    """

    mixed_precision = False  # bfloat16 cost 0.2 dB after 30 epochs and won no time
    config: HiNeRVConfig

    def __init__(self, config: HiNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        # Built in the order of the data, as in the official code: random numbers then fall in the same order.
        self.grid = FeatureGrid(config.base_levels, prod(config.base_size), tall=True)
        self.stem = nn.Conv2d(sum(level.features for level in config.base_levels), config.channels, 3, padding=1)
        self.stages = nn.ModuleList()
        for stage in config.stages:
            layers = StageLayers(stage, norm=config.upsample_norm)
            layers.steps.extend(self._make_steps(stage))
            self.stages.append(layers)
        self.head = nn.Linear(config.stages[-1].channels, 3)
        for layer in (self.stem, self.head):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def _make_steps(self, stage: Stage) -> Iterator[nn.Module]:
        """Yield the refinement steps of a stage."""
        for position in range(stage.depth):
            yield _Step(stage.channels if position else stage.channels_in, stage.hidden, stage.channels)

    def _shared(self) -> Sequence[nn.Module]:
        """Return the layers that all stages share, by position of the step: none."""
        return ()

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in (0, 1)."""
        return self._decode(index, None)

    @property
    def continuous_time(self) -> bool:
        """Always: grids are blended between their rows."""
        return True

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions in frames, float64 (B,): float32 (B, 3, H, W) in (0, 1)."""
        return self._decode(position, None)

    @property
    def raster(self) -> int:
        """Rectangles of a frame that are computed alone begin at multiples of this, and so do their sides."""
        return prod(self.config.strides)

    def patch(self, index: Tensor, top: Tensor | int, left: Tensor | int, height: int, width: int) -> Tensor:
        """Return one rectangle of each frame, computed without the rest of the frame; equal to a crop of it.

        Official training works so: a batch holds rectangles of many frames.

        Args:
            index: int64 (B,), frames, each 0 .. T - 1.
            top: first row of each rectangle, int64 (B,), or one for all; a multiple of the product of the strides.
            left: first column, likewise.
            height: rows of the rectangles, a multiple of the product of the strides.
            width: columns, likewise.

        Returns:
            float32 (B, 3, height, width) in (0, 1).

        Raises:
            GeometryError: rectangles that leave the frame or miss the raster.
        """
        scale = self.raster
        tops = torch.as_tensor(top, device=index.device).expand(len(index))
        lefts = torch.as_tensor(left, device=index.device).expand(len(index))
        for name, start, length, side in (
            ("rows", tops, height, self.config.height),
            ("columns", lefts, width, self.config.width),
        ):
            outside = (start % scale != 0) | (start < 0) | (start + length > side)
            if length < 1 or length % scale or bool(outside.any()):
                raise GeometryError(
                    f"patches of {length} {name} from {start.tolist()} leave the frame's {side} {name} or the raster; "
                    f"begin and length must be multiples of {scale}"
                )
        return self.cut(index, tops, lefts, height, width)

    def cut(self, moment: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
        """Return what `patch` does; the caller answers for the raster, and no value steers the network.

        Args:
            moment: int64 (B,), frames; or float64 (B,), positions in frames.
            top: first row of each rectangle, int64 (B,) or (1,), a multiple of `raster`.
            left: first column, likewise.
            height: rows of the rectangles, a multiple of `raster`.
            width: columns, likewise.

        Returns:
            float32 (B, 3, height, width) in (0, 1).
        """
        scale = self.raster
        first, *borders = patch_borders(self.config.strides, self.config.depths)
        window = Window(
            top=top // scale,
            left=left // scale,
            height=height // scale,
            width=width // scale,
            border=first,
            frame=self.config.base_size,
        )
        windows = [window]
        for stride, border in zip(self.config.strides, borders, strict=True):
            windows.append(windows[-1].enlarged(stride, border))
        return self._decode(moment, windows)

    def _decode(self, index: Tensor, windows: Sequence[Window] | None) -> Tensor:
        """Return frames, or with windows (of the base grid and behind each stage) rectangles: (B, 3, H, W)."""
        moments = Moments(index, self.config.frame_count)
        x: Tensor = self.grid(moments).view(len(index), *self.config.base_size, -1)
        if windows is not None:
            x = windows[0].cut(x)
        x = channels_last_conv(self.stem, x)
        shared = self._shared()
        for i, stage in enumerate(self.stages):
            x = stage(x, moments, None if windows is None else (windows[i], windows[i + 1]), shared)
        if windows is not None:
            border = windows[-1].border
            x = x[:, border:-border, border:-border]
        return torch.sigmoid(self.head(x)).permute(0, 3, 1, 2)


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names.

    Args:
        state: anything, by official tensor name, without "module." and with parametrisations folded into `weight`.

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    parts = {"dconv": "depthwise", "fc1": "mixing.expand", "fc2": "mixing.project"}
    return rename(
        state,
        (
            (r"encoding\.grids\.(\d+)\.weight", r"grid.levels.\1"),
            (r"decoder\.stem\.conv\.(weight|bias)", r"stem.\1"),
            (r"decoder\.blocks\.(\d+)\.1\.enc\.grids\.(\d+)\.weight", r"stages.\1.local.grid.levels.\2"),
            (r"decoder\.blocks\.(\d+)\.1\.enc\.linear\.(weight|bias)", r"stages.\1.local.linear.\2"),
            # A stage's list counts the enlargement and the encoding as 0 and 1.
            (
                r"decoder\.blocks\.(\d+)\.([2-9]|[1-9]\d+)\.(dconv|fc1|fc2)\.weight",
                lambda m: f"stages.{m[1]}.steps.{int(m[2]) - 2}.{parts[m[3]]}.weight",
            ),
            (r"decoder\.head\.linear\.(weight|bias)", r"head.\1"),
        ),
    )
