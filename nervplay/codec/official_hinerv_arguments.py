"""Official HiNeRV command lines, parsed into our configuration with the official defaults.

The flags are those of `hinerv_main.py` (github.com/hmkx/HiNeRV at fdb92ec), abbreviations included. Flags that do not
change a decoded frame are taken and left alone; any other word is an error. Values that no published configuration uses
are refused by name.
"""

import argparse
from math import prod

from nervplay.codec.official_words import OfficialParser, parse_words, refuse
from nervplay.errors import UsageError
from nervplay.models.hinerv_config import HiNeRVConfig

__all__ = ["hinerv_config", "parse_hinerv"]

# Flags that do not change a decoded frame: with any number of values, or with none.
_TAKEN = """
epochs eval-epochs log-epochs prune-epochs prune-warmup-epochs prune-lr-scale quant-epochs
quant-warmup-epochs quant-lr-scale output exp-name resume bitstream bitstream-q grad-accum seed dataset
dataset-name patch-size cached batch-size eval-batch-size workers pin-mem loss reg train-metric
eval-metric log-eval opt opt-eps opt-betas momentum weight-decay max-norm norm-type sched lr
warmup-epochs warmup-lr min-lr auto-lr-scaling prune-ratio prune-weight quant-level quant-noise quant-ste
stem-paddings paddings base-grid-init-scale enc-grid-init-scale eval-patch-size block-dropout
block-droppath stem-layerscale stem-dropout stem-droppath head-layerscale head-dropout head-droppath
enc-pe enc-pe-no-t
"""
_SWITCHES = ("debug", "eval-only", "profile")

# Flags that must have one value here: (what the official parser takes without the flag, what is known here).
_FIXED: dict[str, tuple[str, str]] = {
    "model": ("HiNeRV", "HiNeRV"),
    "channels-reduce-base": ("1", "1"),
    "channels-min": ("1", "1"),
    "stem-kernels": ("1", "3"),
    "base-grid-level": ("3", "2"),
    "base-grid-level-scale": ("1 1 1 1", "2 1 1 0.5"),
    "block-type": ("mlp", "convnext"),
    "block-norm": ("layernorm-no-affine", "layernorm-no-affine"),
    "block-act": ("gelu", "gelu"),
    "block-layerscale": ("0", "0"),
    "block-bias": ("false", "false"),
    "stem-type": ("conv_stem", "conv_stem"),
    "stem-norm": ("none", "none"),
    "stem-act": ("none", "none"),
    "stem-bias": ("true", "true"),
    "head-type": ("linear_head", "linear_head"),
    "head-norm": ("none", "none"),
    "head-act": ("sigmoid", "sigmoid"),
    "head-bias": ("true", "true"),
    "enc-type": ("normalized+temp_local_grid", "normalized+temp_local_grid"),
    "enc-align-corners": ("false", "false"),
    "enc-grid-level": ("3", "3"),
    "enc-grid-level-scale": ("1 1 1 1", "2 0.5"),
    "enc-grid-depth-scale": ("1 1 1 1", "1 0.5"),
    "upsample-type": ("trilinear", "trilinear"),
    "upsample-config": ("matmul-th-w", "matmul-th-w"),
    "upsample-act": ("none", "none"),
}


def _parser() -> OfficialParser:
    parser = OfficialParser()
    add = parser.add_argument
    for name in _TAKEN.split():
        add(f"--{name}", nargs="*")
    for name in _SWITCHES:
        add(f"--{name}", action="store_true")
    for name, (default, _) in _FIXED.items():
        add(f"--{name}", nargs="+", default=default.split())
    add("--channels", type=int, default=256)
    add("--channels-reduce", type=float, default=2.0)
    add("--depths", type=int, nargs="+", default=[3, 3, 3, 1])
    add("--exps", type=float, nargs="+", default=[4.0, 4.0, 4.0, 1.0])
    add("--kernels", type=int, nargs="+", default=[1, 1, 1, 1])
    add("--scales-t", type=int, nargs="+", default=[1, 1, 1, 1])
    add("--scales-hw", type=int, nargs="+", default=[5, 4, 3, 2])
    add("--base-size", type=int, nargs=3, default=[600, 9, 16])
    add("--base-grid-size", type=int, nargs=4, default=[1, 1, 1, 1])
    add("--enc-grid-size", type=int, nargs="+", default=[1, 1, 1, 1])
    add("--upsample-norm", default="layernorm-no-affine", choices=["none", "layernorm-no-affine"])
    add("--crop-size", type=int, nargs=2, default=[-1, -1])
    add("--input-size", type=int, nargs=2, default=[-1, -1])
    return parser


def _plain(value: str) -> str:
    """Return a value as it is compared: "4." equals "4", "True" equals "true"."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value.lower()


def parse_hinerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the HiNeRV repository; "accelerate launch ... .py" before them is skipped.

    Raises:
        UsageError: a flag or a value that the official parser or this one does not take.
    """
    flags = parse_words(_parser(), arguments)
    for name, (_, known) in _FIXED.items():
        given = getattr(flags, name.replace("-", "_"))
        if [_plain(word) for word in given] != [_plain(word) for word in known.split()]:
            raise refuse(name, " ".join(given), f"only {known} is known")
    if set(flags.kernels) != {3} or set(flags.scales_t) != {1}:
        raise refuse("kernels", f"{flags.kernels} --scales-t {flags.scales_t}", "only 3 and 1 are known")
    if len(flags.enc_grid_size) != 2 or flags.enc_grid_size[0] != -1:
        raise refuse("enc-grid-size", flags.enc_grid_size, "only -1 and a number of channels are known")
    return flags


def hinerv_config(flags: argparse.Namespace, frame_count: int) -> HiNeRVConfig:
    """Return the configuration that `parse_hinerv` flags describe.

    Args:
        flags: see `parse_hinerv`.
        frame_count: T.

    Raises:
        UsageError: values that no network here can have, or no frame size.
    """
    height, width = (
        scaled if scaled != -1 else crop for scaled, crop in zip(flags.input_size, flags.crop_size, strict=True)
    )
    if -1 in (height, width):
        raise UsageError("the official arguments leave the frame size open; add --input-size HEIGHT WIDTH")
    scale = prod(flags.scales_hw)
    grid_frames, rows, columns, channels = flags.base_grid_size
    whole = (frame_count, height // scale, width // scale)
    for name, given in (("base-size", flags.base_size), ("base-grid-size", (-1, rows, columns))):
        if any(size not in (-1, full) for size, full in zip(given, whole, strict=True)):
            raise refuse(name, " ".join(map(str, given)), f"the frames and strides give {whole}")
    return HiNeRVConfig(
        width=width,
        height=height,
        frame_count=frame_count,
        strides=tuple(flags.scales_hw),
        channels=flags.channels,
        grid_channels=channels,
        local_channels=flags.enc_grid_size[1],
        grid_frames=None if grid_frames == -1 else grid_frames,
        reduction=flags.channels_reduce,
        depths=tuple(flags.depths),
        expansions=tuple(flags.exps),
        upsample_norm=flags.upsample_norm != "none",
    )
