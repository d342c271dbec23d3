"""FFNeRV: Flow-Guided Frame-Wise Neural Representations for Videos, Lee et al., ACM Multimedia 2023.

Paper: https://arxiv.org/abs/2212.12294 . Official code: github.com/maincold2/FFNeRV at f02d4c0, `model.py`, `main.py`.
MIT licence; nothing is copied, parity is shown by numbers (tests/golden).

    i --> t = i/T --> [grids, read at t] --> (C,h,w) --> [stage 1..m] --> [head] --> independent frame, 2 logits
                                                              |
                                                [flow head behind stage m-2] --> flows and weights of K neighbours

    independent frames i+a_1 .. i+a_K, as float16 --> [warp, weighted sum] --> aggregated frame
    frame = softmax(2 logits) . (independent frame, aggregated frame)

Notation        attribute             meaning
    h, w, C     grid, channels        `--fc-hw-dim h_w_C`: size of the grids, features of all of them together
    T_g         grid_rows             `--t-dim`: rows of grid g in time; frame i reads it at i T_g / T
    a_k         neighbours            `--agg-ind`; a neighbour outside the clip is black
    s_i         strides               their product is H / h = W / w
    S           expansion             width of the first stage is int(C * S)
    b           weight_bits           `--wbit`: levels of weights, biases and grids (`blocks.tanh_quantise`)

The official evaluation fills a buffer of all independent frames, rounded to float16, and then reads neighbours from it.
Here a frame computes those it needs, rounded likewise, one by one: the same frame whatever the batch, and nothing to
keep. So a single frame costs up to K + 1 passes, a run of frames little more than one each. GFLOPs count one pass per
frame, as the official hooks do.

Differences from the official code: in training its neighbours come from the buffer, too, filled once before the first
step and then renewed frame by frame as they are drawn: they are up to an epoch old. Here they are computed with the
current weights (in eval mode, without gradient, as there): the first step is the same, later ones see newer
neighbours, a resumed fit needs no buffer, and a step costs K more passes. `--single-res`, "deconv" and "bilinear" do
not exist here (its forward pass fails with them). Its evaluation of a quantised network (`--eval-only --wbit 8`) stores
quantised weights and quantises those again; here weights are quantised once.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervplay.blocks.activation import picture
from nervplay.blocks.conv_block import ConvBlock, nerv_block
from nervplay.blocks.conv_kinds import stage_convolution
from nervplay.blocks.encoding import normalised_time
from nervplay.blocks.flow import aggregate
from nervplay.blocks.strides import choose_strides, nearest_fitting_size
from nervplay.blocks.tanh_quantise import QuantisedConv2d, tanh_quantise
from nervplay.errors import GeometryError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.ffnerv_config import FLOW_SCALE, GROUPS, FFNeRVConfig
from nervplay.models.renaming import rename

__all__ = ["PRESETS", "FFNeRV", "FFNeRVConfig", "Independent", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")


class Independent(NamedTuple):
    """What the network makes of moments alone, before neighbours come in.

    Args:
        picture: float (B, 3, H, W) in [0, 1], the independent frames.
        logits: float (B, 2, H, W): independent or aggregated, before the softmax.
        flow: float (B, 2K, H/4, W/4), dx and dy per neighbour, in pixels of that size.
        weights: float (B, K, H/4, W/4), of the neighbours, before the softmax.
    """

    picture: Tensor
    logits: Tensor
    flow: Tensor
    weights: Tensor


class _CompactConv(nn.Module):
    """3x3 in groups, then 1x1 over all channels; official class CustomConv, conv_type compact."""

    def __init__(self, channels_in: int, channels_out: int, bits: int) -> None:
        super().__init__()
        self.spatial = QuantisedConv2d(channels_in, channels_out, 3, bits=bits, padding=1, groups=GROUPS)
        self.mix = QuantisedConv2d(channels_out, channels_out, 1, bits=bits)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mix(self.spatial(x))
        return out


def _stage(config: FFNeRVConfig, number: int, channels_in: int, channels_out: int) -> ConvBlock:
    """Return stage `number`: (B, C, H, W) to (B, C', sH, sW)."""
    look: dict[str, Any] = {"norm": config.norm, "activation": config.activation}
    stride, bits = config.strides[number], config.weight_bits
    choice = stage_convolution(config.convolutions, number)
    if choice is not None:
        return nerv_block(config.way_up, channels_in, channels_out, stride=stride, choice=choice, **look)
    wide = channels_out * stride**2
    conv: nn.Module
    if config.is_compact(number):
        conv = _CompactConv(channels_in, wide, bits)
    else:
        conv = QuantisedConv2d(channels_in, wide, 3, bits=bits, padding=1)
    return ConvBlock(conv, channels_out, after=nn.PixelShuffle(stride), **look)


# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 5e-4,
    "betas": (0.5, 0.999),
    "schedule": "nerv_0.2",
    "loss": "Fusion6",
    "optimiser": "adam",
}
"""Training of the official README: `-e 300 -b 1 --lr 0.0005 --loss Fusion6`, the rest by default."""

_GRID_AREA = 144


def _representation(width: int, height: int, frame_count: int) -> FFNeRVConfig:
    require_size("ffnerv-representation", (1280, 720), (width, height))
    return FFNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(9, 16),
        channels=156,
        strides=(5, 2, 2, 2, 2),
        grid_rows=(64, 128, 256, 512),
    )


def _compression(width: int, height: int, frame_count: int) -> FFNeRVConfig:
    require_size("ffnerv-compression", (1920, 1080), (width, height))
    return FFNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(9, 16),
        channels=48,
        strides=(5, 3, 2, 2, 2),
        grid_rows=(300, 600),
        expansion=8.0,
        lower_width=24,
        convolution="compact",
        weight_bits=8,
    )


def _strides(width: int, height: int) -> tuple[int, ...]:
    """Return strides that end in 2 2, for the flows stand at a quarter of the frame.

    Raises:
        GeometryError: no such strides.
    """
    quarter = width // FLOW_SCALE, height // FLOW_SCALE
    try:
        if width % FLOW_SCALE == height % FLOW_SCALE == 0:
            return (*choose_strides(*quarter, area=_GRID_AREA), 2, 2)
    except GeometryError:
        pass
    near = nearest_fitting_size(*quarter)
    size = f"{near[0] * FLOW_SCALE}x{near[1] * FLOW_SCALE}" if near else ""
    way = f"crop or scale it to {size} (--crop {size})" if near else "enlarge it"
    raise GeometryError(
        f"{width}x{height} frames do not divide into the stages of FFNeRV: both sides need 4 times a common multiple "
        f"of 2, 3 and 5; {way}"
    )


def _tiny(width: int, height: int, frame_count: int) -> FFNeRVConfig:
    strides = _strides(width, height)
    return FFNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(height // prod(strides), width // prod(strides)),
        channels=8,
        strides=strides,
        grid_rows=(max(1, frame_count // 4), max(1, frame_count // 2)),
        lower_width=8,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> FFNeRVConfig:
    """Return an FFNeRV of about `parameters` stored parameters, with grids of T/2 and T rows as for compression.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """
    strides = _strides(width, height)
    shrink = min(1.0, (parameters / 12.4e6) ** 0.5)

    def build(features: int) -> FFNeRVConfig:
        return FFNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            grid=(height // prod(strides), width // prod(strides)),
            channels=2 * features,
            strides=strides,
            grid_rows=(max(1, frame_count // 2), frame_count),
            lower_width=max(8, round(96 * shrink)),
        )

    return config_near(FFNeRV, build, parameters, largest=1 << 11)


PRESETS = {
    "representation": Preset(
        summary="FFNeRV as the official README fits it, 12.4 M parameters, 1280x720",
        configure=_representation,
        size=(1280, 720),
        paper="official README, representation; GFLOPs of one pass, counted with hooks on the official network",
        expected={"parameters": 12_408_509, "gflops": 207.134},
        recipe=RECIPE,
    ),
    "compression": Preset(
        summary="FFNeRV as the official README compresses UVG: compact, 8 bits, 11.3 M parameters, 1920x1080",
        configure=_compression,
        size=(1920, 1080),
        paper="official README, compression; GFLOPs of one pass, as counted here",
        expected={"parameters": 11_308_169, "gflops": 73.654},
        recipe=RECIPE | {"epochs": 600},
    ),
    "tiny": Preset(summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("ffnerv", config=FFNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class FFNeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `grids.G` (T_g, C/G, h, w), `stages.N.conv` (compact: `stages.N.conv.spatial` and `.mix`), `stages.N.norm`
    (only "bn"), `flow_head`, `head`.
    """

    mixed_precision = False  # it mixes float16 pictures in, which autocast to bfloat16 does not take
    config: FFNeRVConfig
    rows: Tensor
    shares: Tensor

    def __init__(self, config: FFNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        T, G, K = config.frame_count, len(config.grid_rows), len(config.neighbours)
        self.register_buffer("rows", torch.empty(G, 2, T, dtype=torch.int64), persistent=False)
        self.register_buffer("shares", torch.empty(G, 3, T), persistent=False)
        self.fill_tables()
        self.grids = nn.ParameterList()
        for rows in config.grid_rows:
            grid = torch.empty(rows, config.channels // G, *config.grid)
            self.grids.append(nn.Parameter(nn.init.xavier_uniform_(grid)))
        self.stages = nn.ModuleList()
        for i, (before, after) in enumerate(pairwise((config.channels, *config.widths))):
            self.stages.append(_stage(config, i, before, after))
            if i == len(config.strides) - 3:
                self.flow_head = QuantisedConv2d(after, 3 * K, 1, bits=config.weight_bits)
        self.head = QuantisedConv2d(config.widths[-1], 5, 1, bits=config.weight_bits)

    def fill_tables(self) -> None:
        """Compute where each frame reads each grid: two rows, int64 (G, 2, T), and three factors, float32 (G, 3, T)."""
        if self.rows.is_meta:
            return
        rows, shares = self._places(normalised_time(self.config.frame_count))
        self.rows.copy_(rows)
        self.shares.copy_(shares)

    def _places(self, time: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return where normalised times (B,) read each grid: rows, int64 (G, 2, B), and shares, float32 (G, 3, B)."""
        rows, shares = [], []
        for count in self.config.grid_rows:
            position = time.astype(np.float32) * np.float32(count)
            low = np.minimum(np.floor(position + np.float32(1e-6)).astype(np.int64), count - 1)
            high = np.minimum(low + 1, count - 1)
            # In the last row both are the same one: the third factor keeps the sum of all three at 1.
            factors = (high - position, position - low, low + 1 - high)
            rows.append(np.stack([low, high]))
            shares.append(np.stack([factor.astype(np.float32) for factor in factors]))
        return torch.from_numpy(np.stack(rows)), torch.from_numpy(np.stack(shares))

    def _features(self, all_rows: Tensor, all_shares: Tensor) -> Tensor:
        """Return the grids at moments, as `_places` gives these: (G, 2, B) and (G, 3, B) to (B, C, h, w)."""
        parts = []
        for grid, rows, shares in zip(self.grids, all_rows, all_shares, strict=True):
            low, high = (tanh_quantise(grid[row], self.config.weight_bits) for row in rows)
            first, second, rest = shares[..., None, None, None]
            parts.append(first * low + second * high + rest * low)
        return torch.cat(parts, dim=1)

    def independent(self, index: Tensor) -> Independent:
        """Return what the network makes of the frames `index`, int64 (B,), without neighbours: one pass each."""
        return self._moment(self.rows[:, :, index], self.shares[:, :, index])

    def _moment(self, rows: Tensor, shares: Tensor) -> Independent:
        """Return what the network makes of moments, as `_places` gives these, without neighbours."""
        x = self._features(rows, shares)
        for stage in self.stages[:-2]:
            x = stage(x)
        motion = self.flow_head(x)
        for stage in self.stages[-2:]:
            x = stage(x)
        x = self.head(x)
        flows = 2 * len(self.config.neighbours)
        return Independent(picture(x[:, :3], self.config.output), x[:, 3:], motion[:, :flows], motion[:, flows:])

    def aggregated(self, own: Independent, neighbours: Tensor) -> Tensor:
        """Return the aggregated frames, float32 (B, 3, H, W).

        Args:
            own: of the frames themselves.
            neighbours: float16 (B, K, 3, H, W), independent frames of the neighbours, in the configured order.
        """
        return aggregate(neighbours.float(), own.flow.float(), own.weights.float())

    def blended(self, own: Independent, aggregated: Tensor) -> Tensor:
        """Return the frames, float32 (B, 3, H, W), of independent and aggregated ones."""
        share = torch.softmax(own.logits.float(), dim=1)
        return own.picture.float() * share[:, :1] + aggregated * share[:, 1:]

    def key_frames(self, indices: Iterable[int]) -> dict[int, Tensor]:
        """Return independent frames as neighbours see them, float16 (3, H, W), by index; indices may repeat."""
        place = self.rows.device
        return {
            i: self.independent(torch.tensor([i], device=place)).picture[0].detach().half()
            for i in dict.fromkeys(indices)
        }

    def neighbours_of(self, index: int) -> list[int]:
        """Return the neighbours of a frame in the order of the configuration, those outside the clip included."""
        return [index + step for step in self.config.neighbours]

    def _gather(self, frames: list[int], keys: Mapping[int, Tensor]) -> Tensor:
        """Return the neighbours of frames, float16 (B, K, 3, H, W); outside the clip they are black."""
        black = torch.zeros_like(next(iter(keys.values())))
        return torch.stack([torch.stack([keys.get(j, black) for j in self.neighbours_of(i)]) for i in frames])

    def _inside(self, frames: Iterable[int]) -> list[int]:
        """Return all neighbours of frames that lie in the clip."""
        return [j for i in frames for j in self.neighbours_of(i) if 0 <= j < self.config.frame_count]

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in [0, 1].

        On the "meta" device, where an index has no value, frames are their own neighbours: one pass each.
        """
        if index.is_meta:
            own = self.independent(index)
            same = own.picture.half()[:, None].expand(-1, len(self.config.neighbours), -1, -1, -1)
            return self.blended(own, self.aggregated(own, same))
        frames = index.tolist()
        # One by one: float16 turns a last bit that depends on the batch into a visible one.
        alone = {i: self.independent(index.new_tensor([i])) for i in dict.fromkeys(frames)}
        keys = {i: own.picture[0].detach().half() for i, own in alone.items()}
        keys |= self.key_frames(i for i in self._inside(frames) if i not in keys)
        done = {i: self.blended(own, self.aggregated(own, self._gather([i], keys))) for i, own in alone.items()}
        return torch.cat([done[i] for i in frames])

    @property
    def continuous_time(self) -> bool:
        """Always: grids are blended between their rows."""
        return True

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions in frames, float64 (B,): float32 (B, 3, H, W) in [0, 1].

        The neighbours of a picture lie whole frames from it, between frames as well; outside the clip they are black.
        """
        return torch.cat([self._at(float(moment)) for moment in position])

    def _at(self, position: float) -> Tensor:
        """Return the picture at one position, float32 (1, 3, H, W)."""
        own = self._between(position)
        black = torch.zeros_like(own.picture)
        around = [position + step for step in self.config.neighbours]
        inside = self.config.frame_count - 1
        keys = [self._between(moment).picture if 0 <= moment <= inside else black for moment in around]
        return self.blended(own, self.aggregated(own, torch.cat(keys).half()[None]))

    def _between(self, position: float) -> Independent:
        """Return what the network makes of one position, without neighbours."""
        rows, shares = self._places(np.array([position / self.config.frame_count]))
        return self._moment(rows.to(self.rows), shares.to(self.shares))

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return three terms: the aggregated, the independent and, last, the final frame against the source."""
        places = index.tolist()
        training = self.training
        self.eval()
        with torch.no_grad():
            keys = self.key_frames(self._inside(places) or places)
        self.train(training)
        own = self.independent(index)
        aggregated = self.aggregated(own, self._gather(places, keys))
        weight = self.config.side_weight
        return [
            TrainingPair(aggregated, frames, weight),
            TrainingPair(own.picture, frames, weight),
            TrainingPair(self.blended(own, aggregated), frames),
        ]


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names.

    Args:
        state: anything, by official tensor name, without "module." and without pruning masks.

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    heads = [int(name.split(".")[1]) for name in state if name.startswith("head_layers.")]
    compact = {name.split(".")[1] for name in state if ".conv.conv2." in name}
    return rename(
        state,
        (
            (r"video_(?:grid|field)\.(\d+)", r"grids.\1"),
            (
                r"layers\.(\d+)\.conv\.conv1\.(weight|bias)",
                lambda m: f"stages.{m[1]}.conv{'.spatial' if m[1] in compact else ''}.{m[2]}",
            ),
            (r"layers\.(\d+)\.conv\.conv2\.(weight|bias)", r"stages.\1.conv.mix.\2"),
            (r"layers\.(\d+)\.norm\.(\w+)", r"stages.\1.norm.\2"),
            (rf"head_layers\.{max(heads, default=0)}\.(weight|bias)", r"head.\1"),
            (rf"head_layers\.{min(heads, default=0)}\.(weight|bias)", r"flow_head.\1"),
        ),
    )
