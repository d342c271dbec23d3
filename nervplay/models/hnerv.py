"""HNeRV: A Hybrid Neural Representation for Videos, Chen et al., CVPR 2023, https://arxiv.org/abs/2304.02633 .

Official code: github.com/haochen-rye/HNeRV at 4872129, `model_all.py`, `train_nerv_all.py`. No licence file: nothing is
copied, parity is shown by numbers (tests/golden).

    frame --> [encoder] --> embedding (C,h,w) --> [stem 1x1] --> [rearrange] --> [stage 1..m] --> [head 3x3] --> frame
              training only     stored, one per frame            stage: up-convolution, norm, act

The same class is the NeRV baseline of that paper (`--embed pe_b_L`): the stem then reads a code of the time instead of
an embedding, and there is no encoder. It is not the NeRV of 2021 (`nerv.py`): it has no hidden layer, and all sines
come before all cosines.

Notation        attribute              meaning
    E           encoder_strides        their product P takes the frame (H, W) to the embedding (H/P, W/P)
    D           strides                decoder; f = prod E // prod D, positions per side that the stem makes of one
    C0          channels               channels behind the rearrangement
    r           reduction              a stage has round(c / r) channels, at least `lower_width`
    d1, d2      encoder_width,         `--enc_dim d1_d2`: channels inside the encoder, and of the embedding
                embedding_channels
    b, L        time_base/levels       time input: L frequencies, 2L values
    fc_h, fc_w  time_grid              time input: what the stem makes of one position

Differences from the official code: embeddings are part of the stored weights, not computed from the clip again; the
frequencies of the time code are rounded correctly (`blocks.encoding`); configurations whose output misses the frame
size are refused.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervplay.blocks.activation import picture
from nervplay.blocks.conv_block import down_block, up_block
from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.encoding import block_encoding, normalised_time
from nervplay.blocks.strides import choose_strides
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.cost import config_near
from nervplay.models.hnerv_config import HNeRVConfig
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, embedding_channels, modelsize_channels, sized_presets

__all__ = ["PRESETS", "HNeRV", "HNeRVConfig", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")


def _encoder(config: HNeRVConfig) -> nn.Module:
    """Return the encoder: (B, 3, H, W) to (B, C, h, w)."""
    widths = config.encoder_widths
    if config.encoder_kind == "convnext":
        return ConvNeXt(widths, config.encoder_strides, config.encoder_blocks)
    return nn.Sequential(
        *(
            down_block(
                config.encoder_kind,
                before,
                after,
                kernel=config.encoder_kernel,
                stride=stride,
                norm=config.norm,
                activation=config.activation,
            )
            for before, after, stride in zip((3, *widths), widths, config.encoder_strides, strict=False)
        )
    )


def _rearrange(x: Tensor, rows: int, columns: int) -> Tensor:
    """Pixel shuffle with two factors: (B, C * rows * columns, h, w) to (B, C, rows * h, columns * w)."""
    B, _, h, w = x.shape
    x = x.view(B, -1, rows, columns, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(B, -1, rows * h, columns * w)


# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "betas": (0.9, 0.999),
    "schedule": "cosine_0.1_1_0.1",
    "loss": "L2",
    "optimiser": "adam",
}
"""Training of the official README: `-e 300 -b 2 --lr 0.001 --lr_type cosine_0.1_1_0.1 --loss L2`."""

_PAPER_SIZE = (1280, 640)


def _paper(name: str, million: float, **expected: float) -> Preset:
    """Return a preset of the paper's table 1: E = D = 5 4 4 2 2 on the centre 1280x640 of Big Buck Bunny."""
    strides = (5, 4, 4, 2, 2)

    def configure(width: int, height: int, frame_count: int) -> HNeRVConfig:
        require_size(f"hnerv-{name}", _PAPER_SIZE, (width, height))
        channels = modelsize_channels(million, width, height, frame_count, strides)
        return HNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=strides,
            encoder_strides=strides,
            channels=channels,
        )

    return Preset(
        summary=f"HNeRV of {million:g} M parameters as in the paper, 1280x640",
        configure=configure,
        size=_PAPER_SIZE,
        paper="table 1 (Big Buck Bunny, 132 frames)",
        expected=expected,
        recipe=RECIPE,
    )


def _time_input(width: int, height: int, frame_count: int) -> HNeRVConfig:
    require_size("hnerv-nerv-1.5m-640x1280", _PAPER_SIZE, (width, height))
    return HNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=(5, 4, 2, 2),
        channels=54,
        reduction=2.0,
        kernel_min=3,
        kernel_max=3,
        time_levels=80,
        time_grid=(8, 16),
    )


def _tiny(width: int, height: int, frame_count: int) -> HNeRVConfig:
    strides = choose_strides(width, height, area=GRID_AREA)
    return HNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        encoder_strides=strides,
        channels=16,
        embedding_channels=4,
        encoder_width=16,
        kernel_max=3,
        lower_width=8,
    )


def _sample(width: int, height: int, frame_count: int) -> HNeRVConfig:
    require_size("hnerv-sample-320x180", (320, 180), (width, height))
    return HNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=(5, 2, 2),
        encoder_strides=(5, 2, 2),
        channels=122,
        embedding_channels=7,
        reduction=2.0,
        kernel_max=3,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> HNeRVConfig:
    """Return an HNeRV of about `parameters` stored parameters, embeddings included, with the paper's r and kernels.

    Unlike the official `--modelsize`, every weight and bias counts. At most a fifth goes to the embeddings, unless one
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

    def build(channels: int) -> HNeRVConfig:
        return HNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=strides,
            encoder_strides=strides,
            channels=channels,
            embedding_channels=code,
        )

    return config_near(HNeRV, build, parameters)


PRESETS = {
    "0.35m-640x1280": _paper("0.35m-640x1280", 0.35, parameters=329_726, gflops=11.717),
    "0.75m-640x1280": _paper("0.75m-640x1280", 0.75, parameters=736_152, gflops=27.777),
    "1.5m-640x1280": _paper("1.5m-640x1280", 1.5, parameters=1_505_172, gflops=57.677, psnr_db=35.57),
    "3m-640x1280": _paper("3m-640x1280", 3.0, parameters=3_029_582, gflops=118.672),
    "nerv-1.5m-640x1280": Preset(
        summary="NeRV as the HNeRV repository builds it (time input), 1.5 M parameters, 1280x640",
        configure=_time_input,
        size=_PAPER_SIZE,
        paper="official README, NeRV baseline",
        expected={"parameters": 1_507_868, "gflops": 3.708},
        recipe=RECIPE,
    ),
    "sample-320x180": Preset(
        summary="the bundled sample: 0.4 M parameters, 320x180, narrow where frames are large: fits on a processor",
        configure=_sample,
        size=(320, 180),
        expected={"parameters": 404_275, "gflops": 1.0414},
        recipe=RECIPE | {"batch_size": 1},
    ),
    "tiny": Preset(summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
    **sized_presets("HNeRV", config_for_size, RECIPE),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("hnerv", config=HNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class HNeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `embedding` (T, C, h, w), unless the input is time; `stem.conv`, `stages.N.conv` with N counting blocks,
    `head`; with norm "bn" also `stem.norm` and `stages.N.norm`.
    """

    config: HNeRVConfig
    embedding: Tensor
    time_code: Tensor

    def __init__(self, config: HNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        channels, rows, columns = config.embedding_shape
        if config.time_levels:
            self.register_buffer("time_code", torch.empty(config.frame_count, channels, 1, 1), persistent=False)
            self.fill_tables()
        else:
            self.embedding_names = ("embedding",)
            self.register_buffer("embedding", torch.zeros(config.frame_count, channels, rows, columns))
            # First, as in the official code: random numbers then fall in the same order.
            self.encoder = _encoder(config) if encoder else None
        look: dict[str, Any] = {"norm": config.norm, "activation": config.activation}
        stem_channels = config.channels * prod(config.rearrangement)
        self.stem = down_block("conv", channels, stem_channels, kernel=0, stride=1, **look)
        self.stages = nn.ModuleList(
            up_block(
                config.upsampling,
                before,
                after,
                kernel=kernel,
                stride=stride,
                choice=choice,
                **look,
            )
            for (before, after, kernel, stride), choice in zip(config.blocks, config.choices, strict=True)
        )
        self.head = nn.Conv2d(config.blocks[-1].channels_out, 3, 3, padding=1)

    def fill_tables(self) -> None:
        """Compute the code of all times, float32 (T, 2L, 1, 1); nothing where embeddings are stored."""
        if not self.config.time_levels or self.time_code.is_meta:
            return
        self.time_code.copy_(self._encode(normalised_time(self.config.frame_count)))

    def _encode(self, time: NDArray[np.float64]) -> Tensor:
        """Return the code of normalised times (B,): float32 (B, 2L, 1, 1)."""
        table = block_encoding(time, self.config.time_base, self.config.time_levels)
        return torch.from_numpy(table)[:, :, None, None]

    @property
    def continuous_time(self) -> bool:
        """With time input only: stored embeddings stand for whole frames."""
        return self.config.time_levels > 0

    def at_position(self, position: Tensor) -> Tensor:
        """Return the pictures at positions in frames, float64 (B,): float32 (B, 3, H, W) in [0, 1].

        Raises:
            CapabilityError: embeddings are stored; there is none between frames.
        """
        if not self.continuous_time:
            return super().at_position(position)
        code = self._encode(position.cpu().numpy() / self.config.frame_count)
        return self.decode(code.to(self.time_code))

    def decode(self, code: Tensor) -> Tensor:
        """Return the frames of given embeddings (or time codes): float32 (B, C, h, w) to (B, 3, H, W) in [0, 1]."""
        x = _rearrange(self.stem(code), *self.config.rearrangement)
        for stage in self.stages:
            x = stage(x)
        return picture(self.head(x), self.config.output)

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W), in [0, 1] unless `output` is a number."""
        return self.decode((self.time_code if self.config.time_levels else self.embedding)[index])

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:
        """Return the one term: the frames behind encoder and decoder against the source frames.

        Args:
            index: int64 (B,); used by time input only.
            frames: float32 (B, 3, H, W) in [0, 1].

        Raises:
            UsageError: the network was built without its encoder.
        """
        if self.config.time_levels:
            return super().training_pairs(index, frames)
        if self.encoder is None:
            raise UsageError("this HNeRV has no encoder and cannot be trained; build it with encoder=True")
        return [TrainingPair(self.decode(self.encoder(frames)), frames)]

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
    return rename(
        state,
        (
            (r"decoder\.0\.conv\.downconv\.(weight|bias)", r"stem.conv.\1"),
            (r"decoder\.0\.norm\.(\w+)", r"stem.norm.\1"),
            (
                r"decoder\.(\d+)\.conv\.upconv(?:\.[01])?\.(weight|bias)",
                lambda m: f"stages.{int(m[1]) - 1}.conv.{m[2]}",
            ),
            (r"decoder\.(\d+)\.norm\.(\w+)", lambda m: f"stages.{int(m[1]) - 1}.norm.{m[2]}"),
            (r"head_layer\.(weight|bias)", r"head.\1"),
            (r"encoder\.(\d+)\.conv\.downconv(?:\.1)?\.(weight|bias)", r"encoder.\1.conv.\2"),
            (r"encoder\.(\d+)\.norm\.(\w+)", r"encoder.\1.norm.\2"),
            # ConvNeXt: the first stage convolves, then normalises; later ones the other way round.
            (r"encoder\.downsample_layers\.0\.0\.(\w+)", r"encoder.downsample.0.conv.\1"),
            (r"encoder\.downsample_layers\.0\.1\.(\w+)", r"encoder.downsample.0.norm.\1"),
            (r"encoder\.downsample_layers\.(\d+)\.0\.(\w+)", r"encoder.downsample.\1.norm.\2"),
            (r"encoder\.downsample_layers\.(\d+)\.1\.(\w+)", r"encoder.downsample.\1.conv.\2"),
            (r"(encoder\.stages\.\d+\.\d+)\.gamma", r"\1.scale"),
            (r"(encoder\.stages\.\d+\.\d+)\.dwconv\.(\w+)", r"\1.depthwise.\2"),
            (r"(encoder\.stages\.\d+\.\d+)\.pwconv1\.(\w+)", r"\1.expand.\2"),
            (r"(encoder\.stages\.\d+\.\d+)\.pwconv2\.(\w+)", r"\1.project.\2"),
            (r"(encoder\.stages\.\d+\.\d+\.norm\.\w+)", r"\1"),
        ),
    )
