"""The tensors of a segment out of an open box (clauses 4.4 to 5)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.bitstream.box import Box
from nervplay.bitstream.head import SCALE_DTYPES, SegmentEntry, TensorEntry
from nervplay.bitstream.kernels import zero_points
from nervplay.bitstream.layout import QuantisedTensor, StoredTensor
from nervplay.bitstream.maps import decode_maps
from nervplay.bitstream.packing import ByteCursor
from nervplay.bitstream.refusal import damaged
from nervplay.bitstream.sections import MAPS, SCALES, float_section, segment_section
from nervplay.bitstream.segment import CodedTensor, RowBudget, decode_segment

__all__ = ["Pairs", "decode_pairs", "decode_tensors"]

Pairs = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""Minimum and scale of the quantised tensors of a segment, by name."""


def decode_pairs(box: Box, segments: Sequence[SegmentEntry], budget: RowBudget) -> Sequence[Pairs]:
    """Return minimum and scale of all quantised tensors of each segment.

    Args:
        box: an open file.
        segments: all of the head.
        budget: steps that the entropy decoder may take.

    Raises:
        BitstreamError: chunks that break a rule of clauses 4.5 and 5.11.
    """
    scales = ByteCursor(box.read(SCALES) if box.chunk_bytes(SCALES) else b"", "the chunk 'scales'")
    coded: Iterator[NDArray[np.float16]] | None = None
    if box.chunk_bytes(MAPS):
        tensors = [t for segment in segments for t in segment.tensors if t.scale_dtype == "F16"]
        coded = iter(decode_maps(box.read(MAPS), [math.prod(t.scale_shape or ()) for t in tensors], budget))

    def part(tensor: TensorEntry) -> NDArray[Any]:
        """Return minimum or scale of a tensor, in turn."""
        shape = tensor.scale_shape or ()
        if tensor.scale_dtype == "F16" and coded is not None:
            return next(coded).reshape(shape)
        assert tensor.scale_dtype is not None, "the head was checked"
        dtype = np.dtype(SCALE_DTYPES[tensor.scale_dtype])
        raw = np.frombuffer(scales.take(math.prod(shape) * dtype.itemsize), dtype)
        return raw.reshape(shape).astype(dtype.newbyteorder("="))

    pairs = [
        {tensor.name: (part(tensor), part(tensor)) for tensor in segment.tensors if not tensor.is_float}
        for segment in segments
    ]
    scales.finish()
    return pairs


def decode_tensors(
    box: Box, number: int, entry: SegmentEntry, pairs: Pairs, budget: RowBudget
) -> dict[str, StoredTensor]:
    """Return the tensors of a segment in table order.

    Args:
        box: an open file.
        number: of the segment.
        entry: what the head says of it.
        pairs: minimum and scale of its quantised tensors.
        budget: steps that the entropy decoder may still take.

    Raises:
        VersionError: an entropy model that this version does not know.
        BitstreamError: chunks that break a rule of clauses 4.6, 5 and 6.
    """
    coded = [
        CodedTensor(t.shape, t.bits, t.model, zero_points(*pairs[t.name], t.bits))
        for t in entry.tensors
        if t.model is not None
    ]
    name = segment_section(number)
    codes = iter(decode_segment(box.read(name), coded, name, budget) if coded else [])
    return {
        t.name: _float_tensor(box, number, t) if t.is_float else _quantised(t, next(codes), *pairs[t.name])
        for t in entry.tensors
    }


def _quantised(tensor: TensorEntry, codes: NDArray[Any], minimum: NDArray[Any], scale: NDArray[Any]) -> QuantisedTensor:
    """Return a tensor of codes with its map."""
    result = QuantisedTensor(codes=codes.reshape(tensor.shape), bits=tensor.bits, minimum=minimum, scale=scale)
    if not result.is_finite:
        raise damaged(f"minimum and scale of '{tensor.name}' lead outside the float32 numbers")
    return result


def _float_tensor(box: Box, number: int, tensor: TensorEntry) -> NDArray[np.float32]:
    """Return a plain tensor from its own chunk (clause 4.6)."""
    name = float_section(number, tensor.name)
    raw = box.read(name, "F32")
    if box.shape(name) != tensor.shape:
        raise damaged(f"the chunk '{name}' has the shape {box.shape(name)}, the head says {tensor.shape}")
    values = np.frombuffer(raw, "<f4").reshape(tensor.shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise damaged(f"the chunk '{name}' has values that are not finite")
    return values
