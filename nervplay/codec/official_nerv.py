"""Checkpoints of the official NeRV and HNeRV code become our networks, or our integers.

    NeRV    model_latest.pth and kin    {"state_dict", ...}: weights; where pruned, `X_orig` and `X_mask`
    HNeRV   model_latest.pth and kin    {"state_dict", ...}: encoder, decoder, head; no embeddings, they are computed
                                        again from the source clip
    HNeRV   quant_vid.pth               {"embed", "model"}: integer codes, 6 and 8 bits, with their maps

Which of them a file is shows in its tensors. The official command line supplies what no file holds: strides,
activation, output map, crop. Differences from the official code: `quant_vid.pth` is always decoded with its float16
maps widened to float32 first, as the official evaluation does, not in float16 as its `dequant_tensor` does; with time
input its codes of the time code are dropped and the exact values used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nervplay.bitstream.layout import QuantisedTensor
from nervplay.codec.official_arguments import hnerv_config, nerv_config, parse_hnerv, parse_nerv
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import frame_count, plain_state
from nervplay.errors import CheckpointError, UsageError
from nervplay.models import hnerv, nerv
from nervplay.models.base import ModelConfig, VideoModel, build_model
from nervplay.models.hnerv import HNeRVConfig
from nervplay.video.source import FrameSource
from nervplay.video.transform import FrameTransform

__all__ = ["QuantisedHNeRV", "open_hnerv_quantised", "open_nerv"]


class QuantisedHNeRV(NamedTuple):
    """A quantised official checkpoint: architecture name, configuration, and its integers under our names."""

    architecture: str
    config: ModelConfig
    tensors: dict[str, QuantisedTensor]


def _load(model: VideoModel, state: Mapping[str, Tensor]) -> None:
    """Load stored tensors into `model`.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name.
    """
    try:
        model.load_stored_state({name: value for name, value in state.items() if not name.startswith("encoder.")})
    except UsageError as error:
        raise CheckpointError(f"the checkpoint does not fit its official arguments: {error}") from None


def _open_nerv(state: dict[str, Tensor], arguments: str, source: FrameSource | None) -> VideoModel:
    flags = parse_nerv(arguments)
    model = build_model("nerv", nerv_config(flags, frame_count(flags.frames, source)))
    _load(model, nerv.rename_upstream_keys(state))
    return model


def _load_encoder(model: VideoModel, state: Mapping[str, Tensor]) -> torch.nn.Module:
    """Load the encoder's tensors and return it.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name.
    """
    encoder = model.encoder
    assert encoder is not None
    own = encoder.state_dict()
    wanted = {name for name in own if not name.endswith(".num_batches_tracked")}
    found = {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    for name in sorted(wanted ^ found.keys()):
        raise CheckpointError(
            f"the encoder's tensor '{name}' is {'missing' if name in wanted else 'not known'}; check flags"
        )
    for name, value in found.items():
        if own[name].shape != value.shape:
            raise CheckpointError(
                f"the encoder's tensor '{name}' has shape {tuple(value.shape)}, the official arguments give "
                f"{tuple(own[name].shape)}; check them"
            )
    encoder.load_state_dict(found, strict=False)
    return encoder


def _open_hnerv(state: dict[str, Tensor], arguments: str, source: FrameSource | None) -> VideoModel:
    flags = parse_hnerv(arguments)
    size = (source.spec.height, source.spec.width) if source else None
    config = hnerv_config(flags, frame_count(flags.frames, source), size)
    renamed = hnerv.rename_upstream_keys(state)
    if config.time_levels:
        model = build_model("hnerv", config)
        _load(model, renamed)
        return model
    if source is None:
        raise UsageError("this HNeRV checkpoint holds no embeddings; give the clip it was fitted to (--source)")
    model = build_model("hnerv", config, encoder=True).eval()
    embedding = {name: value for name, value in model.stored_state().items() if name in model.embedding_names}
    _load(model, renamed | embedding)
    _load_encoder(model, renamed)
    cut = FrameTransform(crop=(config.width, config.height)).apply(source)
    for index, frame in enumerate(cut.frames()):
        picture = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255.0
        model.store_embeddings(torch.tensor([index]), picture)
    return model


def _leaf(parts: Mapping[str, Tensor], name: str, bits: int) -> QuantisedTensor:
    """Return the official leaf {"quant", "min", "scale"} called `name`.

    Raises:
        CheckpointError: a part that is missing, misshapen or out of range.
    """
    try:
        codes, minimum, scale = (parts[f"{name}/{part}"].numpy() for part in ("quant", "min", "scale"))
        np.broadcast_shapes(codes.shape, minimum.shape, scale.shape)
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint's tensor '{name}' has no fitting quant, min and scale: {error}"
        ) from None
    maps_fit = minimum.shape == scale.shape and minimum.dtype == scale.dtype and minimum.ndim in (0, codes.ndim)
    if codes.dtype != np.uint8 or not maps_fit or minimum.dtype not in (np.float16, np.float32):
        raise CheckpointError(f"the checkpoint's tensor '{name}' is not quantised as the official code does")
    if codes.size and int(codes.max()) >= 1 << bits:
        raise CheckpointError(
            f"the checkpoint's tensor '{name}' has code {codes.max()}, over {bits} bits; check the flags"
        )
    return QuantisedTensor(codes=codes, bits=bits, minimum=minimum, scale=scale)


def _quantised(tensors: Mapping[str, Tensor], arguments: str) -> QuantisedHNeRV:
    flags = parse_hnerv(arguments)
    embedding = _leaf(tensors, "embed", flags.quant_embed_bit)
    if embedding.codes.ndim != 4:
        raise CheckpointError(f"the checkpoint's embeddings have shape {embedding.shape}; they must be (T, C, h, w)")
    count, _, rows, columns = embedding.shape
    scale = int(np.prod(flags.enc_strds))
    config = hnerv_config(flags, count, (rows * scale, columns * scale))
    names = {name.rsplit("/", 1)[0]: None for name in tensors if name.startswith("model/")}
    official = {name.removeprefix("model/"): _leaf(tensors, name, flags.quant_model_bit) for name in names}
    official = {name.removeprefix("module."): value for name, value in official.items()}
    renamed: dict[str, QuantisedTensor] = hnerv.rename_upstream_keys(official)
    if not config.time_levels:
        renamed = {"embedding": embedding} | renamed
    return QuantisedHNeRV("hnerv", config, _in_order(config, renamed))


def _in_order(config: HNeRVConfig, tensors: Mapping[str, QuantisedTensor]) -> dict[str, QuantisedTensor]:
    """Return the tensors in the network's own order, names and shapes compared before anything is built.

    Raises:
        CheckpointError: a missing, an extra or a misshapen tensor, by name.
    """
    with torch.device("meta"):
        empty = build_model("hnerv", config)
    try:
        empty.check_stored_state({name: value.shape for name, value in tensors.items()})
    except UsageError as error:
        raise CheckpointError(f"the checkpoint does not fit its official arguments: {error}") from None
    return {name: tensors[name] for name in empty.stored_state()}


def open_hnerv_quantised(path: str | Path, arguments: str) -> QuantisedHNeRV:
    """Open `quant_vid.pth` of the HNeRV repository and keep its integers: packed as they are, the output is identical.

    Args:
        path: the file.
        arguments: the official command line it was made with, as one string.

    Raises:
        MissingInputError: no such file.
        CheckpointError: no quantised checkpoint, or one that does not fit the arguments.
        UsageError: arguments that the official code or this one does not take.
    """
    tensors = load_tensors(path)
    if "embed/quant" not in tensors:
        raise CheckpointError(f"{path} is not a quantised HNeRV checkpoint; open it with open_nerv")
    return _quantised(tensors, arguments)


def open_nerv(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of the official NeRV or HNeRV code; which of them it is shows in its tensors.

    Args:
        path: the .pth file.
        arguments: the official command line it was made with, as one string; "--frames N" may be added.
        source: the clip it was fitted to; needed where embeddings must be computed. A larger one is cropped as the
            official loader does.

    Returns:
        The network in eval mode on the CPU. Where embeddings were computed it has its encoder.

    Raises:
        MissingInputError: no such file.
        CheckpointError: a file that cannot be read, is of neither code, or does not fit the arguments.
        UsageError: arguments that the official code or this one does not take, a source that is missing or too small.
    """
    tensors = load_tensors(path)
    if "embed/quant" in tensors:
        quantised = _quantised(tensors, arguments)
        model = build_model(quantised.architecture, quantised.config)
        _load(model, {name: torch.from_numpy(value.dequantise()) for name, value in quantised.tensors.items()})
    else:
        state = plain_state(tensors)
        if any(name.startswith("stem.") for name in state):
            model = _open_nerv(state, arguments, source)
        elif "decoder.0.conv.downconv.bias" in state:
            model = _open_hnerv(state, arguments, source)
        else:
            near = ", ".join(list(state)[:3]) or "no tensors"
            raise CheckpointError(
                f"{path} is of neither the NeRV nor the HNeRV code (it has {near}); only these are known"
            )
    return model.eval()
