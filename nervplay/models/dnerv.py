"""DNeRV: Modeling Inherent Dynamics via Difference Neural Representation for Videos, Zhao, Asif, Ma, CVPR 2023.

https://arxiv.org/abs/2304.06544. Official code: github.com/QiZhao-NJU/Neural-Representation-for-Video-via-Differential-
Input-and-Pyramidal-Architecture at d46afa4 (MIT licence), `model/D_NeRV.py`. Parity is shown by numbers:
tests/nervplay/models/test_dnerv.py.

    frame --> [encoder] --> content embedding --> [stem 1x1] --> [stage 1..m] --> [CCU] --> [stage m+1..n] --> [head]
    differences --> [encoder] --> difference embedding --> [stem 1x1] --> [stage] --^             3x3, sigmoid --^
               training only      stored, one each per frame         stage: convolution, enlargement, activation

    CCU (collaborative content unit), features x of the content and y of the differences, four 3x3 convolutions:
        p = tanh(P_c x + P_d y)      s = sigmoid(S_c x + S_d y)      x <- s p + (1 - s) x

Notation        attribute              meaning
    E           encoder_strides        their product takes the frame (H, W) to the content embedding (h, w)
    F           difference_strides     likewise to the difference embedding (h', w')
    D, k        strides, kernels       decoder; prod D = prod E
    g           difference_stride      stage of the difference stream; g h' = h D_1 .. D_m
    m           fusion                 stages before the CCU
    c1, d, c2   encoder_width,         channels inside the encoder, of the content embedding, behind the stem; a stage
                embedding_channels,    has c // 1.2 of the one before, and the difference stream goes from the width of
                channels               stage m - 1 to that of stage m

The differences of frame t are I(t) - I(t-1) and I(t+1) - I(t); beyond the ends of the clip stands the frame itself. So
training needs the neighbours of each frame: see `DNeRV.neighbours`. Decoding needs the index alone, but a difference
embedding is large: 6400 values per frame in the published configuration, fifty times those of the content.

Differences from the official code: embeddings are part of the stored weights, not computed from the clip again; norms
and scales that its encoder owns without using them are left out (`plain_encoder`); kernels must be odd and padded to
keep the size; the CCU may stand behind any stage.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nervplay.blocks.conv_block import ConvBlock, nerv_block
from nervplay.blocks.conv_kinds import StageConv, stage_convolution
from nervplay.blocks.strides import choose_strides
from nervplay.blocks.two_stream import (
    DIFFERENCE_CHANNELS,
    NEIGHBOURS,
    EncoderStream,
    TwoStreamEncoder,
    source_index,
    upstream_rules,
)
from nervplay.blocks.widths import Stage
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.dnerv_config import DNeRVConfig
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, split_embeddings

__all__ = [
    "PRESETS",
    "CollaborativeContentUnit",
    "DNeRV",
    "DNeRVConfig",
    "config_for_size",
    "rename_upstream_keys",
]

T = TypeVar("T")


def _encoder(config: DNeRVConfig) -> TwoStreamEncoder:
    """Return the encoder; layers are made in the official order, in which random numbers then fall."""
    content = EncoderStream(3, config.encoder_width, plain=config.plain_encoder)
    difference = EncoderStream(3 * len(NEIGHBOURS), config.encoder_width, plain=config.plain_encoder)
    for place, stride in enumerate(config.encoder_strides):
        content.add_stage(stride)
        content.set_projection(config.embedding_channels)
        if place < len(config.difference_strides):
            difference.add_stage(config.difference_strides[place])
        difference.set_projection(DIFFERENCE_CHANNELS)
    return TwoStreamEncoder(content, difference)


def _up(config: DNeRVConfig, stage: Stage, choice: StageConv | None = None) -> ConvBlock:
    """Return a stage of either stream: (B, C, H, W) to (B, C', s H, s W)."""
    before, after, kernel, stride = stage
    look: dict[str, Any] = {"norm": "none", "activation": config.activation}
    return nerv_block(config.upsampling, before, after, kernel=kernel, stride=stride, choice=choice, **look)


class CollaborativeContentUnit(nn.Module):
    """The CCU: see the head of this module.

    Args:
        channels: of both inputs and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.content_p = nn.Conv2d(channels, channels, 3, padding=1)
        self.difference_p = nn.Conv2d(channels, channels, 3, padding=1)
        self.content_s = nn.Conv2d(channels, channels, 3, padding=1)
        self.difference_s = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return float (B, C, H, W) of the content `x` and the differences `y`, both of that shape."""
        p = torch.tanh(self.content_p(x) + self.difference_p(y))
        s = torch.sigmoid(self.content_s(x) + self.difference_s(y))
        return s * p + (1 - s) * x


# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 5e-4,
    "betas": (0.5, 0.999),
    "schedule": "cosine_0.2_1_0.1",
    "loss": "L2",
    "optimiser": "adam",
    "grad_clip": 0.1,
    "seed": 5,
}
"""Training of `cfgs/DNeRV.yaml`, `engine.py`; the authors advise another seed where it collapses."""

_PAPER_SIZE = (1920, 960)
_SMALLEST_WIDTH = 8
"""Narrowest stem that leaves channels behind five stages."""


def _published(width: int, height: int, frame_count: int) -> DNeRVConfig:
    require_size("dnerv-960x1920", _PAPER_SIZE, (width, height))
    return DNeRVConfig(width=width, height=height, frame_count=frame_count)


def _any_size(  # noqa: PLR0917 - as a preset's `configure`, and what is free
    width: int, height: int, frame_count: int, channels: int, embedding_channels: int, fusion: int, **change: Any
) -> DNeRVConfig:
    """Return a network for any frame size that divides into stages; difference maps begin before stage `fusion`."""
    strides = choose_strides(width, height, area=GRID_AREA)
    fusion = min(fusion, len(strides))
    return DNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        kernels=(1, 3, 5, 5, 5)[: len(strides)],
        encoder_strides=strides,
        difference_strides=strides[fusion - 1 :],
        difference_stride=strides[fusion - 1],
        fusion=fusion,
        channels=channels,
        embedding_channels=embedding_channels,
        **change,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> DNeRVConfig:
    """Return a DNeRV of about `parameters` stored parameters, embeddings included.

    Difference maps are as fine as 15 % of the parameters allow, at most as in the published network; all embeddings
    take a fifth, unless the coarsest maps and one channel take more.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """
    strides = choose_strides(width, height, area=GRID_AREA)
    positions = width * height // prod(strides) ** 2 * frame_count
    finer, code = split_embeddings(parameters, positions, strides)

    def build(channels: int) -> DNeRVConfig:
        channels = max(channels, _SMALLEST_WIDTH)
        return _any_size(width, height, frame_count, channels, code, finer + 1)

    return config_near(DNeRV, build, parameters)


def _tiny(width: int, height: int, frame_count: int) -> DNeRVConfig:
    return _any_size(width, height, frame_count, 16, 4, 1, encoder_width=16)


PRESETS = {
    "960x1920": Preset(
        summary="DNeRV as published, 1920x960: network of 3.4 M parameters, 6528 embedding values per frame",
        configure=_published,
        size=_PAPER_SIZE,
        paper="official cfgs/DNeRV.yaml; network 3,405,368, of which the official print leaves out 1,753, and "
        "embeddings of 132 frames",
        expected={"parameters": 3_405_368 + 6528 * 132, "gflops": 215.36},
        recipe=RECIPE,
    ),
    "tiny": Preset(summary="some ten thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("dnerv", config=DNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class DNeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `content_embedding` (T, d, h, w), `difference_embedding` (T, 2, h', w'); `stem`, `stages.N.conv`, `head`,
    `difference_stem`, `difference_stage.conv`, `ccu.content_p`, `ccu.difference_p`, `ccu.content_s`,
    `ccu.difference_s`.

    Attributes:
        neighbours: offsets of the frames that the encoder reads beside each frame. `training_pairs` and
            `store_embeddings` take frames of shape (B, 3, 3, H, W), those at `source_index(index)`.
    """

    config: DNeRVConfig
    neighbours: tuple[int, ...] = NEIGHBOURS
    embedding_names = ("content_embedding", "difference_embedding")
    content_embedding: Tensor
    difference_embedding: Tensor

    def __init__(self, config: DNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.register_buffer("content_embedding", torch.zeros(config.frame_count, *config.content_shape))
        self.register_buffer("difference_embedding", torch.zeros(config.frame_count, *config.difference_shape))
        # All layers are made in the official order: random numbers then fall in the same order.
        self.encoder = _encoder(config) if encoder else None
        stages = config.stages
        self.stem = nn.Conv2d(config.embedding_channels, config.channels, 1)
        self.stages = nn.ModuleList(
            _up(config, stage, stage_convolution(config.convolutions, number)) for number, stage in enumerate(stages)
        )
        self.head = nn.Conv2d(stages[-1].channels_out, 3, 3, padding=1)
        before, after, _, _ = stages[config.fusion - 1]
        self.difference_stem = nn.Conv2d(DIFFERENCE_CHANNELS, before, 1)
        self.difference_stage = _up(config, Stage(before, after, config.difference_kernel, config.difference_stride))
        self.ccu = CollaborativeContentUnit(after)

    def decode(self, content: Tensor, difference: Tensor) -> Tensor:
        """Return the frames of given embeddings: (B, d, h, w) and (B, 2, h', w') to float32 (B, 3, H, W) in [0, 1]."""
        x = self.stem(content)
        for place, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if place == self.config.fusion:
                x = self.ccu(x, self.difference_stage(self.difference_stem(difference)))
        return torch.sigmoid(self.head(x))

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        return self.decode(self.content_embedding[index], self.difference_embedding[index])

    def source_index(self, index: Tensor) -> Tensor:
        """Return which source frames training needs: int64 (B, 3), frame, previous, next; the ends stand twice.

        Args:
            index: int64 (B,).
        """
        return source_index(index, self.config.frame_count)

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:  # noqa: ARG002 - content is enough
        """Return the one term: the frames behind encoder and decoder against the source frames.

        Args:
            index: int64 (B,); not used.
            frames: float32 (B, 3, 3, H, W) in [0, 1], those at `source_index(index)`.

        Raises:
            UsageError: the network was built without its encoder, or frames come without neighbours.
        """
        if self.encoder is None:
            raise UsageError("this DNeRV has no encoder and cannot be trained; build it with encoder=True")
        return [TrainingPair(self.decode(*self.encoder(frames)), frames[:, 0])]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Keep the encoder's embeddings at `index`, int64 (B,).

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, 3, H, W) in [0, 1], those at `source_index(index)`.

        Raises:
            UsageError: frames come without neighbours.
        """
        if self.encoder is not None:
            self.content_embedding[index], self.difference_embedding[index] = self.encoder(frames)


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names; encoder norms and scales are there even where they are not used.

    Args:
        state: anything, by official tensor name, without "module.".

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    return rename(
        state,
        (
            (r"enc_c2_layer\.(\w+)", r"stem.\1"),
            (r"decoder_layers\.(\d+)\.conv\.(?:conv|up_scale)\.(\w+)", r"stages.\1.conv.\2"),
            (r"dec_head_layers\.\d+\.(\w+)", r"head.\1"),
            (r"diff_exc_layer\.(\w+)", r"difference_stem.\1"),
            (r"diff_dec_layers\.0\.conv\.(?:conv|up_scale)\.(\w+)", r"difference_stage.conv.\1"),
            (r"dec_([ps])_c\.(\w+)", r"ccu.content_\1.\2"),
            (r"dec_([ps])_d\.(\w+)", r"ccu.difference_\1.\2"),
            *upstream_rules("content", stages="encoder_layers", projection="enc_embedding_layer"),
            *upstream_rules("difference", stages="diff_enc_layers", projection="diff_enc_ebd_layer"),
        ),
    )
