"""Checkpoints of the official DNeRV and PNeRV code (one repository) become our networks.

    checkpoint.pth      {"model", "optimizer", "epoch", "config", ...}: encoder and decoder; no embeddings, they are
                        computed again from the source clip

What no tensor tells stands in the YAML file that the official `main.py --cfg_path FILE` was run with: strides,
activation, frame size. Both networks are told apart by its `model_name`. A PNeRV decodes as in the
official evaluation, with each frame's own statistics; `--statistics running` (a flag of ours) takes those that its
checkpoint holds: see `nervplay.models.pnerv`.

Differences from the official code: its loader resizes a frame of another size but not the neighbours, and then fails;
here the clip must have the size of the configuration.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nervplay.codec.official_kin import embed_clip, fill_with_encoder
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import plain_state
from nervplay.codec.official_pnerv_arguments import dnerv_config, parse_pnerv, pnerv_config
from nervplay.errors import CheckpointError, GeometryError, UnknownNameError, UsageError
from nervplay.models import dnerv, pnerv
from nervplay.models.base import VideoModel
from nervplay.models.dnerv import DNeRV
from nervplay.models.pnerv import PNeRV
from nervplay.video.source import FrameSource
from nervplay.video.spec import VideoSpec

__all__ = ["open_pnerv"]


def _adapted(model: VideoModel, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return renamed tensors as our modules hold them, without those that the network does not use.

    Raises:
        CheckpointError: a factor of a KFc that is no such thing.
    """
    unused = (".block_norm.weight", ".block_norm.bias", ".scale", ".running_mean", ".running_var")
    wanted = model.state_dict().keys()
    adapted = {name: value for name, value in state.items() if name in wanted or not name.endswith(unused)}
    for name, value in list(adapted.items()):
        if name.endswith((".expand.weight", ".project.weight")) and value.ndim == 2:
            adapted[name] = value[:, :, None, None]  # a linear layer over channels is a 1x1 convolution
        elif name.endswith(".kfc.rows.weight"):
            other = name.replace("rows", "columns")
            if other not in adapted or not value.ndim == adapted[other].ndim == 4:
                raise CheckpointError(f"the checkpoint's '{name}' has no fitting '{other}'; both need 4 dimensions")
            adapted[name], adapted[other] = pnerv.kronecker_factors(value, adapted[other])
    return adapted


def _same_size(spec: VideoSpec, model: Mapping[str, Any]) -> None:
    """Raise `GeometryError` unless the clip has the frame size of the configuration."""
    if (spec.width, spec.height) != (model.get("width"), model.get("height")):
        raise GeometryError(
            f"the clip has {spec.width}x{spec.height} frames, the official configuration "
            f"{model.get('width')}x{model.get('height')}; give the clip that it was fitted to"
        )


def open_pnerv(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of the official DNeRV and PNeRV code.

    Args:
        path: the .pth file.
        arguments: the official command line it was made with, as one string; see `parse_pnerv`.
        source: the clip it was fitted to; always needed, since embeddings are computed from it.

    Returns:
        The network in eval mode on the CPU, with its encoder and its embeddings.

    Raises:
        MissingInputError: no such file, or no configuration.
        CheckpointError: a file that cannot be read, or does not fit the arguments.
        GeometryError: a clip of another frame size.
        UsageError: arguments that the official code or this one does not take, or no source.
    """
    section, statistics = parse_pnerv(arguments, Path(path))
    kind = section.get("model_name")
    if kind not in ("D_NeRV", "P_NeRV"):
        raise UnknownNameError("model.model_name of the official configuration", str(kind), ("D_NeRV", "P_NeRV"))
    if kind == "D_NeRV" and statistics != "frame":
        raise UsageError(f"DNeRV has no normalisation; leave out --statistics {statistics}")
    if source is None:
        raise UsageError("DNeRV and PNeRV checkpoints hold no embeddings; give the clip they were fitted to (--source)")
    _same_size(source.spec, section)
    state = plain_state(load_tensors(path))
    model: DNeRV | PNeRV
    with torch.random.fork_rng(devices=[]):  # initial values are replaced at once; the caller's generator stays
        if kind == "D_NeRV":
            first = state.get("encoder_layers.2.pwconv1.weight")
            plain = first is None or first.ndim == 4
            model = DNeRV(dnerv_config(section, len(source), plain_encoder=plain), encoder=True)
            renamed = dnerv.rename_upstream_keys(state)
        else:
            model = PNeRV(pnerv_config(section, len(source), statistics), encoder=True)
            renamed = pnerv.rename_upstream_keys(state)
    fill_with_encoder(model, _adapted(model, renamed))
    embed_clip(model.eval(), source)
    return model
