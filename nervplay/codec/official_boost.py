"""Checkpoints of the official Boosting-NeRV code become our networks: HNeRV_Boost of `train_nerv_all.py`.

    model_latest.pth    {"state_dict", ...}: encoder, decoder, head, stem of the time; no embeddings, they are computed
                        again from the source clip

The flags are those of github.com/Xinjie-Q/Boosting-NeRV at d59ca91. Its other models (HNeRV, NeRV_Boost, ENeRV_Boost)
and the checkpoints of its entropy-coded training are not known here. `--interpolation` leaves the last frame of an even
number out; the source must be cut so.
"""

import argparse
import math
from math import prod
from pathlib import Path
from typing import get_args

import torch

from nervplay.codec.official_kin import (
    KinParser,
    embed_clip,
    fill_with_encoder,
    frame_size,
    output_map,
    solved_width,
)
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import frame_count, plain_state
from nervplay.codec.official_words import numbers, parse_words, refuse, whole_numbers
from nervplay.errors import CheckpointError, UsageError
from nervplay.models.base import VideoModel, build_model
from nervplay.models.hnerv_boost import rename_upstream_keys
from nervplay.models.hnerv_boost_config import BoostActivation, BoostResampling, HNeRVBoostConfig
from nervplay.video.source import FrameSource

__all__ = ["boost_config", "open_boost", "parse_boost"]

_ONE = "--resize_list --optim_type --clip_max_norm --inpanting --encoder_file --block_dim"
_NONE = "--embed_inter --cabac --quant --dump_images --dump_videos --eval_fps --dump_values --dump_features"
_ENCODER = "convnext"


def _names(union: object) -> list[str]:
    """Return the words of a union of Literals."""
    return [word for part in get_args(union) for word in get_args(part)]


def parse_boost(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of `train_nerv_all.py` of Boosting-NeRV.

    Args:
        arguments: the command line as one string; "--frames N", the number of frames, may be added.

    Raises:
        UsageError: a flag or a value that the official parser does not take.
    """
    parser = KinParser(_ONE, _NONE, activations=_names(BoostActivation))
    add = parser.add_argument
    add("--frames", type=int)
    add("--model", default="")
    add("--ks", default="0_3_3")
    add("--enc_blks", type=int, default=1)
    add("--lfreq", default="pi")
    add("--lower_width", type=int, default=32)
    add("--dec_strds", type=int, nargs="+", default=[5, 3, 2, 2, 2])
    add("--dec_blks", type=int, nargs="+", default=[1, 1, 1, 1, 1])
    add("--conv_type", nargs="+", default=[_ENCODER, "pshuffel"], choices=[_ENCODER, *_names(BoostResampling)])
    add("--sft_block", default="none")
    add("--ch_t", type=int, default=32)
    add("--interpolation", action="store_true")
    return parse_words(parser, arguments)


def boost_config(flags: argparse.Namespace, frames: int, size: tuple[int, int]) -> HNeRVBoostConfig:
    """Return the configuration that `parse_boost` flags describe; `--modelsize` is solved as the official code does.

    Args:
        flags: see `parse_boost`.
        frames: T of the whole clip.
        size: (rows, columns) of a frame.

    Raises:
        UsageError: values that no network here can have.
        GeometryError: strides that do not fit the frame size.
    """
    if flags.model != "HNeRV_Boost":
        raise refuse("model", flags.model or "''", "of this repository only HNeRV_Boost is known")
    if flags.sft_block != "res_sft":
        raise refuse("sft_block", flags.sft_block, "the official network runs with res_sft only")
    if "pe" not in flags.embed or not flags.enc_strds or len(flags.conv_type) != 2:
        raise UsageError("the official arguments need --embed pe_b_L, --enc_strds and two words of --conv_type")
    if flags.interpolation and (frames % 2 == 0 or flags.embed_inter):
        reason = "it needs an odd number of frames and no --embed_inter; cut the last frame of the clip"
        raise refuse("interpolation", f"with {frames} frames", reason)
    rows, columns = size
    base, levels = numbers("embed", flags.embed, 2)
    encoder_width, ratio = numbers("enc_dim", flags.enc_dim, 2)
    kernel_min, kernel_max = whole_numbers("ks", flags.ks, 2)
    per_channel = rows * columns / prod(flags.enc_strds) ** 2 * frames
    embedding_channels = int(ratio * flags.modelsize * 1e6 / per_channel) if ratio < 1 else int(ratio)
    embedding_values = embedding_channels * per_channel / (2 if flags.interpolation else 1)
    return HNeRVBoostConfig(
        width=columns,
        height=rows,
        frame_count=frames,
        strides=tuple(flags.dec_strds),
        encoder_strides=tuple(flags.enc_strds),
        channels=solved_width(flags, embedding_channels, embedding_values),
        decoder_blocks=tuple(flags.dec_blks[: len(flags.dec_strds)]),
        embedding_channels=embedding_channels,
        reduction=None if flags.reduce == -1 else flags.reduce,
        lower_width=flags.lower_width,
        kernel_min=kernel_min,
        kernel_max=kernel_max,
        upsampling=flags.conv_type[1],
        norm=flags.norm,
        activation=flags.act,
        output=output_map(flags),  # type: ignore[arg-type]  # checked there, str is not narrowed to the two words
        encoder_width=int(encoder_width),
        encoder_blocks=flags.enc_blks,
        time_base=base,
        time_levels=int(levels),
        time_frequency=math.pi if flags.lfreq == "pi" else numbers("lfreq", flags.lfreq, 1)[0],
        time_channels=flags.ch_t,
    )


def open_boost(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of HNeRV_Boost.

    Args:
        path: the .pth file.
        arguments: the official command line it was made with, as one string.
        source: the clip it was fitted to; a larger one is cropped as the official loader does.

    Returns:
        The network with its encoder, in eval mode on the CPU.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take, a source that is missing or too small.
    """
    flags = parse_boost(arguments)
    state = plain_state(load_tensors(path))
    if "stem_t.0.weight" not in state:
        raise CheckpointError(f"{path} is not of HNeRV_Boost: it has no tensor 'stem_t.0.weight'; check the arguments")
    if source is None:
        raise UsageError("an HNeRV_Boost checkpoint holds no embeddings; give the clip it was fitted to (--source)")
    config = boost_config(flags, frame_count(flags.frames, source), frame_size(flags, source))
    with torch.random.fork_rng(devices=[]):  # initial values are replaced at once; the caller's generator stays
        model = build_model("hnerv-boost", config, encoder=True).eval()
    fill_with_encoder(model, rename_upstream_keys(state))
    embed_clip(model, source)
    return model
