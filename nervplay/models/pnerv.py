"""PNeRV: Enhancing Spatial Consistency via Pyramidal Neural Representation for Videos, Zhao, Asif, Ma, CVPR 2024.

https://arxiv.org/abs/2404.08921. Official code: github.com/QiZhao-NJU/Neural-Representation-for-Video-via-Differential-
Input-and-Pyramidal-Architecture at d46afa4 (MIT licence), `model/P_NeRV.py`. Parity is shown by numbers:
tests/nervplay/models/test_pnerv.py.

    content embedding --> [stem 1x1, shuffle] --> [stage 0] --> [BSM] --> [stage 1] --> [BSM] ... [stage n] --> [head]
    pyramid source --+--> [KFc, norm, act] --------------------/            |                                  3x3,
                     +--> [KFc, norm, act] --------------------------------/       stage: 3x3, shuffle, act    sigmoid

    KFc (Kronecker fully connected), channel c:     Y_c = L_c X_c R_c + b_c b_h b_w      a full layer over all positions
    BSM (benign selective memory), map x, pyramid y:  r = conv(y)    m = relu(conv(x) + r)    a = sigmoid(conv(m))
                                                      x <- a x + (1 - a) r

Notation        attribute              meaning
    E           encoder_strides        their product takes the frame (H, W) to the content embedding (d, h, w)
    F           difference_strides     likewise to the difference embedding (2, h', w'); see `dnerv.py`
    s0, D       stem_stride, strides   decoder; s0 prod D = prod E; every stage has C channels
    c1, d, C    encoder_width, embedding_channels, channels
    L, R        rows, columns          factors of a KFc: (H_l, h_p) and (w_p, W_l) for each channel

The inputs give the variants: PNeRV-L makes its pyramid of the difference embedding, PNeRV-M (no difference stream, no
official code: reconstructed from the authors' words) of the content embedding. Every level starts from the source
itself, not from the level before. Level 0 takes the source as it is where sizes agree.

Batch statistics: the official evaluation leaves its BatchNorm in training mode, so that each frame (its batch is 1) is
normalised with its own mean and biased variance, and never with the running statistics that the checkpoint holds; the
two differ by half of the value range. `statistics` says which:
    "frame"      each frame by itself, in training and in decoding: the official result, whatever the batch (default)
    "running"    BatchNorm2d as usual: of the batch in training, running statistics, then stored, in decoding

Differences from the official code: embeddings are part of the stored weights, not computed from the clip again; with
"frame" a batch over 1 is normalised frame by frame; sizes follow from the frame's instead of being fixed. Kept from it:
the bias of KFc is a product of three tensors that start at zero, so its gradient is zero and it never learns.
"""

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nervplay.blocks.activation import activation
from nervplay.blocks.conv_block import nerv_block
from nervplay.blocks.conv_kinds import stage_convolution
from nervplay.blocks.instance_norm import InstanceNorm2d
from nervplay.blocks.strides import choose_strides
from nervplay.blocks.two_stream import (
    DIFFERENCE_CHANNELS,
    NEIGHBOURS,
    EncoderStream,
    TwoStreamEncoder,
    source_index,
    upstream_rules,
)
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.pnerv_config import PNeRVConfig
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, split_embeddings

__all__ = [
    "PRESETS",
    "BenignSelectiveMemory",
    "KroneckerLinear",
    "PNeRV",
    "PNeRVConfig",
    "config_for_size",
    "kronecker_factors",
    "rename_upstream_keys",
]

T = TypeVar("T")


def _encoder(config: PNeRVConfig) -> TwoStreamEncoder:
    """Return the encoder; layers are made in the official order, in which random numbers then fall."""
    content = EncoderStream(3, config.encoder_width, plain=False)
    difference = EncoderStream(3 * len(NEIGHBOURS), config.encoder_width, plain=False)
    for place, stride in enumerate(config.encoder_strides):
        content.add_stage(stride)
        if place < len(config.difference_strides):
            difference.add_stage(config.difference_strides[place])
            difference.set_projection(DIFFERENCE_CHANNELS)
        content.set_projection(config.embedding_channels)
    return TwoStreamEncoder(content, difference if config.difference_strides else None)


class _Factor(nn.Conv2d):
    """A 1x1 convolution without bias whose weights its owner draws; channel c mixes its own `size_in` inputs."""

    def __init__(self, channels: int, size_in: int, size_out: int) -> None:
        super().__init__(channels * size_in, channels * size_out, 1, groups=channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw nothing: the owner does."""


def kronecker_factors(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return L and R of a KFc as `rows.weight` and `columns.weight` hold them.

    Args:
        left: float (C, H', H), or (1, C, H', H) as the official code stores it.
        right: float (C, W, W'), or (1, C, W, W').

    Returns:
        (C H', H, 1, 1) and (C W', W, 1, 1): weights of grouped 1x1 convolutions over rows and over columns.
    """
    rows, columns = left, right.transpose(-1, -2)
    return rows.reshape(-1, rows.shape[-1], 1, 1), columns.reshape(-1, columns.shape[-1], 1, 1)


class KroneckerLinear(nn.Module):
    """KFc: see the head of this module. Rows, then columns take the part of channels in two grouped 1x1 convolutions.

    Args:
        channels: C.
        size_in: (H, W) of the input.
        size_out: (H', W') of the output.
    """

    def __init__(self, channels: int, size_in: tuple[int, int], size_out: tuple[int, int]) -> None:
        super().__init__()
        self.rows = _Factor(channels, size_in[0], size_out[0])
        self.columns = _Factor(channels, size_in[1], size_out[1])
        self.bias_rows = nn.Parameter(torch.zeros(size_out[0], 1))
        self.bias_columns = nn.Parameter(torch.zeros(1, size_out[1]))
        self.bias_channels = nn.Parameter(torch.zeros(channels, 1))
        self._shape_in, self._shape_out = (channels, *size_in), (channels, *size_out)
        self._draw()

    @torch.no_grad()
    def _draw(self) -> None:
        """Draw the factors as the official code does, whose "fan out" of a (C, a, b) tensor is C b."""
        (channels, rows_in, columns_in), (_, rows, columns) = self._shape_in, self._shape_out
        left, right = torch.empty(channels, rows, rows_in), torch.empty(channels, columns_in, columns)
        for _ in range(2):  # the official code draws both twice and keeps the second ones
            left.normal_(0, sqrt(2 / (channels * rows_in)))
            right.normal_(0, sqrt(2 / (channels * columns)))
        for factor, weight in zip((self.rows, self.columns), kronecker_factors(left, right), strict=True):
            factor.weight.copy_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, C, H', W') of float (B, C, H, W)."""
        C, rows, columns = self._shape_out
        B, _, _, width = x.shape
        mixed = self.rows(x.reshape(B, -1, 1, width)).view(B, C, rows, width)
        mixed = self.columns(mixed.transpose(2, 3).reshape(B, -1, 1, rows)).view(B, C, columns, rows).transpose(2, 3)
        out: Tensor = mixed + self.bias_channels[:, :, None] * (self.bias_rows * self.bias_columns)
        return out


class _PyramidLevel(nn.Module):
    """The source at the size of one level: KFc, norm, activation."""

    def __init__(self, config: PNeRVConfig, size: tuple[int, int]) -> None:
        super().__init__()
        channels, rows, columns = config.source_shape
        self.kfc = KroneckerLinear(channels, (rows, columns), size)
        self.norm: nn.Module = (
            InstanceNorm2d(channels, affine=True) if config.statistics == "frame" else nn.BatchNorm2d(channels)
        )
        self.activation = activation(config.activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.norm(self.kfc(x)))
        return out


class BenignSelectiveMemory(nn.Module):
    """BSM: see the head of this module.

    Args:
        channels: of the map and of the output.
        pyramid_channels: of the pyramid.
    """

    def __init__(self, channels: int, pyramid_channels: int) -> None:
        super().__init__()
        self.map = nn.Conv2d(channels, channels, 3, padding=1)
        self.memory = nn.Conv2d(pyramid_channels, channels, 3, padding=1)
        self.attention = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return float (B, C, H, W) of the map `x`, of that shape, and the pyramid `y`, float (B, C_p, H, W)."""
        r: Tensor = self.memory(y)
        a = torch.sigmoid(self.attention(torch.relu(self.map(x) + r)))
        return a * x + (1 - a) * r


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
    "seed": 10,
}
"""Training of `cfgs/PNeRV.yaml`, `engine.py`."""

_PAPER_SIZE = (1920, 960)


def _large(width: int, height: int, frame_count: int) -> PNeRVConfig:
    require_size("pnerv-l-960x1920", _PAPER_SIZE, (width, height))
    return PNeRVConfig(width=width, height=height, frame_count=frame_count)


def _medium(width: int, height: int, frame_count: int) -> PNeRVConfig:
    require_size("pnerv-m-960x1920", _PAPER_SIZE, (width, height))
    return PNeRVConfig(width=width, height=height, frame_count=frame_count, difference_strides=())


def _any_size(  # noqa: PLR0917 - as a preset's `configure`, and what is free
    width: int, height: int, frame_count: int, channels: int, embedding_channels: int, finer: int, **change: Any
) -> PNeRVConfig:
    """Return a PNeRV-L for any frame size that divides into stages; its source is `finer` stages finer than h x w."""
    strides = choose_strides(width, height, area=GRID_AREA)
    return PNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        stem_stride=strides[0],
        strides=(*strides[1:], 1, 1)[: max(len(strides) - 1, 2)],
        encoder_strides=strides,
        difference_strides=strides[finer:] or (1,),
        channels=channels,
        embedding_channels=embedding_channels,
        **change,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> PNeRVConfig:
    """Return a PNeRV-L of about `parameters` stored parameters, embeddings included.

    Difference embeddings are as fine as 15 % of the parameters allow, at most as in the published network; all
    embeddings take a fifth, unless the coarsest and one channel take more.

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

    def build(channels: int) -> PNeRVConfig:
        return _any_size(width, height, frame_count, channels, code, finer)

    return config_near(PNeRV, build, parameters)


def _tiny(width: int, height: int, frame_count: int) -> PNeRVConfig:
    return _any_size(width, height, frame_count, 8, 4, 0, encoder_width=16)


PRESETS = {
    "l-960x1920": Preset(
        summary="PNeRV-L as published, 1920x960: network of 3.3 M parameters, 6528 embedding values per frame",
        configure=_large,
        size=_PAPER_SIZE,
        paper="official cfgs/PNeRV.yaml; network 3,318,026 and embeddings of 132 frames",
        expected={"parameters": 3_318_026 + 6528 * 132, "gflops": 740.17},
        recipe=RECIPE,
    ),
    "m-960x1920": Preset(
        summary="PNeRV-M, without differences, at the width of the published PNeRV-L, 1920x960",
        configure=_medium,
        size=_PAPER_SIZE,
        paper="the authors publish neither code nor configuration of PNeRV-M; there is no figure to reach",
        recipe=RECIPE,
    ),
    "tiny": Preset(summary="some ten thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("pnerv", config=PNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class PNeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `content_embedding` (T, d, h, w); in PNeRV-L `difference_embedding` (T, 2, h', w'); `stem.conv`,
    `pyramid.L.kfc`, `pyramid.L.norm` (no level 0 where the source fits), `bsm.L.map`, `bsm.L.memory`,
    `bsm.L.attention`, `stages.N.conv`, `head`.

    Attributes:
        neighbours: offsets of the frames that the encoder reads beside each frame; none in PNeRV-M. With them
            `training_pairs` and `store_embeddings` take frames of shape (B, 3, 3, H, W), those at
            `source_index(index)`; without them (B, 3, H, W).
    """

    mixed_precision = False  # bfloat16 cost 0.07 dB after 30 epochs
    config: PNeRVConfig
    neighbours: tuple[int, ...] = ()

    def __init__(self, config: PNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.embedding_names = ("content_embedding",)
        self.register_buffer("content_embedding", torch.zeros(config.frame_count, *config.content_shape))
        if config.difference_strides:
            self.neighbours = NEIGHBOURS
            self.embedding_names = ("content_embedding", "difference_embedding")
            self.register_buffer("difference_embedding", torch.zeros(config.frame_count, *config.source_shape))
        # All layers are made in the official order: random numbers then fall in the same order.
        self.encoder = _encoder(config) if encoder else None
        channels, look = config.embedding_channels, dict[str, Any](norm="none", activation=config.activation)
        self.stem = nerv_block("conv", channels, channels, kernel=1, stride=config.stem_stride, **look)
        self.pyramid, self.bsm, self.stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, stride in enumerate(config.strides):
            if level < len(config.levels):
                size = config.levels[level]
                fits = level == 0 and size == config.source_shape[1:]
                self.pyramid.append(nn.Identity() if fits else _PyramidLevel(config, size))
                self.bsm.append(BenignSelectiveMemory(config.channels, config.source_shape[0]))
            choice = stage_convolution(config.convolutions, level)
            self.stages.append(nerv_block("conv", channels, config.channels, stride=stride, choice=choice, **look))
            channels = config.channels
        self.head = nn.Conv2d(config.channels, 3, 3, padding=1)

    def decode(self, content: Tensor, difference: Tensor | None = None) -> Tensor:
        """Return the frames of given embeddings: float32 (B, 3, H, W) in [0, 1].

        Args:
            content: float (B, d, h, w).
            difference: float (B, 2, h', w') in PNeRV-L, None in PNeRV-M.
        """
        source = content if difference is None else difference
        x = self.stem(content)
        for stage, pyramid, bsm in zip(self.stages, self.pyramid, self.bsm, strict=False):
            x = bsm(stage(x), pyramid(source))
        return torch.sigmoid(self.head(self.stages[-1](x)))

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W) in [0, 1]."""
        return self.decode(*(self.get_buffer(name)[index] for name in self.embedding_names))

    def source_index(self, index: Tensor) -> Tensor:
        """Return which source frames training needs: int64 (B, 3), frame, previous, next; the ends stand twice.

        PNeRV-M needs the frame alone: `index` itself.

        Args:
            index: int64 (B,).
        """
        return source_index(index, self.config.frame_count) if self.neighbours else index

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:  # noqa: ARG002 - content is enough
        """Return the one term: the frames behind encoder and decoder against the source frames.

        Args:
            index: int64 (B,); not used.
            frames: float32 in [0, 1], those at `source_index(index)`: (B, 3, 3, H, W), in PNeRV-M (B, 3, H, W).

        Raises:
            UsageError: the network was built without its encoder, or frames come without neighbours.
        """
        if self.encoder is None:
            raise UsageError("this PNeRV has no encoder and cannot be trained; build it with encoder=True")
        target = frames[:, 0] if self.neighbours else frames
        return [TrainingPair(self.decode(*self.encoder(frames)), target)]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Keep the encoder's embeddings at `index`, int64 (B,).

        Args:
            index: int64 (B,).
            frames: float32 in [0, 1], those at `source_index(index)`: (B, 3, 3, H, W), in PNeRV-M (B, 3, H, W).

        Raises:
            UsageError: frames come without neighbours.
        """
        if self.encoder is not None:
            for name, value in zip(self.embedding_names, self.encoder(frames), strict=True):
                self.get_buffer(name)[index] = value


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors under our names; those of KFc keep their shapes, see `kronecker_factors`.

    Args:
        state: anything, by official tensor name, without "module.".

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    kfc = {
        "w_L": "rows.weight",
        "w_R": "columns.weight",
        "b_h": "bias_rows",
        "b_w": "bias_columns",
        "b_c": "bias_channels",
    }
    memory = {"z": "map", "r": "memory", "h": "attention"}
    return rename(
        state,
        (
            (r"dec_exc_layers\.0\.conv\.conv\.(\w+)", r"stem.conv.\1"),
            (r"dec_layers\.(\d+)\.conv\.conv\.(\w+)", r"stages.\1.conv.\2"),
            (r"dec_head_layers\.(\w+)", r"head.\1"),
            # Three places per level: KFc, norm, activation.
            (r"dec_shortcuts\.(\d+)\.(w_L|w_R|b_[hwc])", lambda m: f"pyramid.{int(m[1]) // 3}.kfc.{kfc[m[2]]}"),
            (r"dec_shortcuts\.(\d+)\.(\w+)", lambda m: f"pyramid.{int(m[1]) // 3}.norm.{m[2]}"),
            (r"dec_bsm_([zrh])\.(\d+)\.(\w+)", lambda m: f"bsm.{m[2]}.{memory[m[1]]}.{m[3]}"),
            *upstream_rules("content", stages="enc_layers", projection="enc_ebd_layer"),
            *upstream_rules("difference", stages="enc_diff_layers", projection="enc_diff_ebd_layer"),
        ),
    )
