"""E-NeRV: Expedite Neural Video Representation with Disentangled Spatial-Temporal Context, Li et al., ECCV 2022.

Paper: https://arxiv.org/abs/2207.08132 . Official code: github.com/kyleleey/E-NeRV at 9f3529a, `model/E_NeRV.py`,
`main.py`, `engine.py`. No licence file: nothing is copied, parity is shown by numbers (tests/golden).

    places (h w) --> [encoding] --> [place stem] --> [place transformer, 1 head] --+
                                                                                   x --> [fusion transformer, 8 heads]
    i --> t = i/(T-1) --+--> [encoding] --> [time stem: linear, act; n + 1 times] -+       --> [to grid] --> (C,h,w)
                        |                                                                          |
                        +--> [encoding] --> [time branch: linear, act; twice]                      v
                                              +--> [modulation i: linear, act] --> gamma, beta --> [stage i] --> [head]

    stage: instance norm, times gamma, plus beta (temporal instance norm); up-convolution, norm, act
    The first stage is upgraded: up-convolution to C/4 channels, then 3x3 to its width. Where it narrows, 3x3 to its
    width first, then the up-convolution (the official rule, which is not the paper's).

Notation        attribute            meaning
    h, w, C     grid, channels       `fc_hw_dim: h_w_C`: what the stages start from
    D           block_width          width of a token: one per place
    s_i         strides              their product is H / h = W / w
    S           expansion            width of the first stage is int(C * S)

What counts: the 288 coordinates of the places are a frozen parameter in the official code, so it prints 12 490 602
parameters for its shipped configuration; here they are computed, and 12 490 314 are stored. The products inside the
attention are no layers and do not count in GFLOPs.

Differences from the official code: a clip of one frame has t = 0 (theirs divides by zero); sine and cosine are rounded
from float64 (`blocks.encoding`); frames may have any size (theirs are resized to 1280x720); activations "sin" and "non"
and layers without bias do not exist here. `num_blocks` is not used there either.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nervplay.blocks.activation import activation, picture
from nervplay.blocks.conv_block import ConvBlock, nerv_block
from nervplay.blocks.conv_kinds import StageConv, convolution, stage_convolution
from nervplay.blocks.encoding import interleaved_encoding
from nervplay.blocks.instance_norm import instance_norm
from nervplay.blocks.strides import choose_strides
from nervplay.blocks.transformer import TransformerBlock
from nervplay.blocks.up_conv import UpConv, Upsampling
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.enerv_config import ENeRVConfig
from nervplay.models.renaming import rename

__all__ = ["PRESETS", "ENeRV", "ENeRVConfig", "config_for_size", "place_coordinates", "rename_upstream_keys"]

T = TypeVar("T")

_BRANCH_WIDTH = 128
"""Width of the time branch; fixed in the official code."""
_EPS = 1e-5


def place_coordinates(grid: tuple[int, int]) -> NDArray[np.float64]:
    """Return where the places are, float64 (2, h * w): y / h, then x / w, of their upper left corners, row by row.

    Args:
        grid: (h, w).
    """
    rows, columns = grid
    y, x = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    return np.stack([y.ravel(), x.ravel()])


class _UpgradedConv(nn.Module):
    """The two convolutions of the first stage, both of the kind `choice`; official class Conv_Up_Block."""

    def __init__(
        self, kind: Upsampling, channels_in: int, channels_out: int, stride: int, choice: StageConv | None
    ) -> None:
        super().__init__()
        self.first: nn.Module
        self.second: nn.Module
        if channels_in <= channels_out:
            self.first = UpConv(kind, channels_in, channels_in // 4, stride, choice=choice)
            self.second = convolution(choice, channels_in // 4, channels_out, 3, padding=1)
        else:
            self.first = convolution(choice, channels_in, channels_out, 3, padding=1)
            self.second = UpConv(kind, channels_out, channels_out, stride, choice=choice)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


def _stage(config: ENeRVConfig, number: int, channels_in: int, channels_out: int) -> ConvBlock:
    """Return stage `number` behind its modulation: (B, C, H, W) to (B, C', sH, sW)."""
    look: dict[str, Any] = {"norm": config.norm, "activation": config.activation}
    stride, choice = config.strides[number], stage_convolution(config.convolutions, number)
    if number == 0:
        upgraded = _UpgradedConv(config.upsampling, channels_in, channels_out, stride, choice)
        return ConvBlock(upgraded, channels_out, **look)
    return nerv_block(config.upsampling, channels_in, channels_out, stride=stride, choice=choice, **look)


# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 5e-4,
    "betas": (0.5, 0.999),
    "schedule": "cosine_0.2_1_0.1",
    "loss": "Fusion6",
    "optimiser": "adam",
}
"""Training of the official `cfgs/E-NeRV-bunny.yaml`."""

_PAPER_SIZE = (1280, 720)
_GRID_AREA = 144


def _paper(width: int, height: int, frame_count: int) -> ENeRVConfig:
    require_size("e-nerv-bunny", _PAPER_SIZE, (width, height))
    return ENeRVConfig(
        width=width, height=height, frame_count=frame_count, grid=(9, 16), channels=196, strides=(5, 2, 2, 2, 2)
    )


def _tiny(width: int, height: int, frame_count: int) -> ENeRVConfig:
    strides = choose_strides(width, height, area=_GRID_AREA)
    return ENeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(height // prod(strides), width // prod(strides)),
        channels=8,
        strides=strides,
        expansion=1.0,
        lower_width=8,
        time_levels=20,
        place_levels=10,
        modulation_levels=20,
        stem_widths=(16,),
        block_width=8,
        hidden_width=16,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> ENeRVConfig:
    """Return an E-NeRV of about `parameters` stored parameters: the shipped one, its hidden widths shrunk.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """
    strides = choose_strides(width, height, area=_GRID_AREA)
    shrink = min(1.0, (parameters / 12.5e6) ** 0.5)

    def build(channels: int) -> ENeRVConfig:
        return ENeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            grid=(height // prod(strides), width // prod(strides)),
            channels=channels + 3,  # the first stage works on a quarter of them
            strides=strides,
            lower_width=max(8, round(96 * shrink)),
            stem_widths=(max(32, round(512 * shrink)),),
            block_width=max(8, round(256 * shrink)),
            hidden_width=max(16, round(128 * shrink)),
        )

    return config_near(ENeRV, build, parameters, largest=1 << 11)


PRESETS = {
    "bunny": Preset(
        summary="E-NeRV as the official configuration ships it, 12.5 M parameters, 1280x720",
        configure=_paper,
        size=_PAPER_SIZE,
        paper="cfgs/E-NeRV-bunny.yaml (paper: 12.49 M); theirs counts 288 frozen coordinates that we compute",
        expected={"parameters": 12_490_314, "gflops": 304.292},
        recipe=RECIPE,
    ),
    "tiny": Preset(summary="some ten thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("e-nerv", config=ENeRVConfig, presets=PRESETS, configure_size=config_for_size)
class ENeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `time_stem.N`, `place_stem`, `place_transformer.*`, `fusion_transformer.*`, `to_grid` (unless D = C),
    `modulations.N`, `stages.0.conv.first`, `stages.0.conv.second` (either with `.conv` where it enlarges),
    `stages.N.conv`, `stages.N.norm` (only "bn"), `side_heads.N` (several resolutions), `head`, `time_branch.N`.
    """

    config: ENeRVConfig
    time_code: Tensor
    place_code: Tensor
    modulation_code: Tensor

    def __init__(self, config: ENeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        T, places, D = config.frame_count, prod(config.grid), config.block_width
        for name, rows, values in (
            ("time_code", T, 2 * config.time_levels),
            ("place_code", places, 4 * config.place_levels),
            ("modulation_code", T, 2 * config.modulation_levels),
        ):
            self.register_buffer(name, torch.empty(rows, values), persistent=False)
        self.fill_tables()
        self.activation = activation(config.activation)
        self.time_stem = self._linears(2 * config.time_levels, *config.stem_widths, D)
        self.place_stem = nn.Linear(4 * config.place_levels, D)
        self.place_transformer = TransformerBlock(D, 1, config.hidden_width)
        self.fusion_transformer = TransformerBlock(D, 8, config.hidden_width)
        self.to_grid = nn.Linear(D, config.channels) if config.channels != D else None
        self.modulations = nn.ModuleList()
        self.stages = nn.ModuleList()
        self.side_heads = nn.ModuleDict()
        last = len(config.strides) - 1
        for i, (before, after) in enumerate(pairwise((config.channels, *config.widths))):
            # Modulation, stage, head in turns, as the official code does: random numbers fall in the same order.
            self.modulations.append(nn.Linear(_BRANCH_WIDTH, 2 * before))
            self.stages.append(_stage(config, i, before, after))
            if i == last:
                self.head = nn.Conv2d(after, 3, 1)
            elif not config.single_resolution:
                self.side_heads[str(i)] = nn.Conv2d(after, 3, 1)
        self.time_branch = self._linears(2 * config.modulation_levels, _BRANCH_WIDTH, _BRANCH_WIDTH)

    @staticmethod
    def _linears(*widths: int) -> nn.ModuleList:
        return nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def fill_tables(self) -> None:
        """Compute the encodings of all times, float32 (T, 2l), and places, float32 (h w, 4l): of y, then of x."""
        if self.time_code.is_meta:
            return
        time = np.arange(self.config.frame_count) / self._duration
        places = [
            interleaved_encoding(axis, self.config.place_base, self.config.place_levels)
            for axis in place_coordinates(self.config.grid)
        ]
        self.place_code.copy_(torch.from_numpy(np.concatenate(places, axis=1)))
        for buffer, code in zip((self.time_code, self.modulation_code), self._encode(time), strict=True):
            buffer.copy_(code)

    @property
    def _duration(self) -> int:
        """Return the position at which time is 1: that of the last frame."""
        return max(self.config.frame_count - 1, 1)

    def _encode(self, time: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return the two encodings of normalised times (B,), float32 (B, 2l): for the grid, for the modulation."""
        config = self.config
        return (
            torch.from_numpy(interleaved_encoding(time, config.time_base, config.time_levels)),
            torch.from_numpy(interleaved_encoding(time, config.modulation_base, config.modulation_levels)),
        )

    def _run(self, linears: Iterable[nn.Module], x: Tensor) -> Tensor:
        """Return (B, N') of (B, N) behind linear layers, the activation behind each."""
        for linear in linears:
            x = self.activation(linear(x))
        return x

    def _grid(self, time_code: Tensor) -> Tensor:
        """Return what the stages start from: (B, 2l) to (B, C, h, w)."""
        time = self._run(self.time_stem, time_code)
        # The places know no time: they run once, whatever the batch.
        places = self.place_transformer(self._run((self.place_stem,), self.place_code)[None])
        tokens: Tensor = self.fusion_transformer(places * time[:, None])
        if self.to_grid is not None:
            tokens = self.activation(self.to_grid(tokens))
        return tokens.transpose(1, 2).reshape(len(time), self.config.channels, *self.config.grid)

    def _features(self, time_code: Tensor, modulation_code: Tensor) -> Iterable[Tensor]:
        """Yield the features behind each stage, (B, C_i, H_i, W_i), of the two encodings of time, each (B, 2l)."""
        x = self._grid(time_code)
        branch = self._run(self.time_branch, modulation_code)
        for modulation, stage in zip(self.modulations, self.stages, strict=True):
            gamma, beta = self.activation(modulation(branch))[:, :, None, None].chunk(2, dim=1)
            x = stage(instance_norm(x, eps=_EPS) * gamma + beta)
            yield x

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        return self._decode(self.time_code[index], self.modulation_code[index])

    @property
    def continuous_time(self) -> bool:
        """Always: the network reads encodings of time."""
        return True

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions in frames, float64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        codes = self._encode(position.cpu().numpy() / self._duration)
        return self._decode(*(code.to(self.time_code) for code in codes))

    def _decode(self, time_code: Tensor, modulation_code: Tensor) -> Tensor:
        """Return the frames of the two encodings of time, each (B, 2l): (B, 3, H, W)."""
        *_, x = self._features(time_code, modulation_code)
        return picture(self.head(x), self.config.output)

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return one term per head, the full-size one last, all of weight 1; earlier heads see the averaged frame."""
        pairs = []
        for i, x in enumerate(self._features(self.time_code[index], self.modulation_code[index])):
            if str(i) in self.side_heads:
                small = picture(self.side_heads[str(i)](x), self.config.output)
                target = F.adaptive_avg_pool2d(frames, (small.shape[-2], small.shape[-1]))
                pairs.append(TrainingPair(small, target))
        return [*pairs, TrainingPair(picture(self.head(x), self.config.output), frames)]


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names; `xy_coord`, the coordinates of the places, is left out.

    Args:
        state: anything, by official tensor name, without "module.".

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    heads = [int(name.split(".")[1]) for name in state if name.startswith("head_layers.")]
    block = {"1": "place_transformer", "2": "fusion_transformer"}
    return rename(
        {name: value for name, value in state.items() if name != "xy_coord"},
        (
            # Linear layers stand at even places, activations between them.
            (r"stem_t\.(\d+)\.(weight|bias)", lambda m: f"time_stem.{int(m[1]) // 2}.{m[2]}"),
            (r"t_branch\.(\d+)\.(weight|bias)", lambda m: f"time_branch.{int(m[1]) // 2}.{m[2]}"),
            (r"stem_xy\.0\.(weight|bias)", r"place_stem.\1"),
            (r"trans([12])\.attn\.to_qkv\.weight", lambda m: f"{block[m[1]]}.qkv.weight"),
            (r"trans([12])\.attn\.to_out\.0\.(weight|bias)", lambda m: f"{block[m[1]]}.merge.{m[2]}"),
            (r"trans([12])\.ffn\.net\.0\.(weight|bias)", lambda m: f"{block[m[1]]}.expand.{m[2]}"),
            (r"trans([12])\.ffn\.net\.3\.(weight|bias)", lambda m: f"{block[m[1]]}.project.{m[2]}"),
            (r"toconv\.0\.(weight|bias)", r"to_grid.\1"),
            (r"t_layers\.(\d+)\.0\.(weight|bias)", r"modulations.\1.\2"),
            (r"layers\.0\.conv1\.(?:conv|up_scale)\.(weight|bias)", r"stages.0.conv.first.conv.\1"),
            (r"layers\.0\.conv2\.(?:conv|up_scale)\.(weight|bias)", r"stages.0.conv.second.conv.\1"),
            (r"layers\.0\.conv1\.(weight|bias)", r"stages.0.conv.first.\1"),
            (r"layers\.0\.conv2\.(weight|bias)", r"stages.0.conv.second.\1"),
            (r"layers\.(\d+)\.conv\.(?:conv|up_scale)\.(weight|bias)", r"stages.\1.conv.\2"),
            (r"layers\.(\d+)\.norm\.(\w+)", r"stages.\1.norm.\2"),
            (rf"head_layers\.{max(heads, default=0)}\.(weight|bias)", r"head.\1"),
            (r"head_layers\.(\d+)\.(weight|bias)", r"side_heads.\1.\2"),
        ),
    )
