"""Official arguments of DNeRV and PNeRV, parsed into our configurations.

What no tensor tells stands in the YAML file that `main.py --cfg_path FILE` was run with; where the arguments name none,
`cfg.yaml` beside the checkpoint is read, which the official code writes. The copy inside the checkpoint is not: nothing
but tensors is taken out of a pickle. Repository and commit: see `nervplay.models.dnerv`.

Keys of the section "model" must all be known; what stands outside of it does not change the network. One flag is ours:
`--statistics running`, see `PNeRVConfig`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nervplay.codec.official_words import OfficialParser, parse_words
from nervplay.codec.plain_yaml import read_yaml
from nervplay.errors import MissingInputError, UnknownNameError, UsageError
from nervplay.models.dnerv import DNeRVConfig
from nervplay.models.pnerv import PNeRVConfig

__all__ = ["dnerv_config", "parse_pnerv", "pnerv_config"]

_TAKEN = "--output_dir --time_str --device --port --rank --max_grad_norm --weight_decay --opt_eps"
_MAX_YAML = 1 << 20
_STEM = 10
_DNERV_STAGES = 5
_PNERV_FIELDS = {
    "act": "activation",
    "encoder_list": "encoder_strides",
    "kfc_stride": "strides",
    "c1": "encoder_width",
    "d": "embedding_channels",
    "height": "height",
    "width": "width",
}
_DNERV_FIELDS = {
    "act": "activation",
    "encoder_list": "encoder_strides",
    "stride_list": "strides",
    "conv_type": "upsampling",
    "c1": "encoder_width",
    "d": "embedding_channels",
    "c2": "channels",
    "height": "height",
    "width": "width",
}
_PNERV_LISTS = ("encoder_list", "diff_enc_list", "kfc_stride", "kfc_h_w_c")
_DNERV_LISTS = (
    "encoder_list",
    "diff_enc_list",
    "stride_list",
    "kernel_list",
    "padding_list",
    "diff_dec_kernel",
    "diff_dec_stride",
    "diff_dec_padding",
)


def parse_pnerv(arguments: str, checkpoint: Path) -> tuple[dict[str, Any], str]:
    """Return what a command line of the official `main.py` says.

    Args:
        arguments: "--cfg_path FILE" and whatever else; "python main.py" before it is skipped.
        checkpoint: where no file is named, `cfg.yaml` beside the checkpoint is read: the official code writes it there.

    Returns:
        The section "model" of the YAML file, and the statistics asked for: "frame" or "running".

    Raises:
        MissingInputError: no such YAML file.
        UsageError: a flag that the official parser does not take, or a YAML file that cannot be read.
    """
    parser = OfficialParser(one=_TAKEN)
    parser.add_argument("--cfg_path")
    parser.add_argument("--opt_betas", nargs="+")
    parser.add_argument("--no_prox", action="store_true")
    parser.add_argument("--statistics", choices=("frame", "running"), default="frame")
    flags = parse_words(parser, arguments)
    path = Path(flags.cfg_path) if flags.cfg_path else checkpoint.with_name("cfg.yaml")
    if not path.is_file():
        raise MissingInputError(
            f"{path} does not exist or is no file; name the official configuration (--cfg_path), or lay it as cfg.yaml "
            "beside the checkpoint"
        )
    if path.stat().st_size > _MAX_YAML:
        raise UsageError(f"{path} has over {_MAX_YAML} bytes; give the YAML file of the official run")
    try:
        model = read_yaml(path.read_text(encoding="utf-8")).get("model")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text ({error.reason}); give the YAML file of the official run") from None
    if not isinstance(model, dict):
        raise UsageError(f"{path} has no section 'model'; give the YAML file of the official run")
    return model, flags.statistics


def _fields(model: Mapping[str, Any], fields: Mapping[str, str], lists: Sequence[str]) -> dict[str, Any]:
    """Return those keys of a section that have one twin among our fields, under our names.

    Args:
        model: the section "model".
        fields: our name by official name.
        lists: official names of values that must be lists.

    Raises:
        UsageError: a key that is missing, not known or no list of whole numbers.
    """
    known = dict.fromkeys(("model_name", *fields, *lists))
    for key in model:
        if key not in known:
            raise UnknownNameError("key of the official configuration", key, known)
    for key in known:
        if key not in model:
            raise UsageError(f"the official configuration lacks model.{key}; give the YAML file of the official run")
    for key in lists:
        value = model[key]
        if not isinstance(value, list) or not value or any(type(item) is not int for item in value):
            raise UsageError(f"model.{key} of the official configuration is {value}; it must list whole numbers")
    return {ours: model[theirs] for theirs, ours in fields.items()}


def dnerv_config(model: Mapping[str, Any], frame_count: int, *, plain_encoder: bool = True) -> DNeRVConfig:
    """Return the configuration that the section "model" of an official DNeRV file describes.

    Args:
        model: see `parse_pnerv`.
        frame_count: T.
        plain_encoder: see `DNeRVConfig`.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a key or a value that cannot be had here.
    """
    values = _fields(model, _DNERV_FIELDS, _DNERV_LISTS)
    if len(model["stride_list"]) != _DNERV_STAGES or len(model["diff_dec_stride"]) != 1:
        raise UsageError(
            f"model.stride_list is {model['stride_list']} and model.diff_dec_stride {model['diff_dec_stride']}; the "
            f"official code runs {_DNERV_STAGES} stages and 1"
        )
    kernels, (kernel, *_) = model["kernel_list"][:_DNERV_STAGES], model["diff_dec_kernel"]
    paddings = [*model["padding_list"][:_DNERV_STAGES], model["diff_dec_padding"][0]]
    if paddings != [k // 2 for k in (*kernels, kernel)]:
        raise UsageError(
            f"paddings {paddings} of kernels {[*kernels, kernel]} change the frame size; it must be k // 2"
        )
    return DNeRVConfig.from_config(
        values
        | {
            "frame_count": frame_count,
            "kernels": kernels,
            "difference_strides": model["diff_enc_list"][: len(model["encoder_list"])],
            "difference_stride": model["diff_dec_stride"][0],
            "difference_kernel": kernel,
            "plain_encoder": plain_encoder,
        }
    )


def pnerv_config(model: Mapping[str, Any], frame_count: int, statistics: str = "frame") -> PNeRVConfig:
    """Return the configuration that the section "model" of an official PNeRV file describes; it is always PNeRV-L.

    Args:
        model: see `parse_pnerv`.
        frame_count: T.
        statistics: see `PNeRVConfig`.

    Raises:
        GeometryError: strides and frame size that do not fit each other.
        UsageError: a key or a value that cannot be had here.
    """
    values = _fields(model, _PNERV_FIELDS, _PNERV_LISTS)
    *grid, channels = model["kfc_h_w_c"]
    config = PNeRVConfig.from_config(
        values
        | {
            "frame_count": frame_count,
            "stem_stride": _STEM,
            "channels": channels,
            "difference_strides": model["diff_enc_list"][: len(model["encoder_list"])],
            "statistics": statistics,
        }
    )
    rows, columns = (_STEM * side for side in config.content_shape[1:])
    if grid != [rows, columns]:
        raise UsageError(
            f"model.kfc_h_w_c is {model['kfc_h_w_c']}; frame size and model.encoder_list give {rows}, {columns}"
        )
    return config
