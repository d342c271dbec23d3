"""Official command lines, parsed into our configurations with the official defaults.

The flags are those of `train_nerv.py` (github.com/haochen-rye/NeRV at 6904589) and `train_nerv_all.py`
(github.com/haochen-rye/HNeRV at 4872129), abbreviations included. Flags that do not change the network are taken and
left alone; any other word is an error. One flag is ours: `--frames N`, the number of frames, which weights do not hold.
"""

import argparse
from collections.abc import Sequence
from math import prod
from typing import get_args

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.blocks.widths import solve_channels
from nervplay.codec.official_words import OfficialParser, numbers, parse_words, refuse, whole_numbers
from nervplay.errors import UsageError
from nervplay.models.hnerv import HNeRVConfig
from nervplay.models.nerv import NeRVConfig

__all__ = ["hnerv_config", "nerv_config", "parse_hnerv", "parse_nerv"]

# Flags that do not change the network, with one value or with none; "--long/-s" has two spellings.
_COMMON_ONE = (
    "--workers/-j --batchSize/-b --epochs/-e --lr --lr_type --eval_freq --quant_axis --manualSeed --print-freq/-p "
)
_COMMON_ONE += "--weight --outf --suffix"
_COMMON_NONE = "--eval_only --dump_images --eval_fps --distributed/-d --debug --overwrite"
_NERV_ONE = "--scale --augment --dataset --test_gap --cycles --warmup --beta --loss_type --quant_bit --prune_ratio "
_NERV_ONE += "--init_method"
_NERV_NONE = "--not_resume_epoch"
_HNERV_ONE = "--data_path --vid --data_split --start_epoch --block_params --loss --encoder_file"
_HNERV_NONE = "--shuffle_data --not_resume --dump_videos"


class _Parser(OfficialParser):
    """The flags that both repositories have."""

    def __init__(self, one: str, none: str) -> None:
        super().__init__(f"{_COMMON_ONE} {one}", f"{_COMMON_NONE} {none}")
        self.add_argument("--frames", type=int)
        self.add_argument("--norm", default="none", choices=get_args(NormName))
        self.add_argument("--act", default="gelu", choices=get_args(ActivationName))


def parse_nerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the NeRV repository.

    Raises:
        UsageError: see `parse_words`.
    """
    parser = _Parser(_NERV_ONE, _NERV_NONE)
    add = parser.add_argument
    add("--lr_steps", nargs="+")
    add("--prune_steps", nargs="+")
    add("--vid", nargs="+")
    add("--frame_gap", type=int, default=1)
    add("--embed", default="1.25_80")
    add("--stem_dim_num", default="1024_1")
    add("--fc_hw_dim", default="9_16_128")
    add("--expansion", type=float, default=8.0)
    add("--reduction", type=int, default=2)
    add("--strides", type=int, nargs="+", default=[5, 3, 2, 2, 2])
    add("--num-blocks", type=int, default=1)
    add("--lower-width", type=int, default=32)
    add("--single_res", action="store_true")
    add("--conv_type", default="conv", choices=["conv", "deconv", "bilinear"])
    add("--lw", type=float, default=1.0)
    add("--sigmoid", action="store_true")
    return parse_words(parser, arguments)


def parse_hnerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the HNeRV repository.

    Raises:
        UsageError: see `parse_words`.
    """
    parser = _Parser(_HNERV_ONE, _HNERV_NONE)
    add = parser.add_argument
    add("--crop_list", default="640_1280")
    add("--resize_list", default="-1")
    add("--embed", default="")
    add("--ks", default="0_3_3")
    add("--enc_strds", type=int, nargs="+", default=[])
    add("--enc_dim", default="64_16")
    add("--modelsize", type=float, default=1.5)
    add("--saturate_stages", type=int, default=-1)
    add("--fc_hw", default="9_16")
    add("--reduce", type=float, default=1.2)
    add("--lower_width", type=int, default=32)
    add("--dec_strds", type=int, nargs="+", default=[5, 3, 2, 2, 2])
    add("--num_blks", default="1_1")
    add(
        "--conv_type",
        nargs="+",
        default=["convnext", "pshuffel"],
        choices=["convnext", "pshuffel", "conv", "interpolate"],
    )
    add("--out_bias", default="tanh")
    add("--quant_model_bit", type=int, default=8)
    add("--quant_embed_bit", type=int, default=6)
    return parse_words(parser, arguments)


def nerv_config(flags: argparse.Namespace, frame_count: int) -> NeRVConfig:
    """Return the configuration that `parse_nerv` flags describe.

    Args:
        flags: see `parse_nerv`.
        frame_count: T.

    Raises:
        UsageError: values that no network here can have.
    """
    if flags.num_blocks != 1:
        reason = "the official forward pass runs one block per stage and leaves the others unused"
        raise refuse("num-blocks", flags.num_blocks, reason)
    if flags.frame_gap != 1:
        raise refuse("frame_gap", flags.frame_gap, "its frames are not evenly placed in time; only 1 is known")
    if flags.vid is not None:
        raise refuse("vid", " ".join(flags.vid), "it picks frames by number; only whole clips are known")
    rows, columns, channels = whole_numbers("fc_hw_dim", flags.fc_hw_dim, 3)
    stem_width, stem_layers = whole_numbers("stem_dim_num", flags.stem_dim_num, 2)
    base, levels = (1.25, 0) if flags.embed.lower() == "none" else numbers("embed", flags.embed, 2)
    return NeRVConfig(
        width=columns * prod(flags.strides),
        height=rows * prod(flags.strides),
        frame_count=frame_count,
        grid=(rows, columns),
        channels=channels,
        strides=tuple(flags.strides),
        expansion=flags.expansion,
        reduction=flags.reduction,
        lower_width=flags.lower_width,
        encoding_base=base,
        encoding_levels=int(levels),
        stem_width=stem_width,
        stem_layers=stem_layers,
        upsampling=flags.conv_type,
        norm=flags.norm,
        activation=flags.act,
        single_resolution=flags.single_res,
        side_weight=flags.lw,
        output="sigmoid" if flags.sigmoid else "tanh",
    )


def _frame_size(flags: argparse.Namespace, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return (rows, columns) of the frames that an HNeRV was fitted to: the crop, or `size` without one.

    Raises:
        UsageError: a resized clip, or no size at all.
    """
    if flags.resize_list != "-1":
        raise refuse("resize_list", flags.resize_list, "resized clips are not known; resize the clip and crop")
    if flags.crop_list != "-1":
        rows, columns = whole_numbers("crop_list", "_".join(flags.crop_list.split("_")[:2]), 2)
        return rows, columns
    if size is None:
        raise UsageError("--crop_list -1 of the official arguments leaves the frame size open; give the source clip")
    return size


def _channels(
    flags: argparse.Namespace, embedding_channels: int, embedding_values: float, stem_area: int, kernels: Sequence[int]
) -> int:
    """Return C0 of `--modelsize`.

    Raises:
        UsageError: a size that the official rule has no width for.
    """
    channels = 0
    if flags.reduce > 0:  # with --reduce -1 the official rule has no real root
        channels = solve_channels(
            flags.modelsize * 1e6 - embedding_values,
            flags.dec_strds,
            embedding_channels=embedding_channels,
            stem_area=stem_area,
            reduction=flags.reduce,
            lower_width=flags.lower_width,
            kernel_min=kernels[0],
            kernel_max=kernels[1],
            saturate_stages=None if flags.saturate_stages == -1 else flags.saturate_stages,
        )
    if channels < 1:
        raise refuse("modelsize", flags.modelsize, f"with --reduce {flags.reduce:g} the official rule gives no width")
    return channels


def hnerv_config(flags: argparse.Namespace, frame_count: int, size: tuple[int, int] | None = None) -> HNeRVConfig:
    """Return the configuration that `parse_hnerv` flags describe; `--modelsize` is solved as the official code does.

    Args:
        flags: see `parse_hnerv`.
        frame_count: T of the whole clip.
        size: (rows, columns) of a frame, used with `--crop_list -1`.

    Raises:
        UsageError: values that no network here can have.
    """
    rows, columns = _frame_size(flags, size)
    timed = not flags.enc_strds
    if timed != ("pe" in flags.embed) or "le" in flags.embed or len(flags.conv_type) != 2:
        raise UsageError(
            "the official arguments need either --enc_strds or --embed pe_b_L, and two words of --conv_type"
        )
    base, levels = numbers("embed", flags.embed, 2) if timed else (1.25, 0)
    fc_rows, fc_columns = whole_numbers("fc_hw", flags.fc_hw, 2)
    encoder_width, ratio = numbers("enc_dim", flags.enc_dim, 2)
    encoder_kernel, *kernels = whole_numbers("ks", flags.ks, 3)
    encoder_blocks, decoder_blocks = whole_numbers("num_blks", flags.num_blks, 2)
    if timed:
        embedding_channels, embedding_values, stem_area = 2 * int(levels), 0.0, fc_rows * fc_columns
    else:
        per_channel = rows * columns / prod(flags.enc_strds) ** 2 * frame_count
        embedding_channels = int(ratio * flags.modelsize * 1e6 / per_channel) if ratio < 1 else int(ratio)
        embedding_values = embedding_channels * per_channel
        stem_area = 9 * (prod(flags.enc_strds) // prod(flags.dec_strds)) ** 2
    return HNeRVConfig(
        width=columns,
        height=rows,
        frame_count=frame_count,
        strides=tuple(flags.dec_strds),
        channels=_channels(flags, embedding_channels, embedding_values, stem_area, kernels),
        encoder_strides=tuple(flags.enc_strds),
        embedding_channels=16 if timed else embedding_channels,
        reduction=flags.reduce,
        lower_width=flags.lower_width,
        kernel_min=kernels[0],
        kernel_max=kernels[1],
        decoder_blocks=decoder_blocks,
        upsampling=flags.conv_type[1],
        norm=flags.norm,
        activation=flags.act,
        output=flags.out_bias if flags.out_bias in ("tanh", "sigmoid") else numbers("out_bias", flags.out_bias, 1)[0],
        encoder_kind=flags.conv_type[0],
        encoder_width=int(encoder_width),
        encoder_blocks=encoder_blocks,
        encoder_kernel=encoder_kernel,
        time_base=base,
        time_levels=int(levels),
        time_grid=(fc_rows, fc_columns) if timed else (1, 1),
    )
