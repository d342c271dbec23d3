"""Checkpoints of the official SNeRV code become our networks, or our integers: SNeRV-B and both SNeRV-T.

    model_latest.pth and kin    {"state_dict", ...}: encoder, decoder, head; no codes, they are computed again from the
                                source clip
    quant_vid.pth               {"embed", "temp" (T), "norm", "model"}: integer codes, 6 and 8 bits, with their maps

The flags are those of `train_snerv.py` and `train_snerv_t.py` (github.com/qwertja/SNeRV at 95a7dcd); `--model` tells
the three networks apart. The layout of the temporal code follows from the crop and `--emb_size`, as there. The frame
size of a quantised video shows in its embeddings.
"""

import argparse
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from nervplay.bitstream.layout import QuantisedTensor
from nervplay.blocks.activation import ActivationName
from nervplay.blocks.temporal import Mixing
from nervplay.codec.official_kin import (
    KinParser,
    embed_clip,
    fill_with_encoder,
    frame_size,
    output_map,
    solved_width,
)
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import fill_network, frame_count, plain_state
from nervplay.codec.official_words import numbers, parse_words, refuse, whole_numbers
from nervplay.errors import CheckpointError, UsageError
from nervplay.models import snerv, snerv_t
from nervplay.models.base import VideoModel, build_model
from nervplay.models.snerv_config import TEMPORAL_LAYOUTS, SNeRVConfig, SNeRVTConfig
from nervplay.video.source import FrameSource

__all__ = ["QuantisedSNeRV", "open_snerv", "open_snerv_quantised", "parse_snerv", "snerv_config"]

T = TypeVar("T")

_ONE = "--grad_max_norm --quant_embed2_bit --frame_gap"
_MODELS = {"snerv": "snerv", "snerv_t": "snerv-t", "snerv_t_2d": "snerv-t"}
"""Our architectures by `--model`."""


class QuantisedSNeRV(NamedTuple):
    """A quantised official video: architecture name, configuration, and its integers under our names."""

    architecture: str
    config: SNeRVConfig | SNeRVTConfig
    tensors: dict[str, QuantisedTensor]


def parse_snerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the SNeRV repository.

    Args:
        arguments: the command line as one string; "--frames N", the number of frames, may be added. Without `--model`
            the name of the script decides, as its default does.

    Raises:
        UsageError: a flag or a value that the official parser does not take.
    """
    parser = KinParser(_ONE, "--dump_vis", activations=get_args(ActivationName))
    add = parser.add_argument
    add("--frames", type=int)
    add("--model", default="snerv_t" if "train_snerv_t.py" in arguments else "snerv", choices=list(_MODELS))
    add("--resize_list", default="-1")
    add("--data_len", type=int)
    add("--ks", default="0_1_5")
    add("--lower_width", type=int, default=12)
    add("--dec_strds", type=int, nargs="+", default=[5, 4, 3, 2, 2])
    add("--num_blks", default="1_1")
    add("--conv_type", nargs="+", default=["convnext", "pshuffel"])
    add("--emb_size", type=int, default=20)
    add("--num_blocks", type=int, default=6)
    flags = parse_words(parser, arguments)
    if flags.resize_list != "-1":
        raise refuse("resize_list", flags.resize_list, "resized clips are not known; resize the clip and crop")
    if flags.data_len is not None:
        raise refuse("data_len", flags.data_len, "cut the clip to that length and leave the flag out")
    if flags.embed or not flags.enc_strds or flags.conv_type[0] != "convnext":
        raise UsageError("the official arguments need --enc_strds, a convnext encoder and no --embed; others never ran")
    return flags


def snerv_config(flags: argparse.Namespace, frames: int, size: tuple[int, int]) -> SNeRVConfig | SNeRVTConfig:
    """Return the configuration that `parse_snerv` flags describe; without `--fc_dim` `--modelsize` is solved.

    Args:
        flags: see `parse_snerv`.
        frames: T of the whole clip.
        size: (rows, columns) of a frame.

    Raises:
        UsageError: values that no network here can have.
        GeometryError: strides that do not fit the frame size.
    """
    rows, columns = size
    encoder_width, ratio = numbers("enc_dim", flags.enc_dim, 2)
    kernel_min, kernel_max = whole_numbers("ks", flags.ks, 2)
    per_channel = rows * columns / prod(flags.enc_strds) ** 2 // 4 * frames  # rounded down there, too
    embedding_channels = int(ratio * flags.modelsize * 1e6 / per_channel) if ratio < 1 else int(ratio)
    values = embedding_channels * per_channel + (2 + 12 * flags.emb_size**2) * frames
    common: dict[str, Any] = {
        "width": columns,
        "height": rows,
        "frame_count": frames,
        "strides": tuple(flags.dec_strds),
        "encoder_strides": tuple(flags.enc_strds),
        "channels": solved_width(flags, embedding_channels, values),
        "embedding_channels": embedding_channels,
        "reduction": None if flags.reduce == -1 else flags.reduce,
        "lower_width": flags.lower_width,
        "residual_blocks": flags.num_blocks,
        "norm": flags.norm,
        "activation": flags.act,
        "output": output_map(flags),
        "encoder_width": int(encoder_width),
        "encoder_blocks": whole_numbers("num_blks", flags.num_blks, 2)[0],
    }
    if flags.model == "snerv":
        return SNeRVConfig(**common, kernel_min=kernel_min, kernel_max=kernel_max)
    layout = TEMPORAL_LAYOUTS.get((int(numbers("crop_list", flags.crop_list.partition("_")[0], 1)[0]), flags.emb_size))
    if layout is None:
        known = ", ".join(f"{crop} with {code}" for crop, code in TEMPORAL_LAYOUTS)
        raise refuse("emb_size", flags.emb_size, f"rows of the crop and emb_size must be one of {known}")
    mixing: Mixing = "2d" if flags.model == "snerv_t_2d" else "3d"
    return SNeRVTConfig(**common, temporal_strides=layout[0], temporal_up=layout[1], mixing=mixing)


def _renamed(flags: argparse.Namespace, state: Mapping[str, T]) -> dict[str, T]:
    if flags.model == "snerv":
        return snerv.rename_upstream_keys(state)
    return snerv_t.rename_upstream_keys(state)


def _leaf(parts: Mapping[str, Tensor], name: str, bits: int) -> QuantisedTensor:
    """Return the official leaf {"quant", "min", "scale"} called `name`.

    Raises:
        CheckpointError: a part that is missing, misshapen or out of range.
    """
    try:
        codes, minimum, scale = (parts[f"{name}/{part}"].numpy() for part in ("quant", "min", "scale"))
        fits = np.broadcast_shapes(codes.shape, minimum.shape) == codes.shape
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint's tensor '{name}' has no fitting quant, min, scale: {error}") from None
    fits = fits and minimum.shape == scale.shape and minimum.dtype == scale.dtype
    if not fits or codes.dtype != np.uint8 or minimum.dtype not in (np.float16, np.float32):
        raise CheckpointError(f"the checkpoint's tensor '{name}' is not quantised as the official code does")
    if codes.size and int(codes.max()) >= 1 << bits:
        raise CheckpointError(
            f"the checkpoint's tensor '{name}' has code {codes.max()}, over {bits} bits; check the flags"
        )
    return QuantisedTensor(codes=codes, bits=bits, minimum=minimum, scale=scale)


def _norm(leaf: QuantisedTensor, frames: int) -> QuantisedTensor:
    """Return the official list min0, max0, min1, max1, ... as (T, 2).

    Raises:
        CheckpointError: another length, or a map per value.
    """
    if leaf.codes.shape != (2 * frames,) or leaf.minimum.size != 1:
        raise CheckpointError(
            f"the checkpoint's norm has shape {leaf.codes.shape}; {frames} frames need ({2 * frames},)"
        )
    shape = (1, 1) if leaf.minimum.ndim else ()
    return QuantisedTensor(
        codes=leaf.codes.reshape(frames, 2),
        bits=leaf.bits,
        minimum=leaf.minimum.reshape(shape),
        scale=leaf.scale.reshape(shape),
    )


def _quantised(tensors: Mapping[str, Tensor], flags: argparse.Namespace) -> QuantisedSNeRV:
    bits = flags.quant_embed_bit
    embedding = _leaf(tensors, "embed", bits)
    if embedding.codes.ndim != 4:
        raise CheckpointError(f"the checkpoint's embeddings have shape {embedding.shape}; they must be (T, C, h, w)")
    frames, _, rows, columns = embedding.shape
    scale = 2 * prod(flags.enc_strds)
    config = snerv_config(flags, frames, (rows * scale, columns * scale))
    codes = {"embedding": embedding}
    if flags.model != "snerv":
        codes["temporal"] = _leaf(tensors, "temp", bits)
    codes["norm"] = _norm(_leaf(tensors, "norm", bits), frames)
    names = {name.rsplit("/", 1)[0]: None for name in tensors if name.startswith("model/")}
    official = {
        name.removeprefix("model/").removeprefix("module."): _leaf(tensors, name, flags.quant_model_bit)
        for name in names
    }
    found = codes | _renamed(flags, official)
    architecture = _MODELS[flags.model]
    with torch.device("meta"):
        empty = build_model(architecture, config)
    try:
        empty.check_stored_state({name: value.shape for name, value in found.items()})
    except UsageError as error:
        raise CheckpointError(f"the checkpoint does not fit its official arguments: {error}") from None
    return QuantisedSNeRV(architecture, config, {name: found[name] for name in empty.stored_state()})


def open_snerv_quantised(path: str | Path, arguments: str) -> QuantisedSNeRV:
    """Open `quant_vid.pth` of the SNeRV repository and keep its integers: packed as they are, the output is identical.

    Args:
        path: the file.
        arguments: the official command line it was made with, as one string.

    Raises:
        MissingInputError: no such file.
        CheckpointError: no quantised checkpoint, or one that does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    flags = parse_snerv(arguments)
    return _quantised(load_tensors(path), flags)


def open_snerv(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of the official SNeRV code.

    Args:
        path: the .pth file.
        arguments: the official command line it was made with, as one string; "--frames N" may be added.
        source: the clip it was fitted to; needed unless the file is quantised. A larger one is cropped as the official
            loader does.

    Returns:
        The network in eval mode on the CPU. Where codes were computed it has its encoder.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take, a source that is missing or too small.
    """
    flags = parse_snerv(arguments)
    tensors = load_tensors(path)
    if "embed/quant" in tensors:
        quantised = _quantised(tensors, flags)
        state = {name: torch.from_numpy(value.dequantise()) for name, value in quantised.tensors.items()}
        return fill_network(quantised.architecture, quantised.config, state)
    if source is None:
        raise UsageError("this SNeRV checkpoint holds no embeddings; give the clip it was fitted to (--source)")
    config = snerv_config(flags, frame_count(flags.frames, source), frame_size(flags, source))
    with torch.random.fork_rng(devices=[]):  # initial values are replaced at once; the caller's generator stays
        model = build_model(_MODELS[flags.model], config, encoder=True).eval()
    fill_with_encoder(model, _renamed(flags, plain_state(tensors)))
    embed_clip(model, source)
    return model
