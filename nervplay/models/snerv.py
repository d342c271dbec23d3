"""SNeRV-B: SNeRV, Spectra-preserving Neural Representation for Video, Kim et al., ECCV 2024, arXiv 2501.01681.

Official code: github.com/qwertja/SNeRV at 95a7dcd, `model/snerv.py`, `train_snerv.py`. No licence file: nothing is
copied, parity is shown by numbers (tests). The temporal extension is `snerv_t.py`.

    frame --> [Haar] --> LL --> scaled to [0, 1] --> [encoder] --> embedding (C,h,w)       training only; stored, one
               |          `--> min, max: "norm"                                            per frame, with its norm
               `--> LH, HL, HH: targets, never encoded

    embedding --> [stem 1x1] --> [rearrange] --> [stage 1..m] --> [fusion] --> [head] --> LL --+--> [Haar^-1] --> frame
                                 stage: conv, pixel shuffle          `--> [restorer] --> HF ---+

Notation        attribute              meaning
    E, D        encoder_strides,       as in `hnerv.py`, but over LL: prod E takes (H/2, W/2) to the embedding
                strides
    C0, r       channels, reduction    as in `hnerv.py`
    d1, d2      encoder_width,         channels inside the encoder, and of the embedding
                embedding_channels
    N           residual_blocks        of each of the two stacks of the fusion (MFU)

Differences from the official code: embeddings and norm are part of the stored weights; each frame of a batch has its
own norm (the official code takes one over the batch, and runs with batch 1); a frame of one colour is encoded as zeros,
where the official code divides 0 by 0; frames leave the inverse transform unclamped, as there.

Figures: the paper counts the decoder without its head, and the arithmetic of encoder and decoder together. We count all
that is stored (head, embeddings, norm), and the arithmetic of decoding alone. Tables 1 and 5 of the supplement and
90.49 GMAC agree. Of table 4 the rows with C0 = 41 and 81 do not (its 0.36 M would fit N = 1).
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nervplay.blocks.conv_block import down_block, up_block
from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.haar import haar_split
from nervplay.blocks.spectrum import Bands, SpectralHead, bounds_of, scale_to_bounds
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.convnext_names import convnext_rules
from nervplay.models.cost import config_near
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, embedding_channels, sized_presets
from nervplay.models.snerv_config import PAPER_FRAMES, PAPER_STRIDES, SNeRVConfig, low_band_strides, paper_blocks
from nervplay.models.snerv_names import spectral_rules

__all__ = ["PRESETS", "SNeRV", "SNeRVConfig", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")

# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 1e-3,
    "betas": (0.9, 0.999),
    "schedule": "cosine_0.1_1_0.1",
    "loss": "Fusion6",
    "optimiser": "adam",
    "grad_clip": 1.0,
}
"""Training of the official `train_snerv.py`: its defaults."""


def _paper(name: str, size: tuple[int, int], channels: int, blocks: int, paper: str, **expected: float) -> Preset:
    """Return a preset of the paper's supplement; its length is that of Bunny (132 frames) or UVG (600)."""

    def configure(width: int, height: int, frame_count: int) -> SNeRVConfig:
        require_size(f"snerv-{name}", size, (width, height))
        return SNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=PAPER_STRIDES[size[1]],
            encoder_strides=PAPER_STRIDES[size[1]],
            channels=channels,
            residual_blocks=blocks,
        )

    return Preset(
        summary=f"SNeRV-B, C0 = {channels}, N = {blocks}, as in the paper, {size[0]}x{size[1]}",
        configure=configure,
        size=size,
        frame_count=PAPER_FRAMES[size[1]],
        paper=paper,
        expected=expected,
        recipe=RECIPE,
    )


def _tiny(width: int, height: int, frame_count: int) -> SNeRVConfig:
    strides = low_band_strides(width, height, area=GRID_AREA)
    return SNeRVConfig(
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
        residual_blocks=1,
    )


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> SNeRVConfig:
    """Return a SNeRV-B of about `parameters` stored parameters, embeddings included, with the paper's r, kernels and N.

    At most a fifth goes to the embeddings, unless one channel takes more.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """
    strides = low_band_strides(width, height, area=GRID_AREA)
    blocks = paper_blocks(parameters)

    def build(channels: int, code: int) -> SNeRVConfig:
        return SNeRVConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=strides,
            encoder_strides=strides,
            channels=channels,
            embedding_channels=code,
            residual_blocks=blocks,
        )

    _, rows, columns = build(1, 1).embedding_shape
    code = embedding_channels(parameters, rows * columns * frame_count)

    return config_near(SNeRV, lambda channels: build(channels, code), parameters)


_SMALL, _BUNNY, _UVG = (960, 480), (1280, 640), (1920, 960)
_TABLE_1 = "supplement, table 1 (3.0 M in all"
_TABLE_4 = "supplement, table 4 (Big Buck Bunny; decoder / total "
_TABLE_5 = "supplement, table 5 (UVG, 600 frames; decoder / total "

PRESETS = {
    "3m-480x960": _paper(
        "3m-480x960", _SMALL, 119, 6, f"{_TABLE_1}, UVG, 600 frames)", parameters=3_009_254, gflops=119.105
    ),
    "3m-640x1280": _paper(
        "3m-640x1280",
        _BUNNY,
        111,
        6,
        f"{_TABLE_1}, Bunny; 90.49 GMAC, the encoder's 0.39 among them)",
        parameters=3_010_202,
        gflops=180.181,
    ),
    "3m-960x1920": _paper(
        "3m-960x1920",
        _UVG,
        100,
        6,
        f"{_TABLE_1}, UVG, 600 frames; 168 GMAC with the encoder)",
        parameters=3_019_069,
        gflops=334.002,
    ),
    "0.35m-640x1280": _paper(
        "0.35m-640x1280",
        _BUNNY,
        41,
        2,
        f"{_TABLE_4}0.34 / 0.36 M; not reproduced, it has 0.35 / 0.37 M)",
        parameters=360_000,
    ),
    "0.75m-640x1280": _paper(
        "0.75m-640x1280", _BUNNY, 57, 3, f"{_TABLE_4}0.75 / 0.76 M)", parameters=762_878, gflops=33.951
    ),
    "1.5m-640x1280": _paper(
        "1.5m-640x1280",
        _BUNNY,
        81,
        4,
        f"{_TABLE_4}1.50 / 1.51 M; not reproduced, it has 1.57 / 1.58 M)",
        parameters=1_510_000,
    ),
    "4.5m-640x1280": _paper(
        "4.5m-640x1280", _BUNNY, 132, 8, f"{_TABLE_4}4.55 / 4.57 M)", parameters=4_572_979, gflops=317.809
    ),
    "6m-640x1280": _paper(
        "6m-640x1280", _BUNNY, 148, 10, f"{_TABLE_4}5.93 / 5.95 M)", parameters=5_947_995, gflops=462.361
    ),
    "2.75m-960x1920": _paper(
        "2.75m-960x1920", _UVG, 95, 6, f"{_TABLE_5}2.67 / 2.75 M)", parameters=2_751_809, gflops=303.287
    ),
    "4.3m-960x1920": _paper(
        "4.3m-960x1920", _UVG, 120, 6, f"{_TABLE_5}4.24 / 4.32 M)", parameters=4_317_775, gflops=481.776
    ),
    "6.7m-960x1920": _paper(
        "6.7m-960x1920", _UVG, 150, 6, f"{_TABLE_5}6.64 / 6.71 M)", parameters=6_714_943, gflops=748.588
    ),
    "tiny": Preset(summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
    **sized_presets("SNeRV-B", config_for_size, RECIPE, what="whose half divides into stages"),
}


# --- the network -----------------------------------------------------------------------------------------------------


@register("snerv", config=SNeRVConfig, presets=PRESETS, configure_size=config_for_size)
class SNeRV(VideoModel):
    """The network: see the head of this module.

    Keys: `embedding` (T, C, h, w), `norm` (T, 2) with the smallest and the largest value of LL; `stem.conv`,
    `stages.N.conv`, `spectrum.restorer.*`, `spectrum.fusion.*`, `spectrum.head`; with norm "bn" also `stem.norm` and
    `stages.N.norm`.
    """

    config: SNeRVConfig
    embedding: Tensor
    norm: Tensor
    embedding_names = ("embedding", "norm")

    def __init__(self, config: SNeRVConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.register_buffer("embedding", torch.zeros(config.frame_count, *config.embedding_shape))
        self.register_buffer("norm", torch.zeros(config.frame_count, 2))
        if encoder:  # first, as in the official code: random numbers then fall in the same order
            self.encoder = ConvNeXt(config.encoder_widths, config.encoder_strides, config.encoder_blocks)
        look: dict[str, Any] = {"norm": config.norm, "activation": config.activation}
        stem_channels = config.channels * config.rearrangement**2
        self.stem = down_block("conv", config.embedding_channels, stem_channels, kernel=0, stride=1, **look)
        stages = config.stages
        self.stages = nn.ModuleList(
            up_block("pshuffel", before, after, kernel=kernel, stride=stride, choice=choice, **look)
            for (before, after, kernel, stride), choice in zip(stages, config.choices, strict=True)
        )
        self.spectrum = SpectralHead(
            [stage.channels_out for stage in stages[-3:]], config.strides[-2:], config.residual_blocks, config.output
        )

    def decode(self, code: Tensor) -> Bands:
        """Return the Haar bands of given embeddings, float32 (B, C, h, w)."""
        x = F.pixel_shuffle(self.stem(code), self.config.rearrangement)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return self.spectrum.bands(*outputs[-3:])

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W), not kept inside [0, 1]."""
        return self.decode(self.embedding[index]).frames(self.norm[index])

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:  # noqa: ARG002 - the frames say all
        """Return the three terms: LL scaled to [0, 1], the other bands, the frames.

        The other bands are given as (B, 9, h, w): the official loss works on (B, 3, 3, h, w), where its SSIM neither
        smooths over the bands nor tells them from colours, so that the value is the same.

        Args:
            index: int64 (B,), not used.
            frames: float32 (B, 3, H, W) in [0, 1].

        Raises:
            UsageError: the network was built without its encoder.
        """
        if self.encoder is None:
            raise UsageError("this SNeRV has no encoder and cannot be trained; build it with encoder=True")
        low, high = haar_split(frames)
        bounds = bounds_of(low)
        scaled = scale_to_bounds(low, bounds)
        bands = self.decode(self.encoder(scaled))
        return [
            TrainingPair(bands.low, scaled),
            TrainingPair(bands.high.flatten(1, 2), high.flatten(1, 2)),
            TrainingPair(bands.frames(bounds), frames),
        ]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Keep embeddings and norm of `frames`, float32 (B, 3, H, W) in [0, 1], at `index`, int64 (B,)."""
        if self.encoder is not None:
            low, _ = haar_split(frames)
            bounds = bounds_of(low)
            self.norm[index] = bounds
            self.embedding[index] = self.encoder(scale_to_bounds(low, bounds))


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
            *spectral_rules(state),
            (
                r"decoder\.(\d+)\.conv\.upconv\.0\.(weight|bias)",
                lambda match: f"stages.{int(match[1]) - 1}.conv.{match[2]}",
            ),
            (r"decoder\.(\d+)\.norm\.(\w+)", lambda match: f"stages.{int(match[1]) - 1}.norm.{match[2]}"),
            *convnext_rules(r"encoder\.0", "encoder"),
        ),
    )
