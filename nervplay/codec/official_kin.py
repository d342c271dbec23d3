"""What the openers of codes that grew out of HNeRV share: its command line, and embeddings computed from the clip.

Boosting-NeRV and SNeRV took over the training script of HNeRV, most of its flags, and its habit of not storing the
embeddings in a checkpoint.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from nervplay.blocks.conv_block import NormName
from nervplay.blocks.widths import solve_channels
from nervplay.codec.official_words import OfficialParser, numbers, refuse, whole_numbers
from nervplay.errors import CheckpointError
from nervplay.models.base import VideoModel
from nervplay.video.source import Frame, FrameSource
from nervplay.video.transform import FrameTransform

__all__ = [
    "KinParser",
    "embed_clip",
    "fill_with_encoder",
    "frame_size",
    "output_map",
    "solved_width",
]

# Flags that do not change the network, with one value or with none; "--long/-s" has two spellings.
_ONE = "--workers/-j --batchSize/-b --epochs/-e --lr --lr_type --eval_freq --quant_axis --manualSeed --print-freq/-p "
_ONE += "--weight --outf --suffix --data_path --vid --data_split --start_epoch --block_params --loss --fc_hw"
_NONE = "--eval_only --distributed/-d --debug --overwrite --shuffle_data --not_resume"


class KinParser(OfficialParser):
    """The flags that all have.

    Args:
        one: further flags with one value that do not change the network, joined by blanks.
        none: the same without a value.
        activations: values of `--act`.
    """

    def __init__(self, one: str, none: str, *, activations: Sequence[str]) -> None:
        super().__init__(f"{_ONE} {one}", f"{_NONE} {none}")
        self.add_argument("--norm", default="none", choices=get_args(NormName))
        self.add_argument("--act", default="gelu", choices=activations)
        self.add_argument("--crop_list", default="640_1280")
        self.add_argument("--embed", default="")
        self.add_argument("--enc_strds", type=int, nargs="+", default=[])
        self.add_argument("--enc_dim", default="64_16")
        self.add_argument("--modelsize", type=float, default=1.5)
        self.add_argument("--saturate_stages", type=int, default=-1)
        self.add_argument("--fc_dim", type=int)
        self.add_argument("--reduce", type=float, default=1.2)
        self.add_argument("--out_bias", default="tanh")
        self.add_argument("--quant_model_bit", type=int, default=8)
        self.add_argument("--quant_embed_bit", type=int, default=6)


def frame_size(flags: argparse.Namespace, source: FrameSource) -> tuple[int, int]:
    """Return (rows, columns) of the frames that a network was fitted to: `--crop_list`, or the source's own size.

    Raises:
        UsageError: a crop that is no two numbers.
    """
    if flags.crop_list == "-1":
        return source.spec.height, source.spec.width
    rows, columns = whole_numbers("crop_list", "_".join(flags.crop_list.split("_")[:2]), 2)
    return rows, columns


def output_map(flags: argparse.Namespace) -> str | float:
    """Return `--out_bias`: "tanh", "sigmoid" or a number.

    Raises:
        UsageError: anything else.
    """
    name: str = flags.out_bias
    return name if name in ("tanh", "sigmoid") else numbers("out_bias", name, 1)[0]


def solved_width(flags: argparse.Namespace, embedding_channels: int, embedding_values: float) -> int:
    """Return C0: `--fc_dim`, or what the official rule makes of `--modelsize`.

    Args:
        flags: with `enc_strds`, `dec_strds`, `ks`, `reduce`, `lower_width`, `saturate_stages`, `modelsize`, `fc_dim`.
        embedding_channels: d2.
        embedding_values: what the rule takes off for embeddings.

    Raises:
        UsageError: a size that the official rule has no width for.
    """
    if flags.fc_dim is not None:
        return int(flags.fc_dim)
    kernel_min, kernel_max = whole_numbers("ks", flags.ks, 2)
    channels = 0
    if flags.reduce > 0:  # with --reduce -1 the official rule has no real root
        channels = solve_channels(
            flags.modelsize * 1e6 - embedding_values,
            flags.dec_strds,
            embedding_channels=embedding_channels,
            stem_area=9 * (int(np.prod(flags.enc_strds)) // int(np.prod(flags.dec_strds))) ** 2,
            reduction=flags.reduce,
            lower_width=flags.lower_width,
            kernel_min=kernel_min,
            kernel_max=kernel_max,
            saturate_stages=None if flags.saturate_stages == -1 else flags.saturate_stages,
        )
    if channels < 1:
        raise refuse("modelsize", flags.modelsize, f"with --reduce {flags.reduce:g} the official rule gives no width")
    return channels


def fill_with_encoder(model: VideoModel, state: Mapping[str, Tensor]) -> None:
    """Load a whole checkpoint, encoder included, into a network that was built with its encoder.

    Args:
        model: all but the embeddings is replaced.
        state: float tensors under our names.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name.
    """
    own = {
        name: value
        for name, value in model.state_dict().items()
        if name not in model.embedding_names and not name.endswith(".num_batches_tracked")
    }
    for name in sorted(own.keys() ^ state.keys()):
        fault = "lacks the tensor" if name in own else "has a tensor that they do not know,"
        raise CheckpointError(f"the checkpoint does not fit its official arguments: it {fault} '{name}'; check them")
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise CheckpointError(
                f"the checkpoint does not fit its official arguments: '{name}' has shape {tuple(value.shape)}, they "
                f"give {tuple(own[name].shape)}; check them"
            )
    model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)


def embed_clip(model: VideoModel, source: FrameSource) -> None:
    """Let a network compute and store its embeddings from the clip it was fitted to, in one pass.

    Args:
        model: with its encoder, in eval mode; the frames that `source_index` names are at most one away.
        source: the clip; cut to the network's size from the centre, as the official loader does.

    Raises:
        GeometryError: a clip smaller than the network's frames.
    """
    cut = FrameTransform(crop=(model.config.width, model.config.height)).apply(source)
    stream, window = enumerate(cut.frames()), dict[int, Frame]()
    for index in range(model.config.frame_count):
        wanted = model.source_index(torch.tensor([index]))
        while int(wanted.max()) not in window:
            place, frame = next(stream)
            window[place] = frame
        window.pop(index - 2, None)
        pictures = np.stack([window[place] for place in wanted.flatten().tolist()])
        frames = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255.0
        model.store_embeddings(torch.tensor([index]), frames.reshape(*wanted.shape, *frames.shape[1:]))
