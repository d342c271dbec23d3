"""A network becomes a `NervFile`: its stored tensors as integers, with all that decoding needs beside them."""

from collections.abc import Mapping
from typing import Any

import torch

from nervplay.bitstream.head import FLOAT_BITS
from nervplay.bitstream.layout import Audio, NervFile, Segment, StoredTensor
from nervplay.bitstream.precision import Precision
from nervplay.codec.quantise import quantise
from nervplay.errors import UsageError
from nervplay.models.base import VideoModel
from nervplay.video.spec import VideoSpec

__all__ = ["pack", "quantise_model"]

_USUAL = Precision()


def quantise_model(model: VideoModel, precision: Precision) -> dict[str, StoredTensor]:
    """Return the stored tensors of `model` by name, in its own order, as integers with their affine maps.

    Args:
        model: a network whose embeddings are stored; stays as it is.
        precision: bits of weights and of embeddings; what few bits hold exactly (`VideoModel.stored_bits`) takes those.

    Raises:
        UsageError: values that are not finite.
    """
    stored: dict[str, StoredTensor] = {}
    exact = model.stored_bits
    for name, tensor in model.stored_state().items():
        bits = precision.embed_bits if name in model.embedding_names else precision.bits
        values = tensor.detach().float().cpu()
        if not torch.isfinite(values).all():
            raise UsageError(f"the tensor '{name}' has values that are not finite; fit the network again")
        if name in exact:
            stored[name] = quantise(values, exact[name], scheme="per-row")
        else:
            stored[name] = values.numpy() if bits == FLOAT_BITS else quantise(values, bits)
    return stored


def pack(
    model: VideoModel,
    video: VideoSpec,
    *,
    precision: Precision = _USUAL,
    source: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    audio: Audio | None = None,
    poster: bytes | None = None,
    tensors: Mapping[str, StoredTensor] | None = None,
) -> NervFile:
    """Return the file of a fitted network.

    Args:
        model: a fitted network with its embeddings stored.
        video: the clip that it decodes to; size and frame count are those of its configuration.
        precision: bits of weights and of embeddings.
        source: where the clip came from (name and `FrameTransform`), JSON-plain.
        recipe: how it was fitted, JSON-plain.
        audio: sound that rides along.
        poster: a WebP still.
        tensors: what exists already (the integers of an official quantised checkpoint), by stored name; taken as it is.

    Raises:
        UsageError: a clip that the network does not decode to, or values that are not finite.
    """
    config = model.config
    if (video.width, video.height, video.frame_count) != (config.width, config.height, config.frame_count):
        raise UsageError(
            f"the network decodes to {config.frame_count} frames of {config.width}x{config.height}, not to "
            f"{video.frame_count} of {video.width}x{video.height}"
        )
    stored = quantise_model(model, precision) | dict(tensors or {})
    return NervFile(
        video=video,
        architecture=model.architecture,
        config_version=config.version,
        config=config.to_config(),
        segments=(Segment(first_frame=0, frame_count=video.frame_count, tensors=stored),),
        source=source or {},
        recipe=recipe or {},
        audio=audio,
        poster=poster,
    )
