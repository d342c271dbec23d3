"""HNeRV-Boost: Boosting Neural Representations for Videos with a Conditional Decoder, Zhang et al., CVPR 2024.

arXiv 2402.18152. Official code: github.com/Xinjie-Q/Boosting-NeRV at d59ca91, `model_hnerv.py` (HNeRV_Boost),
`model_blocks.py`, `train_nerv_all.py`. No code is copied, parity is shown by numbers (tests).

    frame --> [encoder] --> embedding (C,h,w) --> [stem 1x1] --> [stage 1..m] --> [head 3x3] --> frame
              training only     stored, one per frame   each: up-convolution, norm, act, then modulation by the time
    time (i + 1) / T --> [code: sines, cosines] --> [1x1, act, 1x1, act] --> time vector, into every block

Notation        attribute              meaning
    E, D        encoder_strides,       with one product P: the frame (H, W) has an embedding (H/P, W/P)
                strides
    C0, r       channels, reduction    width behind the stem; a stage has round(c / r) channels
    d1, d2      encoder_width,         channels inside the encoder, and of the embedding
                embedding_channels
    b, L        time_base/levels       L frequencies b**k times `time_frequency`, 2L values
                time_channels          width of the time vector (ch_t)

Differences from the official code: embeddings are part of the stored weights, not computed from the clip again; the
frequencies of the time code are rounded correctly, where the official float32 power misses one of 80 by one unit in the
last place (level 45 of base 1.25, seen on x86). Checkpoints of its entropy-coded training
(`train_nerv_compression.py`) are not known.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nervplay.blocks.activation import activation, picture
from nervplay.blocks.conv_block import ConvBlock, down_block, up_block
from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.sft import SFTResidual
from nervplay.blocks.strides import choose_strides
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.convnext_names import convnext_rules
from nervplay.models.cost import config_near
from nervplay.models.hnerv_boost_config import HNeRVBoostConfig
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, embedding_channels, modelsize_channels, sized_presets

__all__ = ["PRESETS", "HNeRVBoost", "HNeRVBoostConfig", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")

# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 3e-3,
    "betas": (0.98, 0.92, 0.99),
    "schedule": "cosine_0.1_1_0.1",
    "loss": "Fusion10_freq",
    "optimiser": "adan",
}
"""Training of the official scripts: `-e 300 -b 1 --optim_type Adan --lr 0.003 --loss Fusion10_freq`."""

SMALL_FRAME_RECIPE = RECIPE | {"loss": "L1_ssim_freq"}
"""For frames with a side under 161 pixels, which MS-SSIM cannot measure."""


def _blocks(strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return blocks per stage: one in the first two stages, two in the rest, as in the official scripts."""
    return tuple(1 if i < 2 else 2 for i in range(len(strides)))


def _script(name: str, size: tuple[int, int], million: float, what: str, **expected: float) -> Preset:
    """Return a preset of an official script: `--modelsize` is `million`, which counts less than what is stored."""
    strides = (5, 2, 2, 2, 2) if size == (1280, 720) else (5, 3, 2, 2, 2)

    def configure(width: int, height: int, frame_count: int) -> HNeRVBoostConfig:
        require_size(f"hnerv-boost-{name}", size, (width, height))
        channels = modelsize_channels(million, width, height, frame_count, strides)
        return HNeRVBoostConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=strides,
            encoder_strides=strides,
            channels=channels,
            decoder_blocks=_blocks(strides),
        )

    return Preset(
        summary=f"HNeRV-Boost as the official script for {what} sets it (--modelsize {million:g}), {size[0]}x{size[1]}",
        configure=configure,
        size=size,
        frame_count=132 if what == "Bunny" else 600,
        paper=f"official scripts/regression, {what}",
        expected=expected,
        recipe=RECIPE,
    )


def _tiny(width: int, height: int, frame_count: int) -> HNeRVBoostConfig:
    strides = choose_strides(width, height, area=GRID_AREA)
    return HNeRVBoostConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        encoder_strides=strides,
        channels=12,
        decoder_blocks=(1,) * len(strides),
        embedding_channels=4,
        encoder_width=16,
        lower_width=8,
        time_levels=8,
        time_channels=8,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> HNeRVBoostConfig:
    """Return an HNeRV-Boost of about `parameters` stored parameters, embeddings included, otherwise as the scripts do.

    Unlike the official `--modelsize`, everything stored counts. At most a fifth goes to the embeddings, unless one
    channel takes more.

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
    code = embedding_channels(parameters, width * height // prod(strides) ** 2 * frame_count)

    def build(channels: int) -> HNeRVBoostConfig:
        return HNeRVBoostConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=strides,
            encoder_strides=strides,
            channels=channels,
            decoder_blocks=_blocks(strides),
            embedding_channels=code,
        )

    return config_near(HNeRVBoost, build, parameters)


_BUNNY, _UVG = (1280, 720), (1920, 1080)

PRESETS = {
    "0.75m-720x1280": _script("0.75m-720x1280", _BUNNY, 0.64, "Bunny", parameters=758_921, gflops=63.651),
    "1.5m-720x1280": _script("1.5m-720x1280", _BUNNY, 1.275, "Bunny", parameters=1_507_946, gflops=192.833),
    "3m-720x1280": _script("3m-720x1280", _BUNNY, 2.65, "Bunny", parameters=3_080_653, gflops=459.486),
    "3m-1080x1920": _script("3m-1080x1920", _UVG, 2.8, "UVG", parameters=3_052_288, gflops=514.099),
    "5m-1080x1920": _script("5m-1080x1920", _UVG, 4.6, "UVG", parameters=5_013_993, gflops=1142.897),
    "10m-1080x1920": _script("10m-1080x1920", _UVG, 9.1, "UVG", parameters=10_027_553, gflops=2791.976),
    "15m-1080x1920": _script("15m-1080x1920", _UVG, 13.6, "UVG", parameters=15_041_398, gflops=4429.882),
    "tiny": Preset(
        summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=SMALL_FRAME_RECIPE
    ),
    **sized_presets("HNeRV-Boost", config_for_size, SMALL_FRAME_RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


class _Sine(nn.Module):
    """sin(x), the paper's activation."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def _activation(name: str) -> nn.Module:
    return _Sine() if name == "sin" else activation(name)


class _Stage(nn.Module):
    """A block of NeRV, then the modulation by time."""

    def __init__(self, block: ConvBlock, channels: int, config: HNeRVBoostConfig) -> None:
        super().__init__()
        block.activation = _activation(config.activation)
        self.block = block
        self.sft = SFTResidual(config.time_channels, channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        out: Tensor = self.sft(self.block(x), time)
        return out


@register("hnerv-boost", config=HNeRVBoostConfig, presets=PRESETS, configure_size=config_for_size)
class HNeRVBoost(VideoModel):
    """The network: see the head of this module.

    Keys: `embedding` (T, C, h, w); `time_stem.0`, `time_stem.2`; `stem.block.conv`, `stages.N.block.conv` with N
    counting blocks, each with `sft.sft0.*`, `sft.conv0`, `sft.sft1.*`, `sft.conv1`; `head`; with norm "bn" also
    `stem.block.norm` and `stages.N.block.norm`.
    """

    mixed_precision = False  # bfloat16 cost 0.4 dB after 30 epochs
    config: HNeRVBoostConfig
    embedding: Tensor
    time_code: Tensor
    embedding_names = ("embedding",)

    def __init__(self, config: HNeRVBoostConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.register_buffer("embedding", torch.zeros(config.frame_count, *config.embedding_shape))
        values, width = 2 * config.time_levels, config.time_channels
        self.register_buffer("time_code", torch.empty(config.frame_count, values, 1, 1), persistent=False)
        self.fill_tables()
        # Built in the official order: random numbers then fall in the same order.
        if encoder:
            self.encoder = ConvNeXt(config.encoder_widths, config.encoder_strides, config.encoder_blocks)
        self.time_stem = nn.Sequential(
            nn.Conv2d(values, 2 * width, 1),
            _activation(config.activation),
            nn.Conv2d(2 * width, width, 1),
            _activation(config.activation),
        )
        look: dict[str, Any] = {"norm": config.norm, "activation": "gelu"}  # each stage sets its own activation
        stem = down_block("conv", config.embedding_channels, config.channels, kernel=0, stride=1, **look)
        self.stem = _Stage(stem, config.channels, config)
        self.stages = nn.ModuleList(
            _Stage(
                up_block(config.resampling, before, after, kernel=kernel, stride=stride, choice=choice, **look),
                after,
                config,
            )
            for (before, after, kernel, stride), choice in zip(config.blocks, config.choices, strict=True)
        )
        self.head = nn.Conv2d(config.blocks[-1].channels_out, 3, 3, padding=1)

    def fill_tables(self) -> None:
        """Compute the code of all times, float32 (T, 2L, 1, 1): all sines, then all cosines."""
        if self.time_code.is_meta:
            return
        config = self.config
        powers = np.array([config.time_base**level for level in range(config.time_levels)]).astype(np.float32)
        frequencies = powers * np.float32(config.time_frequency)
        # The official loader hands over (i + 1) / T in double precision, and phases reach 1e8: float32 would not do.
        time = np.arange(1, config.frame_count + 1, dtype=np.float64) / config.frame_count
        phase = time[:, None] * frequencies.astype(np.float64)
        table = np.concatenate([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32)
        self.time_code.copy_(torch.from_numpy(table)[:, :, None, None])

    def decode(self, code: Tensor, time_code: Tensor) -> Tensor:
        """Return the frames of given embeddings and times, float32 (B, 3, H, W).

        Args:
            code: float32 (B, C, h, w).
            time_code: float32 (B, 2L, 1, 1) in [-1, 1].
        """
        time = self.time_stem(time_code)
        x = self.stem(code, time)
        for stage in self.stages:
            x = stage(x, time)
        return picture(self.head(x), self.config.output)

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W), in [0, 1] unless `output` is a number."""
        return self.decode(self.embedding[index], self.time_code[index])

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the one term: the frames behind encoder and decoder against the source frames.

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, H, W) in [0, 1].

        Raises:
            UsageError: the network was built without its encoder.
        """
        if self.encoder is None:
            raise UsageError("this HNeRV-Boost has no encoder and cannot be trained; build it with encoder=True")
        return [TrainingPair(self.decode(self.encoder(frames), self.time_code[index]), frames)]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Keep the encoder's embeddings of `frames`, float32 (B, 3, H, W) in [0, 1], at `index`, int64 (B,)."""
        if self.encoder is not None:
            self.embedding[index] = self.encoder(frames)


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors, encoder included if there, under our names.

    Args:
        state: anything, by official tensor name, without "module.".

    Raises:
        CheckpointError: a name that the official network does not have.
    """

    def stage(number: str) -> str:
        return "stem" if number == "0" else f"stages.{int(number) - 1}"

    return rename(
        state,
        (
            (r"stem_t\.([02])\.(weight|bias)", r"time_stem.\1.\2"),
            (
                r"decoder\.(\d+)\.conv\.(?:downconv|upconv(?:\.[01])?)\.(weight|bias)",
                lambda m: f"{stage(m[1])}.block.conv.{m[2]}",
            ),
            (r"decoder\.(\d+)\.norm\.(\w+)", lambda m: f"{stage(m[1])}.block.norm.{m[2]}"),
            (r"decoder\.(\d+)\.sft_block\.(conv[01]\.\w+)", lambda m: f"{stage(m[1])}.sft.{m[2]}"),
            (
                r"decoder\.(\d+)\.sft_block\.(sft[01])\.SFT_(scale|shift)_conv([01])\.(weight|bias)",
                lambda m: f"{stage(m[1])}.sft.{m[2]}.{m[3]}.{'hidden' if m[4] == '0' else 'out'}.{m[5]}",
            ),
            (r"head_layer\.(weight|bias)", r"head.\1"),
            *convnext_rules("encoder", "encoder"),
        ),
    )
