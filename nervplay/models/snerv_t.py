"""SNeRV-T: the temporal extension of SNeRV, Kim et al., ECCV 2024, arXiv 2501.01681.

Official code: github.com/qwertja/SNeRV at 95a7dcd, `model/snerv_t.py`, `train_snerv_t.py`. No licence file: nothing is
copied, parity is shown by numbers (tests). SNeRV-B and the spectral parts are in `snerv.py` and `blocks/spectrum.py`.

    LL of frame i, i - 1, i + 1, scaled by the norm of all three                             (training only)
        --> [encoder.current](i) --> embedding (C, h, w)
        --> [encoder.previous](low pass of i, i - 1), [encoder.next](low pass of i, i + 1) --> temporal (6, h2, w2)

    embedding --> [stem] --> [2-D block 1, 2] --------+
                                                      +--> [temporal block 3..m] --> [fusion, head, restorer] --> frame
    temporal --> [temporal stem, up], for each way ---+                                as in SNeRV-B

The first and the last frame take their one neighbour twice. The high pass in time is not used.

Notation        attribute              meaning
    E, D, C0, r, d1, d2, N             as in `snerv.py`
    E2          temporal_strides       of the encoders of neighbours, whose last width is 3
                temporal_up            enlargement of the temporal code before block 3

Differences from the official code: those of `snerv.py`; any number of stages from three up (five there); the strides of
the fusion follow D (2, 2 there). The official target of LL is scaled by the norm of the frame alone, while the network
scales by the norm of all three; so it is here.

Figures: counted as in `snerv.py`. The paper's 181.8 GMAC at 1280x640 are not those of its own width C0 = 103 (208.09
with the encoders); C0 = 96 would give 181.72. At 1920x960 401.57 GMAC (C0 = 96) and 254.47 (2-D, C0 = 77, which the
paper does not print) come out within 0.04 %. Of the sizes in tables 2 and 4 of the supplement those of 960 lines, and
those with C0 = 39 and 61, do not.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nervplay.blocks.conv_block import down_block
from nervplay.blocks.convnext import ConvNeXt
from nervplay.blocks.haar import haar_split, low_pass
from nervplay.blocks.spectrum import Bands, SpectralHead, bounds_of, scale_to_bounds
from nervplay.blocks.temporal import Mixing, SpatialUp, TemporalUp
from nervplay.errors import UsageError
from nervplay.models.base import Preset, TrainingPair, VideoModel, register, require_size
from nervplay.models.convnext_names import convnext_rules
from nervplay.models.cost import config_near
from nervplay.models.renaming import rename
from nervplay.models.sizes import GRID_AREA, embedding_channels, sized_presets
from nervplay.models.snerv_config import (
    PAPER_FRAMES,
    PAPER_STRIDES,
    SPATIAL_STAGES,
    TEMPORAL_LAYOUTS,
    SNeRVTConfig,
    low_band_strides,
    paper_blocks,
)
from nervplay.models.snerv_names import spectral_rules

__all__ = ["PRESETS", "SNeRVT", "SNeRVTConfig", "config_for_size", "rename_upstream_keys"]

T = TypeVar("T")

# --- presets ---------------------------------------------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "learning_rate": 1e-3,
    "betas": (0.9, 0.999),
    "schedule": "cosine_0.2_1_0.1",
    "loss": "Fusion6",
    "optimiser": "adam",
    "grad_clip": 1.0,
}
"""Training of the official `train_snerv_t.py`: its defaults."""


def _paper(
    name: str,
    layout: tuple[int, int],
    channels: int,
    blocks: int,
    paper: str,
    *,
    mixing: Mixing = "3d",
    **expected: float,
) -> Preset:
    """Return a preset of the paper's supplement; `layout` is a key of `TEMPORAL_LAYOUTS`."""
    rows, _ = layout
    temporal_strides, temporal_up = TEMPORAL_LAYOUTS[layout]

    def configure(width: int, height: int, frame_count: int) -> SNeRVTConfig:
        require_size(f"snerv-t-{name}", (2 * rows, rows), (width, height))
        return SNeRVTConfig(
            width=width,
            height=height,
            frame_count=frame_count,
            strides=PAPER_STRIDES[rows],
            encoder_strides=PAPER_STRIDES[rows],
            channels=channels,
            residual_blocks=blocks,
            temporal_strides=temporal_strides,
            temporal_up=temporal_up,
            mixing=mixing,
        )

    return Preset(
        summary=f"SNeRV-T ({mixing.upper()}), C0 = {channels}, N = {blocks}, as in the paper, {2 * rows}x{rows}",
        configure=configure,
        size=(2 * rows, rows),
        frame_count=PAPER_FRAMES[rows],
        paper=paper,
        expected=expected,
        recipe=RECIPE,
    )


def _for_any_size(
    width: int, height: int, frame_count: int, *, channels: int, embedding_channels: int, **others: Any
) -> SNeRVTConfig:
    """Return a configuration whose temporal code is as small as its embedding."""
    strides = low_band_strides(width, height, area=GRID_AREA)
    return SNeRVTConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=strides,
        encoder_strides=strides,
        channels=channels,
        embedding_channels=embedding_channels,
        temporal_strides=strides,
        temporal_up=strides[:SPATIAL_STAGES],
        **others,
    )


def _tiny(width: int, height: int, frame_count: int) -> SNeRVTConfig:
    small = {"encoder_width": 16, "lower_width": 8, "residual_blocks": 1}
    return _for_any_size(width, height, frame_count, channels=10, embedding_channels=4, **small)


def config_for_size(width: int, height: int, frame_count: int, parameters: int) -> SNeRVTConfig:
    """Return a SNeRV-T of about `parameters` stored parameters, codes included, with the paper's r and N.

    At most a fifth goes to the embeddings, unless one channel takes more; the temporal codes come on top.

    Args:
        width: columns of a frame, in pixels.
        height: rows of a frame, in pixels.
        frame_count: T.
        parameters: wanted number; the nearest possible is taken.

    Raises:
        GeometryError: a frame size that no strides fit.
        UsageError: a number that no width comes within a tenth of.
    """
    blocks = paper_blocks(parameters)
    base = _for_any_size(width, height, frame_count, channels=1, embedding_channels=1)
    _, rows, columns = base.embedding_shape
    code = embedding_channels(parameters, rows * columns * frame_count)

    def build(channels: int) -> SNeRVTConfig:
        look = {"channels": channels, "embedding_channels": code, "residual_blocks": blocks}
        return _for_any_size(width, height, frame_count, **look)

    return config_near(SNeRVT, build, parameters)


_TABLE_2 = "supplement, table 2 (3.0 M in all"
_TABLE_4 = "supplement, table 4 (Big Buck Bunny; decoder / total "

PRESETS = {
    "3m-480x960": _paper(
        "3m-480x960",
        (480, 5),
        113,
        6,
        f"{_TABLE_2}, UVG, 600 frames, --emb_size 5)",
        parameters=3_004_468,
        gflops=262.947,
    ),
    "3m-640x1280": _paper(
        "3m-640x1280",
        (640, 20),
        103,
        6,
        f"{_TABLE_2}, Bunny; 181.8 GMAC there, the encoders' 5.82 among them, 208.09 here)",
        parameters=2_991_365,
        gflops=351.95,
    ),
    "3m-960x1920": _paper(
        "3m-960x1920",
        (960, 20),
        96,
        6,
        f"{_TABLE_2}, UVG; with the codes of 600 frames it has 5.05 M; 401.57 GMAC with the encoders)",
        parameters=3_000_000,
        gflops=790.022,
    ),
    "2d-960x1920": _paper(
        "2d-960x1920",
        (960, 20),
        77,
        6,
        "supplement, sec. C.2 (254.47 GMAC with the encoders; it does not print C0)",
        mixing="2d",
        gflops=495.959,
    ),
    "0.35m-640x1280": _paper(
        "0.35m-640x1280",
        (640, 5),
        39,
        2,
        f"{_TABLE_4}0.30 / 0.36 M; not reproduced, it has 0.28 / 0.34 M)",
        parameters=360_000,
    ),
    "0.75m-640x1280": _paper(
        "0.75m-640x1280",
        (640, 5),
        61,
        3,
        f"{_TABLE_4}0.69 / 0.75 M; not reproduced, it has 0.73 / 0.79 M)",
        parameters=750_000,
    ),
    "1.5m-640x1280": _paper(
        "1.5m-640x1280", (640, 10), 82, 4, f"{_TABLE_4}1.39 / 1.57 M)", parameters=1_570_586, gflops=231.585
    ),
    "4.5m-640x1280": _paper(
        "4.5m-640x1280", (640, 20), 129, 8, f"{_TABLE_4}3.87 / 4.52 M)", parameters=4_519_782, gflops=675.163
    ),
    "6m-640x1280": _paper(
        "6m-640x1280", (640, 20), 146, 10, f"{_TABLE_4}5.30 / 5.95 M)", parameters=5_951_358, gflops=943.389
    ),
    "tiny": Preset(summary="a few thousand parameters, for tests and first steps", configure=_tiny, recipe=RECIPE),
    **sized_presets("SNeRV-T", config_for_size, RECIPE, what="whose half divides into stages"),
}


# --- the network -----------------------------------------------------------------------------------------------------


def _encoders(config: SNeRVTConfig) -> nn.ModuleDict:
    """Return the encoders of the frame and of its low passes with the previous and the next frame."""

    def encoder(strides: tuple[int, ...], last: int) -> ConvNeXt:
        return ConvNeXt([config.encoder_width] * (len(strides) - 1) + [last], strides, config.encoder_blocks)

    return nn.ModuleDict(
        {
            "current": encoder(config.encoder_strides, config.embedding_channels),
            "previous": encoder(config.temporal_strides, 3),
            "next": encoder(config.temporal_strides, 3),
        }
    )


def _stages(config: SNeRVTConfig) -> nn.ModuleList:
    last = len(config.stages) - 1
    return nn.ModuleList(
        SpatialUp(before, after, stride, choice=choice)
        if i < SPATIAL_STAGES
        else TemporalUp(before, after, stride, mixing=config.mixing, last=i == last, choice=choice)
        for i, ((before, after, _, stride), choice) in enumerate(zip(config.stages, config.choices, strict=True))
    )


@register("snerv-t", config=SNeRVTConfig, presets=PRESETS, configure_size=config_for_size)
class SNeRVT(VideoModel):
    """The network: see the head of this module.

    Keys: `embedding` (T, C, h, w), `temporal` (T, 6, h2, w2), `norm` (T, 2); `stem.conv`, `stages.N.*`,
    `temporal_stem.conv`, `temporal_up.K`, `spectrum.*`; with norm "bn" also `stem.norm`, `temporal_stem.norm`.

    The encoders read neighbours, too: `training_pairs` and `store_embeddings` take frames of shape (B, 3, 3, H, W).
    """

    mixed_precision = False  # bfloat16 cost 0.1 dB after 30 epochs
    config: SNeRVTConfig
    embedding: Tensor
    temporal: Tensor
    norm: Tensor
    embedding_names = ("embedding", "temporal", "norm")

    def __init__(self, config: SNeRVTConfig, *, encoder: bool = False) -> None:
        super().__init__(config, encoder=encoder)
        self.register_buffer("embedding", torch.zeros(config.frame_count, *config.embedding_shape))
        self.register_buffer("temporal", torch.zeros(config.frame_count, *config.temporal_shape))
        self.register_buffer("norm", torch.zeros(config.frame_count, 2))
        # Built in the official order: random numbers then fall in the same order.
        self.encoder = _encoders(config) if encoder else None
        look: dict[str, Any] = {"kernel": 0, "stride": 1, "norm": config.norm, "activation": config.activation}
        self.stem = down_block("conv", config.embedding_channels, config.channels, **look)
        self.stages = _stages(config)
        widths = [stage.channels_out for stage in config.stages]
        width = widths[SPATIAL_STAGES - 1]
        self.temporal_up = nn.Sequential(*(nn.ConvTranspose2d(width, width, s, s) for s in config.temporal_up))
        self.temporal_stem = down_block("conv", 3, width, **look)
        self.spectrum = SpectralHead(widths[-3:], config.strides[-2:], config.residual_blocks, config.output)

    def decode(self, code: Tensor, temporal: Tensor) -> Bands:
        """Return the Haar bands of given codes.

        Args:
            code: float32 (B, C, h, w).
            temporal: float32 (B, 6, h2, w2), three channels of the previous frame, then three of the next.
        """
        x = self.stem(code)
        outputs = []
        for stage in self.stages[:SPATIAL_STAGES]:
            x = stage(x)
            outputs.append(x)
        neighbours = torch.cat(temporal.chunk(2, dim=1))  # all previous frames, then all next ones
        before, after = self.temporal_up(self.temporal_stem(neighbours)).chunk(2)
        three = torch.stack([before, x, after], dim=2)
        for stage in self.stages[SPATIAL_STAGES:]:
            three = stage(three)
            outputs.append(three[:, :, three.shape[2] // 2])
        return self.spectrum.bands(*outputs[-3:])

    def forward(self, index: Tensor) -> Tensor:
        """Return the frames at `index`, int64 (B,): float32 (B, 3, H, W), not kept inside [0, 1]."""
        return self.decode(self.embedding[index], self.temporal[index]).frames(self.norm[index])

    def source_index(self, index: Tensor) -> Tensor:
        """Return which source frames training needs: int64 (B, 3), frame, previous, next; the clip is mirrored.

        Args:
            index: int64 (B,).
        """
        last = self.config.frame_count - 1
        before = torch.where(index > 0, index - 1, index + 1)
        after = torch.where(index < last, index + 1, index - 1)
        return torch.stack([index, before, after], dim=1).clamp(0, last)

    def _encode(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (embedding, temporal code, norm) of frames (B, 3, 3, H, W), those at `source_index`.

        Raises:
            UsageError: the network was built without its encoder, or the neighbours are missing.
        """
        if self.encoder is None:
            raise UsageError("this SNeRV-T has no encoder and cannot be trained; build it with encoder=True")
        if frames.ndim != 5 or frames.shape[1] != 3:
            raise UsageError(
                f"SNeRV-T got frames of shape {tuple(frames.shape)}; it needs (B, 3, 3, H, W): each frame, the one "
                "before and the one after it, as source_index names them"
            )
        low, _ = haar_split(frames.transpose(0, 1).flatten(0, 1))
        three = bounds_of(low).view(3, -1, 2)
        norm = torch.stack([three[..., 0].amin(0), three[..., 1].amax(0)], dim=1)
        current, before, after = scale_to_bounds(low, norm.repeat(3, 1)).chunk(3)
        temporal = [
            self.encoder.get_submodule("previous")(low_pass(current, before) / 2),
            self.encoder.get_submodule("next")(low_pass(current, after) / 2),
        ]
        return self.encoder.get_submodule("current")(current), torch.cat(temporal, dim=1), norm

    def training_pairs(self, index: Tensor, frames: Tensor) -> list[TrainingPair]:  # noqa: ARG002 - the frames say all
        """Return the three terms: LL scaled to [0, 1], the other bands as (B, 9, h, w), the frames.

        Args:
            index: int64 (B,), not used.
            frames: float32 (B, 3, 3, H, W) in [0, 1], those at `source_index(index)`.

        Raises:
            UsageError: the network was built without its encoder, or the neighbours are missing.
        """
        code, temporal, norm = self._encode(frames)
        wanted = frames[:, 0]
        low, high = haar_split(wanted)
        bands = self.decode(code, temporal)
        return [
            TrainingPair(bands.low, scale_to_bounds(low, bounds_of(low))),
            TrainingPair(bands.high.flatten(1, 2), high.flatten(1, 2)),
            TrainingPair(bands.frames(norm), wanted),
        ]

    @torch.no_grad()
    def store_embeddings(self, index: Tensor, frames: Tensor) -> None:
        """Keep the codes of frames for decoding; nothing to do without an encoder.

        Args:
            index: int64 (B,).
            frames: float32 (B, 3, 3, H, W) in [0, 1], those at `source_index(index)`.

        Raises:
            UsageError: the neighbours are missing.
        """
        if self.encoder is not None:
            self.embedding[index], self.temporal[index], self.norm[index] = self._encode(frames)


def rename_upstream_keys(state: Mapping[str, T]) -> dict[str, T]:
    """Return official tensors, encoders included if there, under our names.

    Args:
        state: anything, by official tensor name, without "module.".

    Raises:
        CheckpointError: a name that the official network does not have.
    """
    stage_parts = {"Tconv1": "up", "Tconv2": "up_previous", "Tconv3": "up_next"}
    stage_parts |= {"conv2d": "widen", "conv2d_2": "narrow", "conv3d": "widen", "conv3d_2": "narrow"}
    return rename(
        state,
        (
            *spectral_rules(state),
            (
                rf"decoder\.(\d+)\.({'|'.join(stage_parts)})\.(weight|bias)",
                lambda match: f"stages.{int(match[1]) - 1}.{stage_parts[match[2]]}.{match[3]}",
            ),
            (r"decoder\.\d+\.0\.conv\.downconv\.(weight|bias)", r"temporal_stem.conv.\1"),
            (r"decoder\.\d+\.0\.norm\.(\w+)", r"temporal_stem.norm.\1"),
            (r"decoder\.\d+\.1\.(\d+)\.(weight|bias)", r"temporal_up.\1.\2"),
            *convnext_rules(r"encoder\.0", "encoder.current"),
            *convnext_rules(r"encoder\.1", "encoder.previous"),
            *convnext_rules(r"encoder\.2", "encoder.next"),
        ),
    )
