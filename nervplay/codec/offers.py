"""The ways in which each tensor of a network could be stored, with their price in bytes and in picture quality."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.bitstream.kernels import zero_points
from nervplay.bitstream.layout import MAX_BITS, QuantisedTensor, StoredTensor
from nervplay.bitstream.tensor_code import encode_tensor
from nervplay.codec.allocate import Choice
from nervplay.codec.quantise import quantise
from nervplay.codec.scale_search import clip_search, picture_error, with_step
from nervplay.models.base import VideoModel

__all__ = ["VECTOR_BITS", "Offers", "fixed_offers", "ladder_offers"]

Offers = dict[str, list[Choice]]
"""Choices by stored name."""

VECTOR_BITS = 8
"""Bits that a bias or another tensor of one dimension gets at least: they are few, and every pixel of a channel feels
them."""

_FINEST = 10.0
_COARSEST = 2.0
_RUNGS_PER_BIT = 2


def _choice(values: NDArray[np.float32], stored: QuantisedTensor, importance: NDArray[np.float32], note: str) -> Choice:
    maps = 2 * stored.scale.size * stored.scale.itemsize
    size = encode_tensor(stored.codes, stored.bits, zero_points(stored.minimum, stored.scale, stored.bits)).size + maps
    return Choice(stored, size, picture_error(values, stored, importance), note)


def _exact(values: NDArray[np.float32], bits: int) -> Choice:
    """Return the one way to store what few bits hold exactly."""
    stored = quantise(torch.from_numpy(values), bits, scheme="per-row")
    return Choice(stored, encode_tensor(stored.codes, bits).size + 8 * stored.scale.size, 0.0, f"{bits} bits, exact")


def _collect(
    model: VideoModel,
    importance: Mapping[str, Tensor],
    offer: Callable[[str, NDArray[np.float32], NDArray[np.float32]], list[Choice]],
    step: Callable[[int], None] | None,
) -> Offers:
    exact = model.stored_bits
    offers: Offers = {}
    for done, (name, tensor) in enumerate(model.stored_state().items(), start=1):
        values: NDArray[Any] = tensor.detach().float().cpu().numpy()
        if name in exact:
            offers[name] = [_exact(values, exact[name])]
        else:
            offers[name] = offer(name, values, importance[name].numpy())
        if step is not None:
            step(done)
    return offers


def fixed_offers(
    model: VideoModel,
    importance: Mapping[str, Tensor],
    bits: int,
    embed_bits: int,
    *,
    step: Callable[[int], None] | None = None,
) -> Offers:
    """Return one choice per tensor: that of least error among one step, a step per output channel, and the best axis.

    Pruned tensors keep their zeros exactly, which the best axis cannot.

    Args:
        model: as it is to be stored, pruned weights at 0.
        importance: what `output_importance` gave.
        bits: 2 .. 16, of weights; tensors of one dimension get at least `VECTOR_BITS`.
        embed_bits: 2 .. 16, of embeddings.
        step: told the number of finished tensors, after each.
    """

    def offer(name: str, values: NDArray[np.float32], weights: NDArray[np.float32]) -> list[Choice]:
        embedding = name in model.embedding_names
        width = embed_bits if embedding else bits if values.ndim > 1 else max(bits, VECTOR_BITS)
        tried = [clip_search(values, weights, width)]
        if values.ndim > 1 and not embedding:
            tried.append(clip_search(values, weights, width, axis=0))
        if not _is_pruned(values):
            tried.append(quantise(torch.from_numpy(values), width))
        found = [_choice(values, stored, weights, f"{width} bits") for stored in tried]
        return [min(found, key=lambda c: (c.error, c.size))]

    return _collect(model, importance, offer, step)


def ladder_offers(
    model: VideoModel,
    importance: Mapping[str, Tensor],
    present: Mapping[str, StoredTensor],
    *,
    bits: int = MAX_BITS,
    embed_bits: int = MAX_BITS,
    step: Callable[[int], None] | None = None,
) -> Offers:
    """Return a ladder of choices per tensor, half a bit from rung to rung, for `allocate.Hull`.

    Weights get one step each: with entropy coding behind it, a uniform step is near the best that a quantiser can do,
    and rarely used codes cost little. Embeddings, whose channels differ, get the best axis as well.

    Args:
        model: as it is to be stored, pruned weights at 0.
        importance: what `output_importance` gave.
        present: tensors as they lie in a file; offered as they are where they still hold the network's values.
        bits: most bits of a weight.
        embed_bits: most bits of an embedding.
        step: told the number of finished tensors, after each.
    """

    def offer(name: str, values: NDArray[np.float32], weights: NDArray[np.float32]) -> list[Choice]:
        embedding = name in model.embedding_names
        most = min(_FINEST, embed_bits if embedding else bits if values.ndim > 1 else max(bits, VECTOR_BITS))
        found = []
        for rung in range(round((most - _COARSEST) * _RUNGS_PER_BIT) + 1):
            width = _COARSEST + rung / _RUNGS_PER_BIT
            found.append(_choice(values, _at_width(values, width), weights, f"{width:g} bits"))
            if embedding and width == int(width):
                found.append(
                    _choice(values, quantise(torch.from_numpy(values), int(width)), weights, f"{width:g} bits")
                )
        stored = present.get(name)
        if isinstance(stored, QuantisedTensor) and np.array_equal(stored.dequantise(), values):
            found.append(_choice(values, stored, weights, "as it was"))
        return found

    return _collect(model, importance, offer, step)


def _at_width(values: NDArray[np.float32], width: float) -> QuantisedTensor:
    """Return `values` over their full range in 2**width levels, a power that need not be whole."""
    step = np.abs(values).max() / np.float32(2 ** (width - 1) - 0.5)
    return with_step(values, np.asarray(step, np.float32), math.ceil(width))


def _is_pruned(values: NDArray[np.float32]) -> bool:
    return bool((values == 0).any())
