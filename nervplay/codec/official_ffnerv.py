"""Checkpoints of the official FFNeRV code become our networks.

    model_latest.pth and kin    {"state_dict", "optimizer", "epoch", ...}: weights before their quantisation; where
                                pruned, `X_orig` and `X_mask`

The official command line (`main.py`, github.com/maincold2/FFNeRV at f02d4c0) supplies what no file holds, abbreviations
included; older versions write its flags with underscores, which are taken, too. Flags that do not change the network
are left alone; any other word is an error. One flag is ours: `--frames N`, the number of frames.
"""

import argparse
from math import prod
from pathlib import Path
from typing import get_args

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import fill_network, frame_count, plain_state
from nervplay.codec.official_words import OfficialParser, refuse, words_of
from nervplay.errors import UsageError
from nervplay.models.base import VideoModel
from nervplay.models.ffnerv import rename_upstream_keys
from nervplay.models.ffnerv_config import FFNeRVConfig
from nervplay.video.source import FrameSource

__all__ = ["ffnerv_config", "open_ffnerv", "parse_ffnerv"]

# Flags that do not change the network, with one value or with none; "--long/-s" has two spellings.
_ONE = "--scale --augment --dataset --test-gap --offset --workers/-j --batchSize/-b --epochs/-e --cycles --warmup --lr "
_ONE += "--lr-type --beta --loss-type --eval-freq --prune-ratio --manualSeed --init-method --print-freq/-p --weight "
_ONE += "--outf --suffix"
_NONE = "--not-resume-epoch --eval-only --dump-images --eval-fps --distributed/-d --debug --overwrite"


def _parser() -> OfficialParser:
    parser = OfficialParser(_ONE, _NONE)
    add = parser.add_argument
    for flag in ("--lr-steps", "--prune-steps", "--vid"):
        add(flag, nargs="+")
    add("--frames", type=int)
    add("--frame-gap", type=int, default=1)
    add("--resol", type=int, nargs=2, default=[1280, 720])
    add("--t-dim", type=int, nargs="+", default=[256, 512])
    add("--fc-hw-dim", default="9_16_128")
    add("--expansion", type=float, default=8.0)
    add("--reduction", type=int, default=2)
    add("--strides", type=int, nargs="+", default=[5, 3, 2, 2, 2])
    add("--num-blocks", type=int, default=1)
    add("--norm", default="none", choices=get_args(NormName))
    add("--act", default="gelu", choices=get_args(ActivationName))
    add("--lower-width", type=int, default=32)
    add("--single-res", action="store_true")
    add("--conv-type", default="conv", choices=["conv", "compact", "deconv", "bilinear"])
    add("--lw", type=float, default=1.0)
    add("--sigmoid", action="store_true")
    add("--agg-ind", type=int, nargs="+", default=[-2, -1, 0, 1, 2])
    add("--wbit", type=int, default=32)
    return parser


def parse_ffnerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the FFNeRV repository; "python main.py" before them is skipped.

    Args:
        arguments: the command line, as one string.

    Raises:
        UsageError: a flag or a value that the official parser does not take.
    """
    words = words_of(arguments)
    for place, word in enumerate(words):
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            words[place] = flag.replace("_", "-") + equals + value
    return _parser().parse_args(words)


def _check(flags: argparse.Namespace) -> None:
    """Raise `UsageError` for flags that change the network to one that is not known here."""
    fails = "the official forward pass fails with it"
    if flags.single_res:
        raise refuse("single-res", "", fails)
    if flags.conv_type not in ("conv", "compact"):
        raise refuse("conv-type", flags.conv_type, fails)
    if flags.num_blocks != 1:
        reason = "the official forward pass runs one block per stage and leaves the others unused"
        raise refuse("num-blocks", flags.num_blocks, reason)
    if flags.frame_gap != 1:
        raise refuse("frame-gap", flags.frame_gap, "it leaves frames out; only 1 is known")
    if flags.vid is not None:
        raise refuse("vid", " ".join(flags.vid), "it picks frames by number; only whole clips are known")


def ffnerv_config(flags: argparse.Namespace, frame_count: int) -> FFNeRVConfig:
    """Return the configuration that `parse_ffnerv` flags describe.

    Args:
        flags: see `parse_ffnerv`.
        frame_count: T.

    Raises:
        UsageError: values that no network here can have.
    """
    _check(flags)
    try:
        rows, columns, channels = map(int, flags.fc_hw_dim.split("_"))
    except ValueError:
        raise UsageError(
            f"--fc-hw-dim {flags.fc_hw_dim} of the official arguments must be 3 numbers joined by '_'"
        ) from None
    width, height = columns * prod(flags.strides), rows * prod(flags.strides)
    if [width, height] != flags.resol:
        raise refuse("resol", f"{flags.resol[0]} {flags.resol[1]}", f"grid and strides give {width}x{height}")
    return FFNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        grid=(rows, columns),
        channels=channels,
        strides=tuple(flags.strides),
        grid_rows=tuple(flags.t_dim),
        expansion=flags.expansion,
        reduction=flags.reduction,
        lower_width=flags.lower_width,
        neighbours=tuple(flags.agg_ind),
        convolution=flags.conv_type,
        weight_bits=flags.wbit,
        norm=flags.norm,
        activation=flags.act,
        side_weight=flags.lw,
        output="sigmoid" if flags.sigmoid else "tanh",
    )


def open_ffnerv(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of the official FFNeRV code.

    Args:
        path: the .pth file.
        arguments: the official command line it was made with, as one string; "--frames N" may be added.
        source: the clip it was fitted to; only its number of frames is used.

    Returns:
        The network in eval mode on the CPU.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read, or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    flags = parse_ffnerv(arguments)
    config = ffnerv_config(flags, frame_count(flags.frames, source))
    return fill_network("ffnerv", config, rename_upstream_keys(plain_state(load_tensors(path))))
