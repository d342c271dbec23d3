"""NeRV: Neural Representations for Videos, Chen et al., NeurIPS 2021, https://arxiv.org/abs/2110.13903 .

Official code: github.com/haochen-rye/NeRV at 6904589, `model_nerv.py`, `train_nerv.py`. No licence file: nothing is
copied, parity is shown by numbers (tests/golden). The NeRV baseline of the HNeRV repository is another network; see
`hnerv.py`.

    i --> t = i/T --> [encoding] --> [stem: linear, act; n + 1 times] --> (C,h,w) --> [stage 1..m] --> [head] --> frame
                                                        stage: up-convolution, norm, act
                                                        side heads after earlier stages: training at several resolutions

Notation        attribute             meaning
    b, l        encoding_base/levels  encoding of eq. (1): l frequencies b**j * pi; 2l values, or t itself when l is 0
    d, n        stem_width/layers     `--stem_dim_num d_n`: n hidden layers of width d
    h, w, C     grid, channels        `--fc_hw_dim h_w_C`: what the stem's output is reshaped to
    s_i         strides               their product is H / h = W / w
    S           expansion             width of the first stage is int(C * S)

Differences from the official code: `--num-blocks` other than 1 does not exist here (its forward pass skips the further
blocks, so such files hold dead weights); sine and cosine of the encoding are rounded from float64 (`blocks.encoding`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nervplay.blocks.activation import ActivationName, activation, picture
from nervplay.blocks.conv_block import nerv_block
from nervplay.blocks.conv_kinds import stage_convolution
from nervplay.blocks.encoding import check_encoding, interleaved_encoding, normalised_time
from nervplay.blocks.strides import choose_strides
from nervplay.blocks.up_conv import Upsampling
from nervplay.models import binary_nerv, ghost_nerv, lrconv_nerv
from nervplay.models.base import Preset, TrainingPair, VideoModel, check_ranges, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.grid_config import GridConfig
from nervplay.models.renaming import rename

__all__ = ["PRESETS", "NeRV", "NeRVConfig", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class NeRVConfig(GridConfig):
    """Configuration of `NeRV`; defaults are those of the official README (NeRV-S), not those of its parser.

    Args:
        encoding_base: b.
        encoding_levels: l; 0 feeds the time t itself (`--embed none`).
        stem_width: d, hidden width of the stem.
        stem_layers: n, hidden layers of the stem.
        upsampling: "conv" 3x3, pixel shuffle; "deconv" transposed, kernel = stride; "bilinear", then 2 stride + 1 taps.
        activation: in the stages and behind every linear layer.
        single_resolution: one head behind the last stage; otherwise one behind every stage.
        side_weight: `--lw`, weight of the losses of the earlier heads.

    Raises:
        GeometryError: grid and strides that do not give the frame.
        UsageError: a value outside its range.
    """

    encoding_base: float = 1.25
    encoding_levels: int = 40
    stem_width: int = 512
    stem_layers: int = 1
    upsampling: Upsampling = "conv"
    activation: ActivationName = "swish"
    single_resolution: bool = True
    side_weight: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self, stem_width=(1, 1 << 14), stem_layers=(0, 16), encoding_levels=(0, 200), side_weight=(0, 1e6))
        super().__post_init__()
        check_encoding(self.frame_count, self.encoding_base, self.encoding_levels)

    @property
    def way_up(self) -> Upsampling:
        """How stages enlarge."""
        return self.upsampling


RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 5e-4,
    "betas": (0.5, 0.999),
    "schedule": "nerv_0.2",
    "loss": "Fusion6",
    "optimiser": "adam",
}
"""Training of the official README: `-e 300 -b 1 --lr 0.0005 --warmup 0.2 --lr_type cosine --loss Fusion6`."""

_PAPER_SIZE = (1280, 720)
_GRID_AREA = 144


def _paper(name: str, channels: int, parameters: int, gflops: float) -> Preset:
    """Return a preset of the README: NeRV-S, -M or -L on 1280x720."""

    def configure(width: int, height: int, frame_count: int) -> NeRVConfig:
        require_size(f"nerv-{name}", _PAPER_SIZE, (width, height))
        return NeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            grid=(9, 16),
            channels=channels,
            strides=(5, 2, 2, 2, 2),
        )

    return Preset(
        summary=f"NeRV-{name.upper()}, {parameters / 1e6:.1f} M parameters, 1280x720",
        configure=configure,
        size=_PAPER_SIZE,
        paper="official README",
        expected={"parameters": parameters, "gflops": gflops},
        recipe=RECIPE,
    )


def _tiny(width: int, height: int, frame_count: int) -> NeRVConfig:
    strides = choose_strides(width, height, area=_GRID_AREA)
    return NeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(height // prod(strides), width // prod(strides)),
        channels=8,
        strides=strides,
        lower_width=8,
        stem_width=32,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> NeRVConfig:
    """Return a NeRV of about `parameters` stored parameters: NeRV-S, hidden widths shrunk with the root of the size.

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
    shrink = min(1.0, (parameters / 3.2e6) ** 0.5)

    def build(channels: int) -> NeRVConfig:
        return NeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            grid=(height // prod(strides), width // prod(strides)),
            channels=channels,
            strides=strides,
            lower_width=max(8, round(96 * shrink)),
            stem_width=max(32, round(512 * shrink)),
        )

    return config_near(NeRV, build, parameters)


PRESETS = {
    "s": _paper("s", 26, 3_201_905, 201.884),
    "m": _paper("m", 58, 6_282_001, 202.859),
    "l": _paper("l", 112, 12_524_563, 204.805),
    "tiny": Preset(summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
}
# The same network with other convolutions: each paper has a file.
PRESETS |= lrconv_nerv.presets(PRESETS["s"], PRESETS["tiny"])
PRESETS |= ghost_nerv.presets(PRESETS["s"], PRESETS["tiny"])
PRESETS |= binary_nerv.presets(PRESETS["s"], PRESETS["tiny"])


@register("nerv", config=NeRVConfig, presets=PRESETS, configure_size=config_for_size)
class NeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `stem.N`, `stages.N.conv`, `stages.N.norm` (only "bn"), `side_heads.N` (several resolutions), `head`.
    """

    config: NeRVConfig
    encoding: Tensor

    def __init__(self, config: NeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        inputs = 2 * config.encoding_levels or 1
        self.register_buffer("encoding", torch.empty(config.frame_count, inputs), persistent=False)
        self.fill_tables()
        rows, columns = config.grid
        dims = (inputs, *(config.stem_width,) * config.stem_layers, rows * columns * config.channels)
        self.stem = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))
        self.activation = activation(config.activation)
        self.stages = nn.ModuleList()
        self.side_heads = nn.ModuleDict()
        look: dict[str, Any] = {"norm": config.norm, "activation": config.activation}
        last = len(config.strides) - 1
        for i, (before, after) in enumerate(pairwise((config.channels, *config.widths))):
            # A head is built right behind its stage, as the official code does: random numbers fall in the same order.
            choice = stage_convolution(config.convolutions, i)
            self.stages.append(
                nerv_block(config.upsampling, before, after, stride=config.strides[i], choice=choice, **look)
            )
            if i == last:
                self.head = nn.Conv2d(after, 3, 1)
            elif not config.single_resolution:
                self.side_heads[str(i)] = nn.Conv2d(after, 3, 1)

    def fill_tables(self) -> None:
        """Compute the encoding of all frames, float32 (T, 2l), or (T, 1) without an encoding."""
        if self.encoding.is_meta:
            return
        self.encoding.copy_(self._encode(normalised_time(self.config.frame_count)))

    def _encode(self, time: NDArray[np.float64]) -> Tensor:
        """Return the encoding of normalised times (B,): float32 (B, 2l), or float64 (B, 1) without an encoding."""
        levels = self.config.encoding_levels
        return torch.from_numpy(
            interleaved_encoding(time, self.config.encoding_base, levels) if levels else time[:, None]
        )

    def _grid(self, encoding: Tensor) -> Tensor:
        """Return what the stages start from: (B, 2l) to (B, C, h, w)."""
        x = encoding
        for linear in self.stem:
            x = self.activation(linear(x))
        return x.view(len(x), self.config.channels, *self.config.grid)

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        return self._decode(self.encoding[index])

    @property
    def continuous_time(self) -> bool:
        """Always: the network reads an encoding of time."""
        return True

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions in frames, float64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        encoding = self._encode(position.cpu().numpy() / self.config.frame_count)
        return self._decode(encoding.to(self.encoding))

    def _decode(self, encoding: Tensor) -> Tensor:
        """Return the frames of encodings, (B, 2l) to (B, 3, H, W)."""
        x = self._grid(encoding)
        for stage in self.stages:
            x = stage(x)
        return picture(self.head(x), self.config.output)

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return one term per head, the full-size one last; earlier heads are held against the averaged frame."""
        pairs = []
        x = self._grid(self.encoding[index])
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if str(i) in self.side_heads:
                small = picture(self.side_heads[str(i)](x), self.config.output)
                target = F.adaptive_avg_pool2d(frames, (small.shape[-2], small.shape[-1]))
                pairs.append(TrainingPair(small, target, self.config.side_weight))
        return [*pairs, TrainingPair(picture(self.head(x), self.config.output), frames)]


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names.

    Args:
        state: anything, by official tensor name, without "module." and without pruning masks.

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    heads = [int(name.split(".")[1]) for name in state if name.startswith("head_layers.")]
    return rename(
        state,
        (
            # Linear layers stand at even places, activations between them.
            (r"stem\.(\d+)\.(weight|bias)", lambda m: f"stem.{int(m[1]) // 2}.{m[2]}"),
            (r"layers\.(\d+)\.conv\.(?:conv|up_scale)\.(weight|bias)", r"stages.\1.conv.\2"),
            (r"layers\.(\d+)\.norm\.(\w+)", r"stages.\1.norm.\2"),
            (rf"head_layers\.{max(heads, default=0)}\.(weight|bias)", r"head.\1"),
            (r"head_layers\.(\d+)\.(weight|bias)", r"side_heads.\1.\2"),
        ),
    )
